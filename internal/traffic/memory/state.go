package memory

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/stepcanary/stepcanary/internal/traffic"
)

// AppendState appends all that the router's answers to come depend on, as text that is the same
// for two routers of which nobody can tell one from the other.
func (r *Router) AppendState(b []byte) []byte {
	_ = r.core.Do(func() error {
		b = fmt.Appendf(b, "routes %+v\n", r.script)
		targets := slices.SortedFunc(maps.Keys(r.routes), func(a, b traffic.Target) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Route, b.Route))
		})
		for _, t := range targets {
			rt := r.routes[t]
			b = fmt.Appendf(b, "%v %v %v written %d %+v", t, rt.weights, rt.fence, rt.written.UnixNano(), rt.script)
			for _, s := range rt.served {
				b = fmt.Appendf(b, " from %d %v", s.from.UnixNano(), s.weights)
			}
			b = append(b, '\n')
		}
		return nil
	})
	return b
}
