package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/testbed/load"
)

// query asks the bed's Prometheus for one number.
func query(ctx context.Context, text string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, shared.PrometheusURL()+"/api/v1/query?query="+url.QueryEscape(text), nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, err
	}
	if len(answer.Data.Result) != 1 {
		return 0, fmt.Errorf("query %q: %d series, want 1", text, len(answer.Data.Result))
	}
	number, _ := answer.Data.Result[0].Value[1].(string)
	return strconv.ParseFloat(number, 64)
}

func TestPrometheusCountsEachBackEndAndEachPod(t *testing.T) {
	ns := namespace(t)
	twoVersions(t, ns)
	apply(t, route(ns, 80, 20))
	host := ns + ".example"
	served(t, host)
	if _, err := load.Run(t.Context(), load.Options{Targets: []load.Target{target(host)}, Requests: 200}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error {
		gateway, err := query(t.Context(), fmt.Sprintf(`sum(traefik_service_requests_total{code="200",service=~".*-svc-%s-canary-.*"})`, ns))
		if err != nil {
			return err
		}
		pods, err := query(t.Context(), fmt.Sprintf(`sum(http_requests_total{namespace=%q,app="canary",code="200"})`, ns))
		if err == nil && (gateway < 40 || gateway != pods) {
			err = fmt.Errorf("gateway counted %v requests for the canary and its pods %v; want the same, and 40 at least", gateway, pods)
		}
		return err
	})
}
