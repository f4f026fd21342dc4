package object

import (
	"maps"
	"slices"
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

// settle gives keep what the two have in the rule, and takes drop out; false for a rule that
// names neither. It refuses nothing: whatever became of a rule, no other one's users are kept from
// their way back by it. One that names keep several times leaves all but the first as they are.
func (r Rule) settle(p *kube.Patch, keep, drop string) bool {
	kept, dropped := r.places(keep), r.places(drop)
	if len(kept)+len(dropped) == 0 {
		return false
	}
	both := slices.Concat(kept, dropped)
	weight := r.total(both...)
	if had := r.sum(both); len(kept) > 1 && had > 0 {
		weight = had - r.sum(kept[1:])
	}
	added := 0
	if len(kept) > 0 {
		r.weigh(p, kept[0], weight)
	} else {
		r.insert(p, dropped[0], dropped[0], keep, weight)
		added = 1
	}
	for _, at := range slices.Backward(dropped) { // from behind: what is taken out moves what stands after it
		p.Remove(r.path(strconv.Itoa(at + added))...)
	}
	return true
}

func (r Rule) insert(p *kube.Patch, at, like int, name string, weight int64) {
	ref, _ := r.Refs[like].(map[string]any)
	made := maps.Clone(r.Like(ref, name))
	made["weight"] = weight
	p.Set(made, r.path(strconv.Itoa(at))...)
}
