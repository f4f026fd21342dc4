package node

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestPhase(t *testing.T) {
	running := corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	waiting := corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}}
	ended := func(code int32) corev1.ContainerStatus {
		return corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}}
	}
	backing := waiting
	backing.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1}
	for name, tt := range map[string]struct {
		policy      corev1.RestartPolicy
		initialised bool
		containers  []corev1.ContainerStatus
		inits       []corev1.ContainerStatus
		want        corev1.PodPhase
	}{
		"init containers not done":                {corev1.RestartPolicyAlways, false, []corev1.ContainerStatus{waiting}, nil, corev1.PodPending},
		"an init container failed for good":       {corev1.RestartPolicyNever, false, []corev1.ContainerStatus{waiting}, []corev1.ContainerStatus{ended(1)}, corev1.PodFailed},
		"one never started":                       {corev1.RestartPolicyAlways, true, []corev1.ContainerStatus{running, waiting}, nil, corev1.PodPending},
		"all run":                                 {corev1.RestartPolicyAlways, true, []corev1.ContainerStatus{running, running}, nil, corev1.PodRunning},
		"a crash loop is running":                 {corev1.RestartPolicyAlways, true, []corev1.ContainerStatus{backing}, nil, corev1.PodRunning},
		"ended well, to be restarted":             {corev1.RestartPolicyAlways, true, []corev1.ContainerStatus{ended(0)}, nil, corev1.PodRunning},
		"ended well for good":                     {corev1.RestartPolicyOnFailure, true, []corev1.ContainerStatus{ended(0), ended(0)}, nil, corev1.PodSucceeded},
		"ended badly, to be restarted":            {corev1.RestartPolicyOnFailure, true, []corev1.ContainerStatus{ended(0), ended(1)}, nil, corev1.PodRunning},
		"ended badly for good":                    {corev1.RestartPolicyNever, true, []corev1.ContainerStatus{ended(0), ended(1)}, nil, corev1.PodFailed},
		"one has ended for good, another one not": {corev1.RestartPolicyNever, true, []corev1.ContainerStatus{ended(1), running}, nil, corev1.PodRunning},
	} {
		got := phase(tt.policy, tt.initialised, corev1.PodStatus{ContainerStatuses: tt.containers, InitContainerStatuses: tt.inits})
		if got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
