// Package workloadtest is the suite that every workload.Cluster passes.
package workloadtest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// A Subject is a cluster under test, with a way to play the others in it.
type Subject struct {
	Cluster workload.Cluster
	// Service has a namespace of its own.
	Service workload.Service
	// Place puts a Deployment and a Service of somebody else's there, with ready pods.
	Place func(t *testing.T, v workload.Version)
	// Answer puts a Service there that something else than a Deployment answers for.
	Answer func(t *testing.T, service string)
	// Ready makes the Deployment's pods ready, or un-ready.
	Ready func(t *testing.T, deployment string, ready bool)
	// CannotPull lets the Deployment's image not be found.
	CannotPull func(t *testing.T, deployment string)
	// Crash lets the Deployment's pods crash-loop.
	Crash func(t *testing.T, deployment string)
	// Refuse lets the cluster take no Deployment in the namespace any more, with these words.
	Refuse func(t *testing.T, words string)
	// Delete deletes a Deployment as a person would.
	Delete func(t *testing.T, deployment string)
}

// Patience is how long the suite waits for what must come.
const Patience = 15 * time.Second

// Run tests the clusters that open gives, each with a service that has nothing yet.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for name, test := range map[string]func(*testing.T, Subject){
		"versions are ours alone, by rising number":                   versions,
		"applying twice changes nothing":                              twice,
		"a canary starts as large as asked":                           sized,
		"a foreign object is refused before anything is written":      foreign,
		"a route is written only where it is missing":                 route,
		"a dry run writes nothing":                                    dryRun,
		"a dry run is refused what would be refused":                  dryRunRefused,
		"a foreign Deployment is adopted":                             adopt,
		"what answers without a Deployment is no back end to nowhere": answered,
		"another service's version is not adopted":                    anothers,
		"a follower sees readiness come and go":                       ready,
		"an image that cannot be pulled is fatal":                     pull,
		"a crash loop is fatal":                                       crash,
		"a deleted Deployment is a problem":                           deleted,
		"a follower repeats itself when nothing happens":              quiet,
		"a follower ends with its context":                            ends,
		"what is removed is gone, and the rest stays":                 remove,
		"a foreign version is not removed":                            keeps,
		"an event can be told":                                        tell,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Scheduler is a scheduler that no cluster has, so that the suite's pods stay where
// the test can play their kubelet.
const Scheduler = "stepcanary-suite"

// Objects are the Deployment and the Service of a version, as a template gives
// them.
func Objects(s workload.Service, number int) []workload.Object {
	name := workload.VersionName(s.Name, number)
	labels := func() map[string]any { return map[string]any{"app": name} }
	meta := func() map[string]any { return map[string]any{"name": name, "namespace": s.Namespace} }
	return []workload.Object{
		{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(), "spec": map[string]any{
			"replicas": int64(2),
			"selector": map[string]any{"matchLabels": labels()},
			"template": map[string]any{
				"metadata": map[string]any{"labels": labels()},
				"spec": map[string]any{
					"schedulerName": Scheduler,
					"containers": []any{map[string]any{
						"name": "app", "image": "podlet:" + name,
						"ports": []any{map[string]any{"containerPort": int64(8080)}},
					}},
				},
			},
		}},
		{"apiVersion": "v1", "kind": "Service", "metadata": meta(), "spec": map[string]any{
			"selector": labels(), "ports": []any{map[string]any{"name": "http", "port": int64(80), "targetPort": int64(8080)}},
		}},
	}
}

// Route is an HTTPRoute with everything on one version.
func Route(s workload.Service, number int) workload.Object {
	return workload.Object{
		"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
		"metadata": map[string]any{"name": s.Name, "namespace": s.Namespace},
		"spec": map[string]any{
			"parentRefs": []any{map[string]any{"name": "public"}},
			"rules": []any{map[string]any{"backendRefs": []any{map[string]any{
				"name": workload.VersionName(s.Name, number), "port": int64(80), "weight": int64(100)}}}},
		},
	}
}

func (s Subject) owner(number int) workload.Ownership {
	return workload.Ownership{Service: s.Service, Version: number, Execution: "arn:aws:states:eu-west-1:123456789012:execution:stepcanary:run-1"}
}

func (s Subject) name(number int) string { return workload.VersionName(s.Service.Name, number) }

func (s Subject) apply(t *testing.T, number int) workload.Version {
	t.Helper()
	if err := s.Cluster.Apply(t.Context(), Objects(s.Service, number), s.owner(number)); err != nil {
		t.Fatalf("Apply(version %d) = %v", number, err)
	}
	return s.version(number)
}

func (s Subject) version(number int) workload.Version {
	return workload.Version{
		Name: s.name(number), Number: number, Deployment: s.name(number), Image: "podlet:" + s.name(number),
		Replicas: 2, Ours: true, Rollout: s.owner(number).Execution,
	}
}

func (s Subject) want(t *testing.T, want ...workload.Version) {
	t.Helper()
	var got []workload.Version
	deadline := time.Now().Add(Patience)
	for {
		var err error
		if got, err = s.Cluster.Versions(t.Context(), s.Service); err != nil {
			t.Fatalf("Versions(%v) = %v", s.Service, err)
		}
		diff := cmp.Diff(want, got, cmpopts.EquateEmpty())
		if diff == "" {
			return
		}
		if time.Now().After(deadline) || len(want) >= len(got) {
			t.Fatalf("Versions(%v) (-want +got):\n%s", s.Service, diff)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func versions(t *testing.T, s Subject) {
	s.want(t)
	s.Place(t, workload.Version{Name: s.Service.Name, Deployment: s.Service.Name, Image: "podlet:old", Replicas: 1})
	s.want(t)
	s.apply(t, 10)
	s.apply(t, 9)
	s.want(t, s.version(9), s.version(10))
	// A service whose name begins with another's is another service.
	other := s
	other.Service.Name += "-9"
	other.want(t)
}

func twice(t *testing.T, s Subject) {
	for range 3 {
		s.apply(t, 1)
	}
	s.want(t, s.version(1))
}

func sized(t *testing.T, s Subject) {
	o := s.owner(1)
	o.Replicas = 5
	if err := s.Cluster.Apply(t.Context(), Objects(s.Service, 1), o); err != nil {
		t.Fatalf("Apply() = %v", err)
	}
	want := s.version(1)
	want.Replicas = 5
	s.want(t, want)
}

func foreign(t *testing.T, s Subject) {
	// The Service of version 2 exists and is somebody else's; its Deployment does not.
	s.Place(t, workload.Version{Name: s.name(2), Deployment: "theirs", Image: "podlet:theirs", Replicas: 1})
	err := s.Cluster.Apply(t.Context(), Objects(s.Service, 2), s.owner(2))
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "Service "+s.name(2)) {
		t.Errorf("Apply() over a foreign Service = %v; want %v naming it", err, fault.Invalid)
	}
	s.want(t)
	// Another service of ours is foreign too.
	s.apply(t, 3)
	other := s.owner(3)
	other.Service.Name = "billing"
	if err := s.Cluster.Apply(t.Context(), Objects(s.Service, 3), other); !errors.Is(err, fault.Invalid) {
		t.Errorf("Apply() over another service's objects = %v; want %v", err, fault.Invalid)
	}
	s.want(t, s.version(3))
}

func route(t *testing.T, s Subject) {
	for _, number := range []int{1, 2} {
		objects := append(Objects(s.Service, number), Route(s.Service, number))
		if err := s.Cluster.Apply(t.Context(), objects, s.owner(number)); err != nil {
			t.Fatalf("Apply(version %d with its route) = %v", number, err)
		}
	}
	s.want(t, s.version(1), s.version(2))
}

func dryRun(t *testing.T, s Subject) {
	with := func(number int) []workload.Object {
		return append(Objects(s.Service, number), Route(s.Service, number))
	}
	for range 2 {
		if err := s.Cluster.DryRun(t.Context(), with(1), s.owner(1)); err != nil {
			t.Fatalf("DryRun(version 1) = %v", err)
		}
		s.want(t)
		if _, err := s.Cluster.Adopt(t.Context(), s.Service, s.name(1)); !errors.Is(err, fault.NotFound) {
			t.Fatalf("Adopt(%s) after a dry run = %v; want %v", s.name(1), err, fault.NotFound)
		}
	}
	// What it would write it may write, and what is there by then does not stand in its way.
	if err := s.Cluster.Apply(t.Context(), with(1), s.owner(1)); err != nil {
		t.Fatalf("Apply(version 1) = %v", err)
	}
	o := s.owner(1)
	o.Replicas = 7
	for number, o := range map[int]workload.Ownership{1: o, 2: s.owner(2)} {
		if err := s.Cluster.DryRun(t.Context(), with(number), o); err != nil {
			t.Errorf("DryRun(version %d) beside version 1 = %v", number, err)
		}
	}
	s.want(t, s.version(1))
}

func dryRunRefused(t *testing.T, s Subject) {
	s.Place(t, workload.Version{Name: s.name(2), Deployment: "theirs", Image: "podlet:theirs", Replicas: 1})
	s.refused(t, 2, "Service "+s.name(2))
	s.Refuse(t, "not before the coffee")
	s.refused(t, 3, "Deployment "+s.name(3)+": ", "not before the coffee")
}

// refused tries to apply a version, and a dry run before, and wants these words against both.
func (s Subject) refused(t *testing.T, number int, words ...string) {
	t.Helper()
	errs := map[string]error{
		"DryRun": s.Cluster.DryRun(t.Context(), Objects(s.Service, number), s.owner(number)),
		"Apply":  s.Cluster.Apply(t.Context(), Objects(s.Service, number), s.owner(number)),
	}
	for call, err := range errs {
		for _, text := range words {
			if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), text) {
				t.Errorf("%s(version %d) = %v; want %v with %q", call, number, err, fault.Invalid, text)
			}
		}
	}
	s.want(t)
}

func adopt(t *testing.T, s Subject) {
	want := workload.Version{Name: "shopfront", Deployment: "legacy-web", Image: "podlet:old", Replicas: 1}
	s.Place(t, want)
	got, err := s.Cluster.Adopt(t.Context(), s.Service, "shopfront")
	if err != nil {
		t.Fatalf("Adopt(shopfront) = %v", err)
	}
	got.Selector = "" // whatever the driver's Service has
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Adopt(shopfront) (-want +got):\n%s", diff)
	}
	numbered := workload.Version{Name: s.name(7), Deployment: s.name(7), Image: "podlet:7", Replicas: 1}
	s.Place(t, numbered)
	numbered.Number = 7
	other, err := s.Cluster.Adopt(t.Context(), s.Service, numbered.Name)
	if other.Selector = ""; err != nil || other != numbered {
		t.Errorf("Adopt(%s) = %+v, %v; want %+v: its number is taken", numbered.Name, other, err, numbered)
	}
	if _, err := s.Cluster.Adopt(t.Context(), s.Service, "nothing"); !errors.Is(err, fault.NotFound) {
		t.Errorf("Adopt(nothing) = %v; want %v", err, fault.NotFound)
	}
	f := s.follow(t, got)
	s.until(t, f, "the adopted version is available", workload.Status.Available)
}

func answered(t *testing.T, s Subject) {
	s.Answer(t, "pets")
	if v, err := s.Cluster.Adopt(t.Context(), s.Service, "pets"); fault.Of(err) != fault.Refused || !strings.Contains(err.Error(), "the Service leads to ") {
		t.Errorf("Adopt(pets) = %+v, %v; want %v with what it leads to", v, err, fault.Refused)
	}
}

func anothers(t *testing.T, s Subject) {
	cart := s
	cart.Service.Name = "cart"
	v := cart.apply(t, 3)
	if got, err := s.Cluster.Adopt(t.Context(), s.Service, v.Name); fault.Of(err) != fault.Refused || !strings.Contains(err.Error(), `of service "cart"`) {
		t.Errorf("Adopt(%s) = %+v, %v; want %v with whose it is", v.Name, got, err, fault.Refused)
	}
}

func (s Subject) follow(t *testing.T, v workload.Version) workload.Follower {
	t.Helper()
	f, err := s.Cluster.Follow(t.Context(), s.Service, v)
	if err != nil {
		t.Fatalf("Follow(%v) = %v", v, err)
	}
	t.Cleanup(f.Close)
	return f
}

func (s Subject) until(t *testing.T, f workload.Follower, what string, is func(workload.Status) bool) workload.Status {
	t.Helper()
	var st workload.Status
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); {
		var err error
		if st, err = f.Next(t.Context(), time.Second); err != nil {
			t.Fatalf("Next() = %v", err)
		}
		if is(st) {
			return st
		}
	}
	t.Fatalf("%s: not after %v; the last status is %+v", what, Patience, st)
	return st
}

func ready(t *testing.T, s Subject) {
	s.Ready(t, s.name(1), false)
	f := s.follow(t, s.apply(t, 1))
	st := s.until(t, f, "two are wanted", func(st workload.Status) bool { return st.Desired == 2 })
	if st.Available() {
		t.Errorf("status %+v; want not available before its pods are ready", st)
	}
	s.Ready(t, s.name(1), true)
	s.until(t, f, "two are ready", workload.Status.Available)
	// A ready version that loses its pods says so at once.
	s.Ready(t, s.name(1), false)
	s.until(t, f, "none is ready any more", func(st workload.Status) bool {
		return st.Ready == 0 && st.Problem != "" && !st.Fatal
	})
}

func pull(t *testing.T, s Subject) {
	s.CannotPull(t, s.name(1))
	f := s.follow(t, s.apply(t, 1))
	st := s.until(t, f, "the failure is fatal", func(st workload.Status) bool { return st.Fatal })
	if !strings.Contains(st.Problem, "ImagePull") || !strings.Contains(st.Problem, "container app") {
		t.Errorf("problem %q; want the reason and the container", st.Problem)
	}
}

func crash(t *testing.T, s Subject) {
	s.Crash(t, s.name(1))
	f := s.follow(t, s.apply(t, 1))
	st := s.until(t, f, "the crash loop is fatal", func(st workload.Status) bool { return st.Fatal })
	if !strings.Contains(st.Problem, "CrashLoopBackOff") || !strings.Contains(st.Problem, "exit code 1") {
		t.Errorf("problem %q; want the reason and the exit code", st.Problem)
	}
}

func deleted(t *testing.T, s Subject) {
	v := s.apply(t, 1)
	f := s.follow(t, v)
	s.until(t, f, "two are wanted", func(st workload.Status) bool { return st.Desired == 2 })
	s.Delete(t, v.Deployment)
	s.until(t, f, "the Deployment is gone", func(st workload.Status) bool { return st.Fatal && st.Problem != "" })
}

func quiet(t *testing.T, s Subject) {
	s.Ready(t, s.name(1), true)
	f := s.follow(t, s.apply(t, 1))
	st := s.until(t, f, "available", workload.Status.Available)
	again, err := f.Next(t.Context(), 30*time.Millisecond)
	if err != nil || again != st {
		t.Errorf("Next() of a quiet version = %+v, %v; want %+v again", again, err, st)
	}
}

func ends(t *testing.T, s Subject) {
	s.Ready(t, s.name(1), true)
	f := s.follow(t, s.apply(t, 1))
	s.until(t, f, "available", workload.Status.Available)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	if st, err := f.Next(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("Next() = %+v, %v; want the context's end", st, err)
	}
}

func remove(t *testing.T, s Subject) {
	one, two := s.apply(t, 1), s.apply(t, 2)
	for range 2 {
		if err := s.Cluster.Remove(t.Context(), s.Service, one); err != nil {
			t.Fatalf("Remove(version 1) = %v", err)
		}
	}
	s.want(t, two)
	s.apply(t, 1)
	s.want(t, one, two)
}

func keeps(t *testing.T, s Subject) {
	v := workload.Version{Name: "shopfront", Deployment: "legacy-web", Image: "podlet:old", Replicas: 1}
	s.Place(t, v)
	if err := s.Cluster.Remove(t.Context(), s.Service, v); err != nil {
		t.Errorf("Remove(adopted) = %v; want it left alone without an error", err)
	}
	// Neither does a caller's belief that it is ours make it so.
	claimed := v
	claimed.Ours, claimed.Number = true, 4
	if err := s.Cluster.Remove(t.Context(), s.Service, claimed); err != nil {
		t.Errorf("Remove(adopted, claimed as ours) = %v; want it left alone without an error", err)
	}
	got, err := s.Cluster.Adopt(t.Context(), s.Service, "shopfront")
	if got.Selector = ""; err != nil || got != v {
		t.Errorf("Adopt() afterwards = %+v, %v; want %+v", got, err, v)
	}
}

func tell(t *testing.T, s Subject) {
	v := s.apply(t, 1)
	note := workload.Note{On: v.Deployment, Reason: "WeightShifted", Message: "canary checkout-1 gets 10 %"}
	if err := s.Cluster.Tell(t.Context(), s.Service, note); err != nil {
		t.Errorf("Tell(%+v) = %v", note, err)
	}
}
