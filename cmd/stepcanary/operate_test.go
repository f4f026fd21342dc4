package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/traffic/memory"
)

// late answers as AWS does for a token whose time ran out, so many times, and passes the rest on.
type late int

func (l *late) RoundTrip(r *http.Request) (*http.Response, error) {
	if *l == 0 || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".SendTaskFailure") {
		return http.DefaultTransport.RoundTrip(r)
	}
	*l--
	return &http.Response{
		StatusCode: http.StatusBadRequest, Request: r, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(strings.NewReader(`{"__type":"com.amazonaws.swf.service.v2.model#TaskTimedOut","message":"Task Timed Out"}`)),
	}, nil
}

// aborted lets time, which stands still, go on, and has a person abort a rollout after a while, in that state, and gives how long the command took.
func aborted(t *testing.T, s *enginetest.Scene, after time.Duration, in string, tokensTooLate int) (took time.Duration) {
	t.Helper()
	transport := late(tokensTooLate)
	c := newClient(s, &transport)
	arn := s.Begin(t, nil)
	done := make(chan struct{})
	s.Clock.AfterFunc(after, func() {
		defer close(done)
		began := s.Clock.Now()
		if told, err := c.say(t.Context(), arn, "abort", "odd", began.Add(within("abort"))); err != nil || told.State != in {
			t.Errorf("abort: %+v, %v; want it heard in %s", told, err, in)
		}
		took = s.Clock.Now().Sub(began)
	})
	s.Clock.End()
	<-done
	if err := s.Clock.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if served := s.World.Router.Served(enginetest.Route, s.Clock.Now()); served["checkout-1"] != 100 {
		t.Errorf("users are on %v; want checkout-1", served)
	}
	return took
}

func newClient(s *enginetest.Scene, transport http.RoundTripper) client {
	return client{machine: machineName, clock: s.Clock, Client: sfn.New(sfn.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.URL()), HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})}
}

func service(t *testing.T) *enginetest.Scene {
	t.Helper()
	s := enginetest.New(t)
	s.First(t)
	s.Users(100, map[string]float64{"checkout-1": 0, "checkout-2": 0})
	return s
}

// A look that ends between the person's look at the history and the answer is followed by another one.
func TestATokenThatIsSpentIsLookedForAgain(t *testing.T) {
	s := service(t)
	s.Clock.Begin()
	if took := aborted(t, s, 30*time.Second, "HealthCheck", 2); took > 3*time.Second {
		t.Errorf("abort took %v; want it done within 3 s", took)
	}
}

// While a weight does not come into force, no state listens: the abort stops the execution.
func TestAnAbortDoesNotWaitForARouterThatIsDeaf(t *testing.T) {
	s := service(t)
	s.Clock.Begin() // until the rollout has begun
	s.Clock.AfterFunc(20*time.Second, func() { s.World.Router.Script(memory.Script{Delay: 40 * time.Second}) })
	if took := aborted(t, s, 80*time.Second, "ShiftWeight", 0); took > 3*time.Second {
		t.Errorf("abort took %v; want it done within 3 s", took)
	}
}

// Each look at a long history takes so long that its token is spent when the answer comes. The abort was an error then, with users on the
// canary.
func TestAnAbortWhoseAnswersAreAllTooLateStopsTheExecution(t *testing.T) {
	s := service(t)
	s.Clock.Begin()
	if took := aborted(t, s, 30*time.Second, "HealthCheck", 100); took > 3*time.Second {
		t.Errorf("abort took %v; want it done within 3 s", took)
	}
}

// While the next rollout of a service waited for its turn, the service's name meant two: an abort of the one that has the users did
// nothing.
func TestAServiceIsTheRolloutThatHasItsUsers(t *testing.T) {
	for name, tt := range map[string]struct {
		next    enginetest.Fields
		waiting []string
		err     string
	}{
		"beside one that waits":       {next: enginetest.Fields{"queue": "1h"}, waiting: []string{"checkout-r3"}},
		"and of one cluster":          {next: enginetest.Fields{"queue": "1h", "cluster_name": "other"}, err: "2 rollouts are running; name one of:"},
		"beside one that was refused": {next: enginetest.Fields{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := service(t)
			s.Clock.Begin()
			c := newClient(s, http.DefaultTransport)
			first := s.Begin(t, nil)
			done := make(chan struct{})
			s.Clock.AfterFunc(60*time.Second, func() { s.Begin(t, tt.next) })
			// After so many tries to get its turn, the next one's first events are far back.
			s.Clock.AfterFunc(220*time.Second, func() {
				defer close(done)
				got, waiting, err := c.find(t.Context(), "checkout", true)
				if tt.err == "" && (err != nil || got != first) || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
					t.Errorf("find(checkout) = %q, %v; want %s, %q", got, err, first, tt.err)
				}
				if diff := cmp.Diff(tt.waiting, waiting); diff != "" {
					t.Errorf("find(checkout) says who waits (-want +got):\n%s", diff)
				}
			})
			s.Clock.End()
			<-done
			if err := s.Clock.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
