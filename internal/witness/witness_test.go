package witness_test

import (
	"runtime"
	"testing"

	"github.com/stepcanary/stepcanary/internal/witness"
)

// ending is a test that notes how it was ended.
type ending struct {
	testing.TB
	how string
}

func (e *ending) Helper()               {}
func (e *ending) Fatalf(string, ...any) { e.end("failed") }
func (e *ending) Skipf(string, ...any)  { e.end("skipped") }
func (e *ending) end(how string)        { e.how = how; runtime.Goexit() }

func TestAWitnessThatIsNamedHasToBeThere(t *testing.T) {
	for named, want := range map[string]string{"": "skipped", "no-such": "failed", "aws no-such": "failed", "no-such-one aws": "skipped"} {
		t.Setenv(witness.Env, named)
		e, done := &ending{TB: t}, make(chan struct{})
		go func() {
			defer close(done)
			witness.Program(e, "no-such")
		}()
		if <-done; e.how != want {
			t.Errorf("%s=%q: %q; want %s", witness.Env, named, e.how, want)
		}
	}
}
