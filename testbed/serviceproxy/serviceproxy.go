// Package serviceproxy answers at the bed's cluster IPs, as kube-proxy does in
// a cluster: each connection goes to a ready endpoint of the Service, chosen at
// random.
package serviceproxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

const dialTimeout = 2 * time.Second

// A Proxy listens at every port of every Service that has a cluster IP.
//
// A user other than root cannot listen at ports below 1024; such a port is
// logged and left out. The gateway is not affected: it goes to the endpoints.
type Proxy struct {
	slices discoverylisters.EndpointSliceLister
	log    *slog.Logger

	mu        sync.Mutex
	listeners map[string]net.Listener // by address
	owned     map[string][]string     // addresses by namespace/name of the Service
}

// Start begins to follow the cluster's Services and returns when it knows all
// that there are. It ends with ctx.
func Start(ctx context.Context, client kubernetes.Interface, log *slog.Logger) (*Proxy, error) {
	factory := informers.NewSharedInformerFactory(client, 0)
	p := &Proxy{
		slices:    factory.Discovery().V1().EndpointSlices().Lister(),
		log:       log,
		listeners: map[string]net.Listener{},
		owned:     map[string][]string{},
	}
	_, err := factory.Core().V1().Services().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { p.set(ctx, o) },
		UpdateFunc: func(_, o any) { p.set(ctx, o) },
		DeleteFunc: func(o any) {
			if t, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = t.Obj
			}
			if s, ok := o.(*corev1.Service); ok {
				p.listen(ctx, s, nil)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watch services: %w", err)
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return p, context.Cause(ctx)
}

func (p *Proxy) set(ctx context.Context, o any) {
	s, ok := o.(*corev1.Service)
	if !ok {
		return
	}
	var ports []corev1.ServicePort
	if net.ParseIP(s.Spec.ClusterIP) != nil && len(s.Spec.Selector) > 0 {
		ports = s.Spec.Ports
	}
	p.listen(ctx, s, ports)
}

// listen makes the proxy listen at exactly these ports of the Service.
func (p *Proxy) listen(ctx context.Context, s *corev1.Service, ports []corev1.ServicePort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := s.Namespace + "/" + s.Name
	wanted := map[string]corev1.ServicePort{}
	for _, port := range ports {
		if port.Protocol == corev1.ProtocolTCP {
			wanted[net.JoinHostPort(s.Spec.ClusterIP, strconv.Itoa(int(port.Port)))] = port
		}
	}
	for _, address := range p.owned[key] {
		if _, keep := wanted[address]; !keep {
			_ = p.listeners[address].Close()
			delete(p.listeners, address)
		}
	}
	p.owned[key] = nil
	for address, port := range wanted {
		if p.listeners[address] == nil {
			l, err := net.Listen("tcp", address)
			if err != nil {
				p.log.Warn("service has no proxy", "service", key, "error", err)
				continue
			}
			context.AfterFunc(ctx, func() { _ = l.Close() })
			p.listeners[address] = l
			go p.serve(l, s.Namespace, s.Name, port.Name)
		}
		p.owned[key] = append(p.owned[key], address)
	}
}

func (p *Proxy) serve(l net.Listener, namespace, service, port string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		go p.forward(conn, namespace, service, port)
	}
}

// forward connects a client to an endpoint and copies both ways. A Service
// without a ready endpoint closes the connection.
func (p *Proxy) forward(client net.Conn, namespace, service, port string) {
	defer client.Close()
	endpoints := p.endpoints(namespace, service, port)
	for _, i := range rand.Perm(len(endpoints)) {
		server, err := net.DialTimeout("tcp", endpoints[i], dialTimeout)
		if err != nil {
			continue
		}
		defer server.Close()
		go func() {
			_, _ = io.Copy(server, client)
			_ = server.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.Copy(client, server)
		return
	}
}

func (p *Proxy) endpoints(namespace, service, port string) []string {
	slices, err := p.slices.EndpointSlices(namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service}))
	if err != nil {
		return nil
	}
	var out []string
	for _, s := range slices {
		for _, sp := range s.Ports {
			if sp.Port == nil || sp.Name != nil && *sp.Name != port {
				continue
			}
			for _, e := range s.Endpoints {
				if e.Conditions.Ready == nil || *e.Conditions.Ready {
					out = append(out, net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(*sp.Port))))
				}
			}
		}
	}
	return out
}
