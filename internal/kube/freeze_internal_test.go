package kube

import (
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/record"
)

// A person freezes a service with kubectl and leaves the end out, or misspells it. That was no freeze, while one in plain words
// was one for ever.
func TestAFreezeThatAPersonWrote(t *testing.T) {
	monday := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		text string
		want record.Freeze
	}{
		"none":                     {"", record.Freeze{}},
		"as it is written":         {`{"reason": "stocktaking", "until": "2026-11-30T08:00:00Z", "by": "ann"}`, record.Freeze{Reason: "stocktaking", Until: monday, By: "ann"}},
		"in other letters":         {`{"Reason": "stocktaking", "UNTIL": "2026-11-30T08:00:00Z"}`, record.Freeze{Reason: "stocktaking", Until: monday}},
		"plain words":              {"until Monday", record.Freeze{Reason: "until Monday", Until: forever}},
		"words in quotes":          {`"until Monday"`, record.Freeze{Reason: `"until Monday"`, Until: forever}},
		"without an end":           {`{"reason": "stocktaking"}`, record.Freeze{Reason: "stocktaking", Until: forever}},
		"with nothing but a name":  {`{"by": "ann"}`, record.Freeze{By: "ann", Until: forever}},
		"an end that is misspelt":  {`{"reason": "x", "untill": "2026-11-30T08:00:00Z"}`, record.Freeze{Reason: `{"reason": "x", "untill": "2026-11-30T08:00:00Z"}`, Until: forever}},
		"an end that is no moment": {`{"reason": "x", "until": "2026-11-30"}`, record.Freeze{Reason: `{"reason": "x", "until": "2026-11-30"}`, Until: forever}},
		"more after its end":       {`{"until": "2026-11-30T08:00:00Z"} or later`, record.Freeze{Reason: `{"until": "2026-11-30T08:00:00Z"} or later`, Until: forever}},
		"emptied by hand":          {`{}`, record.Freeze{}},
		"null":                     {`null`, record.Freeze{}},
	} {
		if got := parseFreeze(tt.text); got != tt.want {
			t.Errorf("%s: parseFreeze(%s) = %+v; want %+v", name, tt.text, got, tt.want)
		}
	}
}
