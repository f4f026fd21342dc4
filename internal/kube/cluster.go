package kube

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// Cluster is a workload.Cluster of real objects.
type Cluster struct{ client *Client }

// NewCluster gives the workloads of the client's cluster.
func NewCluster(c *Client) *Cluster { return &Cluster{client: c} }

// A deployment is the part of a Deployment that is read here.
type deployment struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Replicas *int                  `json:"replicas"`
		Selector *metav1.LabelSelector `json:"selector"`
		Template struct {
			Metadata metav1.ObjectMeta `json:"metadata"`
			Spec     struct {
				Containers []struct {
					Image string `json:"image"`
				} `json:"containers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
	Status struct {
		Conditions []struct {
			Type    string `json:"type"`
			Status  string `json:"status"`
			Reason  string `json:"reason"`
			Message string `json:"message"`
		} `json:"conditions"`
	} `json:"status"`
}

// read converts an object to a struct of the parts that are needed.
func read(o *unstructured.Unstructured, into any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, into); err != nil {
		return fmt.Errorf("read %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}

func (d deployment) replicas() int {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

// version gives the Deployment as the version behind a back end.
func (d deployment) version(s workload.Service, backend string) workload.Version {
	v := workload.Version{Name: backend, Deployment: d.Metadata.Name, Replicas: d.replicas()}
	if c := d.Spec.Template.Spec.Containers; len(c) > 0 {
		v.Image = c[0].Image
	}
	l := d.Metadata.Labels
	number, err := strconv.Atoi(l[workload.LabelVersion])
	if l[workload.LabelManagedBy] == workload.Manager && l[workload.LabelService] == s.Name && err == nil && number > 0 {
		v.Ours, v.Number, v.Rollout = true, number, d.Metadata.Annotations[workload.AnnotationRollout]
	} else {
		v.Number = max(workload.NumberOf(s.Name, v.Deployment), workload.NumberOf(s.Name, v.Name))
	}
	return v
}

// ownLabels selects what is ours of a service.
func ownLabels(s workload.Service) string {
	return fmt.Sprintf("%s=%s,%s=%s", workload.LabelManagedBy, workload.Manager, workload.LabelService, s.Name)
}

// versionLabels selects what is ours of one version.
func versionLabels(s workload.Service, number int) string {
	return fmt.Sprintf("%s,%s=%d", ownLabels(s), workload.LabelVersion, number)
}

func (c *Cluster) deployments(ctx context.Context, s workload.Service, selector string) ([]deployment, error) {
	ctx, cancel := Within(ctx)
	defer cancel()
	list, err := c.client.In(s.Namespace, Deployments).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, Fault("list Deployments of "+s.Namespace, err)
	}
	var out []deployment
	for i := range list.Items {
		var d deployment
		if err := read(&list.Items[i], &d); err != nil {
			return nil, err
		}
		if d.Metadata.DeletionTimestamp == nil {
			c.client.know(s.Namespace, d.Metadata.Name, d.Metadata.UID)
			out = append(out, d)
		}
	}
	return out, nil
}

// Versions lists the versions of the service that are ours, by rising number.
func (c *Cluster) Versions(ctx context.Context, s workload.Service) ([]workload.Version, error) {
	list, err := c.deployments(ctx, s, ownLabels(s))
	if err != nil {
		return nil, err
	}
	var versions []workload.Version
	for _, d := range list {
		if v := d.version(s, d.Metadata.Name); v.Ours {
			versions = append(versions, v)
		}
	}
	slices.SortFunc(versions, func(a, b workload.Version) int { return cmp.Compare(a.Number, b.Number) })
	return versions, nil
}

// Adopt finds the Deployment that the Service of a back end's name leads to. Where there is none, and
// something answers all the same, the back end serves: it must not be taken for one that leads nowhere.
func (c *Cluster) Adopt(ctx context.Context, s workload.Service, backend string) (workload.Version, error) {
	op := fmt.Sprintf("adopt back end %s/%s", s.Namespace, backend)
	service, err := c.client.Get(ctx, Services, s.Namespace, backend)
	if err != nil {
		return workload.Version{}, Fault(op, err)
	}
	selector, _, err := unstructured.NestedStringMap(service.Object, "spec", "selector")
	if err != nil {
		return workload.Version{}, fmt.Errorf("%s: %w: %w", op, fault.Invalid, err)
	}
	if len(selector) == 0 {
		return workload.Version{}, fmt.Errorf("%s: %w", op, c.unled(ctx, service, "the Service has no selector"))
	}
	list, err := c.deployments(ctx, s, "")
	if err != nil {
		return workload.Version{}, fmt.Errorf("%s: %w", op, err)
	}
	wanted := labels.SelectorFromSet(selector)
	list = slices.DeleteFunc(list, func(d deployment) bool {
		return !wanted.Matches(labels.Set(d.Spec.Template.Metadata.Labels))
	})
	switch len(list) {
	case 1:
		if l := list[0].Metadata.Labels; workload.OfAnother(s, l) {
			return workload.Version{}, fmt.Errorf("%s: %w: the Service leads to Deployment %s, and %s; name the route of %s in deploy.json, "+
				"or, where the service has got another name, take the label %s off that Deployment", op, fault.Refused,
				list[0].Metadata.Name, workload.Describe(l), s.Name, workload.LabelService)
		}
		v := list[0].version(s, backend)
		if v.Replicas == 0 { // an Argo Rollout may take its template from a Deployment that it scales to nothing
			err := c.unled(ctx, service, "Deployment "+v.Deployment+" asks for no pods")
			if fault.Of(err) != fault.NotFound {
				return workload.Version{}, fmt.Errorf("%s: %w", op, err)
			}
		}
		v.Selector = wanted.String()
		return v, nil
	case 0:
		return workload.Version{}, fmt.Errorf("%s: %w", op, c.unled(ctx, service, fmt.Sprintf("no Deployment has pods with the Service's labels %v", wanted)))
	}
	names := map[string]bool{}
	for _, d := range list {
		names[d.Metadata.Name] = true
	}
	return workload.Version{}, fmt.Errorf("%s: %w: the Service leads to %d Deployments (%s), and one is expected",
		op, fault.Invalid, len(list), strings.Join(slices.Sorted(maps.Keys(names)), ", "))
}

// know keeps a Deployment's UID for the events about it.
func (c *Client) know(namespace, deployment string, uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uids[namespace+"/"+deployment] = uid
}

func (c *Client) known(namespace, deployment string) (types.UID, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	uid, ok := c.uids[namespace+"/"+deployment]
	return uid, ok
}
