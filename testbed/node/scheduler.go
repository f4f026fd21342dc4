package node

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// A scheduler binds pods to the one node there is, or says in a
// FailedScheduling event and in the pod's PodScheduled condition why not.
type scheduler struct {
	client kubernetes.Interface
	events record.EventRecorder
	pods   corelisters.PodLister
}

// schedule tries to bind the pod.
func (s *scheduler) schedule(ctx context.Context, p *corev1.Pod) {
	if p.Spec.SchedulerName != corev1.DefaultSchedulerName || len(p.Spec.SchedulingGates) > 0 {
		return
	}
	node, err := s.client.CoreV1().Nodes().Get(ctx, Name, metav1.GetOptions{})
	if err != nil {
		s.again(ctx, p)
		return
	}
	if why := s.unfit(node, p); why != "" {
		s.refuse(ctx, p, "0/1 nodes are available: 1 "+why+".")
		return
	}
	err = s.client.CoreV1().Pods(p.Namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, UID: p.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: Name},
	}, metav1.CreateOptions{})
	switch {
	case err == nil:
		s.events.Eventf(p, corev1.EventTypeNormal, "Scheduled", "Successfully assigned %s/%s to %s", p.Namespace, p.Name, Name)
	case apierrors.IsConflict(err), apierrors.IsNotFound(err): // bound already, or gone
	default:
		s.again(ctx, p)
	}
}

// unfit says why the pod cannot run on the node; empty when it can.
func (s *scheduler) unfit(node *corev1.Node, p *corev1.Pod) string {
	if node.Spec.Unschedulable {
		return "node(s) were unschedulable"
	}
	if match, err := nodeaffinity.GetRequiredNodeAffinity(p).Match(node); err != nil || !match {
		return "node(s) didn't match Pod's node affinity/selector"
	}
	others, err := s.pods.List(labels.Everything())
	if err != nil {
		return err.Error()
	}
	used, wanted := corev1.ResourceList{}, requests(p)
	for _, o := range others {
		if o.Spec.NodeName == Name && !finished(o) {
			add(used, requests(o))
		}
	}
	for name, want := range wanted {
		free := node.Status.Allocatable[name].DeepCopy()
		free.Sub(used[name])
		if want.Cmp(free) > 0 {
			return "Insufficient " + string(name)
		}
	}
	return ""
}

// refuse records why the pod stays pending. The pod is tried again when
// another pod has gone.
func (s *scheduler) refuse(ctx context.Context, p *corev1.Pod, why string) {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Message == why {
			return // said already
		}
	}
	s.events.Event(p, corev1.EventTypeWarning, "FailedScheduling", why)
	status := corev1.PodStatus{Conditions: []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
		Reason: corev1.PodReasonUnschedulable, Message: why, LastTransitionTime: metav1.Now(),
	}}}
	if err := patchStatus(ctx, s.client, p, status); err != nil {
		s.again(ctx, p)
	}
}

// retry tries every pending pod again.
func (s *scheduler) retry(ctx context.Context) {
	pods, err := s.pods.List(labels.Everything())
	if err != nil || ctx.Err() != nil {
		return
	}
	for _, p := range pods {
		if p.Spec.NodeName == "" && p.DeletionTimestamp == nil {
			go s.schedule(ctx, p)
		}
	}
}

// again tries once more after a while: the API server did not answer.
func (s *scheduler) again(ctx context.Context, p *corev1.Pod) {
	select {
	case <-ctx.Done():
	case <-time.After(retryEvery):
		if latest, err := s.pods.Pods(p.Namespace).Get(p.Name); err == nil && latest.UID == p.UID && latest.Spec.NodeName == "" {
			go s.schedule(ctx, latest)
		}
	}
}

// requests adds up what the pod's containers ask for.
func requests(p *corev1.Pod) corev1.ResourceList {
	sum := corev1.ResourceList{}
	for i := range p.Spec.Containers {
		add(sum, p.Spec.Containers[i].Resources.Requests)
	}
	return sum
}

func add(sum, more corev1.ResourceList) {
	for name, q := range more {
		total := sum[name]
		total.Add(q)
		sum[name] = total
	}
}
