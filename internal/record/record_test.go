package record_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepcanary/stepcanary/internal/record"
)

func TestQueue(t *testing.T) {
	three := record.Record{}.Join("a").Join("b").Join("c")
	for name, tt := range map[string]struct {
		of          string
		ahead, turn []string
		waits       bool
	}{
		"the first":               {"a", nil, []string{"b", "c"}, true},
		"in the middle":           {"b", []string{"a"}, []string{"c"}, true},
		"the last":                {"c", []string{"a", "b"}, nil, true},
		"one that does not queue": {"d", []string{"a", "b", "c"}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := three.Ahead(tt.of); !cmp.Equal(tt.ahead, got, cmpopts.EquateEmpty()) {
				t.Errorf("Ahead(%s) = %v, want %v", tt.of, got, tt.ahead)
			}
			if got := three.Waits(tt.of); got != tt.waits {
				t.Errorf("Waits(%s) = %v", tt.of, got)
			}
			if got := three.Turn(tt.of).Queue; !cmp.Equal(tt.turn, got, cmpopts.EquateEmpty()) {
				t.Errorf("Turn(%s) leaves %v, want %v", tt.of, got, tt.turn)
			}
		})
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, three.Queue); diff != "" {
		t.Errorf("the record that they were called on changed:\n%s", diff)
	}
}
