package mesh

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// A world is what the API server holds at one moment.
type world struct {
	namespaces map[string]labels.Set
	meshes     []*meshObject
	nodes      []*virtualNode
	routers    []*virtualRouter
	services   []*virtualService
	// endpoints gives the ready endpoints of a Kubernetes Service at one of its ports.
	endpoints func(service key, port int) []endpoint
	// address is the cluster IP and ports of a Service without a selector.
	address func(service key) (ip string, ports []int)
}

// A control keeps what was accepted, which is what is in force, and decides what
// a new world changes. It plays the App Mesh controller and the service behind
// it. It is not for concurrent use.
type control struct {
	nodes    map[key]*cluster
	routers  map[key]*router
	services map[key]*service
}

// A router is a virtual router in force.
type router struct {
	generation int64
	ports      map[int]string // port of a listener -> protocol
	routes     []*route
	nodes      []*cluster
}

// A service is a virtual service in force: exactly one of router and node is set.
type service struct {
	key     key
	awsName string
	router  key
	node    key
}

func newControl() *control {
	return &control{nodes: map[key]*cluster{}, routers: map[key]*router{}, services: map[key]*service{}}
}

// A decision is what is to be written after a look at the world.
type decision struct {
	status map[*header]map[string]any // accepted: their status, without times
	adopt  map[*header]bool           // accepted, and lacking the finalizer
	free   map[*header]bool           // deleted, and no longer used
	refuse map[*header]error          // for an event
}

// look takes a new world up: first virtual nodes, then the routers that name
// them, then the services that name routers; deletions in the other direction.
func (c *control) look(w world) decision {
	d := decision{map[*header]map[string]any{}, map[*header]bool{}, map[*header]bool{}, map[*header]error{}}
	c.forget(w)
	for _, m := range w.meshes {
		d.status[&m.header] = status(&m.header, "Mesh", meshARN(m), nil)
	}
	for _, n := range w.nodes {
		d.note(&n.header, func() (map[string]any, error) { return c.acceptNode(w, n) })
	}
	for _, r := range w.routers {
		d.note(&r.header, func() (map[string]any, error) { return c.acceptRouter(w, r) })
	}
	for _, s := range w.services {
		d.note(&s.header, func() (map[string]any, error) { return c.acceptService(w, s) })
	}
	c.release(w, d)
	for _, n := range c.nodes {
		list := w.endpoints(n.service, n.port)
		if old := n.endpoints.Load(); old == nil || !slices.Equal(*old, list) {
			n.endpoints.Store(&list)
		}
	}
	return d
}

// note records what became of an object that is not being deleted.
func (d decision) note(h *header, accept func() (map[string]any, error)) {
	if h.deleting() {
		return
	}
	s, err := accept()
	if err != nil {
		d.refuse[h] = err
		return
	}
	d.status[h] = s
	d.adopt[h] = !slices.Contains(h.Finalizers, finalizer)
}

// meshOf finds the one mesh of a namespace.
func (w world) meshOf(namespace string) (*meshObject, error) {
	var found []*meshObject
	for _, m := range w.meshes {
		selector, err := metav1.LabelSelectorAsSelector(m.Spec.NamespaceSelector)
		if err != nil {
			return nil, fmt.Errorf("mesh %s: namespaceSelector: %w", m.Name, err)
		}
		if selector.Matches(w.namespaces[namespace]) {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("meshes that select namespace %s: found %d, expected 1", namespace, len(found))
	}
	return found[0], nil
}

func (c *control) acceptNode(w world, n *virtualNode) (map[string]any, error) {
	m, err := w.meshOf(n.Namespace)
	if err != nil {
		return nil, err
	}
	name := cmp.Or(n.Spec.AWSName, n.Name+"_"+n.Namespace)
	node := &cluster{node: n.key()}
	if len(n.Spec.Listeners) > 0 { // a node without a listener only calls others
		if node.service, err = n.service(); err != nil {
			return nil, err
		}
		l := n.Spec.Listeners[0].PortMapping
		node.port, node.protocol = l.Port, l.Protocol
		node.name = fmt.Sprintf("cds_ingress_%s_%s_%s_%d", cmp.Or(m.Spec.AWSName, m.Name), name, l.Protocol, l.Port)
	}
	if old := c.nodes[n.key()]; old == nil {
		c.nodes[n.key()] = node
	} else { // routes in force hold on to it; it is counted under its first name
		old.service, old.port, old.protocol = node.service, node.port, node.protocol
	}
	return status(&n.header, "VirtualNode", meshARN(m)+"/virtualNode/"+name, nil), nil
}

func (c *control) acceptRouter(w world, r *virtualRouter) (map[string]any, error) {
	m, err := w.meshOf(r.Namespace)
	if err != nil {
		return nil, err
	}
	if old := c.routers[r.key()]; old == nil || old.generation != r.Generation {
		accepted := &router{generation: r.Generation, ports: map[int]string{}}
		accepted.routes, err = r.compile(func(k key) (*cluster, error) {
			node := c.nodes[k]
			if node == nil {
				return nil, fmt.Errorf("virtualNodeRef %s: no such active virtual node", k)
			}
			accepted.nodes = append(accepted.nodes, node)
			return node, nil
		})
		if err != nil {
			return nil, err
		}
		for _, l := range r.Spec.Listeners {
			accepted.ports[l.PortMapping.Port] = l.PortMapping.Protocol
		}
		c.routers[r.key()] = accepted
	}
	arn := meshARN(m) + "/virtualRouter/" + cmp.Or(r.Spec.AWSName, r.Name+"_"+r.Namespace)
	routes := map[string]any{}
	for _, route := range r.Spec.Routes {
		routes[route.Name] = arn + "/route/" + route.Name
	}
	return status(&r.header, "VirtualRouter", arn, routes), nil
}

func (c *control) acceptService(w world, s *virtualService) (map[string]any, error) {
	m, err := w.meshOf(s.Namespace)
	if err != nil {
		return nil, err
	}
	accepted := &service{key: s.key(), awsName: cmp.Or(s.Spec.AWSName, s.Name+"."+s.Namespace)}
	p := s.Spec.Provider
	switch {
	case p == nil: // answers nobody, and is allowed
	case p.VirtualRouter != nil && p.VirtualRouter.VirtualRouterRef != nil:
		accepted.router = p.VirtualRouter.VirtualRouterRef.in(s.Namespace)
		if c.routers[accepted.router] == nil {
			return nil, fmt.Errorf("virtualRouterRef %s: no such active virtual router", accepted.router)
		}
	case p.VirtualNode != nil && p.VirtualNode.VirtualNodeRef != nil:
		accepted.node = p.VirtualNode.VirtualNodeRef.in(s.Namespace)
		if c.nodes[accepted.node] == nil {
			return nil, fmt.Errorf("virtualNodeRef %s: no such active virtual node", accepted.node)
		}
	default:
		return nil, errors.New("provider: expected virtualRouterRef or virtualNodeRef, the ways that this stand-in serves")
	}
	c.services[s.key()] = accepted
	return status(&s.header, "VirtualService", meshARN(m)+"/virtualService/"+accepted.awsName, nil), nil
}
