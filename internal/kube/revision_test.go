package kube_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// The server is asked to take the Lease only over the revision that was read: that is the lock.
func TestALeaseIsWrittenFromTheRevisionThatWasRead(t *testing.T) {
	var method, revision string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var lease struct {
			Metadata struct {
				ResourceVersion string `json:"resourceVersion"`
			} `json:"metadata"`
		}
		if err := json.NewDecoder(r.Body).Decode(&lease); err != nil {
			t.Error(err)
		}
		method, revision = r.Method, lease.Metadata.ResourceVersion
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"stepcanary-checkout","namespace":"shop","resourceVersion":"42"}}`)
	}))
	defer server.Close()
	records := kube.NewRecords(plain(t, server.URL))
	for _, tt := range []struct{ read, method string }{{"41", http.MethodPatch}, {"", http.MethodPost}} {
		rec, err := records.Write(t.Context(), workload.Service{Namespace: "shop", Name: "checkout"}, record.Record{Holder: "x", Revision: tt.read})
		if err != nil || rec.Revision != "42" {
			t.Fatalf("%+v, %v", rec, err)
		}
		if method != tt.method || revision != tt.read {
			t.Errorf("read at %q: %s with revision %q; want %s with the same", tt.read, method, revision, tt.method)
		}
	}
}
