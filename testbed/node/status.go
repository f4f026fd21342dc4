package node

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// writeStatus writes the pod's status whenever it has changed, until ctx ends
// or the pod is to end and everything has been written.
func (p *pod) writeStatus(ctx context.Context) {
	var last corev1.PodStatus
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
		}
		status := p.status()
		if reflect.DeepEqual(status, last) {
			continue
		}
		err := patchStatus(ctx, p.node.client, p.object(), status)
		switch {
		case err == nil:
			last = status
		case apierrors.IsNotFound(err), apierrors.IsConflict(err): // deleted, perhaps replaced
		default:
			p.touch()
			pause(ctx, retryEvery)
		}
	}
}

// patchStatus writes a pod's status; conditions of other writers stay. A pod
// of the same name that came later is not touched.
func patchStatus(ctx context.Context, client kubernetes.Interface, p *corev1.Pod, status corev1.PodStatus) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.UID}, "status": status})
	if err != nil {
		return err
	}
	_, err = client.CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// status puts together what the API shall show of the pod.
func (p *pod) status() corev1.PodStatus {
	object := p.object()
	s := corev1.PodStatus{
		ObservedGeneration: object.Generation,
		HostIP:             p.node.layout.Address(),
		HostIPs:            []corev1.HostIP{{IP: p.node.layout.Address()}},
		PodIP:              p.address,
		PodIPs:             []corev1.PodIP{{IP: p.address}},
		StartTime:          &p.started,
		QOSClass:           object.Status.QOSClass,
	}
	initialised := true
	for _, c := range p.inits {
		cs := c.status()
		s.InitContainerStatuses = append(s.InitContainerStatuses, cs)
		done := cs.State.Terminated != nil && cs.State.Terminated.ExitCode == 0
		initialised = initialised && (done || c.sidecar() && *cs.Started)
	}
	var unready []string
	for _, c := range p.containers {
		cs := c.status()
		s.ContainerStatuses = append(s.ContainerStatuses, cs)
		if !cs.Ready {
			unready = append(unready, cs.Name)
		}
	}
	s.Phase = phase(object.Spec.RestartPolicy, initialised, s)
	p.conditions(&s, object, initialised, unready)
	return s
}

// conditions adds the conditions that a kubelet keeps.
func (p *pod) conditions(s *corev1.PodStatus, object *corev1.Pod, initialised bool, unready []string) {
	set := func(kind corev1.PodConditionType, ok bool, reason, message string) {
		c := corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, ObservedGeneration: object.Generation}
		if !ok {
			c.Status, c.Reason, c.Message = corev1.ConditionFalse, reason, message
		}
		c.LastTransitionTime = p.transition(c)
		s.Conditions = append(s.Conditions, c)
	}
	reason, message := "ContainersNotReady", "containers with unready status: ["+strings.Join(unready, " ")+"]"
	if s.Phase == corev1.PodSucceeded {
		reason, message = "PodCompleted", ""
	}
	contained := len(unready) == 0 && initialised
	ready, gate := contained, ""
	if contained {
		if gate = closedGate(object); gate != "" {
			ready, reason, message = false, "ReadinessGatesNotReady", "the status of pod readiness gate "+gate+" is not \"True\""
		}
	}
	set(corev1.PodReadyToStartContainers, true, "", "")
	set(corev1.PodInitialized, initialised, "ContainersNotInitialized", "containers with incomplete status")
	set(corev1.PodReady, ready, reason, message)
	set(corev1.ContainersReady, contained, reason, message)
	set(corev1.PodScheduled, true, "", "")
}

// transition is when a condition last changed: when it did not change now, the
// time that stands in the API already.
func (p *pod) transition(c corev1.PodCondition) metav1.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turned == nil {
		p.turned = map[corev1.PodConditionType]corev1.PodCondition{}
	}
	before, ok := p.turned[c.Type]
	if !ok || before.Status != c.Status {
		c.LastTransitionTime = metav1.Now()
		p.turned[c.Type] = c
		return c.LastTransitionTime
	}
	return before.LastTransitionTime
}

// closedGate is the first readiness gate that is not open yet.
func closedGate(object *corev1.Pod) string {
	for _, g := range object.Spec.ReadinessGates {
		open := false
		for _, c := range object.Status.Conditions {
			open = open || c.Type == g.ConditionType && c.Status == corev1.ConditionTrue
		}
		if !open {
			return string(g.ConditionType)
		}
	}
	return ""
}

// phase sums the containers' states up by the rules of the pod lifecycle.
func phase(policy corev1.RestartPolicy, initialised bool, s corev1.PodStatus) corev1.PodPhase {
	if !initialised {
		for _, c := range s.InitContainerStatuses {
			if policy == corev1.RestartPolicyNever && c.State.Terminated != nil && c.State.Terminated.ExitCode != 0 {
				return corev1.PodFailed
			}
		}
		return corev1.PodPending
	}
	var running, waiting, stopped, succeeded int
	for _, c := range s.ContainerStatuses {
		switch {
		case c.State.Running != nil:
			running++
		case c.State.Terminated != nil:
			stopped++
			if c.State.Terminated.ExitCode == 0 {
				succeeded++
			}
		case c.LastTerminationState.Terminated != nil:
			stopped++
		default:
			waiting++
		}
	}
	switch {
	case waiting > 0:
		return corev1.PodPending
	case running > 0, policy == corev1.RestartPolicyAlways:
		return corev1.PodRunning
	case succeeded == stopped:
		return corev1.PodSucceeded
	case policy == corev1.RestartPolicyNever:
		return corev1.PodFailed
	}
	return corev1.PodRunning
}

// status is what the API shall show of the container.
func (c *container) status() corev1.ContainerStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	started := c.started
	s := corev1.ContainerStatus{
		Name:                 c.spec.Name,
		Image:                c.spec.Image,
		ImageID:              c.imageID,
		State:                c.state,
		LastTerminationState: c.last,
		RestartCount:         c.restarts,
		Started:              &started,
		Ready:                c.ready && c.state.Running != nil,
	}
	if c.imageID != "" {
		s.ContainerID = c.id()
	}
	if c.init && !c.sidecar() {
		s.Ready = c.state.Terminated != nil && c.state.Terminated.ExitCode == 0
	}
	return s
}
