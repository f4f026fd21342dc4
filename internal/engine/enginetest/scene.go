package enginetest

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/engine"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/metric"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
)

// A Scene is a stage with the engine on top.
type Scene struct {
	*Stage
	Clock  *clock.Virtual
	Engine *local.Engine
	server *httptest.Server
	number int
}

// New gives a scene without any version.
func New(t testing.TB) *Scene {
	t.Helper()
	return NewAt(t, Pace)
}

// NewAt is New with a metrics source of another pace.
func NewAt(t testing.TB, pace metric.Pace) *Scene {
	t.Helper()
	c := clock.NewVirtual(Start)
	s := &Scene{Clock: c, Stage: NewStage(c, meter.Options{Pace: pace})}
	var err error
	if s.Engine, err = engine.Local(local.Options{Clock: c}, s.Ports()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.server != nil {
			s.server.Close()
		}
		_ = s.Engine.Close()
	})
	return s
}

// URL is that of the scene's Step Functions API, on loopback. The first call starts it.
func (s *Scene) URL() string {
	if s.server == nil {
		s.server = httptest.NewServer(local.API(s.Engine))
	}
	return s.server.URL
}

// Begin starts a rollout.
func (s *Scene) Begin(t testing.TB, extra Fields) (execution string) {
	t.Helper()
	s.number++
	arn, _, err := s.Engine.Start(local.StartInput{
		MachineARN: s.Engine.Machines()[0].ARN, Name: fmt.Sprintf("%s-r%d", Service.Name, s.number), Input: Input(extra),
	})
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

// Run starts a rollout and waits for its end.
func (s *Scene) Run(t testing.TB, extra Fields) (execution string) {
	t.Helper()
	arn := s.Begin(t, extra)
	if err := s.Engine.Wait(t.Context(), arn); err != nil {
		t.Fatal(err)
	}
	return arn
}

// First deploys version 1, so that a test begins with a service that runs.
func (s *Scene) First(t testing.TB) {
	t.Helper()
	s.Users(100, map[string]float64{"checkout-1": 0})
	arn := s.Run(t, Fields{"container_image": "podlet:1"})
	if d, err := s.Engine.Describe(arn); err != nil || d.Status != "SUCCEEDED" {
		t.Fatalf("first deployment: %+v, %v", d, err)
	}
}

// Token is the key of the task that the execution waits for now; empty where there is none.
func (s *Scene) Token(execution string) string { return Token(s.Engine, execution) }

// Token is the key of the task that an engine's execution waits for now; empty where there is
// none.
func Token(e *local.Engine, execution string) string {
	events, err := e.History(execution, 0, 25000, true, true)
	if err != nil {
		return ""
	}
	for _, e := range events {
		if e.Type == "TaskScheduled" {
			var p struct{ Payload struct{ Token string } }
			_ = json.Unmarshal([]byte(e.Details.Parameters), &p)
			return p.Payload.Token
		}
	}
	return ""
}

// History is the whole history of an execution, as the API gives it.
func (s *Scene) History(t testing.TB, execution string) []types.HistoryEvent {
	t.Helper()
	client := sfn.New(sfn.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.URL()), HTTPClient: s.server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	var events []types.HistoryEvent
	pages := sfn.NewGetExecutionHistoryPaginator(client, &sfn.GetExecutionHistoryInput{ExecutionArn: aws.String(execution)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, page.Events...)
	}
	return events
}
