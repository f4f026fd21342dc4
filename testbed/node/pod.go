package node

import (
	"context"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A pod runs the containers of one pod from its binding to its end.
type pod struct {
	node    *Node
	uid     types.UID
	address string
	dir     string
	started metav1.Time

	inits      []*container
	containers []*container

	changed  chan struct{} // has one element when the status is to be written
	stopping chan struct{} // closed when the pod is to end
	done     chan struct{} // closed when it is gone

	mu       sync.Mutex
	latest   *corev1.Pod
	turned   map[corev1.PodConditionType]corev1.PodCondition
	deadline time.Time // when grace is over; set before stopping is closed
}

func newPod(n *Node, object *corev1.Pod, address string) *pod {
	p := &pod{
		node:     n,
		uid:      object.UID,
		address:  address,
		dir:      n.layout.Path("pods", string(object.UID)),
		started:  metav1.Now(),
		changed:  make(chan struct{}, 1),
		stopping: make(chan struct{}),
		done:     make(chan struct{}),
		latest:   object,
	}
	for i := range object.Spec.InitContainers {
		p.inits = append(p.inits, newContainer(p, &object.Spec.InitContainers[i], true))
	}
	for i := range object.Spec.Containers {
		p.containers = append(p.containers, newContainer(p, &object.Spec.Containers[i], false))
	}
	return p
}

// object is the pod as the API last told it.
func (p *pod) object() *corev1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latest
}

// update takes in a newer state of the pod's object.
func (p *pod) update(object *corev1.Pod) {
	p.mu.Lock()
	p.latest = object
	p.mu.Unlock()
	if object.DeletionTimestamp != nil {
		grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
		if object.DeletionGracePeriodSeconds != nil {
			grace = *object.DeletionGracePeriodSeconds
		}
		p.stop(time.Duration(grace) * time.Second)
	}
}

// stop ends the pod within the grace period. A shorter one than before counts,
// a longer one does not.
func (p *pod) stop(grace time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	end := time.Now().Add(grace)
	first := p.deadline.IsZero()
	if first || end.Before(p.deadline) {
		p.deadline = end
	}
	if first {
		close(p.stopping)
	}
	if grace == 0 {
		for _, c := range p.all() {
			c.kill()
		}
	}
}

// kill ends the pod at once.
func (p *pod) kill() { p.stop(0) }

// left is how much of the grace period is left.
func (p *pod) left() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.deadline)
}

func (p *pod) all() []*container { return append(append([]*container{}, p.inits...), p.containers...) }

// touch asks for the status to be written.
func (p *pod) touch() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// run carries the pod through its life. Its processes end when the pod is
// deleted, and at once when ctx ends.
func (p *pod) run(ctx context.Context) {
	defer p.node.remove(p)
	defer os.RemoveAll(p.dir)
	stopKilling := context.AfterFunc(ctx, p.kill)
	defer stopKilling()
	written := make(chan struct{})
	life, endLife := context.WithCancel(ctx)
	go func() { p.writeStatus(life); close(written) }()
	p.touch()
	if p.mountAll(ctx) && p.initialise(ctx) {
		p.runAll(ctx)
	}
	p.touch()
	// A pod that has run to its end keeps its files, its logs among them,
	// until somebody deletes it.
	select {
	case <-p.stopping:
	case <-ctx.Done():
	}
	endLife()
	<-written
	p.finish(ctx)
}

// initialise runs the init containers one after the other. It reports whether
// all of them succeeded; else the pod has failed or is to end.
func (p *pod) initialise(ctx context.Context) bool {
	for _, c := range p.inits {
		if c.sidecar() {
			go c.run(ctx)
			if !c.awaitStarted(p.stopping) {
				return false
			}
			continue
		}
		if !c.run(ctx) {
			return false
		}
	}
	return true
}

// runAll runs the containers until the last one has ended for good.
func (p *pod) runAll(ctx context.Context) {
	var group sync.WaitGroup
	for _, c := range p.containers {
		group.Go(func() { c.run(ctx) })
	}
	group.Wait()
	for _, c := range p.inits {
		if c.sidecar() {
			c.end(ctx)
		}
	}
}

// finish writes the last status and, when the pod is being deleted, takes it
// out of the API.
func (p *pod) finish(ctx context.Context) {
	object := p.object()
	if ctx.Err() != nil || object.DeletionTimestamp == nil {
		return
	}
	for ctx.Err() == nil {
		err := patchStatus(ctx, p.node.client, object, p.status())
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			break
		}
		pause(ctx, retryEvery)
	}
	p.node.forget(ctx, object)
}

// forget deletes a pod that has no processes any more from the API.
func (n *Node) forget(ctx context.Context, object *corev1.Pod) {
	now := int64(0)
	for ctx.Err() == nil {
		err := n.client.CoreV1().Pods(object.Namespace).Delete(ctx, object.Name, metav1.DeleteOptions{
			GracePeriodSeconds: &now,
			Preconditions:      metav1.NewUIDPreconditions(string(object.UID)),
		})
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return
		}
		pause(ctx, retryEvery)
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
