package kube

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stepcanary/stepcanary/internal/workload"
)

// parse reads a part of an object, written as JSON.
func parse[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// The pods of these tests have the UID "a", "b" and so on.
func podOf(t *testing.T, uid, status string) pod {
	p := parse[pod](t, fmt.Sprintf(`{"status": %s}`, status))
	p.Metadata.UID, p.Metadata.Name = types.UID(uid), "pod-"+uid
	return p
}

const (
	isReady = `{"conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [{"name": "app", "ready": true, "state": {}}]}`
	starts  = `{"containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "ContainerCreating"}}}]}`
)

func waits(reason string, restarts int) string {
	return fmt.Sprintf(`{"containerStatuses": [{"name": "app", "restartCount": %d, "state": {"waiting": {"reason": %q, "message": "why"}},
		"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}`, restarts, reason)
}

func runs(ready bool, restarts int) string {
	return fmt.Sprintf(`{"conditions": [{"type": "Ready", "status": %q}], "containerStatuses": [{"name": "app", "ready": %v, "restartCount": %d,
		"state": {"running": {}}, "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}}}]}`,
		map[bool]string{true: "True", false: "False"}[ready], ready, restarts)
}

const two = `{"spec": {"replicas": 2}}`

func endpointsOf(uids ...string) string {
	text := ""
	for i, uid := range uids {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(`{"targetRef": {"uid": %q}, "conditions": {"ready": true}}`, uid)
	}
	return `{"endpoints": [` + text + `]}`
}

// A pod that is told to go answers for a while, and is nobody to count on.
func TestAPodOnItsWayOutIsNotReady(t *testing.T) {
	d := parse[deployment](t, two)
	p := picture{name: "checkout-1", deployment: &d, pods: []pod{podOf(t, "a", isReady), podOf(t, "b", isReady)}}
	now := metav1.Now()
	p.pods[1].Metadata.DeletionTimestamp = &now
	if st := newMemory().status(p); st.Ready != 1 {
		t.Errorf("%+v; want one ready", st)
	}
}

func TestStatus(t *testing.T) {
	for name, tt := range map[string]struct {
		deployment string
		pods       map[string]string
		slices     []string
		want       workload.Status
	}{
		"no Deployment": {"", nil, nil, workload.Status{Problem: "Deployment checkout-1 does not exist", Fatal: true}},
		"replicas are one where nothing is said": {`{}`, map[string]string{"a": isReady}, []string{endpointsOf("a")},
			workload.Status{Desired: 1, Ready: 1, Endpoints: 1}},
		"starting is no problem": {two, map[string]string{"a": starts, "b": starts}, nil, workload.Status{Desired: 2}},
		"a pod in two slices, one for each family, counts once": {two, map[string]string{"a": isReady, "b": isReady},
			[]string{endpointsOf("a", "b"), endpointsOf("a", "b")}, workload.Status{Desired: 2, Ready: 2, Endpoints: 2}},
		"another version's pods behind the Service do not count": {two, map[string]string{"a": isReady, "b": isReady},
			[]string{endpointsOf("a", "x", "y")}, workload.Status{Desired: 2, Ready: 2, Endpoints: 1}},
		"an endpoint that is not ready does not count": {two, map[string]string{"a": isReady},
			[]string{`{"endpoints": [{"targetRef": {"uid": "a"}, "conditions": {"ready": false}}]}`}, workload.Status{Desired: 2, Ready: 1}},
		"a crash loop": {two, map[string]string{"a": isReady, "b": waits("CrashLoopBackOff", 4)}, nil,
			workload.Status{Desired: 2, Ready: 1, Fatal: true, Problem: "CrashLoopBackOff: container app: OOMKilled, exit code 137, restarted 4 times"}},
		"a name that is no image": {two, map[string]string{"a": waits("InvalidImageName", 0)}, nil,
			workload.Status{Desired: 2, Fatal: true, Problem: "InvalidImageName: container app: why"}},
		"one failed pull may be a hiccup": {two, map[string]string{"a": waits("ErrImagePull", 0)}, nil,
			workload.Status{Desired: 2, Problem: "ErrImagePull: container app: why"}},
		"a missing Secret may come": {two, map[string]string{"a": waits("CreateContainerConfigError", 0)}, nil,
			workload.Status{Desired: 2, Problem: "CreateContainerConfigError: container app: why"}},
		"no room": {two, map[string]string{"a": `{"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]}`}, nil,
			workload.Status{Desired: 2, Problem: "Unschedulable: pod pod-a: 0/3 nodes"}},
		"an evicted pod": {two, map[string]string{"a": `{"phase": "Failed", "reason": "Evicted", "message": "low on memory"}`}, nil,
			workload.Status{Desired: 2, Problem: "pod pod-a failed: Evicted: low on memory"}},
		"one with a pod in its place": {two, map[string]string{"a": `{"phase": "Failed", "reason": "Evicted"}`, "b": isReady, "c": isReady}, []string{endpointsOf("b", "c")},
			workload.Status{Desired: 2, Ready: 2, Endpoints: 2}},
		"one whose place is not filled": {two, map[string]string{"a": `{"phase": "Failed", "reason": "Evicted", "message": "x"}`, "b": isReady, "c": starts}, []string{endpointsOf("b")},
			workload.Status{Desired: 2, Ready: 1, Endpoints: 1, Problem: "pod pod-a failed: Evicted: x"}},
		"one that ended in a crash loop, with a pod in its place": {two, map[string]string{"a": `{"phase": "Succeeded", "containerStatuses": [{"name": "app", "restartCount": 4,
			"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}`, "b": isReady, "c": isReady}, []string{endpointsOf("b", "c")},
			workload.Status{Desired: 2, Ready: 2, Endpoints: 2}},
		"one too many that waits is a problem still": {two, map[string]string{"a": waits("CreateContainerConfigError", 0), "b": isReady, "c": isReady}, []string{endpointsOf("b", "c")},
			workload.Status{Desired: 2, Ready: 2, Endpoints: 2, Problem: "CreateContainerConfigError: container app: why"}},
		"an init container loops": {two, map[string]string{"a": `{"initContainerStatuses": [{"name": "migrate", "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
			"lastState": {"terminated": {"exitCode": 2}}}]}`}, nil,
			workload.Status{Desired: 2, Fatal: true, Problem: "CrashLoopBackOff: container migrate: exit code 2, restarted once"}},
		"the progress deadline": {`{"spec": {"replicas": 2}, "status": {"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow"}]}}`, nil, nil,
			workload.Status{Desired: 2, Fatal: true, Problem: "ProgressDeadlineExceeded: too slow"}},
		"pods that may not be made": {`{"spec": {"replicas": 2}, "status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}]}}`, nil, nil,
			workload.Status{Desired: 2, Problem: "FailedCreate: quota"}},
		"it was complete once, and nothing is ready now": {`{"spec": {"replicas": 2}, "status": {"conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]}}`,
			map[string]string{"a": starts}, nil, workload.Status{Desired: 2, Problem: "no pod is ready, after some were"}},
		"scaled to nothing is no problem": {`{"spec": {"replicas": 0}, "status": {"conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]}}`,
			nil, nil, workload.Status{}},
		"what is fatal is told before what is not": {two, map[string]string{"a": waits("CreateContainerConfigError", 0), "b": waits("CrashLoopBackOff", 1)}, nil,
			workload.Status{Desired: 2, Fatal: true, Problem: "CrashLoopBackOff: container app: OOMKilled, exit code 137, restarted once"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := picture{name: "checkout-1"}
			if tt.deployment != "" {
				d := parse[deployment](t, tt.deployment)
				p.deployment = &d
			}
			for uid, status := range tt.pods {
				p.pods = append(p.pods, podOf(t, uid, status))
			}
			for _, s := range tt.slices {
				p.slices = append(p.slices, parse[endpointSlice](t, s))
			}
			if diff := cmp.Diff(tt.want, newMemory().status(p)); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}

// A pod that is going away says nothing about the version any more.
func TestAPodThatGoesAwayIsNoProblem(t *testing.T) {
	p := podOf(t, "a", waits("CrashLoopBackOff", 4))
	p.Metadata = parse[pod](t, `{"metadata": {"uid": "a", "deletionTimestamp": "2026-11-21T09:00:00Z"}}`).Metadata
	d := parse[deployment](t, two)
	if got := newMemory().status(picture{deployment: &d, pods: []pod{p}}); got != (workload.Status{Desired: 2}) {
		t.Errorf("status = %+v; want only what is desired", got)
	}
}

// Each line of a story is one pod's status at a time, and what is made of it.
func TestStories(t *testing.T) {
	type line struct {
		after  time.Duration
		status string
		fatal  bool
		wrong  bool
	}
	for name, story := range map[string][]line{
		"a crash loop stays fatal while the container runs again": {
			{0, runs(true, 0), false, false}, {0, waits("CrashLoopBackOff", 1), true, true}, {0, runs(true, 2), true, true}},
		"two restarts make a crash loop": {
			{0, runs(true, 0), false, false}, {0, runs(false, 1), false, true}, {0, runs(true, 1), false, false}, {0, runs(true, 2), true, true}},
		"restarts before we came do not count": {
			{0, runs(true, 7), false, false}, {0, runs(false, 8), false, true}, {0, runs(true, 8), false, false}},
		"the second attempt to pull fails too": {
			{0, waits("ErrImagePull", 0), false, true}, {0, waits("ErrImagePull", 0), false, true},
			{0, waits("ImagePullBackOff", 0), false, true}, {0, waits("ErrImagePull", 0), true, true}},
		"a pull that keeps failing, with its attempts unseen": {
			{0, waits("ImagePullBackOff", 0), false, true}, {10 * time.Second, waits("ImagePullBackOff", 0), false, true},
			{5 * time.Second, waits("ImagePullBackOff", 0), true, true}},
		"a pull that works the second time": {
			{0, waits("ErrImagePull", 0), false, true}, {0, waits("ImagePullBackOff", 0), false, true}, {0, runs(true, 0), false, false},
			{time.Minute, waits("ErrImagePull", 0), false, true}},
		"a pod that was ready and is not": {
			{0, runs(false, 0), false, false}, {0, runs(true, 0), false, false}, {0, runs(false, 0), false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, d := newMemory(), parse[deployment](t, `{"spec": {"replicas": 1}}`)
				for i, l := range story {
					time.Sleep(l.after)
					got := m.status(picture{deployment: &d, pods: []pod{podOf(t, "a", l.status)}})
					if got.Fatal != l.fatal || (got.Problem != "") != l.wrong {
						t.Errorf("line %d: status %+v; want fatal %v, a problem %v", i+1, got, l.fatal, l.wrong)
					}
				}
			})
		})
	}
}
