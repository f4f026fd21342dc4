package kube

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stepcanary/stepcanary/internal/workload"
)

// A pod is the part of a Pod that is read here.
type pod struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Status   struct {
		Phase                 string      `json:"phase"`
		Reason                string      `json:"reason"`
		Message               string      `json:"message"`
		Conditions            []condition `json:"conditions"`
		ContainerStatuses     []container `json:"containerStatuses"`
		InitContainerStatuses []container `json:"initContainerStatuses"`
	} `json:"status"`
}

type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

type container struct {
	Name         string         `json:"name"`
	Ready        bool           `json:"ready"`
	RestartCount int            `json:"restartCount"`
	State        containerState `json:"state"`
	LastState    containerState `json:"lastState"`
}

type containerState struct {
	Waiting *struct {
		Reason  string `json:"reason"`
		Message string `json:"message"`
	} `json:"waiting"`
	Terminated *struct {
		ExitCode int    `json:"exitCode"`
		Signal   int    `json:"signal"`
		Reason   string `json:"reason"`
	} `json:"terminated"`
}

// An endpointSlice is the part of an EndpointSlice that is read here.
type endpointSlice struct {
	Endpoints []endpoint `json:"endpoints"`
}

type endpoint struct {
	Addresses  []string `json:"addresses"`
	Conditions struct {
		Ready       *bool `json:"ready"`
		Terminating bool  `json:"terminating"`
	} `json:"conditions"`
	TargetRef *struct {
		Kind string    `json:"kind"`
		Name string    `json:"name"`
		UID  types.UID `json:"uid"`
	} `json:"targetRef"`
}

// String names the endpoint for people: "Pod db-0", or its addresses where a person wrote it.
func (e endpoint) String() string {
	if t := e.TargetRef; t != nil {
		return t.Kind + " " + t.Name
	}
	return strings.Join(e.Addresses, ", ")
}

// A picture is everything that is known of a version at one moment.
type picture struct {
	name       string // of the Deployment
	deployment *deployment
	pods       []pod
	slices     []endpointSlice
}

// A memory is what a follower keeps between pictures.
type memory struct {
	// restarts is how often each container had been started anew when first seen.
	restarts map[string]int
	// looping are the containers that were seen in a crash loop: between two crashes such
	// a container runs, and may even be ready for a moment.
	looping map[string]bool
	// pulls are the containers whose image cannot be pulled at present.
	pulls map[string]pulling
	// served is set once a pod was ready.
	served bool
}

func newMemory() *memory {
	return &memory{restarts: map[string]int{}, looping: map[string]bool{}, pulls: map[string]pulling{}}
}

// A pulling is how far the attempts to pull an image went.
type pulling struct {
	since time.Time
	// paused is set after one failed attempt, and again after the next.
	paused, again bool
}

// A trouble is something that is wrong; the worst is told.
type trouble struct {
	fatal bool
	text  string
}

const (
	// tooManyRestarts is how many restarts since we follow make a crash loop.
	tooManyRestarts = 2
	// pullGrace is how long failing to pull an image may last, where the attempts are not
	// seen one by one. The kubelet's second attempt comes after about 10 s.
	pullGrace = 15 * time.Second
)

// status judges a picture.
func (m *memory) status(p picture) workload.Status {
	if p.deployment == nil {
		return workload.Status{Problem: fmt.Sprintf("Deployment %s does not exist", p.name), Fatal: true}
	}
	s := workload.Status{Desired: p.deployment.replicas(), Endpoints: p.endpoints()}
	var troubles []trouble
	for _, pod := range p.pods {
		if pod.ready() {
			s.Ready++
		}
	}
	for _, pod := range p.pods {
		// A pod that has ended is kept until somebody clears it away, beside the one in its place.
		if pod.ended() && s.Ready >= s.Desired {
			continue
		}
		if t := m.pod(pod); t.text != "" {
			troubles = append(troubles, t)
		}
	}
	if t := p.deployment.trouble(); t.text != "" {
		troubles = append(troubles, t)
	}
	m.served = m.served || s.Ready > 0 || p.deployment.completed()
	if s.Ready == 0 && s.Desired > 0 && m.served && len(troubles) == 0 {
		troubles = append(troubles, trouble{text: "no pod is ready, after some were"})
	}
	if len(troubles) > 0 {
		worst := slices.MinFunc(troubles, func(a, b trouble) int {
			if a.fatal != b.fatal {
				return map[bool]int{true: -1, false: 1}[a.fatal]
			}
			return cmp.Compare(a.text, b.text)
		})
		s.Problem, s.Fatal = worst.text, worst.fatal
	}
	return s
}

// endpoints counts the pods of the version that are behind its Service. A pod that
// is named in several slices, one for each family of addresses, counts once.
func (p picture) endpoints() int {
	ours := map[types.UID]bool{}
	for _, pod := range p.pods {
		ours[pod.Metadata.UID] = true
	}
	ready := map[types.UID]bool{}
	for _, slice := range p.slices {
		for _, e := range slice.Endpoints {
			if e.TargetRef != nil && ours[e.TargetRef.UID] && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
				ready[e.TargetRef.UID] = true
			}
		}
	}
	return len(ready)
}

func (p pod) ready() bool {
	return p.Metadata.DeletionTimestamp == nil && p.condition("Ready").Status == "True"
}

// ended tells that the pod will never run again.
func (p pod) ended() bool { return p.Status.Phase == "Failed" || p.Status.Phase == "Succeeded" }

func (p pod) condition(kind string) condition {
	for _, c := range p.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return condition{}
}

// pod finds what is wrong with one pod.
func (m *memory) pod(p pod) trouble {
	if p.Metadata.DeletionTimestamp != nil {
		return trouble{}
	}
	if p.Status.Phase == "Failed" {
		return trouble{text: fmt.Sprintf("pod %s failed: %s: %s", p.Metadata.Name, p.Status.Reason, p.Status.Message)}
	}
	if c := p.condition("PodScheduled"); c.Status == "False" {
		return trouble{text: fmt.Sprintf("%s: pod %s: %s", c.Reason, p.Metadata.Name, c.Message)}
	}
	var first trouble
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		t := m.container(string(p.Metadata.UID)+"/"+c.Name, c)
		if t.fatal {
			return t
		}
		if first.text == "" {
			first = t
		}
	}
	return first
}

// container finds what is wrong with one container. The key names it for ever.
func (m *memory) container(key string, c container) trouble {
	if _, seen := m.restarts[key]; !seen {
		m.restarts[key] = c.RestartCount
	}
	if w := c.State.Waiting; w != nil {
		switch w.Reason {
		case "CrashLoopBackOff":
			m.looping[key] = true
		case "InvalidImageName", "ErrImageNeverPull":
			return trouble{true, fmt.Sprintf("%s: container %s: %s", w.Reason, c.Name, w.Message)}
		case "ErrImagePull", "ImagePullBackOff":
			return m.pull(key, c.Name, w.Reason, w.Message)
		case "ContainerCreating", "PodInitializing", "":
		default: // CreateContainerConfigError and its like
			return trouble{false, fmt.Sprintf("%s: container %s: %s", w.Reason, c.Name, w.Message)}
		}
	}
	delete(m.pulls, key)
	since := c.RestartCount - m.restarts[key]
	if m.looping[key] || since >= tooManyRestarts {
		m.looping[key] = true
		return trouble{true, fmt.Sprintf("CrashLoopBackOff: container %s: %srestarted %s", c.Name, c.exit(), times(c.RestartCount))}
	}
	if !c.Ready && (since > 0 || c.State.failed()) {
		return trouble{false, fmt.Sprintf("container %s: %srestarted %s", c.Name, c.exit(), times(c.RestartCount))}
	}
	return trouble{}
}

// pull judges a container whose image could not be pulled. The kubelet says
// ErrImagePull at each attempt and ImagePullBackOff in the pause after it; a
// registry's hiccup is over by the second attempt.
func (m *memory) pull(key, name, reason, message string) trouble {
	p := m.pulls[key]
	if p.since.IsZero() {
		p.since = time.Now()
	}
	if reason == "ErrImagePull" {
		p.again = p.again || p.paused
	} else {
		p.paused = true
	}
	m.pulls[key] = p
	return trouble{p.again || time.Since(p.since) >= pullGrace, fmt.Sprintf("%s: container %s: %s", reason, name, message)}
}

func (s containerState) failed() bool { return s.Terminated != nil && s.Terminated.ExitCode != 0 }

// exit says how the container last ended.
func (c container) exit() string {
	t := c.State.Terminated
	if t == nil {
		t = c.LastState.Terminated
	}
	switch {
	case t == nil:
		return ""
	case t.Reason != "" && t.Reason != "Error" && t.Reason != "Completed":
		return fmt.Sprintf("%s, exit code %d, ", t.Reason, t.ExitCode)
	}
	return fmt.Sprintf("exit code %d, ", t.ExitCode)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// trouble is what the Deployment itself reports.
func (d deployment) trouble() trouble {
	for _, c := range d.Status.Conditions {
		if c.Type == "Progressing" && c.Reason == "ProgressDeadlineExceeded" {
			return trouble{true, fmt.Sprintf("%s: %s", c.Reason, c.Message)}
		}
	}
	for _, c := range d.Status.Conditions {
		if c.Type == "ReplicaFailure" && c.Status == "True" {
			return trouble{false, fmt.Sprintf("%s: %s", c.Reason, c.Message)}
		}
	}
	return trouble{}
}

// completed tells whether the Deployment was once as it was asked for.
func (d deployment) completed() bool {
	for _, c := range d.Status.Conditions {
		if c.Type == "Progressing" && c.Reason == "NewReplicaSetAvailable" {
			return true
		}
	}
	return false
}
