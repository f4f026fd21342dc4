package memory

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// AppendState appends all that the router's answers to come depend on, as text that is the same
// for two routers of which nobody can tell one from the other.
func (r *Router) AppendState(b []byte) []byte {
	_ = r.core.Do(func() error {
		b = fmt.Appendf(b, "routes %+v\n", r.script)
		places := slices.SortedFunc(maps.Keys(r.routes), func(a, b place) int {
			return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.route, b.route))
		})
		for _, p := range places {
			rt := r.routes[p]
			b = fmt.Appendf(b, "%v %v %v %v written %d %+v", p, rt.weights, rt.chosen, rt.fences, rt.written.UnixNano(), rt.script)
			for _, s := range rt.served {
				b = fmt.Appendf(b, " from %d %v %v", s.from.UnixNano(), s.weights, s.chosen)
			}
			b = append(b, '\n')
		}
		return nil
	})
	return b
}
