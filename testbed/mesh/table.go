package mesh

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// A table is what the proxy goes by; it is replaced as a whole.
type table struct {
	hosts map[string]*virtual // by Host header, without its port
	byKey map[key]*virtual
}

// A virtual is a virtual service as the proxy sees it. It must not change after
// it went into a table; the counters inside routes and clusters do.
type virtual struct {
	key    key
	routes []*route
	ports  map[int]string // port -> protocol
	hosts  []string
}

// table makes what is in force ready for the proxy.
func (c *control) table() *table {
	t := &table{hosts: map[string]*virtual{}, byKey: map[key]*virtual{}}
	short := map[string]int{}
	for _, s := range c.services {
		short[s.key.name]++
	}
	for _, s := range c.services {
		v := &virtual{key: s.key, ports: map[int]string{}}
		if r := c.routers[s.router]; r != nil {
			v.routes, v.ports = r.routes, r.ports
		}
		if n := c.nodes[s.node]; n != nil {
			v.routes = []*route{direct(n)}
			v.ports = map[int]string{n.port: n.protocol}
		}
		full := s.key.name + "." + s.key.namespace
		v.hosts = []string{full, full + ".svc", full + ".svc.cluster.local", s.awsName}
		if short[s.key.name] == 1 {
			v.hosts = append(v.hosts, s.key.name)
		}
		t.byKey[s.key] = v
		for _, h := range v.hosts {
			t.hosts[strings.ToLower(h)] = v
		}
	}
	return t
}

// direct is the route of a service whose provider is a node.
func direct(n *cluster) *route {
	return &route{name: n.node.name, protocol: n.protocol, timeout: defaultTimeout,
		matches: func(*http.Request) bool { return true }, balance: &balance{targets: []*target{{node: n, weight: 1}}}}
}

// find gives the virtual service that a Host header names.
func (t *table) find(host string) *virtual {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return t.hosts[strings.ToLower(strings.TrimSuffix(host, "."))]
}

// http gives the route for a request that came to the port, 0 where that is not
// known.
func (v *virtual) http(r *http.Request, port int) *route {
	for _, route := range v.routes {
		if route.protocol == "http" && (route.port == 0 || port == 0 || route.port == port) && route.matches(r) {
			return route
		}
	}
	return nil
}

// tcp gives the route for a connection to the port.
func (v *virtual) tcp(port int) *route {
	for _, route := range v.routes {
		if route.protocol == "tcp" && (route.port == 0 || route.port == port) {
			return route
		}
	}
	return nil
}

// A description is one virtual service for /config.
type description struct {
	Service string             `json:"virtualService"`
	Hosts   []string           `json:"hosts"`
	Routes  []routeDescription `json:"routes"`
}

type routeDescription struct {
	Name     string              `json:"name"`
	Protocol string              `json:"protocol"`
	Weights  map[string]int      `json:"weights"`
	Ready    map[string][]string `json:"endpoints"`
}

// describe says what is in force.
func (t *table) describe() []description {
	out := []description{}
	for k, v := range t.byKey {
		d := description{Service: k.String(), Hosts: v.hosts}
		for _, r := range v.routes {
			rd := routeDescription{Name: r.name, Protocol: r.protocol, Weights: map[string]int{}, Ready: map[string][]string{}}
			for _, target := range r.balance.targets {
				name := target.node.node.String()
				rd.Weights[name] += target.weight
				for _, e := range *target.node.endpoints.Load() {
					rd.Ready[name] = append(rd.Ready[name], e.address)
				}
			}
			d.Routes = append(d.Routes, rd)
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b description) int { return strings.Compare(a.Service, b.Service) })
	return out
}
