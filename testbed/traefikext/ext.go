// Package ext holds the extension points of Traefik's dynamic configuration.
//
// Traefik keeps this package in a nested module that its released module zip
// does not contain and that no proxy serves on its own. The open-source
// edition's types have no fields, and neither have these.
package ext

// HTTP extends the HTTP section of the dynamic configuration with nothing.
type HTTP struct{}

// DeepCopyInto copies in into out, as generated code of Traefik expects.
func (in *HTTP) DeepCopyInto(out *HTTP) { *out = *in }

// Router extends a router of the dynamic configuration with nothing.
type Router struct{}

// DeepCopyInto copies in into out, as generated code of Traefik expects.
func (in *Router) DeepCopyInto(out *Router) { *out = *in }
