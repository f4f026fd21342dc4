package layout

import "strings"

// Environment adds a bed's variables to those of the caller. NAME= alone takes a
// variable away.
func Environment(outer, bed []string) []string {
	set := map[string]bool{}
	var out []string
	for _, v := range bed {
		name, value, _ := strings.Cut(v, "=")
		set[name] = true
		if value != "" {
			out = append(out, v)
		}
	}
	for _, v := range outer {
		if name, _, _ := strings.Cut(v, "="); !set[name] {
			out = append(out, v)
		}
	}
	return out
}
