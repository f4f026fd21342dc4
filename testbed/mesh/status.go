package mesh

import (
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"time"
)

// account and region stand in the ARNs of a service that has neither here.
const arnPrefix = "arn:aws:appmesh:us-east-1:000000000000:mesh/"

func meshARN(m *meshObject) string { return arnPrefix + cmp.Or(m.Spec.AWSName, m.Name) }

// status is what an accepted object of the kind says. Fields are named as the
// controller named them: virtualRouterARN, and the condition VirtualRouterActive.
func status(h *header, kind, arn string, routes map[string]any) map[string]any {
	s := map[string]any{
		lowerFirst(kind) + "ARN": arn,
		"observedGeneration":     h.Generation,
		"conditions":             []any{map[string]any{"type": kind + "Active", "status": "True"}},
	}
	if routes != nil {
		s["routeARNs"] = routes
	}
	return s
}

func lowerFirst(s string) string { return string(s[0]|0x20) + s[1:] }

// stale reports whether an object's status says something else than want. On the
// way it gives the condition of want the time since which it holds.
func stale(have, want map[string]any, now time.Time) bool {
	condition := want["conditions"].([]any)[0].(map[string]any)
	condition["lastTransitionTime"] = now.UTC().Format(time.RFC3339)
	if list, _ := have["conditions"].([]any); len(list) > 0 {
		if old, _ := list[0].(map[string]any); old["status"] == condition["status"] && old["lastTransitionTime"] != nil {
			condition["lastTransitionTime"] = old["lastTransitionTime"]
		}
	}
	return !reflect.DeepEqual(plain(have), plain(want))
}

// plain makes numbers comparable, as both sides come from JSON in the end.
func plain(m map[string]any) map[string]any {
	b, err := json.Marshal(maps.Clone(m))
	if err != nil {
		panic(err) // it came from JSON, or is made above
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	return out
}
