package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/stepcanary/stepcanary/internal/story"
)

// An engine that ends names what it leaves running; where nothing keeps it, that is exit code 3.
func TestServeNamesWhatItLeaves(t *testing.T) {
	for name, tt := range map[string]struct {
		state bool
		begin bool
		code  int
		want  []string
	}{
		"nothing runs":              {},
		"a rollout, and no state":   {begin: true, code: exitHeld, want: []string{"1 rollout still running", "checkout-1234: preparing", "forgets its rollouts", "deploy the service again"}},
		"a rollout, kept in a file": {begin: true, state: true, want: []string{"checkout-1234: preparing", "serve --state ", "goes on"}},
	} {
		t.Run(name, func(t *testing.T) {
			called := make(chan struct{}, 9)
			functions := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // only then the end of the connection is seen
				called <- struct{}{}
				<-r.Context().Done() // the function takes its time
			}))
			defer functions.Close()
			args := []string{"serve", "--listen", "127.0.0.1:0", "--lambda-endpoint", functions.URL}
			if tt.state {
				args = append(args, "--state", filepath.Join(t.TempDir(), "state"))
			}
			e := serving(t, args)
			if tt.begin {
				e.begin(t, "checkout-1234")
				<-called
			}
			e.stop()
			if code := <-e.code; code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(e.err.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, e.err.String())
				}
			}
			if len(tt.want) == 0 && e.err.Len() > 0 {
				t.Errorf("it says %s", e.err.String())
			}
			if said := strings.Contains(<-e.rest, "--state FILE keeps them"); said == tt.state {
				t.Errorf("it says that rollouts are kept in memory: %v", said)
			}
		})
	}
}

// A served engine runs in this process until stop.
type served struct {
	url  string
	err  *bytes.Buffer
	rest chan string // what it said after the first line, once it has ended
	code chan int
	stop func()
}

func serving(t *testing.T, args []string) *served {
	t.Helper()
	logger := slog.Default()
	t.Cleanup(func() { slog.SetDefault(logger) })
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	read, write := io.Pipe()
	e := &served{err: new(bytes.Buffer), rest: make(chan string, 1), code: make(chan int, 1), stop: cancel}
	go func() {
		code := newConsole(write, e.err).run(ctx, args)
		_ = write.Close()
		e.code <- code
	}()
	out := bufio.NewReader(read)
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatalf("serve said %q (%v), exit code %d: %s", line, err, <-e.code, e.err)
	}
	_, after, _ := strings.Cut(line, "http://")
	host, _, _ := strings.Cut(after, " ")
	e.url = "http://" + host
	go func() {
		rest, _ := io.ReadAll(out)
		e.rest <- string(rest)
	}()
	return e
}

// begin starts an execution of that name.
func (e *served) begin(t *testing.T, name string) {
	t.Helper()
	api, err := target{endpoint: e.url, machine: machineName}.open(t.Context(), newConsole(io.Discard, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	machine, err := api.arn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = api.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: aws.String(machine), Name: aws.String(name), Input: aws.String("{}")})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsLeftIsNamedWithItsWeight(t *testing.T) {
	s, _ := storyAt(t, moment{users: map[string]float64{"checkout-1": 0, "checkout-2": 0}, after: 30 * time.Second})
	got := leftLine(s)
	for _, want := range []string{s.Name, "service checkout", "25 % of users on checkout-2, the rest on checkout-1"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
	if got := leftLine(&story.Story{Name: "x", State: "Prepare"}); got != "x: preparing, nothing is decided yet" {
		t.Errorf("before anything is decided: %q", got)
	}
}

// An engine whose metrics settings cannot work says so when it is started.
func TestServeRefusesMetricsThatCannotWork(t *testing.T) {
	for metrics, want := range map[string]string{
		`{"provider": "prom"}`: "prometheus or cloudwatch is expected",
		`{"provider": "prometheus", "adress": "http://127.0.0.1:9090"}`: `unknown field "adress"`,
		`none`: "metrics",
	} {
		var errs bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // one that starts all the same has to end
		code := newConsole(io.Discard, &errs).run(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--metrics", metrics})
		cancel()
		if code != exitError || !strings.Contains(errs.String(), want) || !strings.Contains(errs.String(), "--metrics") {
			t.Errorf("serve --metrics %s: exit code %d, %q; want %q", metrics, code, errs.String(), want)
		}
	}
}
