package kubetest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stepcanary/stepcanary/internal/kube"
)

// A Kubelet plays the node of the namespace's pods: it writes their statuses as
// told. Pods are told apart by their label "app".
type Kubelet struct {
	cluster Cluster
	t       *testing.T

	mu     sync.Mutex
	pods   map[string]*unstructured.Unstructured
	status map[string]map[string]any
	ip     map[string]string
}

// Kubelet starts playing, with every pod un-ready until told otherwise. The node is
// an object alone: no scheduler puts anything else on it.
func (c Cluster) Kubelet(t *testing.T) *Kubelet {
	c.Create(t, Nodes, Object("v1", "Node", c.Namespace, map[string]any{"spec": map[string]any{"unschedulable": true}}))
	t.Cleanup(func() { _ = c.hands.In("", Nodes).Delete(context.Background(), c.Namespace, metav1.DeleteOptions{}) })
	k := &Kubelet{cluster: c, t: t, pods: map[string]*unstructured.Unstructured{}, status: map[string]map[string]any{}, ip: map[string]string{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.hands.Watch(ctx, kube.Selection{Namespace: c.Namespace, Resource: kube.Pods}, func(o kube.Objects) bool {
			for _, pod := range o {
				k.meet(pod)
			}
			return false
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		// Nobody else can confirm the end of pods on this node, and their namespace would stay.
		now := int64(0)
		_ = c.hands.In(c.Namespace, kube.Pods).DeleteCollection(context.Background(), metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{})
	})
	return k
}

func (k *Kubelet) meet(pod *unstructured.Unstructured) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := pod.GetName()
	if pod.GetDeletionTimestamp() != nil {
		k.bury(name)
		return
	}
	if k.pods[name] == nil {
		k.bind(name)
		k.pods[name] = pod
		k.ip[name] = fmt.Sprintf("10.9.0.%d", len(k.pods))
		k.write(pod)
	}
}

// bind puts the pod on the node, without which no EndpointSlice names it.
func (k *Kubelet) bind(name string) {
	binding := Object("v1", "Binding", name, map[string]any{
		"target": map[string]any{"apiVersion": "v1", "kind": "Node", "name": k.cluster.Namespace},
	})
	_, err := k.cluster.hands.In(k.cluster.Namespace, kube.Pods).Create(context.Background(), binding, metav1.CreateOptions{}, "binding")
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		k.t.Errorf("bind pod %s: %v", name, err)
	}
}

// bury confirms that a deleted pod's containers are gone.
func (k *Kubelet) bury(name string) {
	delete(k.pods, name)
	now := int64(0)
	err := k.cluster.hands.In(k.cluster.Namespace, kube.Pods).Delete(context.Background(), name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	if err != nil && !apierrors.IsNotFound(err) {
		k.t.Errorf("delete pod %s: %v", name, err)
	}
}

// Set makes the status of the pods labelled app, those to come too.
func (k *Kubelet) Set(app string, status map[string]any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status[app] = status
	for _, pod := range k.pods {
		if pod.GetLabels()["app"] == app {
			k.write(pod)
		}
	}
}

func (k *Kubelet) write(pod *unstructured.Unstructured) {
	status := maps.Clone(k.status[pod.GetLabels()["app"]])
	if status == nil {
		status = Unready()
	}
	ip := k.ip[pod.GetName()]
	status["podIP"], status["podIPs"] = ip, []any{map[string]any{"ip": ip}}
	body, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		k.t.Error(err)
		return
	}
	_, err = k.cluster.hands.In(k.cluster.Namespace, kube.Pods).Patch(context.Background(), pod.GetName(), types.MergePatchType, body, metav1.PatchOptions{}, "status")
	if err != nil && !apierrors.IsNotFound(err) {
		k.t.Errorf("status of pod %s: %v", pod.GetName(), err)
	}
}

func podStatus(ready bool, state map[string]any, restarts int, last map[string]any) map[string]any {
	is := map[bool]string{true: "True", false: "False"}[ready]
	at := metav1.Now().UTC().Format("2006-01-02T15:04:05Z")
	condition := func(kind, status string) any {
		return map[string]any{"type": kind, "status": status, "lastTransitionTime": at}
	}
	c := map[string]any{
		"name": "app", "image": "x", "imageID": "x", "ready": ready, "restartCount": restarts, "state": state, "lastState": last,
	}
	return map[string]any{
		"phase":             "Running",
		"conditions":        []any{condition("PodScheduled", "True"), condition("ContainersReady", is), condition("Ready", is)},
		"containerStatuses": []any{c},
	}
}

func running() map[string]any { return map[string]any{"running": map[string]any{}} }

// Ready is a running, ready pod.
func Ready() map[string]any { return podStatus(true, running(), 0, nil) }

// Unready is a running pod that is not ready.
func Unready() map[string]any { return podStatus(false, running(), 0, nil) }

// Waiting is a pod whose container waits for the reason.
func Waiting(reason, message string, restarts int, last map[string]any) map[string]any {
	return podStatus(false, map[string]any{"waiting": map[string]any{"reason": reason, "message": message}}, restarts, last)
}

// Exited is a state of a container that ended.
func Exited(code int, reason string) map[string]any {
	return map[string]any{"terminated": map[string]any{"exitCode": code, "reason": reason}}
}

// Restarted is a running pod whose container was started anew.
func Restarted(ready bool, restarts int, last map[string]any) map[string]any {
	return podStatus(ready, running(), restarts, last)
}
