package report_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/report"
)

// FuzzReport reads reports that a person may have edited. What is read is written and read again
// the same, is judged the same twice, and makes a page of a size in proportion.
func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"format":1,"users":{"canary":{},"stable":{}},"story":{"execution":"e","name":"n","rollout":{"plan":{"steps":[{"weight":50}]},"policy":{"steps":[50,100]}},` +
		`"moments":[{"kind":"looked","at":"2026-01-01T00:00:00Z","judgement":{},"intervals":[{"from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:01:00Z",` +
		`"canary":{"requests":1,"errors":1,"known":true,"slow":[1]},"stable":{"known":true}}]}]}}`))
	f.Add([]byte(`{"format":1,"story":{"rollout":{"policy":{"comparison":{"enabled":true,"latencyBounds":[1]},"limits":[{"name":"a","kind":"latency"}]},` +
		`"receivers":[{"name":"r","url":"https://r.example"}]},"moments":[null,{"of":-1,"kind":"looked","judgement":{"measures":[{"name":"a"}]}}]}}`))
	f.Add([]byte(`{"format":1,"story":{"rollout":{"plan":{"steps":[{"weight":100},{"weight":-5}]}},"moments":[{"kind":"looked","of":1,"judgement":{},"intervals":[{}]},` +
		`{"kind":"looked","judgement":{},"trouble":"x","intervals":[{"canary":{"known":true,"requests":9223372036854775807}}]}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<18 {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		r, err := report.Parse(data)
		if err != nil {
			return
		}
		r.Whole()
		if first, second := r.Judge(), r.Judge(); len(first.Looks) != len(second.Looks) || first.Different() != second.Different() {
			t.Errorf("Judge() has %d looks, %d different; and then %d and %d",
				len(first.Looks), first.Different(), len(second.Looks), second.Different())
		}
		// A look without a judgement, which no story has, makes no page.
		if page, _ := r.HTML(); len(page) > 1<<17+1000*len(data) {
			t.Errorf("HTML() = %d bytes of %d", len(page), len(data))
		}
		once, err := r.JSON()
		if err != nil {
			t.Fatalf("JSON() = %v", err)
		}
		again, err := report.Parse(once)
		if err != nil {
			t.Fatalf("Parse() of what was written = %v", err)
		}
		if twice, err := again.JSON(); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("JSON() = %s, %v; and before %s", twice, err, once)
		}
	})
}
