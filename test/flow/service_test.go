package flow_test

import (
	"encoding/base64"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/record"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

// A service that nothing can judge is deployed first like any other. Its second rollout would be
// promoted on silence: it is refused before anything changes, with the reason and the ways out,
// and the one that needs no judge is open.
func TestAServiceThatNothingCanJudge(t *testing.T) {
	t.Parallel()
	tcp, err := os.ReadFile("../../specfiles/yelb-db/kubernetes_template.yml")
	if err != nil {
		t.Fatal(err)
	}
	front := strings.Replace(enginetest.Template, "  ports: [{port: 8080}]\n", "  ports: [{port: 8080}]\n  type: LoadBalancer\n", 1)
	past := strings.Replace(enginetest.Template, "[${CANARY_ROUTES}]", "[{name: somewhere-else, port: 8080}]", 1)
	for name, tt := range map[string]struct {
		template string
		says     []string
		// stands tells that version 1 came by another template: this one's first deployment
		// would find a route to nobody.
		stands bool
	}{
		"TCP, of which nobody counts requests": {string(tcp), []string{"carries TCP only, of which no requests are counted", "metrics.query"}, false},
		"an address for each version": {
			front, []string{"users enter each version by an address of its own, past the route", "one Gateway or one Service in front"}, false},
		"a route that leads elsewhere": {past, []string{"has no rule whose backendRefs name Service checkout-"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.play(map[string]float64{"checkout-1": 0, "checkout-2": 0})
			rollout := fields{"config_file": base64.StdEncoding.EncodeToString([]byte(tt.template))}
			if tt.stands {
				s.first()
			} else if e := s.run(rollout); e.path != toReady+steps(1)+promoted {
				t.Fatalf("first deployment: path %s (%s)", e.path, e.cause)
			}
			before := s.seen()
			e := s.run(rollout)
			if e.path != "Prepare Refused" {
				t.Errorf("second rollout: path %s; want it refused", e.path)
			}
			for _, want := range append(tt.says, "checkout cannot be rolled out step by step", `\"strategy\": \"replace\"`) {
				if !strings.Contains(e.cause, want) {
					t.Errorf("the refusal does not say %q: %s", want, e.cause)
				}
			}
			if diff := cmp.Diff(before, s.seen()); diff != "" {
				t.Errorf("the refused rollout changed something (-before +after):\n%s", diff)
			}
			s.settled("checkout-1")
			rollout["strategy"], rollout["percentage_step"] = "replace", nil
			if e := s.run(rollout); e.Status != asl.Succeeded {
				t.Errorf("strategy replace: path %s (%s)", e.path, e.cause)
			}
			s.settled("checkout-2")
		})
	}
}

// The canary starts as large as an autoscaler has made stable, what the autoscaler does to either
// during the rollout is left alone, and pods that are on their way do not make a canary bad.
func TestAnAutoscalersReplicasAreKept(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(2))
	s.cluster.Scale("shop", "checkout-1", 7)
	s.cluster.Behave("shop", "checkout-2", cluster.Script{ReadyAfter: 15 * time.Second, Scales: []cluster.Scale{
		{After: 2 * time.Minute, Replicas: 9}, {After: 3 * time.Minute, Replicas: 4},
	}})
	arn, began := s.begin(nil), s.clock.Now()
	s.clock.AfterFunc(100*time.Second, func() { s.cluster.Scale("shop", "checkout-1", 3) })
	replicas := map[string]map[time.Duration]int{"checkout-1": {}, "checkout-2": {}}
	for _, at := range []time.Duration{time.Minute, 130 * time.Second, 200 * time.Second} {
		s.clock.AfterFunc(at, func() {
			for name, seen := range replicas {
				st, _ := s.cluster.Status("shop", name, s.clock.Now())
				seen[s.clock.Now().Sub(began)] = st.Desired
			}
		})
	}
	if e := s.end(arn); e.path != toReady+steps(4)+promoted {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	want := map[string]map[time.Duration]int{
		"checkout-1": {time.Minute: 7, 130 * time.Second: 3, 200 * time.Second: 3},
		"checkout-2": {time.Minute: 7, 130 * time.Second: 9, 200 * time.Second: 4},
	}
	if diff := cmp.Diff(want, replicas); diff != "" {
		t.Errorf("replicas (-want +got):\n%s", diff)
	}
	s.settled("checkout-2")
	if rec := s.record(); rec.Phase != "" || rec.Last.Outcome != string(record.Promoted) {
		t.Errorf("record %+v", rec)
	}
}
