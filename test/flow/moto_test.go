package flow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/engine"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/local/mototest"
	"github.com/stepcanary/stepcanary/internal/memory/world"
	"github.com/stepcanary/stepcanary/internal/metric"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/stepfunctions"
	"github.com/stepcanary/stepcanary/internal/task"
	"github.com/stepcanary/stepcanary/internal/workload"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
	"github.com/stepcanary/stepcanary/internal/workload/workloadtest"
	"github.com/stepcanary/stepcanary/statemachine"
)

// functions is Lambda over HTTP, with the shipped steps behind it: what an engine elsewhere calls.
type functions struct {
	now atomic.Pointer[map[string]task.Func]
}

func (f *functions) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	name := strings.Split(r.URL.Path, "/")[3]
	call := (*f.now.Load())[name]
	if err != nil || call == nil {
		http.Error(w, "no such function: "+name, http.StatusNotFound)
		return
	}
	w.Header().Set("X-Amz-Executed-Version", "$LATEST")
	// As on Lambda, a call that nobody waits for any more works on.
	out, err := call(context.WithoutCancel(r.Context()), body)
	if err != nil {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		out, _ = json.Marshal(err) // named as the Lambda runtime would name it
	}
	_, _ = w.Write(out) // a client that has gone needs no answer
}

// become puts the steps over a new world behind the functions; answers go to this API.
func (f *functions) become(api *sfn.Client) *enginetest.Stage {
	c := clock.Real{}
	stage := enginetest.NewStage(c, meter.Options{Pace: metric.Pace{Every: 100 * time.Millisecond, Lag: 50 * time.Millisecond}})
	back := stepfunctions.New(api)
	all := map[string]task.Func{}
	ports := stage.Ports()
	ports.Executions, ports.Answerer = back, back
	for state, f := range engine.Functions(ports) {
		all[statemachine.Function(state)] = f
	}
	f.now.Store(&all)
	return stage
}

// An engine elsewhere runs state machines, over the Step Functions API.
type elsewhere struct {
	*sfn.Client
	*functions
	fresh func() // makes the next execution possible
}

// An action is what a person does to a running execution.
type action func(ctx context.Context, api *sfn.Client, arn string) error

// run runs the shipped state machine once, and gives what happened.
func (e elsewhere) run(ctx context.Context, input string, act action) (story, error) {
	e.fresh()
	name, role := aws.String("stepcanary"), aws.String("arn:aws:iam::000000000000:role/r")
	m, err := e.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{
		Name: name, RoleArn: role, Definition: aws.String(statemachine.With(statemachine.Function)),
	})
	if err != nil {
		return story{}, err
	}
	x, err := e.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: m.StateMachineArn, Name: name, Input: &input})
	if err != nil {
		return story{}, err
	}
	if act != nil {
		if err := act(ctx, e.Client, *x.ExecutionArn); err != nil {
			return story{}, err
		}
	}
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		d, err := e.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: x.ExecutionArn})
		if err != nil {
			return story{}, err
		}
		if d.Status == types.ExecutionStatusRunning && time.Now().Before(deadline) {
			continue
		}
		path, err := entered(ctx, e.Client, *x.ExecutionArn)
		return story{Path: path, Status: string(d.Status), Error: aws.ToString(d.Error)}, err
	}
}

// A story is what two engines have to agree on.
type story struct{ Path, Status, Error string }

func history(ctx context.Context, api *sfn.Client, arn string) ([]types.HistoryEvent, error) {
	h, err := api.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: &arn, MaxResults: 1000})
	if err != nil {
		return nil, err
	}
	return h.Events, nil
}

func entered(ctx context.Context, api *sfn.Client, arn string) (string, error) {
	events, err := history(ctx, api, arn)
	var names []string
	for _, e := range events {
		if d := e.StateEnteredEventDetails; d != nil {
			names = append(names, *d.Name)
		}
	}
	return short(names), err
}

// answer waits until the state waits with a token, and gives it to f.
func answer(state string, f func(api *sfn.Client, token string) error) action {
	return func(ctx context.Context, api *sfn.Client, arn string) error {
		for range 1200 {
			events, err := history(ctx, api, arn)
			if err != nil {
				return err
			}
			at, token := "", ""
			for _, e := range events {
				if d := e.StateEnteredEventDetails; d != nil {
					at, token = *d.Name, ""
				}
				if d := e.TaskScheduledEventDetails; d != nil {
					var p struct{ Payload struct{ Token string } }
					_ = json.Unmarshal([]byte(aws.ToString(d.Parameters)), &p)
					token = p.Payload.Token
				}
			}
			if at == state && token != "" {
				time.Sleep(300 * time.Millisecond) // of waiting
				return f(api, token)
			}
			time.Sleep(50 * time.Millisecond)
		}
		return fmt.Errorf("the execution does not wait in %s", state)
	}
}

func abortTask(api *sfn.Client, token string) error {
	_, err := api.SendTaskFailure(context.Background(), &sfn.SendTaskFailureInput{
		TaskToken: &token, Error: aws.String("Canary.Aborted"), Cause: aws.String("by a test"),
	})
	return err
}

func approve(api *sfn.Client, token string) error {
	_, err := api.SendTaskSuccess(context.Background(), &sfn.SendTaskSuccessInput{TaskToken: &token, Output: aws.String(`{}`)})
	return err
}

// adopt lets version 1 serve: it was deployed by somebody else.
func adopt(ctx context.Context, w *world.World) error {
	objects := append(workloadtest.Objects(service, 1), workloadtest.Route(service, 1))
	return w.Cluster.Apply(ctx, objects, workload.Ownership{Service: service, Version: 1})
}

// client speaks the Step Functions API to this URL.
func client(url string) *sfn.Client {
	return sfn.New(sfn.Options{
		Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
}

// TestAnotherEngineTakesTheSamePath runs the shipped state machine and the shipped steps in moto
// and here, in real time with short steps, and compares the states that were entered and the
// end. The words of the end are not compared, as moto drops the cause of SendTaskFailure; and
// nobody answers the token of a function that still watches, as moto hears that only when the
// function has returned.
func TestAnotherEngineTakesTheSamePath(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute of real time")
	}
	t.Parallel()
	there, here := &functions{}, &functions{}
	lambda, lambdaHere := httptest.NewServer(http.HandlerFunc(there.serve)), httptest.NewServer(http.HandlerFunc(here.serve))
	t.Cleanup(lambda.Close)
	t.Cleanup(lambdaHere.Close)
	moto := mototest.Start(t, lambda.URL)

	healthy := map[string]float64{"checkout-1": 0, "checkout-2": 0}
	approval := fields{"steps": []any{fields{"weight": 50, "approve": true}, 100}}
	for name, tt := range map[string]struct {
		first bool // there is no version 1 yet
		rates map[string]float64
		pods  cluster.Script
		input fields
		act   action
		want  string
	}{
		"a first deployment": {first: true, rates: healthy, want: toReady + steps(1) + promoted},
		"a good version":     {rates: healthy, want: toReady + steps(2) + promoted},
		"errors": {
			rates: map[string]float64{"checkout-1": 0, "checkout-2": 0.5}, want: toReady + steps(1) + back,
		},
		"a version that is never ready": {
			rates: healthy, pods: cluster.Script{NeverReady: true}, input: fields{"deadlines": fields{"ready": "2s"}}, want: toReady + back,
		},
		"a first deployment that is never ready": {
			first: true, rates: healthy, pods: cluster.Script{NeverReady: true}, input: fields{"deadlines": fields{"ready": "2s"}}, want: toReady + back,
		},
		"an image that cannot be pulled": {rates: healthy, pods: cluster.Script{PullFails: true}, want: toReady + back},
		"a crash loop at 100 %":          {rates: healthy, pods: cluster.Script{CrashAtWeight: 100}, want: toReady + steps(2) + back},
		"input that is refused":          {rates: healthy, input: fields{"steps": []any{0}}, want: "Prepare Refused"},
		"an abort while it waits": {
			rates: healthy, input: approval, act: answer("Hold", abortTask), want: toReady + steps(1) + " Hold" + back,
		},
		"an approval": {
			rates: healthy, input: approval, act: answer("Hold", approve),
			want: toReady + steps(1) + " Hold HealthCheck" + aStep + promoted,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := local.New(local.Options{LambdaEndpoint: lambdaHere.URL})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(local.API(e))
			t.Cleanup(func() { server.Close(); _ = e.Close() })
			engines := map[string]elsewhere{
				"moto": {client(moto), there, func() { mototest.Reset(t, moto) }},
				"here": {client(server.URL), here, func() {}},
			}
			extra := fields{"percentage_step": nil, "steps": []any{50, 100}, "wait_time": "1s", "drain": "1s", "analysis": fields{
				"min_requests": 5, "compare": false, "limits": []fields{{"metric": "error-rate", "max": "2%"}},
			}}
			maps.Copy(extra, tt.input)
			text := input(extra)
			play := func(who string) (story, error) {
				peer := engines[who]
				stage := peer.become(peer.Client)
				stage.Users(100, tt.rates)
				canary := "checkout-1"
				if !tt.first {
					canary = "checkout-2"
					if err := adopt(t.Context(), stage.World); err != nil {
						return story{}, err
					}
				}
				stage.World.Cluster.Behave(service.Namespace, canary, tt.pods)
				return peer.run(t.Context(), text, tt.act)
			}
			var both sync.WaitGroup // at once, as most of it is waiting
			var mu sync.Mutex
			stories := map[string]story{}
			for who := range engines {
				both.Go(func() {
					told, err := play(who)
					if err != nil {
						t.Errorf("%s: %v", who, err)
					}
					mu.Lock()
					defer mu.Unlock()
					stories[who] = told
				})
			}
			both.Wait()
			if stories["here"].Path != tt.want {
				t.Errorf("path %s; want %s", stories["here"].Path, tt.want)
			}
			if diff := cmp.Diff(stories["moto"], stories["here"]); diff != "" {
				t.Errorf("(-moto +here):\n%s", diff)
			}
		})
	}
}
