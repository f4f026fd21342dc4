package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// A fault is something that happens to a rollout of v2 over v1, once it is in a state.
type fault struct {
	state string
	time  int // which time in that state; 0 is the first
	image string
	// strike does the harm, and mends it where nobody else would.
	strike func(h *harmed)
	// ends are the tags that may serve in the end.
	ends []string
	// most is how many of those 100 requests a second may fail; -1 is no limit: they are the fault's.
	most int
	// long leaves it to the whole matrix.
	long bool
}

// A harmed rollout runs while a fault is done to it.
type harmed struct {
	*bed
	*served
	arn    string
	struck time.Time
}

// Errorf and its like are both's; a test has one.
func (h *harmed) fatal(format string, args ...any) {
	h.bed.Helper()
	h.bed.Fatalf(format, args...)
}

// kill9 kills the engine, and starts it again on what it left.
func kill9(h *harmed) {
	h.served.kill()
	h.start()
}

// killHold is kill9 where a person's approval is awaited, who then gives it.
func killHold(h *harmed) {
	kill9(h)
	h.resume(h.arn)
}

// stop is StopExecution: no Catch sees it.
func stop(h *harmed) {
	_, err := h.api.StopExecution(h.bed.Context(), &sfn.StopExecutionInput{ExecutionArn: aws.String(h.arn)})
	if err != nil {
		h.fatal("stop: %v", err)
	}
}

// part does something to a part of the bed.
func (h *harmed) part(action, name string) {
	h.bed.Helper()
	out, err := exec.CommandContext(h.bed.Context(), "../../bin/testbed", action, name).CombinedOutput()
	if err != nil {
		h.fatal("testbed %s %s: %v: %s", action, name, err, out)
	}
}

func restart(name string) func(*harmed) {
	return func(h *harmed) { h.part("restart", name) }
}

// away takes a part away for a while.
func away(name string, d time.Duration) func(*harmed) {
	return func(h *harmed) {
		h.part("kill", name)
		time.Sleep(d)
		h.part("start", name)
	}
}

// silence takes the metrics source away for more than two holds, and expects the step to stand.
func silence(h *harmed) {
	time.Sleep(time.Second) // a second of the hold is measured
	h.part("kill", "prometheus")
	before := h.shifts()
	time.Sleep(8 * time.Second)
	if now := h.shifts(); now != before {
		h.bed.Errorf("without metrics the rollout went on from shift %d to %d", before, now)
	}
	h.part("start", "prometheus")
}

func (h *harmed) shifts() (n int) {
	for _, v := range h.entered(h.bed.Context(), h.arn) {
		if v.name == "ShiftWeight" || v.name == "Promote" {
			n++
		}
	}
	return n
}

const (
	good, bad = "v2", "v2_errors-20"
	slow      = "v2_slowstart-2s"
)

// faults is the matrix; without STEPCANARY_LONG=1 those that are long are left out.
var faults = map[string]fault{
	"kill -9 of the engine in Prepare":      {state: "Prepare", image: good, strike: kill9, ends: []string{good}, long: true},
	"kill -9 of the engine in DeployCanary": {state: "DeployCanary", image: good, strike: kill9, ends: []string{good}, long: true},
	"kill -9 of the engine in AwaitReady":   {state: "AwaitReady", image: slow, strike: kill9, ends: []string{slow}, long: true},
	"kill -9 of the engine in ShiftWeight":  {state: "ShiftWeight", time: 2, image: good, strike: kill9, ends: []string{good}},
	"kill -9 of the engine in HealthCheck":  {state: "HealthCheck", image: good, strike: kill9, ends: []string{good}, long: true},
	"kill -9 of the engine in Hold":         {state: "Hold", image: good, strike: killHold, ends: []string{good}, long: true},
	"kill -9 of the engine in Promote":      {state: "Promote", image: good, strike: kill9, ends: []string{good}},
	"kill -9 of the engine in Rollback":     {state: "Rollback", image: bad, strike: kill9, ends: []string{"v1"}, most: 90},

	"StopExecution in Prepare":      {state: "Prepare", image: good, strike: stop, ends: []string{"v1"}, long: true},
	"StopExecution in DeployCanary": {state: "DeployCanary", image: good, strike: stop, ends: []string{"v1"}, long: true},
	"StopExecution in AwaitReady":   {state: "AwaitReady", image: slow, strike: stop, ends: []string{"v1"}, long: true},
	"StopExecution in ShiftWeight":  {state: "ShiftWeight", time: 2, image: good, strike: stop, ends: []string{"v1"}, long: true},
	"StopExecution in HealthCheck":  {state: "HealthCheck", image: good, strike: stop, ends: []string{"v1"}},
	"StopExecution in Hold":         {state: "Hold", image: good, strike: stop, ends: []string{"v1"}, long: true},
	// Whether the promotion was recorded already decides which way it ends.
	"StopExecution in Promote":  {state: "Promote", image: good, strike: stop, ends: []string{good, "v1"}, long: true},
	"StopExecution in Rollback": {state: "Rollback", image: bad, strike: stop, ends: []string{"v1"}, most: 90, long: true},

	"no Prometheus for 8 s of a hold":    {state: "HealthCheck", image: good, strike: silence, ends: []string{good}},
	"restart of the API server":          {state: "HealthCheck", image: good, strike: restart("apiserver"), ends: []string{good}},
	"restart of the gateway":             {state: "HealthCheck", image: good, strike: restart("gateway"), ends: []string{good, "v1"}, most: -1},
	"no API server for 8 s of a hold":    {state: "HealthCheck", image: good, strike: away("apiserver", 8*time.Second), ends: []string{good, "v1"}, long: true},
	"no API server for 8 s of a promote": {state: "Promote", image: good, strike: away("apiserver", 8*time.Second), ends: []string{good}, long: true},
	"no API server for 8 s of a way back": {
		state: "Rollback", image: bad, strike: away("apiserver", 8*time.Second), ends: []string{"v1"}, most: 90, long: true,
	},
}

// TestFaultsWithUsers does each fault to a rollout with 100 users a second, and waits for its end:
// one ready version with all of the route, the lock free. It says how many requests failed, and
// how long after the fault users met the other version for the last time.
func TestFaultsWithUsers(t *testing.T) {
	long := os.Getenv("STEPCANARY_LONG") == "1"
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			if f.long && !long {
				t.Skip("left to STEPCANARY_LONG=1")
			}
			service := "fault-" + strings.ToLower(strings.Map(letters, name))
			host, fields := b.serve(service)
			fields["wait_time"], fields["drain"], fields["steps"] = "3s", "2s", []any{30, 60, 100}
			// What is judged is not the point here: the comparison with v1 would take its time.
			fields["analysis"] = map[string]any{"min_requests": 20, "compare": false, "limits": []any{map[string]any{"metric": "error-rate", "max": "2%"}}}
			if f.state == "Hold" {
				fields["steps"] = []any{30, map[string]any{"weight": 60, "approve": true}, 100}
			}
			h := &harmed{bed: b, served: newServed(t)}
			u := b.visit(host)
			h.arn = h.served.begin(service, b.input(service, "podlet:"+f.image, fields))
			h.at(h.arn, f.state, max(1, f.time))
			h.struck = time.Now()
			f.strike(h)
			d := h.served.end(h.arn)
			if was := h.during(h.arn, h.struck); was != f.state {
				t.Errorf("the fault came in %s; want %s: too late to tell", was, f.state)
			}
			serves := b.settled(service)
			time.Sleep(time.Second) // of real users
			failed, all, _ := u.leave()
			judge(t, f, d, serves)
			if f.most >= 0 && failed > f.most {
				t.Errorf("%d of %d requests failed; at most %d are expected: %v", failed, all, f.most, u.count)
			}
			other := "v1"
			if serves == "v1" {
				other = f.image
			}
			took := max(0, u.lastOf[other].Sub(h.struck))
			t.Logf("| %s | %s, %s serves | %d of %d | %.1f |", name, outcome(d), serves, failed, all, took.Seconds())
		})
	}
}

// judge checks the execution's end against what serves.
func judge(t *testing.T, f fault, d *sfn.DescribeExecutionOutput, serves string) {
	t.Helper()
	expected := false
	for _, end := range f.ends {
		expected = expected || end == serves
	}
	if !expected {
		t.Errorf("%s serves; want one of %v (%s)", serves, f.ends, outcome(d))
	}
	if stopped := d.Status == types.ExecutionStatusAborted; !stopped && (d.Status == types.ExecutionStatusSucceeded) != (serves == f.image) {
		t.Errorf("the rollout says %s, and %s serves", outcome(d), serves)
	}
}

func outcome(d *sfn.DescribeExecutionOutput) string {
	if d.Error == nil {
		return string(d.Status)
	}
	return fmt.Sprintf("%s %s", d.Status, *d.Error)
}

// letters keeps what a service's name may have.
func letters(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return r
	case r == ' ':
		return '-'
	}
	return -1
}
