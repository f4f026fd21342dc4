package object

import (
	"maps"
	"strconv"

	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/traffic"
)

func (r Rule) path(more ...string) []string {
	return append(append([]string{}, r.At...), more...)
}

// weigh writes a weight, explicitly, unless it stands there already.
func (r Rule) weigh(p *kube.Patch, at int, weight int64) {
	ref, _ := r.Refs[at].(map[string]any)
	if have, explicit := ref["weight"].(int64); !explicit || have != weight {
		p.Set(weight, r.path(strconv.Itoa(at), "weight")...)
	}
}

// move writes the weights of the two, and the one that is missing beside the other.
func (r Rule) move(p *kube.Patch, m move, s traffic.Split) {
	if m.stable >= 0 {
		r.weigh(p, m.stable, m.stableWeight)
	}
	if m.canary >= 0 {
		r.weigh(p, m.canary, m.canaryWeight)
	}
	switch {
	case m.canary < 0:
		r.insert(p, m.canaryAt(), m.stable, s.Canary, m.canaryWeight)
	case m.stable < 0 && s.Stable != "":
		r.insert(p, m.canary, m.canary, s.Stable, m.stableWeight)
	}
}

// canaryAt is the place of a canary that is added: behind the stable one.
func (m move) canaryAt() int { return m.stable + 1 }

// settle leaves the one that is kept, with the weight of both. Here the plan's
// stable is the one to be dropped, and its canary the one to be kept.
func (r Rule) settle(p *kube.Patch, m move, keep string) {
	if m.canary < 0 {
		r.insert(p, m.stable, m.stable, keep, m.canaryWeight)
		p.Remove(r.path(strconv.Itoa(m.stable + 1))...)
		return
	}
	r.weigh(p, m.canary, m.canaryWeight)
	if m.stable >= 0 {
		p.Remove(r.path(strconv.Itoa(m.stable))...)
	}
}

func (r Rule) insert(p *kube.Patch, at, like int, name string, weight int64) {
	ref, _ := r.Refs[like].(map[string]any)
	made := maps.Clone(r.Like(ref, name))
	made["weight"] = weight
	p.Set(made, r.path(strconv.Itoa(at))...)
}
