// Package memory is a cluster in memory, for simulations and tests: versions whose
// pods behave as scripted, driven by the core's clock.
package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/memory"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// A Cluster is a workload.Cluster in memory. Its operations are named
// workload.Versions, Adopt, Apply, DryRun, Follow, Next, Remove and Tell for the hooks of
// the core.
type Cluster struct {
	core *memory.Core
	// Reached, where set, tells when a share of traffic first reached a back end. It is
	// called inside a call of the core.
	Reached func(namespace, backend string, w rollout.Weight) (time.Time, bool)
	// Create, where set, gets the create-only objects (routes) that do not exist here.
	// It is called inside a call of the core.
	Create func(workload.Object)

	objects     map[string]object
	owned       map[workload.Service]map[string]bool // keys of the objects that were applied for it
	deployments map[string]*deployment
	scripts     map[string]Script
	refusals    map[string]string // words by namespace and kind
	notes       []workload.Note
}

// New gives an empty cluster.
func New(c *memory.Core) *Cluster {
	return &Cluster{
		core:        c,
		objects:     map[string]object{},
		owned:       map[workload.Service]map[string]bool{},
		deployments: map[string]*deployment{},
		scripts:     map[string]Script{},
		refusals:    map[string]string{},
	}
}

// An object is what is kept of an applied one: whose it is.
type object struct {
	kind, name string
	labels     map[string]string
	// answers is what else than a Deployment answers for a Service.
	answers string
}

func objectKey(namespace, kind, name string) string { return namespace + "/" + kind + "/" + name }

func path(namespace, name string) string { return namespace + "/" + name }

// thing is what somebody waits for who waits for a Deployment.
func thing(namespace, name string) memory.Thing {
	return memory.Thing{Kind: "Deployment", Namespace: namespace, Name: name}
}

// Behave scripts the Deployment of that name, now or when it is applied.
func (c *Cluster) Behave(namespace, name string, s Script) {
	c.core.Change(func() {
		c.scripts[path(namespace, name)] = s
		if d := c.deployments[path(namespace, name)]; d != nil {
			d.script = s
		}
	})
}

// Refuse lets the cluster take no object of a kind any more, with these words; empty ones end that.
func (c *Cluster) Refuse(namespace, kind, words string) {
	c.core.Change(func() { c.refusals[path(namespace, kind)] = words })
}

// Place puts a Deployment and a Service there that are somebody else's.
func (c *Cluster) Place(namespace string, v workload.Version) {
	c.core.Change(func() {
		v.Ours, v.Number, v.Rollout = false, 0, ""
		c.put(namespace, v)
		for kind, name := range map[string]string{"Deployment": v.Deployment, "Service": v.Name} {
			c.objects[objectKey(namespace, kind, name)] = object{kind: kind, name: name}
		}
	})
}

// Answer puts a Service there that something else than a Deployment answers for, such as "Pod db-0".
func (c *Cluster) Answer(namespace, service, by string) {
	c.core.Change(func() {
		c.objects[objectKey(namespace, "Service", service)] = object{kind: "Service", name: service, answers: by}
	})
}

// Scale has a person set a Deployment's replicas.
func (c *Cluster) Scale(namespace, name string, replicas int) {
	c.core.Change(func() {
		if d := c.deployments[path(namespace, name)]; d != nil {
			d.scaled = replicas
		}
	})
}

// Delete has a person delete a Deployment and the Service of its name.
func (c *Cluster) Delete(namespace, name string) {
	c.core.Change(func() { c.drop(namespace, name, name) })
}

func (c *Cluster) drop(namespace, deployment, service string) {
	delete(c.deployments, path(namespace, deployment))
	delete(c.objects, objectKey(namespace, "Deployment", deployment))
	delete(c.objects, objectKey(namespace, "Service", service))
}

func (c *Cluster) put(namespace string, v workload.Version) {
	at := path(namespace, v.Deployment)
	d := &deployment{version: v, applied: c.core.Clock.Now(), script: c.scripts[at], scaled: -1}
	d.crashFrom = func() (time.Time, bool) {
		if c.Reached == nil || d.script.CrashAtWeight == 0 {
			return time.Time{}, false
		}
		return c.Reached(namespace, v.Name, d.script.CrashAtWeight)
	}
	c.deployments[at] = d
}

// Versions lists the versions of the service that are ours.
func (c *Cluster) Versions(ctx context.Context, s workload.Service) (versions []workload.Version, err error) {
	err = c.core.Call(ctx, "workload.Versions", func() error {
		for key := range c.owned[s] {
			o := c.objects[key]
			d := c.deployments[path(s.Namespace, o.name)]
			if o.kind == "Deployment" && o.labels[workload.LabelService] == s.Name && d != nil {
				v := d.version
				v.Replicas, _ = d.replicas(c.core.Clock.Now())
				versions = append(versions, v)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(versions, func(a, b workload.Version) int { return cmp.Compare(a.Number, b.Number) })
	return versions, nil
}

// Adopt finds the version behind a back end that is not ours.
func (c *Cluster) Adopt(ctx context.Context, s workload.Service, backend string) (v workload.Version, err error) {
	err = c.core.Call(ctx, "workload.Adopt", func() error {
		for _, at := range slices.Sorted(maps.Keys(c.deployments)) {
			d := c.deployments[at]
			if at == path(s.Namespace, d.version.Deployment) && d.version.Name == backend {
				if l := c.objects[objectKey(s.Namespace, "Deployment", d.version.Deployment)].labels; workload.OfAnother(s, l) {
					return fmt.Errorf("back end %s/%s: %w: Deployment %s: %s", s.Namespace, backend, fault.Refused, d.version.Deployment, workload.Describe(l))
				}
				v = d.version
				v.Replicas, _ = d.replicas(c.core.Clock.Now())
				if !v.Ours {
					v.Number = max(workload.NumberOf(s.Name, v.Deployment), workload.NumberOf(s.Name, v.Name))
				}
				return nil
			}
		}
		o := c.objects[objectKey(s.Namespace, "Service", backend)]
		if o.answers != "" {
			return fmt.Errorf("back end %s/%s: %w: no Deployment is behind it, and the Service leads to %s", s.Namespace, backend, fault.Refused, o.answers)
		}
		// A Service that the versions share leads to each of them.
		if o.labels[workload.LabelService] == s.Name && o.labels[workload.LabelVersion] == "" {
			for key := range c.owned[s] {
				if d := c.deployments[path(s.Namespace, c.objects[key].name)]; c.objects[key].kind == "Deployment" && d != nil {
					v = d.version
					v.Name = backend
					return nil
				}
			}
		}
		return fmt.Errorf("back end %s/%s: %w: no Deployment behind it", s.Namespace, backend, fault.NotFound)
	})
	if err != nil {
		return workload.Version{}, err
	}
	return v, nil
}

// Apply writes the objects.
func (c *Cluster) Apply(ctx context.Context, objects []workload.Object, o workload.Ownership) error {
	return c.core.Call(ctx, "workload.Apply", func() error {
		if err := c.judge(objects, o); err != nil {
			return err
		}
		for _, obj := range objects {
			c.apply(obj, o)
			c.core.Changed(thing(obj.Namespace(), obj.Name()))
		}
		return nil
	})
}

// DryRun asks whether Apply would be taken.
func (c *Cluster) DryRun(ctx context.Context, objects []workload.Object, o workload.Ownership) error {
	return c.core.Call(ctx, "workload.DryRun", func() error { return c.judge(objects, o) })
}

// judge refuses what is somebody else's, and what the cluster was told to refuse.
func (c *Cluster) judge(objects []workload.Object, o workload.Ownership) error {
	var refused error
	for _, obj := range objects {
		have, exists := c.objects[objectKey(obj.Namespace(), obj.Kind(), obj.Name())]
		words := c.refusals[path(obj.Namespace(), obj.Kind())]
		switch {
		case exists && o.Keeps(obj, have.labels):
		case exists && !o.Owned(have.labels):
			refused = errors.Join(refused, fmt.Errorf("apply %v: %w: %s", obj, fault.Invalid, workload.Describe(have.labels)))
		case words != "":
			refused = errors.Join(refused, fmt.Errorf("apply %v: %w: %s", obj, fault.Invalid, words))
		}
	}
	return refused
}

func (c *Cluster) apply(obj workload.Object, o workload.Ownership) {
	key := objectKey(obj.Namespace(), obj.Kind(), obj.Name())
	have, exists := c.objects[key]
	if exists && o.Keeps(obj, have.labels) {
		return
	}
	if obj.CreateOnly() {
		c.objects[key] = object{kind: obj.Kind(), name: obj.Name(), labels: labels(obj)}
		if c.Create != nil {
			c.Create(obj)
		}
		return
	}
	c.objects[key] = object{kind: obj.Kind(), name: obj.Name(), labels: o.Labels(obj.Name())}
	if c.owned[o.Service] == nil {
		c.owned[o.Service] = map[string]bool{}
	}
	c.owned[o.Service][key] = true
	if obj.Kind() != "Deployment" {
		return
	}
	v := workload.Version{
		Name: obj.Name(), Number: o.Version, Deployment: obj.Name(),
		Image: image(obj), Replicas: replicas(obj), Ours: true, Rollout: o.Execution,
	}
	if o.Replicas > 0 {
		v.Replicas = o.Replicas
	}
	// A second delivery of the same task changes nothing, and no pod starts again.
	if d := c.deployments[path(obj.Namespace(), obj.Name())]; d != nil && d.version == v {
		return
	}
	c.put(obj.Namespace(), v)
}

func labels(o workload.Object) map[string]string {
	out := map[string]string{}
	m, _ := o.Field("metadata", "labels").(map[string]any)
	for k, v := range m {
		out[k], _ = v.(string)
	}
	return out
}

func replicas(o workload.Object) int {
	switch n := o.Field("spec", "replicas").(type) {
	case int:
		return n
	case int64:
		return int(n)
	case float64:
		return int(n)
	}
	return 1
}

func image(o workload.Object) string {
	containers, _ := o.Field("spec", "template", "spec", "containers").([]any)
	if len(containers) == 0 {
		return ""
	}
	first, _ := containers[0].(map[string]any)
	name, _ := first["image"].(string)
	return name
}

// Remove deletes what is ours of a version.
func (c *Cluster) Remove(ctx context.Context, s workload.Service, v workload.Version) error {
	return c.core.Call(ctx, "workload.Remove", func() error {
		for key := range c.owned[s] {
			o := c.objects[key]
			if !v.Ours || v.Number <= 0 || o.labels[workload.LabelService] != s.Name || o.labels[workload.LabelVersion] != strconv.Itoa(v.Number) {
				continue
			}
			delete(c.objects, key)
			delete(c.owned[s], key)
			if o.kind == "Deployment" {
				delete(c.deployments, path(s.Namespace, o.name))
				c.core.Changed(thing(s.Namespace, o.name))
			}
		}
		return nil
	})
}

// Tell keeps the note.
func (c *Cluster) Tell(ctx context.Context, s workload.Service, n workload.Note) error {
	return c.core.Call(ctx, "workload.Tell", func() error {
		c.notes = append(c.notes, n)
		return nil
	})
}

// Has tells whether an object is there, without hooks, for whoever checks a simulation.
func (c *Cluster) Has(namespace, kind, name string) (ok bool) {
	_ = c.core.Do(func() error { _, ok = c.objects[objectKey(namespace, kind, name)]; return nil })
	return ok
}

// Notes are the events told so far.
func (c *Cluster) Notes() (notes []workload.Note) {
	_ = c.core.Do(func() error { notes = slices.Clone(c.notes); return nil })
	return notes
}

// Status is what Kubernetes says of the Deployment of that name at the moment, and
// whether it exists, without hooks, for whoever checks a simulation.
func (c *Cluster) Status(namespace, name string, at time.Time) (s workload.Status, ok bool) {
	_ = c.core.Do(func() error {
		d := c.deployments[path(namespace, name)]
		if ok = d != nil; ok {
			s = d.status(at)
		}
		return nil
	})
	return s, ok
}
