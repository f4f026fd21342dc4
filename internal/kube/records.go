package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// Records is a record.Store of Leases.
type Records struct{ client *Client }

// NewRecords gives the store of the client's cluster.
func NewRecords(c *Client) *Records { return &Records{client: c} }

// The annotations of a Lease. Each is left out where its field is empty.
const (
	annotationHolder = "stepcanary.dev/holder"
	annotationNumber = "stepcanary.dev/number"
	annotationStable = "stepcanary.dev/stable"
	annotationCanary = "stepcanary.dev/canary"
	annotationPhase  = "stepcanary.dev/phase"
	annotationRouter = "stepcanary.dev/router"
	annotationRoute  = "stepcanary.dev/route"
	annotationLast   = "stepcanary.dev/last"
	annotationFreeze = "stepcanary.dev/freeze"
	annotationQueue  = "stepcanary.dev/queue"
)

// LeaseName is the name of a service's Lease; for an empty name it is the one that speaks of the
// whole namespace, which no service's can be.
func LeaseName(service string) string {
	if service == "" {
		return workload.Manager
	}
	return workload.Manager + "-" + service
}

// Read gives the record of the service's Lease.
func (r *Records) Read(ctx context.Context, s workload.Service) (record.Record, error) {
	ctx, cancel := Within(ctx)
	defer cancel()
	op := fmt.Sprintf("read Lease %s/%s", s.Namespace, LeaseName(s.Name))
	lease, err := r.client.In(s.Namespace, Leases).Get(ctx, LeaseName(s.Name), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return record.Record{}, nil
	}
	if err != nil {
		return record.Record{}, Fault(op, err)
	}
	rec, err := parseLease(lease)
	if err != nil {
		return record.Record{}, fmt.Errorf("%s: %w: %w", op, fault.Invalid, err)
	}
	return rec, nil
}

// Write creates the Lease, or patches it from the revision that was read. Labels
// and annotations that somebody else put on it stay.
func (r *Records) Write(ctx context.Context, s workload.Service, rec record.Record) (record.Record, error) {
	ctx, cancel := Within(ctx)
	defer cancel()
	op := fmt.Sprintf("write Lease %s/%s", s.Namespace, LeaseName(s.Name))
	lease, err := formatLease(s, rec)
	if err != nil {
		return record.Record{}, fmt.Errorf("%s: %w: %w", op, fault.Invalid, err)
	}
	in := r.client.In(s.Namespace, Leases)
	var stored *unstructured.Unstructured
	if rec.Revision == "" {
		dropNulls(lease)
		stored, err = in.Create(ctx, &unstructured.Unstructured{Object: lease}, metav1.CreateOptions{FieldManager: workload.Manager})
	} else {
		lease["metadata"].(map[string]any)["resourceVersion"] = rec.Revision
		body, err2 := json.Marshal(lease)
		if err2 != nil {
			return record.Record{}, fmt.Errorf("%s: %w", op, err2)
		}
		stored, err = in.Patch(ctx, LeaseName(s.Name), types.MergePatchType, body, metav1.PatchOptions{FieldManager: workload.Manager})
		if apierrors.IsNotFound(err) {
			return record.Record{}, fmt.Errorf("%s: %w: it was deleted since it was read", op, fault.Conflict)
		}
	}
	if err != nil {
		return record.Record{}, Fault(op, err)
	}
	rec.Revision = stored.GetResourceVersion()
	return rec, nil
}

// shortHolder is what kubectl shows as the holder: the execution's name, which is
// the last part of its ARN.
func shortHolder(execution string) string {
	return execution[strings.LastIndex(execution, ":")+1:]
}

// formatLease gives the Lease as a merge patch: null takes a field away.
func formatLease(s workload.Service, rec record.Record) (map[string]any, error) {
	if rec.Epoch < 0 || rec.Epoch > math.MaxInt32 {
		return nil, fmt.Errorf("epoch %d does not fit into leaseTransitions", rec.Epoch)
	}
	annotations, err := formatAnnotations(rec)
	if err != nil {
		return nil, err
	}
	spec := map[string]any{
		"holderIdentity":   orNull(shortHolder(rec.Holder)),
		"leaseTransitions": rec.Epoch,
		"acquireTime":      nil,
		"renewTime":        time.Now().UTC().Format(metav1.RFC3339Micro),
	}
	if !rec.Acquired.IsZero() {
		spec["acquireTime"] = rec.Acquired.UTC().Format(metav1.RFC3339Micro)
	}
	labels := map[string]any{workload.LabelManagedBy: workload.Manager}
	if s.Name != "" {
		labels[workload.LabelService] = s.Name
	}
	return map[string]any{
		"apiVersion": "coordination.k8s.io/v1",
		"kind":       "Lease",
		"metadata": map[string]any{
			"name":        LeaseName(s.Name),
			"namespace":   s.Namespace,
			"labels":      labels,
			"annotations": annotations,
		},
		"spec": spec,
	}, nil
}

func formatAnnotations(rec record.Record) (map[string]any, error) {
	out := map[string]any{
		annotationHolder: orNull(rec.Holder),
		annotationNumber: nil,
		annotationPhase:  orNull(string(rec.Phase)),
		annotationRouter: orNull(rec.Router),
		annotationRoute:  orNull(rec.Route),
	}
	if rec.Number != 0 {
		out[annotationNumber] = strconv.Itoa(rec.Number)
	}
	for key, field := range map[string]struct {
		empty bool
		value any
	}{
		annotationStable: {rec.Stable == workload.Version{}, rec.Stable},
		annotationCanary: {rec.Canary == workload.Version{}, rec.Canary},
		annotationLast:   {rec.Last == record.End{}, rec.Last},
		annotationFreeze: {rec.Freeze == record.Freeze{}, rec.Freeze},
		annotationQueue:  {len(rec.Queue) == 0, rec.Queue},
	} {
		out[key] = nil
		if field.empty {
			continue
		}
		b, err := json.Marshal(field.value)
		if err != nil {
			return nil, fmt.Errorf("annotation %s: %w", key, err)
		}
		out[key] = string(b)
	}
	return out, nil
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func dropNulls(m map[string]any) {
	for k, v := range m {
		switch v := v.(type) {
		case nil:
			delete(m, k)
		case map[string]any:
			dropNulls(v)
		}
	}
}

func parseLease(lease *unstructured.Unstructured) (record.Record, error) {
	labels := lease.GetLabels()
	if labels[workload.LabelManagedBy] != workload.Manager {
		return record.Record{}, fmt.Errorf("the Lease is somebody else's: %s", workload.Describe(labels))
	}
	rec := record.Record{Revision: lease.GetResourceVersion()}
	rec.Epoch, _, _ = unstructured.NestedInt64(lease.Object, "spec", "leaseTransitions")
	annotations := lease.GetAnnotations()
	rec.Phase = record.Phase(annotations[annotationPhase])
	rec.Router, rec.Route = annotations[annotationRouter], annotations[annotationRoute]
	// A person who empties or rewrites the holder by hand is believed.
	rec.Holder, _, _ = unstructured.NestedString(lease.Object, "spec", "holderIdentity")
	if whole := annotations[annotationHolder]; shortHolder(whole) == rec.Holder {
		rec.Holder = whole
	}
	if at, ok, _ := unstructured.NestedString(lease.Object, "spec", "acquireTime"); ok {
		t, err := time.Parse(time.RFC3339Nano, at)
		if err != nil {
			return record.Record{}, fmt.Errorf("acquireTime: %w", err)
		}
		rec.Acquired = t.UTC()
	}
	if n, ok := annotations[annotationNumber]; ok {
		number, err := strconv.Atoi(n)
		if err != nil || number < 0 {
			return record.Record{}, fmt.Errorf("annotation %s: %q; a version number is expected", annotationNumber, n)
		}
		rec.Number = number
	}
	for key, field := range map[string]any{annotationStable: &rec.Stable, annotationCanary: &rec.Canary} {
		if text := annotations[key]; text != "" {
			if err := json.Unmarshal([]byte(text), field); err != nil {
				return record.Record{}, fmt.Errorf("annotation %s: %q: %w", key, text, err)
			}
		}
	}
	// What only people read must not stand in the way of a rollout that goes back.
	if text := annotations[annotationLast]; text != "" && json.Unmarshal([]byte(text), &rec.Last) != nil {
		rec.Last = record.End{Reason: text}
	}
	rec.Freeze = parseFreeze(annotations[annotationFreeze])
	// Whoever waits and is not in the queue joins it again.
	if text := annotations[annotationQueue]; text != "" && json.Unmarshal([]byte(text), &rec.Queue) != nil {
		rec.Queue = nil
	}
	return rec, nil
}

// parseFreeze reads a freeze that a person may have written: in plain words, with a field that is misspelt, or without an
// end. Each is a freeze, until the person ends it: read in another way, a rollout would start that somebody wanted stopped.
func parseFreeze(text string) (f record.Freeze) {
	if text == "" {
		return f
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&f)
	if _, more := d.Token(); err != nil || more != io.EOF {
		return record.Freeze{Reason: text, Until: forever}
	}
	if f.Until.IsZero() && f != (record.Freeze{}) {
		f.Until = forever
	}
	return f
}

// forever is the end of a freeze without one.
var forever = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
