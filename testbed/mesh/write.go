package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// A writer brings decisions to the API server.
type writer struct {
	typed   kubernetes.Interface
	dynamic dynamic.Interface
	said    map[types.UID]string // last refusal of each object, to say it once
}

var plurals = map[string]schema.GroupVersionResource{
	"Mesh": meshes, "VirtualNode": virtualNodes, "VirtualRouter": virtualRouters, "VirtualService": virtualServices,
}

// write does all that it can; objects that are gone, or newer than the
// decision, are left to the next look.
func (w *writer) write(ctx context.Context, d decision) error {
	var failed []error
	note := func(h *header, what string, err error) {
		if err != nil && !apierrors.IsNotFound(err) {
			failed = append(failed, fmt.Errorf("%s of %s %s: %w", what, h.Kind, h.key(), err))
		}
	}
	for h, lacking := range d.adopt {
		if lacking {
			note(h, "finalizer", w.finalizers(ctx, h, append(slices.Clone(h.Finalizers), finalizer)))
		}
	}
	for h, want := range d.status {
		delete(w.said, h.UID)
		if stale(h.Status, want, time.Now()) {
			note(h, "status", w.patch(ctx, h, map[string]any{"status": want}, "status"))
		}
	}
	for h := range d.free {
		note(h, "release", w.finalizers(ctx, h, slices.DeleteFunc(slices.Clone(h.Finalizers), func(f string) bool { return f == finalizer })))
	}
	for h, why := range d.refuse {
		note(h, "event", w.event(ctx, h, why.Error()))
	}
	return errors.Join(failed...)
}

func (w *writer) patch(ctx context.Context, h *header, change map[string]any, sub ...string) error {
	b, err := json.Marshal(change)
	if err != nil {
		return err
	}
	var client dynamic.ResourceInterface = w.dynamic.Resource(plurals[h.Kind])
	if h.Namespace != "" {
		client = w.dynamic.Resource(plurals[h.Kind]).Namespace(h.Namespace)
	}
	_, err = client.Patch(ctx, h.Name, types.MergePatchType, b, metav1.PatchOptions{FieldManager: "appmesh-controller"}, sub...)
	return err
}

// finalizers writes the whole list, and so only over the version that was read.
func (w *writer) finalizers(ctx context.Context, h *header, list []string) error {
	return w.patch(ctx, h, map[string]any{"metadata": map[string]any{"finalizers": list, "resourceVersion": h.ResourceVersion}})
}

// event tells why an object was not taken up, once for each reason.
func (w *writer) event(ctx context.Context, h *header, why string) error {
	said := fmt.Sprintf("%d %s", h.Generation, why)
	if w.said[h.UID] == said {
		return nil
	}
	now := metav1.Now()
	_, err := w.typed.CoreV1().Events(h.Namespace).Create(ctx, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: fmt.Sprintf("%s.%x", h.Name, now.UnixNano()), Namespace: h.Namespace},
		InvolvedObject: corev1.ObjectReference{APIVersion: h.APIVersion, Kind: h.Kind, Namespace: h.Namespace, Name: h.Name, UID: h.UID, ResourceVersion: h.ResourceVersion},
		Type:           corev1.EventTypeWarning, Reason: "ReconcileError", Message: why,
		Source: corev1.EventSource{Component: "mesh-stand-in"}, FirstTimestamp: now, LastTimestamp: now, Count: 1,
	}, metav1.CreateOptions{})
	if err == nil {
		w.said[h.UID] = said
	}
	return err
}
