//go:build awse2e

package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// service copies the sample service, for the cluster called demo.
func service(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"deploy.json", "kubernetes_template.yml"} {
		data, err := os.ReadFile(filepath.Join("../../specfiles/podlet", name))
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.Replace(data, []byte(`"cluster_name": "local"`), []byte(`"cluster_name": "demo"`), 1)
		data = bytes.Replace(data, []byte(`"steps": [10, 30, 60, 100]`), []byte(`"steps": [20, 100]`), 1)
		data = bytes.Replace(data, []byte(`"wait_time": "10s"`), []byte(`"wait_time": "5s"`), 1)
		data = bytes.Replace(data, []byte(`"$schema": "../deploy.schema.json",`), nil, 1)
		write(t, filepath.Join(dir, name), data)
	}
	return dir
}

// TestRolloutsOnAWS runs whole rollouts the way AWS would: the state machine calls the functions' binaries,
// each with its own role's credentials, and the API server believes the real authenticator alone. RBAC
// is on, and the functions have the rights of the generated Role and no others.
func TestRolloutsOnAWS(t *testing.T) {
	w := build(t)
	folder := service(t)

	t.Run("without the Role nothing is changed", func(t *testing.T) {
		out, code := w.run(t, "", "stepcanary", "deploy", folder, "--image", "podlet:v1", "--watch")
		if code == 0 || !strings.Contains(out, "forbidden") {
			t.Fatalf("exit code %d; a refusal by RBAC is expected:\n%s", code, out)
		}
	})
	role, code := w.run(t, "", "stepcanary", "role", folder)
	if code != 0 {
		t.Fatal(role)
	}
	w.withoutCreate(t, folder, role, "deployments")
	w.withoutCreate(t, folder, role, "services")
	if out, code := w.run(t, role, "kubectl", "apply", "-f", "-"); code != 0 {
		t.Fatal(out)
	}
	w.refusals(t, folder)

	deploy := func(image string, want int, outcome string) {
		t.Helper()
		out, code := w.run(t, "", "stepcanary", "deploy", folder, "--image", image, "--watch")
		if code != want || !strings.Contains(out, outcome) {
			t.Fatalf("%s: exit code %d, want %d and %s:\n%s\n%s", image, code, want, outcome, out, tail(w.log.text()))
		}
	}
	deploy("podlet:v1", 0, "Promoted")
	load := exec.Command(bin(t, "load"), "-rate", "100", "-d", "600s", w.gateway+"/")
	w.start(t, load)
	deploy("podlet:v2", 0, "Promoted")
	deploy("podlet:v3_errors-50", 2, "RolledBack")
	w.alarm(t, folder)
	w.ended(t)
	w.rightsInAWS(t)
	w.rightsInKubernetes(t)
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

// prepareEvent is what the state machine would send to prepare.
func prepareEvent(t *testing.T, folder, cluster string) []byte {
	t.Helper()
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var doc map[string]any
	if err := json.Unmarshal(read("deploy.json"), &doc); err != nil {
		t.Fatal(err)
	}
	doc["cluster_name"] = cluster
	doc["config_file"] = read("kubernetes_template.yml") // base64 by encoding/json
	event, err := json.Marshal(map[string]any{
		"execution": "arn:aws:states:us-east-1:000000000000:execution:stepcanary:refused", "state": "Prepare", "input": doc,
		"started": "2026-01-01T00:00:00Z",
	})
	if err != nil {
		t.Fatal(err)
	}
	return event
}

// refusals calls the real binary with credentials that must not work.
func (w *world) refusals(t *testing.T, folder string) {
	for name, tt := range map[string]struct {
		alter   func(principal) principal
		cluster string
		want    string
	}{
		"a wrong secret":                {func(p principal) principal { p.secret = "wrong"; return p }, "demo", "SignatureDoesNotMatch"},
		"an unknown key":                {func(p principal) principal { p.key = "AKIDUNKNOWN"; return p }, "demo", "UnrecognizedClientException"},
		"a token for another cluster":   {func(p principal) principal { return p }, "other", "nauthorized"},
		"a cluster that does not exist": {func(p principal) principal { return p }, "nowhere", "No cluster found"},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			result, refusal := w.host(t, tt.alter).Invoke(context.Background(), "prepare", prepareEvent(t, folder, tt.cluster))
			if refusal != nil {
				t.Fatal(refusal)
			}
			if !result.Failed || !strings.Contains(string(result.Payload), tt.want) {
				t.Errorf("answer %s, want an error with %q", result.Payload, tt.want)
			}
			for _, secret := range []string{"secret-of", "k8s-aws-v1."} {
				if strings.Contains(string(result.Payload), secret) {
					t.Errorf("the error holds a secret: %s", result.Payload)
				}
			}
		})
	}
}

// withoutCreate takes one right out of the Role, which a log of requests cannot show, and finds the
// rollout refused.
func (w *world) withoutCreate(t *testing.T, folder, role, resource string) {
	t.Helper()
	rule := regexp.MustCompile(`(?s)(resources:\n\s+- ` + resource + `\n.*?)        - create\n`)
	if !rule.MatchString(role) {
		t.Fatalf("no rule to create %s in:\n%s", resource, role)
	}
	if out, code := w.run(t, rule.ReplaceAllString(role, "$1"), "kubectl", "apply", "-f", "-"); code != 0 {
		t.Fatal(out)
	}
	out, code := w.run(t, "", "stepcanary", "deploy", folder, "--image", "podlet:v1", "--watch")
	if code != 2 || !strings.Contains(out, "forbidden") {
		t.Errorf("without the right to create %s: exit code %d; a refusal by RBAC is expected:\n%s", resource, code, out)
	}
}

// alarm starts a rollout, a second one beside it, pauses the first, and aborts it in the middle of its
// hold through the function behind the rule on alarms.
func (w *world) alarm(t *testing.T, folder string) {
	t.Helper()
	path := filepath.Join(folder, "deploy.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, bytes.Replace(data, []byte(`"microservice_name"`), []byte(`"alarms": ["checkout-5xx"], "microservice_name"`), 1))
	done := make(chan string, 1)
	go func() {
		out, code := w.run(t, "", "stepcanary", "deploy", folder, "--image", "podlet:v4", "--watch")
		done <- fmt.Sprintf("exit code %d: %s", code, out)
	}()
	wait(t, "the first check of the canary", func() bool {
		out, _ := w.run(t, "", "stepcanary", "status", "podlet", "-o", "json")
		return strings.Contains(out, "HealthCheck")
	})
	if out, code := w.run(t, "", "stepcanary", "pause", "podlet"); code != 0 {
		t.Fatalf("pause: exit code %d: %s", code, out)
	}
	if out, code := w.run(t, "", "stepcanary", "deploy", folder, "--image", "podlet:v5", "--watch"); code != 4 {
		t.Errorf("a second rollout beside the first: exit code %d, want 4, refused:\n%s", code, out)
	}
	wait(t, "the hold", func() bool {
		out, _ := w.run(t, "", "stepcanary", "status", "podlet", "-o", "json")
		return strings.Contains(out, `"Hold"`)
	})
	began := time.Now()
	result, refusal := w.lambda.Invoke(context.Background(), "abort", []byte(`{"source": "aws.cloudwatch",
		"detail-type": "CloudWatch Alarm State Change",
		"detail": {"alarmName": "checkout-5xx", "state": {"value": "ALARM", "reason": "3 > 2"}}}`))
	if refusal != nil || result.Failed {
		t.Fatalf("abort: %v, %s", refusal, result.Payload)
	}
	out := <-done
	t.Logf("from the alarm to the end of the rollout: %v", time.Since(began).Round(time.Millisecond))
	if !strings.HasPrefix(out, "exit code 2") || !strings.Contains(out, "checkout-5xx") {
		t.Errorf("after the alarm (%s): %s", result.Payload, out)
	}
}

// ended sends the rule's event for an execution that went back on its own, without its input, as
// EventBridge does for a large one: the function finds nothing to do.
func (w *world) ended(t *testing.T) {
	t.Helper()
	out, _ := w.run(t, "", "stepcanary", "status", "podlet", "-o", "json")
	execution := regexp.MustCompile(`arn:aws:states:[^"]*:execution:[^"]*`).FindString(out)
	result, refusal := w.lambda.Invoke(context.Background(), "rollback", fmt.Appendf(nil, `{"source": "aws.states",
		"detail-type": "Step Functions Execution Status Change", "detail": {"executionArn": %q, "status": "FAILED"}}`, execution))
	if refusal != nil || result.Failed {
		t.Errorf("rollback of %q: %v, %s", execution, refusal, result.Payload)
	}
}

// rightsInAWS holds the actions that the binaries called against the synthesized policies.
func (w *world) rightsInAWS(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile("../../infra/testdata/permissions.json")
	if err != nil {
		t.Fatal(err)
	}
	var granted map[string]map[string][]string
	if err := json.Unmarshal(data, &granted); err != nil {
		t.Fatal(err)
	}
	// Not on the paths of this test, with the test that is about each.
	elsewhere := map[string]string{
		"cloudwatch:GetMetricData":      "internal/metric/cloudwatch",
		"aps:QueryMetrics":              "internal/metric/prometheus",
		"secretsmanager:GetSecretValue": "internal/secret",
		"sts:AssumeRole":                "internal/metric/meters",
	}
	w.cloud.mu.Lock()
	defer w.cloud.mu.Unlock()
	for function, actions := range w.cloud.calls {
		for action, n := range actions {
			if granted[function][action] == nil {
				t.Errorf("%s called %s %d times and is not granted it", function, action, n)
			}
		}
	}
	for function, actions := range granted {
		for action := range actions {
			if w.cloud.calls[function][action] == 0 && elsewhere[action] == "" {
				t.Errorf("%s is granted %s and did not call it", function, action)
			}
		}
	}
	t.Logf("actions called: %v", w.cloud.calls)
}

// rightsInKubernetes holds the requests in the API server's audit log against the Role's rules.
func (w *world) rightsInKubernetes(t *testing.T) {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(w.bedDir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for line := range bytes.Lines(log) {
		var e struct {
			Verb      string
			User      struct{ Username string }
			ObjectRef struct{ Resource string }
			Status    struct{ Code int } `json:"responseStatus"`
		}
		if json.Unmarshal(line, &e) == nil && strings.HasPrefix(e.User.Username, "stepcanary:") && e.Status.Code != 401 && e.Status.Code != 403 {
			used[e.Verb+" "+e.ObjectRef.Resource] = true
		}
	}
	out, code := w.run(t, "", "kubectl", "get", "role", "stepcanary-podlet", "-o", "json")
	if code != 0 {
		t.Fatal(out)
	}
	var role struct {
		Rules []struct{ Resources, Verbs []string }
	}
	if err := json.Unmarshal([]byte(out), &role); err != nil {
		t.Fatal(err)
	}
	var granted []string
	for _, r := range role.Rules {
		for _, v := range r.Verbs {
			granted = append(granted, v+" "+r.Resources[0])
		}
	}
	slices.Sort(granted)
	// An apply of what does not exist yet is a patch in the log, and is authorized as a create as well:
	// withoutCreate shows that.
	used["create deployments"], used["create services"] = true, true
	// "list" stands in for a watch that begins with the present state, on servers before Kubernetes 1.32.
	granted = slices.DeleteFunc(slices.Compact(granted), func(s string) bool {
		return strings.HasPrefix(s, "list ") && !used[s]
	})
	var called []string
	for u := range used {
		called = append(called, u)
	}
	slices.Sort(called)
	if diff := cmp.Diff(granted, called); diff != "" {
		t.Errorf("verbs and kinds (-granted +used):\n%s", diff)
	}
}
