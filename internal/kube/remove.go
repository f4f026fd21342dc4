package kube

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stepcanary/stepcanary/internal/workload"
)

// removable are the kinds of which a version may have an object, in the order of
// removal. The Deployment goes last: while it is there, Versions shows the version,
// so that a removal that was cut short is seen and done again.
var removable = []string{
	"HorizontalPodAutoscaler", "PodDisruptionBudget", "VirtualNode", "Service", "ConfigMap", "ServiceAccount", "Deployment",
}

// Remove deletes what carries the version's labels, kind by kind. Nothing is deleted
// by its name, so that what somebody else made under the same name stays. Pods go
// in the background, and no finalizer is waited for.
func (c *Cluster) Remove(ctx context.Context, s workload.Service, v workload.Version) error {
	if !v.Ours || v.Number <= 0 {
		return nil
	}
	kinds, known, err := c.kinds(ctx, s, v)
	if err != nil {
		return Fault(fmt.Sprintf("remove %s/%s", s.Namespace, v.Name), err)
	}
	for _, kind := range kinds {
		err := c.removeKind(ctx, s, v, kind)
		// Where the Deployment does not say which kinds there are, all are tried. A kind that
		// the cluster does not know has no objects; one that we have no right to delete is none
		// that the service's template holds, because its Role is made from that.
		if !known && (apierrors.IsNotFound(err) || apierrors.IsForbidden(err)) {
			continue
		}
		if err != nil {
			return Fault(fmt.Sprintf("remove %s of %s/%s", kind, s.Namespace, v.Name), err)
		}
	}
	return nil
}

// kinds are those of which the version has objects, as its Deployment says.
func (c *Cluster) kinds(ctx context.Context, s workload.Service, v workload.Version) (kinds []string, known bool, err error) {
	d, err := c.client.Get(ctx, Deployments, s.Namespace, v.Deployment)
	if apierrors.IsNotFound(err) {
		return removable, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	l := d.GetLabels()
	listed := strings.Split(d.GetAnnotations()[annotationKinds], ",")
	if l[workload.LabelManagedBy] != workload.Manager || l[workload.LabelService] != s.Name ||
		l[workload.LabelVersion] != strconv.Itoa(v.Number) || !slices.Contains(listed, "Deployment") {
		return removable, false, nil
	}
	for _, kind := range removable {
		if slices.Contains(listed, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds, true, nil
}

func (c *Cluster) removeKind(ctx context.Context, s workload.Service, v workload.Version, kind string) error {
	ctx, cancel := Within(ctx)
	defer cancel()
	background := metav1.DeletePropagationBackground
	return c.client.In(s.Namespace, applicable[kind]).DeleteCollection(ctx,
		metav1.DeleteOptions{PropagationPolicy: &background}, metav1.ListOptions{LabelSelector: versionLabels(s, v.Number)})
}
