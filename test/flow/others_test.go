package flow_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// What somebody else has on the service's route keeps its share from the first write to the last,
// whichever way the rollout ends.
func TestOthersOnTheRouteKeepTheirShare(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		errors float64
		path   string
		want   weights
	}{
		"promoted":    {0, toReady + steps(4) + promoted, weights{"checkout-2": 80, "experiment": 20}},
		"rolled back": {1, toReady + steps(1) + back, weights{"checkout-1": 80, "experiment": 20}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.first()
			s.router.Define(route, weights{"checkout-1": 80, "experiment": 20})
			s.play(map[string]float64{"checkout-1": 0, "checkout-2": tt.errors, "experiment": 0.5})
			s.core.After(func(op string) error {
				if now := s.router.Served(route, s.clock.Now()); now["experiment"] != 20 {
					t.Errorf("after %s users are split %v; want 20 on experiment", op, now)
				}
				return nil
			})
			if e := s.run(nil); e.path != tt.path {
				t.Errorf("path %s\nwant %s\n(%s)", e.path, tt.path, e.cause)
			}
			if diff := cmp.Diff(tt.want, s.router.Served(route, s.clock.Now())); diff != "" {
				t.Errorf("users (-want +got):\n%s", diff)
			}
			if rec := s.record(); rec.Holder != "" {
				t.Errorf("holder %q; want the lock free", rec.Holder)
			}
		})
	}
}

// A service that runs already is taken over as it is: its Deployment and Service under whatever
// name, on a route of its own or on one that leads to others too. No user is without an answer
// meanwhile, and nothing of it is changed.
func TestAServiceInWhateverShapeIsAdopted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		backend string
		route   weights
		want    weights
	}{
		"called like the service, among others": {
			"checkout", weights{"checkout": 100, "assets": 0}, weights{"checkout-1": 100, "assets": 0}},
		"beside somebody's experiment": {
			"checkout", weights{"checkout": 80, "experiment": 20}, weights{"checkout-1": 80, "experiment": 20}},
		"of any name":                       {"web", weights{"web": 100}, weights{"checkout-1": 100}},
		"named like a version that we make": {"checkout-7", weights{"checkout-7": 100}, weights{"checkout-8": 100}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.cluster.Place("shop", workload.Version{Name: tt.backend, Deployment: "legacy", Replicas: 3})
			s.router.Define(route, tt.route)
			s.play(map[string]float64{tt.backend: 0, "checkout-1": 0, "checkout-8": 0})
			whole := tt.route[tt.backend]
			s.core.After(func(op string) error {
				served := s.router.Served(route, s.clock.Now())
				answered := served[tt.backend]
				for backend, w := range served {
					st, _ := s.cluster.Status("shop", backend, s.clock.Now())
					if workload.NumberOf("checkout", backend) > 0 && backend != tt.backend && st.Ready > 0 {
						answered += w
					}
				}
				if answered != whole {
					t.Errorf("after %s %d %% of users get an answer of the service; want %d: %v", op, answered, whole, served)
				}
				return nil
			})
			if e := s.run(nil); e.Status != asl.Succeeded {
				t.Fatalf("path %s (%s)", e.path, e.cause)
			}
			if diff := cmp.Diff(tt.want, s.router.Served(route, s.clock.Now())); diff != "" {
				t.Errorf("users (-want +got):\n%s", diff)
			}
			if st, exists := s.cluster.Status("shop", "legacy", s.clock.Now()); !exists || st.Ready != 3 {
				t.Errorf("legacy: %+v, exists %v; want it untouched", st, exists)
			}
		})
	}
}

// A split that people made is theirs to end: which version is to be gone back to is not guessed.
func TestARouteThatPeopleSplitIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		route weights
		cause string
	}{
		"between two versions":      {weights{"checkout-1": 50, "checkout-2": 50}, "2 versions outside of any rollout"},
		"between what nobody knows": {weights{"blue": 50, "green": 50}, "which of them is checkout cannot be told"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.router.Define(route, tt.route)
			e := s.run(nil)
			if e.path != "Prepare Refused" || !strings.Contains(e.cause, tt.cause) {
				t.Errorf("path %s (%s)", e.path, e.cause)
			}
			if diff := cmp.Diff(tt.route, s.router.Served(route, s.clock.Now())); diff != "" {
				t.Errorf("users (-want +got):\n%s", diff)
			}
			if rec := s.record(); !cmp.Equal(rec, record.Record{}) {
				t.Errorf("the record was written: %+v", rec)
			}
		})
	}
}
