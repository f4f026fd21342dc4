package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/lambdahost"
	"github.com/stepcanary/stepcanary/statemachine"
)

// A killer runs the functions' own binaries, as Lambda does, and kills one of them once while it
// answers.
type killer struct {
	*testing.T
	host   *lambdahost.Host
	folder string
	// api is the engine's address, which the functions answer tokens at.
	api string

	mu     sync.Mutex
	victim string // the function to be killed, after so many more calls of it
	after  int
	struck time.Time
}

// newKiller builds the functions, and gives the address of the service that runs them.
// STEPCANARY_TEST_LAMBDAS names a folder where they are built already.
func newKiller(t *testing.T) (k *killer, endpoint string) {
	t.Helper()
	folder := os.Getenv("STEPCANARY_TEST_LAMBDAS")
	if folder == "" {
		folder = t.TempDir()
		out, err := exec.Command("go", "build", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", folder+"/", "../../lambdas/...").CombinedOutput()
		if err != nil {
			t.Fatalf("build the functions: %v: %s", err, out)
		}
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	k = &killer{T: t, folder: folder}
	k.host = lambdahost.New(lambdahost.Options{Binary: k.binary, Env: k.environment})
	t.Cleanup(k.host.Close)
	s := httptest.NewServer(k)
	t.Cleanup(s.Close)
	return k, s.URL
}

func (k *killer) binary(name string) string {
	path := filepath.Join(k.folder, name)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

func (k *killer) environment(string) []string {
	return []string{
		"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ENDPOINT_URL_SFN=" + k.api,
		"STEPCANARY_KUBECONFIG=" + os.Getenv("STEPCANARY_TEST_KUBECONFIG"), "STEPCANARY_CONTEXT=testbed",
		fmt.Sprintf(`STEPCANARY_METRICS={"provider":"prometheus","address":%q,"scrape_interval":"1s","allow_loopback":true}`, os.Getenv("STEPCANARY_TEST_PROMETHEUS_URL")),
	}
}

// ServeHTTP is Lambda's Invoke. The process that answers the chosen call is killed in the middle.
func (k *killer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if k.chosen(r.URL.Path) {
		over := make(chan struct{})
		defer close(over)
		go k.strike(k.victim, over)
	}
	k.host.ServeHTTP(w, r)
}

func (k *killer) chosen(path string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.victim == "" || !strings.Contains(path, "/"+k.victim+"/") && !strings.Contains(path, ":"+k.victim+"/") || !k.struck.IsZero() {
		return false
	}
	k.after--
	return k.after < 0
}

// strike kills the function's processes a moment after its call has begun, unless that is over.
func (k *killer) strike(name string, over chan struct{}) {
	for {
		select {
		case <-over:
			return
		case <-time.After(10 * time.Millisecond):
		}
		for _, pid := range running(k.binary(name)) {
			p, err := os.FindProcess(pid)
			if err == nil && p.Kill() == nil {
				k.mu.Lock()
				k.struck = time.Now()
				k.mu.Unlock()
			}
		}
		k.mu.Lock()
		done := !k.struck.IsZero()
		k.mu.Unlock()
		if done {
			return
		}
	}
}

// running are the processes of a program.
func running(program string) (pids []int) {
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range links {
		if path, err := os.Readlink(link); err == nil && path == program {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// TestAFunctionKilledWithUsers kills the process of each function while it works on a rollout with
// 100 users a second. It is called again, and the rollout ends as it would have.
func TestAFunctionKilledWithUsers(t *testing.T) {
	if os.Getenv("STEPCANARY_LONG") != "1" {
		t.Skip("left to STEPCANARY_LONG=1")
	}
	for state, tt := range map[string]struct {
		after int
		image string
		ends  string
		most  int
	}{
		"Prepare":      {image: good, ends: good},
		"DeployCanary": {image: good, ends: good},
		"AwaitReady":   {image: slow, ends: slow},
		"ShiftWeight":  {after: 1, image: good, ends: good},
		"HealthCheck":  {after: 1, image: good, ends: good},
		"Hold":         {image: good, ends: good},
		"Promote":      {image: good, ends: good},
		"Rollback":     {image: bad, ends: "v1", most: 90},
	} {
		t.Run(state, func(t *testing.T) {
			b := newBed(t)
			service := "kill-" + strings.ToLower(state)
			host, fields := b.serve(service)
			fields["wait_time"], fields["drain"], fields["steps"] = "3s", "2s", []any{30, 60, 100}
			fields["analysis"] = map[string]any{"min_requests": 20, "compare": false, "limits": []any{map[string]any{"metric": "error-rate", "max": "2%"}}}
			if state == "Hold" {
				fields["steps"] = []any{30, map[string]any{"weight": 60, "approve": true}, 100}
			}
			k, endpoint := newKiller(t)
			s := newServed(t, "--lambda-endpoint", endpoint)
			k.api = s.url
			k.mu.Lock()
			k.victim, k.after = statemachine.Function(state), tt.after
			k.mu.Unlock()
			u := b.visit(host)
			arn := s.begin(service, b.input(service, "podlet:"+tt.image, fields))
			if state == "Hold" {
				s.at(arn, "Hold", 1)
				time.Sleep(3 * time.Second) // it is called again after a second
				s.resume(arn)
			}
			d := s.end(arn)
			serves := b.settled(service)
			time.Sleep(time.Second) // of real users
			failed, all, _ := u.leave()
			if k.struck.IsZero() {
				t.Fatalf("%s was not killed", state)
			}
			if serves != tt.ends || failed > tt.most {
				t.Errorf("%s serves, and %d of %d requests failed; want %s and at most %d (%s): %v", serves, failed, all, tt.ends, tt.most, outcome(d), u.count)
			}
			other := "v1"
			if serves == "v1" {
				other = tt.image
			}
			took := max(0, u.lastOf[other].Sub(k.struck))
			t.Logf("| kill -9 of the function in %s | %s, %s serves | %d of %d | %.1f |", state, outcome(d), serves, failed, all, took.Seconds())
		})
	}
}
