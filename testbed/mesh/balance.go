package mesh

import (
	"sync"
	"sync/atomic"
)

// A balance hands out targets in proportion to their weights, by smooth weighted
// round-robin: after as many turns as the weights add up to, the shares are exact.
type balance struct {
	mu      sync.Mutex
	targets []*target
}

type target struct {
	node    *cluster
	weight  int
	current int
}

// next gives the target whose turn it is; nil where all weights are zero.
func (b *balance) next() *target {
	b.mu.Lock()
	defer b.mu.Unlock()
	var best *target
	total := 0
	for _, t := range b.targets {
		t.current += t.weight
		total += t.weight
		if t.weight > 0 && (best == nil || t.current > best.current) {
			best = t
		}
	}
	if best != nil {
		best.current -= total
	}
	return best
}

// A cluster holds the ready endpoints of one virtual node.
type cluster struct {
	node      key
	name      string // as the Envoy beside the pods calls its own application
	service   key    // of Kubernetes
	port      int    // of the node's listener
	protocol  string // of the node's listener
	endpoints atomic.Pointer[[]endpoint]
	turn      atomic.Uint64
}

// An endpoint is one ready pod.
type endpoint struct {
	address string // host:port
	pod     string
}

// next gives the endpoints in turn; false where none is ready.
func (c *cluster) next() (endpoint, bool) {
	list := c.endpoints.Load()
	if list == nil || len(*list) == 0 {
		return endpoint{}, false
	}
	return (*list)[(c.turn.Add(1)-1)%uint64(len(*list))], true
}
