// Package node is the bed's only node: a scheduler and a kubelet whose
// containers are processes of this machine.
//
// The image NAME:TAG is the executable NAME in the image directory, started
// with VERSION=TAG. Each pod has a loopback address of its own, which its
// processes find in POD_IP and listen on, as a container listens on its pod's
// network. Everything that the API shows of a pod, its phases, conditions,
// container states, restarts, events and logs, follows what a kubelet does.
package node

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"github.com/stepcanary/stepcanary/testbed/layout"
)

// Name is the name of the node.
const Name = "testbed"

// A Node runs the pods of one bed.
type Node struct {
	layout *layout.Layout
	client kubernetes.Interface
	events record.EventRecorder
	images *images

	podLister corelisters.PodLister
	services  corelisters.ServiceLister

	mu   sync.Mutex
	pods map[types.UID]*pod
	next int // number of pods started, for addresses
}

// Start registers the node and begins to run pods. It returns when the node is
// ready for them; the pods are stopped when ctx ends, and Wait tells when.
func Start(ctx context.Context, l *layout.Layout, client kubernetes.Interface) (*Node, error) {
	n := &Node{
		layout: l,
		client: client,
		images: newImages(l.Images),
		pods:   map[types.UID]*pod{},
	}
	if err := os.MkdirAll(l.Path("pods"), 0o700); err != nil {
		return nil, err
	}
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	n.events = broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: Name})
	scheduling := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "default-scheduler"})
	if err := n.serve(ctx); err != nil {
		return nil, fmt.Errorf("serve the kubelet's API: %w", err)
	}
	if err := n.register(ctx); err != nil {
		return nil, fmt.Errorf("register node %s: %w", Name, err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods()
	n.podLister = pods.Lister()
	n.services = factory.Core().V1().Services().Lister()
	factory.Core().V1().Services().Informer()
	sched := &scheduler{client: client, events: scheduling, pods: pods.Lister()}
	if _, err := pods.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { n.seen(ctx, sched, o) },
		UpdateFunc: func(_, o any) { n.seen(ctx, sched, o) },
		DeleteFunc: func(o any) { n.gone(ctx, sched, o) },
	}); err != nil {
		return nil, fmt.Errorf("watch pods: %w", err)
	}
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return nil, fmt.Errorf("watch %v: %w", kind, context.Cause(ctx))
		}
	}
	go n.sampleAll(ctx)
	return n, nil
}

// Wait returns when every process of every pod is gone, which follows the end
// of the context that the node was started with.
func (n *Node) Wait() {
	for {
		n.mu.Lock()
		var p *pod
		for _, p = range n.pods {
			break
		}
		n.mu.Unlock()
		if p == nil {
			return
		}
		<-p.done
	}
}

// seen takes in what the API says of a pod.
func (n *Node) seen(ctx context.Context, sched *scheduler, o any) {
	p, ok := o.(*corev1.Pod)
	if !ok || ctx.Err() != nil {
		return
	}
	if p.Spec.NodeName == "" {
		if p.DeletionTimestamp == nil {
			go sched.schedule(ctx, p)
		}
		return
	}
	if p.Spec.NodeName != Name || finished(p) && p.DeletionTimestamp == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	running := n.pods[p.UID]
	switch {
	case running != nil:
		running.update(p)
	case p.DeletionTimestamp != nil:
		go n.forget(ctx, p)
	default:
		n.next++
		running = newPod(n, p, n.layout.PodAddress(n.next))
		n.pods[p.UID] = running
		go running.run(ctx)
	}
}

// gone ends the processes of a pod that was deleted without grace, and lets
// pods that waited for its room try again.
func (n *Node) gone(ctx context.Context, sched *scheduler, o any) {
	if tombstone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = tombstone.Obj
	}
	p, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	n.mu.Lock()
	running := n.pods[p.UID]
	n.mu.Unlock()
	if running != nil {
		running.kill()
	}
	sched.retry(ctx)
}

// remove forgets a pod whose processes are gone.
func (n *Node) remove(p *pod) {
	n.mu.Lock()
	delete(n.pods, p.uid)
	n.mu.Unlock()
	close(p.done)
}

// lookup finds a running pod by name.
func (n *Node) lookup(namespace, name string) *pod {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.pods {
		if spec := p.object(); spec.Namespace == namespace && spec.Name == name {
			return p
		}
	}
	return nil
}

func finished(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// retryEvery is the pace at which the node repeats what failed for reasons
// outside it, a missing ConfigMap or an API server that is away.
const retryEvery = 500 * time.Millisecond
