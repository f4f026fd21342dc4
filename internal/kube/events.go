package kube

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stepcanary/stepcanary/internal/workload"
)

// longestNote is the API's limit for an event's text, in bytes.
const longestNote = 1024

// Tell writes an event about the Deployment, which `kubectl events` and
// `kubectl describe deployment` show.
func (c *Cluster) Tell(ctx context.Context, s workload.Service, n workload.Note) error {
	op := fmt.Sprintf("tell %s of Deployment %s/%s", n.Reason, s.Namespace, n.On)
	uid, ok := c.client.known(s.Namespace, n.On)
	if !ok {
		// kubectl describe finds events by the object's UID alone.
		d, err := c.client.Get(ctx, Deployments, s.Namespace, n.On)
		if err != nil {
			return Fault(op, err)
		}
		uid = d.GetUID()
		c.client.know(s.Namespace, n.On, uid)
	}
	kind := "Normal"
	if n.Warning {
		kind = "Warning"
	}
	now := time.Now().UTC()
	ctx, cancel := Within(ctx)
	defer cancel()
	_, err := c.client.In(s.Namespace, Events).Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "events.k8s.io/v1",
		"kind":       "Event",
		"metadata":   map[string]any{"name": fmt.Sprintf("%s.%x", n.On, now.UnixNano()), "namespace": s.Namespace},
		"eventTime":  now.Format(metav1.RFC3339Micro),
		"type":       kind,
		"reason":     n.Reason,
		"action":     "Rollout",
		"note":       cut(n.Message, longestNote),
		"regarding": map[string]any{
			"apiVersion": "apps/v1", "kind": "Deployment", "namespace": s.Namespace, "name": n.On, "uid": string(uid),
		},
		"reportingController": workload.Manager,
		"reportingInstance":   workload.Manager,
	}}, metav1.CreateOptions{FieldManager: workload.Manager})
	return Fault(op, err)
}

// cut shortens text to so many bytes, at the end of a character.
func cut(text string, limit int) string {
	const more = "…"
	if len(text) <= limit {
		return text
	}
	end := limit - len(more)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + more
}
