package mesh

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// A watcher keeps copies of what the mesh depends on, and says when they change.
type watcher struct {
	typed   informers.SharedInformerFactory
	dynamic dynamicinformer.DynamicSharedInformerFactory
	changed chan struct{} // holds one token at most
}

func newWatcher(typed kubernetes.Interface, dyn dynamic.Interface) (*watcher, error) {
	w := &watcher{
		typed:   informers.NewSharedInformerFactory(typed, 0),
		dynamic: dynamicinformer.NewDynamicSharedInformerFactory(dyn, 0),
		changed: make(chan struct{}, 1),
	}
	for _, i := range []cache.SharedInformer{
		w.typed.Core().V1().Namespaces().Informer(), w.typed.Core().V1().Services().Informer(), w.typed.Discovery().V1().EndpointSlices().Informer(),
		w.dynamic.ForResource(meshes).Informer(), w.dynamic.ForResource(virtualNodes).Informer(),
		w.dynamic.ForResource(virtualRouters).Informer(), w.dynamic.ForResource(virtualServices).Informer(),
	} {
		if _, err := i.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { w.kick() }, UpdateFunc: func(_, _ any) { w.kick() }, DeleteFunc: func(any) { w.kick() },
		}); err != nil {
			return nil, fmt.Errorf("watch: %w", err)
		}
	}
	return w, nil
}

// start begins to watch and returns when it knows all that there is.
func (w *watcher) start(stop <-chan struct{}) {
	w.typed.Start(stop)
	w.dynamic.Start(stop)
	w.typed.WaitForCacheSync(stop)
	w.dynamic.WaitForCacheSync(stop)
}

// kick asks for another look at the world.
func (w *watcher) kick() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// world gives the present copies.
func (w *watcher) world() (world, error) {
	out := world{namespaces: map[string]labels.Set{}, endpoints: w.endpoints, address: w.address}
	namespaces, err := w.typed.Core().V1().Namespaces().Lister().List(labels.Everything())
	if err != nil {
		return out, fmt.Errorf("list namespaces: %w", err)
	}
	for _, n := range namespaces {
		out.namespaces[n.Name] = n.Labels
	}
	for _, list := range []func() error{
		func() (err error) { out.meshes, err = objects[meshObject](w, meshes); return err },
		func() (err error) { out.nodes, err = objects[virtualNode](w, virtualNodes); return err },
		func() (err error) { out.routers, err = objects[virtualRouter](w, virtualRouters); return err },
		func() (err error) { out.services, err = objects[virtualService](w, virtualServices); return err },
	} {
		if err := list(); err != nil {
			return out, err
		}
	}
	return out, nil
}

// objects reads all objects of a kind, oldest name first, so that each look
// comes in one order.
func objects[T any](w *watcher, r schema.GroupVersionResource) ([]*T, error) {
	list, err := w.dynamic.ForResource(r).Lister().List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", r.Resource, err)
	}
	slices.SortFunc(list, func(a, b runtime.Object) int {
		x, y := a.(*unstructured.Unstructured), b.(*unstructured.Unstructured)
		return cmp.Or(cmp.Compare(x.GetNamespace(), y.GetNamespace()), cmp.Compare(x.GetName(), y.GetName()))
	})
	out := make([]*T, len(list))
	for i, o := range list {
		u := o.(*unstructured.Unstructured)
		out[i] = new(T)
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, out[i]); err != nil {
			return nil, fmt.Errorf("read %s %s/%s: %w", u.GetKind(), u.GetNamespace(), u.GetName(), err)
		}
	}
	return out, nil
}

// endpoints gives the ready endpoints behind a port of a Service. Behind a
// headless Service, and one that lacks the port, it is the pods' own port.
func (w *watcher) endpoints(k key, port int) []endpoint {
	name, found := w.portName(k, port)
	list, err := w.typed.Discovery().V1().EndpointSlices().Lister().EndpointSlices(k.namespace).List(
		labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: k.name}))
	if err != nil {
		return nil
	}
	var out []endpoint
	for _, slice := range list {
		at := port
		for _, p := range slice.Ports {
			if found && p.Port != nil && (p.Name == nil || *p.Name == name) {
				at = int(*p.Port)
			}
		}
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			one := endpoint{address: net.JoinHostPort(e.Addresses[0], strconv.Itoa(at))}
			if e.TargetRef != nil && e.TargetRef.Kind == "Pod" {
				one.pod = e.TargetRef.Name
			}
			out = append(out, one)
		}
	}
	slices.SortFunc(out, func(a, b endpoint) int { return cmp.Compare(a.address, b.address) })
	return out
}

func (w *watcher) portName(k key, port int) (string, bool) {
	s, err := w.typed.Core().V1().Services().Lister().Services(k.namespace).Get(k.name)
	if err != nil || s.Spec.ClusterIP == corev1.ClusterIPNone {
		return "", false
	}
	for _, p := range s.Spec.Ports {
		if int(p.Port) == port {
			return p.Name, true
		}
	}
	return "", false
}

// address gives where a Service without a selector would be met.
func (w *watcher) address(k key) (string, []int) {
	s, err := w.typed.Core().V1().Services().Lister().Services(k.namespace).Get(k.name)
	if err != nil || len(s.Spec.Selector) > 0 || net.ParseIP(s.Spec.ClusterIP) == nil {
		return "", nil
	}
	var ports []int
	for _, p := range s.Spec.Ports {
		ports = append(ports, int(p.Port))
	}
	return s.Spec.ClusterIP, ports
}
