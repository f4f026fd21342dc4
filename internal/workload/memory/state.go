package memory

import (
	"fmt"
	"maps"
	"slices"
)

// AppendState appends all that the cluster's answers to come depend on, as text that is the same
// for two clusters of which nobody can tell one from the other. What was told is left out: no
// answer depends on it.
func (c *Cluster) AppendState(b []byte) []byte {
	_ = c.core.Do(func() error {
		for _, key := range slices.Sorted(maps.Keys(c.objects)) {
			o := c.objects[key]
			b = fmt.Appendf(b, "%s %v %s\n", key, o.labels, o.answers) // fmt prints maps in order
		}
		for _, key := range slices.Sorted(maps.Keys(c.deployments)) {
			d := c.deployments[key]
			b = fmt.Appendf(b, "%s %+v applied %d scaled %d %+v\n", key, d.version, d.applied.UnixNano(), d.scaled, d.script)
		}
		for _, key := range slices.Sorted(maps.Keys(c.refusals)) {
			b = fmt.Appendf(b, "%s is refused: %s\n", key, c.refusals[key])
		}
		for _, key := range slices.Sorted(maps.Keys(c.scripts)) {
			if c.deployments[key] == nil {
				b = fmt.Appendf(b, "%s will be %+v\n", key, c.scripts[key])
			}
		}
		return nil
	})
	return b
}
