package flow_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/spec"
)

// An action is CodePipeline's of the provider StepFunctions: it starts an execution called prefix, hyphen,
// id, with a file as input, follows it, and keeps its output as an artifact. A retry has another id.
// https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-StepFunctions.html
func (s *scene) action(id int, extra fields) (arn string, err error) {
	arn, _, err = s.engine.Start(local.StartInput{
		MachineARN: s.machine, Name: fmt.Sprintf("checkout-%08d-1111-4222-8333-444455556666", id), Input: input(extra),
	})
	return arn, err
}

// mustAct starts, and lets time stand still until the test waits for something.
func (s *scene) mustAct(id int, extra fields) string {
	s.Helper()
	s.hold()
	arn, err := s.action(id, extra)
	if err != nil {
		s.Fatal(err)
	}
	return arn
}

// CodePipeline may ask twice for the same start. The second gets the first's execution, and after its
// end an error by which it can tell.
func TestAnActionThatStartsTwiceHasOneRollout(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(2))
	one, two := s.mustAct(1, nil), s.mustAct(1, nil)
	if one != two {
		t.Errorf("%s and %s", one, two)
	}
	if _, err := s.action(1, fields{"wait_time": 61}); err == nil || !strings.Contains(err.Error(), "ExecutionAlreadyExists") {
		t.Errorf("another input under the same name: %v", err)
	}
	if e := s.end(one); e.Status != asl.Succeeded {
		t.Errorf("%s by %s (%s)", e.Status, e.path, e.cause)
	}
	if _, err := s.action(1, nil); err == nil || !strings.Contains(err.Error(), "ExecutionAlreadyExists") {
		t.Errorf("the same start after the end: %v", err)
	}
	s.settled("checkout-2")
}

// A pipeline that was stopped and abandoned leaves its rollout running. The next one's is refused with
// the name of that; once it is over, a retry of the action goes on from where it ended.
func TestAnAbandonedPipelineAndARetry(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(3))
	abandoned := s.mustAct(1, fields{"container_image": "podlet:2"})
	var next, retry string
	s.clock.AfterFunc(time.Minute, func() { next, _ = s.action(2, fields{"container_image": "podlet:3"}) })
	s.clock.AfterFunc(2*time.Minute, func() { retry, _ = s.action(3, fields{"container_image": "podlet:3"}) })
	if e := s.end(abandoned); e.Status != asl.Succeeded {
		t.Errorf("the abandoned one: %s by %s (%s)", e.Status, e.path, e.cause)
	}
	for _, arn := range []string{next, retry} {
		if e := s.end(arn); e.path != "Prepare Refused" || !strings.Contains(e.cause, abandoned+" is running since") {
			t.Errorf("beside it: %s (%s)", e.path, e.cause)
		}
	}
	if e := s.end(s.mustAct(4, fields{"container_image": "podlet:3"})); e.Status != asl.Succeeded {
		t.Errorf("the retry: %s by %s (%s)", e.Status, e.path, e.cause)
	}
	s.settled("checkout-3")
}

// An automatic retry of a stage whose rollout went back is another rollout of the same image, which is
// judged anew and goes back as well. A retry after a promotion deploys the same once more.
func TestARetriedStageIsAnotherRollout(t *testing.T) {
	t.Parallel()
	s := deployed(t, map[string]float64{"checkout-1": 0, "checkout-2": 1, "checkout-3": 1, "checkout-4": 0, "checkout-5": 0})
	for id, want := range []asl.Status{asl.Failed, asl.Failed, asl.Succeeded, asl.Succeeded} {
		if e := s.end(s.mustAct(id, nil)); e.Status != want {
			t.Errorf("try %d: %s by %s (%s); want %s", id, e.Status, e.path, e.cause, want)
		}
	}
	s.settled("checkout-5")
}

// What the action keeps as its artifact is the outcome, and nothing of deploy.json.
func TestWhatAnActionKeepsIsSmallAndUseful(t *testing.T) {
	t.Parallel()
	s := deployed(t, map[string]float64{"checkout-1": 0, "checkout-2": 0, "checkout-3": 1})
	e := s.end(s.mustAct(1, nil))
	var out map[string]string
	if err := json.Unmarshal([]byte(e.Output), &out); err != nil {
		t.Fatal(err)
	}
	if at, err := time.Parse(time.RFC3339, out["at"]); err != nil || at.Before(start) {
		t.Errorf("at %q", out["at"])
	}
	if out["outcome"] != "Promoted" || !strings.Contains(out["reason"], "checkout-2") || len(out) != 3 || len(e.Output) > 2000 {
		t.Errorf("the artifact is %s", e.Output)
	}
	// A failed action shows the execution's error and cause.
	e = s.end(s.mustAct(2, nil))
	if *e.Error != "Canary.RolledBack" || !strings.Contains(e.cause, "requests (100 %) on the canary failed") || len(e.cause) > 2000 {
		t.Errorf("the error is %s: %s", *e.Error, e.cause)
	}
}

// StartExecution takes 256 KiB, and what a state gets may be no larger. So validation takes less, and
// what it takes comes to its end.
func TestAnInputThatIsValidFits(t *testing.T) {
	t.Parallel()
	// What is decided repeats these fields, in more words.
	var limits []fields
	for i := range 50 {
		limits = append(limits, fields{"name": fmt.Sprintf("limit %d %s", i, strings.Repeat("x", 40)), "metric": "errors", "max": 1e9, "advisory": true})
	}
	var match []fields
	for i := range 5 {
		match = append(match, fields{"headers": []fields{{"name": "x-tester", "value": strings.Repeat("y", 3000) + fmt.Sprint(i)}}})
	}
	wordy := fields{"percentage_step": 1, "wait_time": 10, "match": match, "analysis": fields{"limits": limits},
		"metrics": fields{"provider": "prometheus", "query": fields{"errors": strings.Repeat("z", 1000)}}}
	large := func(n int, extra fields) string {
		in := fields{"config_file": base64.StdEncoding.EncodeToString([]byte(enginetest.Template))}
		maps.Copy(in, extra)
		room := n - len(input(in))
		in["config_file"] = base64.StdEncoding.EncodeToString([]byte(enginetest.Template + strings.Repeat("#", room/4*3)))
		whole := input(in)
		return whole + strings.Repeat(" ", n-len(whole))
	}
	for name, tt := range map[string]struct {
		input, path, cause string
	}{
		"the largest":                        {large(spec.MaxInput, nil), toReady + steps(4) + promoted, ""},
		"the largest, of a hundred steps":    {large(spec.MaxInput, wordy), toReady + steps(1) + back, "requests (100 %) on the canary failed"},
		"one byte more":                      {large(spec.MaxInput+1, nil), "Prepare Refused", "expected at most 196608"},
		"as much as Step Functions can pass": {large(asl.MaxData-1000, nil), "Prepare Refused", "expected at most 196608"},
		"as much as Step Functions takes":    {large(asl.MaxData, nil), "Prepare", "exceeding the maximum number of bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed(t, healthyUpTo(2))
			if tt.path == toReady+steps(1)+back {
				s.play(map[string]float64{"checkout-1": 0, "checkout-2": 1})
			}
			arn, _, err := s.engine.Start(local.StartInput{MachineARN: s.machine, Name: "large", Input: tt.input})
			if err != nil {
				t.Fatal(err)
			}
			e := s.end(arn)
			if e.path != tt.path || !strings.Contains(e.cause, tt.cause) {
				t.Errorf("path %s (%s); want %s (%s)", e.path, e.cause, tt.path, tt.cause)
			}
			if e.Status != asl.Succeeded {
				s.settled("checkout-1")
			}
		})
	}
	s := newScene(t)
	_, _, err := s.engine.Start(local.StartInput{MachineARN: s.machine, Input: large(asl.MaxData+1, nil)})
	if err == nil || !strings.Contains(err.Error(), "less than or equal to 262144") {
		t.Errorf("Start with %d bytes = %v", asl.MaxData+1, err)
	}
}
