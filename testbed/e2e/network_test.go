package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// insideVariable tells this program that it is the command of a bed with a
// network of its own, and says which test of it to run.
const insideVariable = "TESTBED_E2E_INSIDE"

// TestOwnNetworkSplitsAsWell runs a bed whose API server is unmodified and
// whose pods have ordinary addresses: what holds here does not depend on the
// relaxed rule for EndpointSlices.
func TestOwnNetworkSplitsAsWell(t *testing.T) {
	kubectl, err := kubectlPath()
	if err != nil {
		t.Fatal(err)
	}
	ns := "inside"
	manifest := filepath.Join(t.TempDir(), "app.yaml")
	text := fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n---\n", ns) +
		deployment(ns, "stable", "podlet:v1", 2) + "---\n" + deployment(ns, "canary", "podlet:v2", 1) + "---\n" + route(ns, 90, 10)
	if err := os.WriteFile(manifest, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs, "testbed"), "run", "--own-network", "--", "sh", "-ec", fmt.Sprintf(
		`%[1]s apply -f %[2]s >/dev/null
		for d in stable canary; do %[1]s -n %[3]s rollout status deployment/$d --timeout=60s >/dev/null; done
		%[1]s -n %[3]s get pods -o jsonpath='{range .items[*]}{.status.podIP}{"\n"}{end}' | grep -v '^10\.' && exit 9
		exec %[4]s`, kubectl, manifest, ns, os.Args[0]))
	cmd.Env = append(os.Environ(), insideVariable+"="+ns+".example")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("run in a network of its own: %v\n%s", err, out)
	}
}

// inside is what this program does as the command of such a bed: it sends
// requests to the host and compares the split.
func inside(host string) error {
	const requests, canary, slack = 1000, 100, 10
	url := os.Getenv("TESTBED_GATEWAY_URL")
	var got map[string]int
	for range 50 { // until the gateway knows the route and all endpoints
		got = map[string]int{}
		for range requests {
			r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
			if err != nil {
				return err
			}
			r.Host = host
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				return err
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			got[answer.Header.Get("X-Version")]++
		}
		if n := got["v2"]; n >= canary-slack && n <= canary+slack && got["v1"] == requests-n {
			return nil
		}
	}
	return fmt.Errorf("split %v of %d requests in %s, want %d for v2", got, requests, os.Getenv("TESTBED_DIR"), canary)
}

func TestKilledOwnNetworkLeavesNothing(t *testing.T) {
	cmd, l, _ := startCommand(t, "exec sleep 1000", "--own-network")
	if l.Loopback() {
		t.Errorf("bed is at %s, want it in a network of its own", l.Address())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	nothingLeft(t, l)
}
