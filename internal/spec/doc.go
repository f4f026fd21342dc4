// Package spec reads what a service's team wrote: deploy.json (or YAML) and the
// Kubernetes template beside it. It knows every default, refuses what it does
// not understand with file, line and column, and turns the rest into a plan, a
// policy and the objects of a version. It changes nothing and asks nobody.
//
// The JSON Schema in specfiles is the reference: names, types, bounds, units
// and defaults come from there. What concerns several fields is here.
package spec
