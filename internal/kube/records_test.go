package kube_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/kube/kubetest"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/record/recordtest"
	"github.com/stepcanary/stepcanary/internal/workload"
)

func TestRecords(t *testing.T) {
	recordtest.Run(t, func(t *testing.T) (record.Store, workload.Service) {
		c := kubetest.Open(t)
		return kube.NewRecords(c.Client), workload.Service{Namespace: c.Namespace, Name: "checkout"}
	})
}

func TestLeaseIsReadableByKubectl(t *testing.T) {
	c := kubetest.Open(t)
	s := workload.Service{Namespace: c.Namespace, Name: "checkout"}
	if _, err := kube.NewRecords(c.Client).Write(t.Context(), s, recordtest.Full()); err != nil {
		t.Fatal(err)
	}
	lease := c.Read(t, kube.Leases, "stepcanary-checkout")
	if lease == nil {
		t.Fatal("no Lease stepcanary-checkout")
	}
	spec, _ := lease.Object["spec"].(map[string]any)
	delete(spec, "renewTime")
	want := map[string]any{
		"holderIdentity":   "checkout-2026-11-21T09-30-00Z-a1b2c3d4e5f6",
		"leaseTransitions": int64(7),
		"acquireTime":      "2026-11-21T09:30:00.123456Z",
	}
	if diff := cmp.Diff(want, spec); diff != "" {
		t.Errorf("spec of the Lease (-want +got):\n%s", diff)
	}
}

func TestLeaseKeepsWhatOthersPutOnIt(t *testing.T) {
	c := kubetest.Open(t)
	s := workload.Service{Namespace: c.Namespace, Name: "checkout"}
	records := kube.NewRecords(c.Client)
	if _, err := records.Write(t.Context(), s, recordtest.Full()); err != nil {
		t.Fatal(err)
	}
	c.Merge(t, kube.Leases, kube.LeaseName("checkout"), map[string]any{"metadata": map[string]any{
		"labels": map[string]any{"team": "shop"}, "annotations": map[string]any{"note": "hands off"}}})
	r, err := records.Read(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := records.Write(t.Context(), s, record.Record{Epoch: 8, Revision: r.Revision}); err != nil {
		t.Fatal(err)
	}
	lease := c.Read(t, kube.Leases, kube.LeaseName("checkout"))
	if lease.GetLabels()["team"] != "shop" || lease.GetAnnotations()["note"] != "hands off" {
		t.Errorf("labels %v, annotations %v; want the team's to survive", lease.GetLabels(), lease.GetAnnotations())
	}
}

func TestAPersonsHandOnTheLeaseIsBelieved(t *testing.T) {
	c := kubetest.Open(t)
	s := workload.Service{Namespace: c.Namespace, Name: "checkout"}
	records := kube.NewRecords(c.Client)
	if _, err := records.Write(t.Context(), s, recordtest.Full()); err != nil {
		t.Fatal(err)
	}
	c.Merge(t, kube.Leases, kube.LeaseName("checkout"), map[string]any{"spec": map[string]any{"holderIdentity": nil}})
	if r, err := records.Read(t.Context(), s); err != nil || r.Holder != "" {
		t.Errorf("Read() = holder %q, %v; want a free lock", r.Holder, err)
	}
	// A freeze in plain words lasts, and comes back as it was when a rollout writes.
	annotate := func(key, value string) {
		c.Merge(t, kube.Leases, kube.LeaseName("checkout"), map[string]any{"metadata": map[string]any{"annotations": map[string]any{key: value}}})
	}
	annotate("stepcanary.dev/freeze", "until Monday")
	for range 2 {
		r, err := records.Read(t.Context(), s)
		if err != nil || r.Freeze.Reason != "until Monday" || !r.Freeze.Until.After(time.Now().AddDate(100, 0, 0)) {
			t.Fatalf("Read() = freeze %+v, %v; want one without an end", r.Freeze, err)
		}
		if _, err := records.Write(t.Context(), s, r); err != nil {
			t.Fatal(err)
		}
	}
	// What a rollout goes by is not guessed.
	annotate("stepcanary.dev/stable", "checkout-11")
	if _, err := records.Read(t.Context(), s); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "stepcanary.dev/stable") {
		t.Errorf("Read() of a stable that nobody can parse = %v; want %v naming the annotation", err, fault.Invalid)
	}
}

func TestAForeignLeaseIsRefused(t *testing.T) {
	c := kubetest.Open(t)
	s := workload.Service{Namespace: c.Namespace, Name: "checkout"}
	c.Create(t, kube.Leases, kubetest.Object("coordination.k8s.io/v1", "Lease", kube.LeaseName("checkout"), nil))
	if _, err := kube.NewRecords(c.Client).Read(t.Context(), s); !errors.Is(err, fault.Invalid) {
		t.Errorf("Read() of a foreign Lease = %v; want %v", err, fault.Invalid)
	}
}

func TestADeletedLeaseIsAConflictForItsWriter(t *testing.T) {
	c := kubetest.Open(t)
	s := workload.Service{Namespace: c.Namespace, Name: "checkout"}
	records := kube.NewRecords(c.Client)
	r, err := records.Write(t.Context(), s, record.Record{Holder: "one", Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.In(c.Namespace, kube.Leases).Delete(t.Context(), kube.LeaseName("checkout"), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := records.Write(t.Context(), s, r); !errors.Is(err, fault.Conflict) {
		t.Errorf("Write() over a deleted Lease = %v; want %v", err, fault.Conflict)
	}
}
