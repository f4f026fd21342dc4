package kube

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stepcanary/stepcanary/internal/workload"
)

// FuzzLease reads Leases that a person, or another program, has written. None may panic, and what is
// read of one is read the same after it was written, so that no rollout loses what it knew.
func FuzzLease(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"v1","kind":"Lease","metadata":{"labels":{"app.kubernetes.io/managed-by":"stepcanary"},"resourceVersion":"7","annotations":{` +
		`"stepcanary.dev/holder":"arn:x","stepcanary.dev/number":"1","stepcanary.dev/stable":"{\"name\":\"s-1\",\"number\":1}","stepcanary.dev/phase":"p",` +
		`"stepcanary.dev/queue":"[\"a\",\"b\"]","stepcanary.dev/last":"{\"reason\":\"r\"}","stepcanary.dev/freeze":"{\"reason\":\"r\",\"until\":\"2027-01-01T00:00:00Z\"}"}},` +
		`"spec":{"holderIdentity":"x","leaseTransitions":1,"acquireTime":"2026-01-01T00:00:00.000001Z"}}`))
	f.Add([]byte(`{"apiVersion":"v1","kind":"Lease","metadata":{"labels":{"app.kubernetes.io/managed-by":"stepcanary"},"annotations":{` +
		`"stepcanary.dev/freeze":"stocktaking","stepcanary.dev/number":"-1","stepcanary.dev/stable":"{}","stepcanary.dev/canary":"null","stepcanary.dev/queue":"[1]","stepcanary.dev/last":"x"}}}`))
	f.Add([]byte(`{"apiVersion":"v1","kind":"Lease","metadata":{"labels":{"app.kubernetes.io/managed-by":"helm"},"annotations":null},"spec":{"leaseTransitions":2147483648,"acquireTime":"yesterday"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<18 {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		lease := &unstructured.Unstructured{}
		if lease.UnmarshalJSON(data) != nil {
			return
		}
		rec, err := parseLease(lease)
		if err != nil {
			return
		}
		written, err := formatLease(workload.Service{Namespace: "shop", Name: "checkout"}, rec)
		if err != nil {
			return // an epoch that no Lease of ours has
		}
		dropNulls(written)
		again, err := parseLease(&unstructured.Unstructured{Object: written})
		rec.Revision = ""
		if rec.Acquired.Nanosecond()%1000 != 0 {
			rec.Acquired = rec.Acquired.Truncate(time.Microsecond) // a Lease has no more
		}
		if diff := cmp.Diff(rec, again); err != nil || diff != "" {
			t.Errorf("parseLease() of what was written = %v (-read +again):\n%s", err, diff)
		}
	})
}
