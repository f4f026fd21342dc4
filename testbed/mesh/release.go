package mesh

import (
	"fmt"
	"slices"
)

// finalizer is the one that the controller put on what it had made in AWS.
const finalizer = "finalizers.appmesh.k8s.aws/aws-appmesh-resources"

// release lets go of what is being deleted, unless something in force uses it. A
// router's routes go at once, as they did in AWS, where only the router itself
// was protected.
func (c *control) release(w world, d decision) {
	for _, s := range w.services {
		if s.deleting() {
			delete(c.services, s.key())
			d.free[&s.header] = true
		}
	}
	for _, r := range w.routers {
		if !r.deleting() {
			continue
		}
		if in := c.routers[r.key()]; in != nil {
			in.routes, in.nodes = nil, nil
		}
		if user, used := c.userOfRouter(r.key()); used {
			d.refuse[&r.header] = inUse("virtual router", r.key(), "virtual service", user)
			continue
		}
		delete(c.routers, r.key())
		d.free[&r.header] = true
	}
	for _, n := range w.nodes {
		if !n.deleting() {
			continue
		}
		if kind, user, used := c.userOfNode(n.key()); used {
			d.refuse[&n.header] = inUse("virtual node", n.key(), kind, user)
			continue
		}
		delete(c.nodes, n.key())
		d.free[&n.header] = true
	}
}

func inUse(kind string, k key, byKind string, by key) error {
	return fmt.Errorf("ResourceInUseException: %s %s is used by %s %s", kind, k, byKind, by)
}

func (c *control) userOfRouter(k key) (key, bool) {
	for user, s := range c.services {
		if s.router == k {
			return user, true
		}
	}
	return key{}, false
}

func (c *control) userOfNode(k key) (kind string, user key, used bool) {
	for user, r := range c.routers {
		if slices.ContainsFunc(r.nodes, func(n *cluster) bool { return n.node == k }) {
			return "a route of virtual router", user, true
		}
	}
	for user, s := range c.services {
		if s.node == k {
			return "virtual service", user, true
		}
	}
	return "", key{}, false
}

// forget drops what went without its finalizer being asked for.
func (c *control) forget(w world) {
	there := map[key]bool{}
	for _, s := range w.services {
		there[s.key()] = true
	}
	keep(c.services, there)
	there = map[key]bool{}
	for _, r := range w.routers {
		there[r.key()] = true
	}
	keep(c.routers, there)
	there = map[key]bool{}
	for _, n := range w.nodes {
		there[n.key()] = true
	}
	keep(c.nodes, there)
}

func keep[V any](in map[key]V, there map[key]bool) {
	for k := range in {
		if !there[k] {
			delete(in, k)
		}
	}
}
