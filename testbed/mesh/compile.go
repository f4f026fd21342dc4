package mesh

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// defaultTimeout is App Mesh's default for one HTTP request.
const defaultTimeout = 15 * time.Second

// A route is a routeSpec in force.
type route struct {
	name     string
	protocol string // http or tcp
	port     int    // of the router's listener that it serves; 0: any
	priority int
	rank     int
	matches  condition // HTTP
	balance  *balance
	retry    retry
	timeout  time.Duration // 0: none
}

// A retry is a retryPolicy made ready.
type retry struct {
	times   int
	timeout time.Duration // of one attempt; 0: none
	codes   []int
	connect bool // connection errors and streams that broke
}

var retryCodes = map[string][]int{
	"server-error":  {500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511},
	"gateway-error": {502, 503, 504},
	"client-error":  {409},
	"stream-error":  nil,
}

// resolver finds an accepted virtual node.
type resolver func(key) (*cluster, error)

// compile makes a router's routes ready. No route is made when any of them cannot be.
func (r *virtualRouter) compile(resolve resolver) ([]*route, error) {
	protocols := map[string]bool{}
	for _, l := range r.Spec.Listeners {
		protocols[l.PortMapping.Protocol] = true
	}
	var routes []*route
	for _, spec := range r.Spec.Routes {
		compiled, err := spec.compile(r.Namespace, resolve)
		if err == nil && !protocols[compiled.protocol] {
			err = fmt.Errorf("no listener speaks %s", compiled.protocol)
		}
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", spec.Name, err)
		}
		routes = append(routes, compiled)
	}
	slices.SortStableFunc(routes, func(a, b *route) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(b.rank, a.rank))
	})
	return routes, nil
}

func (s routeSpec) compile(namespace string, resolve resolver) (*route, error) {
	out := &route{name: s.Name, priority: 1001} // after all that have one
	if s.Priority != nil {
		out.priority = *s.Priority
	}
	var targets []weightedTarget
	switch {
	case s.HTTP2Route != nil || s.GRPCRoute != nil || (s.HTTPRoute == nil) == (s.TCPRoute == nil):
		return nil, errors.New("expected httpRoute or tcpRoute, the kinds that this stand-in serves")
	case s.TCPRoute != nil:
		out.protocol, targets = "tcp", s.TCPRoute.Action.WeightedTargets
		out.port = value(s.TCPRoute.Match.Port)
	default:
		h := s.HTTPRoute
		out.protocol, targets = "http", h.Action.WeightedTargets
		out.port, out.rank, out.timeout = value(h.Match.Port), h.Match.rank(), defaultTimeout
		if h.Timeout != nil && h.Timeout.PerRequest != nil {
			out.timeout = h.Timeout.PerRequest.duration()
		}
		var err error
		if out.matches, err = h.Match.compile(); err != nil {
			return nil, err
		}
		if out.retry, err = h.RetryPolicy.compile(); err != nil {
			return nil, err
		}
	}
	var err error
	out.balance, err = balanceOf(targets, namespace, resolve)
	return out, err
}

func value(p *int) int {
	if p == nil {
		return 0
	}
	return *p
}

func (p *retryPolicy) compile() (retry, error) {
	if p == nil {
		return retry{}, nil
	}
	out := retry{times: p.MaxRetries, timeout: p.PerRetryTimeout.duration(), connect: len(p.TCPRetryEvents) > 0}
	for _, event := range p.HTTPRetryEvents {
		codes, ok := retryCodes[event]
		if !ok {
			return out, fmt.Errorf("httpRetryEvents: unknown event %q", event)
		}
		out.codes = append(out.codes, codes...)
		out.connect = out.connect || event == "stream-error"
	}
	return out, nil
}

func balanceOf(targets []weightedTarget, namespace string, resolve resolver) (*balance, error) {
	b := &balance{}
	for _, t := range targets {
		if t.VirtualNodeRef == nil || t.VirtualNodeARN != nil {
			return nil, errors.New("weightedTargets: expected virtualNodeRef, the only way that this stand-in serves")
		}
		node, err := resolve(t.VirtualNodeRef.in(namespace))
		if err != nil {
			return nil, err
		}
		if p := value(t.Port); p != 0 && p != node.port {
			return nil, fmt.Errorf("weightedTargets: found port %d, expected %d, the first listener of %s", p, node.port, node.node)
		}
		b.targets = append(b.targets, &target{node: node, weight: t.Weight})
	}
	return b, nil
}
