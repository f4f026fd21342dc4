package kube

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// serviceLabel names an EndpointSlice's Service.
const serviceLabel = "kubernetes.io/service-name"

// Follow watches the version's Deployment, its pods and its Service's endpoints
// with one watch each. The watches end with Close or with ctx.
func (c *Cluster) Follow(ctx context.Context, s workload.Service, v workload.Version) (workload.Follower, error) {
	f := &follower{
		changed: make(chan struct{}, 1),
		memory:  newMemory(),
		now:     picture{name: v.Deployment},
	}
	var watching context.Context
	watching, f.stop = context.WithCancel(ctx)
	f.watch(watching, c.client, Selection{Namespace: s.Namespace, Resource: Deployments, Name: v.Deployment}, f.takeDeployment)
	f.watch(watching, c.client, Selection{Namespace: s.Namespace, Resource: EndpointSlices, Labels: serviceLabel + "=" + v.Name}, f.takeSlices)
	selector := versionLabels(s, v.Number)
	if !v.Ours {
		var err error
		if selector, err = f.selector(ctx); err != nil {
			f.Close()
			return nil, Fault(fmt.Sprintf("follow Deployment %s/%s", s.Namespace, v.Deployment), err)
		}
	}
	f.watch(watching, c.client, Selection{Namespace: s.Namespace, Resource: Pods, Labels: selector}, f.takePods)
	return f, nil
}

type follower struct {
	stop    context.CancelFunc
	running sync.WaitGroup
	// changed holds a token when there is something new to look at.
	changed chan struct{}

	mu     sync.Mutex
	now    picture
	memory *memory
	status workload.Status
	// seen are the watches that have shown a whole picture; all three make a status.
	seen struct{ deployment, pods, slices bool }
	err  error

	told bool
	last workload.Status
}

func (f *follower) watch(ctx context.Context, c *Client, what Selection, take func(Objects) error) {
	f.running.Go(func() {
		var bad error
		err := c.Watch(ctx, what, func(o Objects) bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			if bad = take(o); bad != nil {
				return true
			}
			// Every picture is judged, also one that no call of Next will see, because a crash
			// loop shows for moments only.
			f.judge()
			f.wake()
			return false
		})
		if bad != nil {
			err = fmt.Errorf("%w: %w", fault.Invalid, bad)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.err == nil {
			f.err = err
		}
		f.wake()
	})
}

func (f *follower) complete() bool { return f.seen.deployment && f.seen.pods && f.seen.slices }

// judge brings the status up to date.
func (f *follower) judge() {
	if f.complete() {
		f.status = f.memory.status(f.now)
	}
}

func (f *follower) wake() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (f *follower) takeDeployment(o Objects) error {
	f.seen.deployment, f.now.deployment = true, nil
	for _, u := range o {
		if u.GetDeletionTimestamp() != nil {
			continue
		}
		f.now.deployment = &deployment{}
		if err := read(u, f.now.deployment); err != nil {
			return err
		}
	}
	return nil
}

func (f *follower) takePods(o Objects) (err error) {
	f.seen.pods = true
	f.now.pods, err = readAll[pod](o)
	return err
}

func (f *follower) takeSlices(o Objects) (err error) {
	f.seen.slices = true
	f.now.slices, err = readAll[endpointSlice](o)
	return err
}

func readAll[T any](o Objects) ([]T, error) {
	var out []T
	for _, u := range o {
		var v T
		if err := read(u, &v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// selector waits for the Deployment and gives what selects its pods.
func (f *follower) selector(ctx context.Context) (string, error) {
	ctx, cancel := Within(ctx)
	defer cancel()
	for {
		f.mu.Lock()
		d, seen, err := f.now.deployment, f.seen.deployment, f.err
		f.mu.Unlock()
		switch {
		case err != nil:
			return "", err
		case seen && d == nil:
			return "", fault.NotFound
		case seen:
			return d.selector()
		}
		select {
		case <-f.changed:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// selector selects the Deployment's own pods. Those of a version of ours may have all the labels that its selector asks for;
// they have labels of ours besides, which its own pods have only as its template says.
func (d deployment) selector() (string, error) {
	s, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return "", fmt.Errorf("%w: selector: %w", fault.Invalid, err)
	}
	for _, key := range []string{workload.LabelService, workload.LabelVersion} {
		is, values := selection.DoesNotExist, []string(nil)
		if value, ok := d.Spec.Template.Metadata.Labels[key]; ok {
			is, values = selection.Equals, []string{value}
		}
		r, err := labels.NewRequirement(key, is, values)
		if err != nil {
			return "", fmt.Errorf("%w: selector: %w", fault.Invalid, err)
		}
		s = s.Add(*r)
	}
	return s.String(), nil
}

// Next gives the status as soon as it differs from the last one given, or the same
// again after d.
func (f *follower) Next(ctx context.Context, d time.Duration) (workload.Status, error) {
	var late <-chan time.Time
	if f.told {
		timer := time.NewTimer(d)
		defer timer.Stop()
		late = timer.C
	}
	over := false
	// Some things are wrong only after a while, with no event to say so.
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		f.mu.Lock()
		f.judge()
		status, complete, err := f.status, f.complete(), f.err
		f.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return workload.Status{}, ctx.Err()
		case err != nil:
			return workload.Status{}, err
		case complete && (!f.told || over || status != f.last):
			f.told, f.last = true, status
			return status, nil
		}
		select {
		case <-f.changed:
		case <-again.C:
		case <-late:
			over = true
		case <-ctx.Done():
		}
	}
}

// Close ends the watches and waits for their end.
func (f *follower) Close() {
	f.stop()
	f.running.Wait()
}
