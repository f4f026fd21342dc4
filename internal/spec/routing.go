package spec

import "cmp"

// Routing is the router and the route: what deploy.json names, else what the template
// holds, else a Gateway API route called like the service.
func (s Spec) Routing(t Template) (kind, route string) {
	kind, route = t.Router()
	kind, route = cmp.Or(s.Router.Kind, kind), cmp.Or(s.Router.Route, route)
	return cmp.Or(kind, "gateway-api"), cmp.Or(route, s.Service)
}
