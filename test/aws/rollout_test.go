//go:build awse2e

package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/stepcanary/stepcanary/internal/hook"
)

type fields map[string]any

// service copies the sample service, for the cluster called demo, and hurries it.
func service(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"deploy.json", "kubernetes_template.yml"} {
		data, err := os.ReadFile(filepath.Join("../../specfiles/podlet", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), data)
	}
	change(t, dir, fields{"$schema": nil, "cluster_name": "demo", "steps": []int{20, 100}, "wait_time": "3s", "drain": "1s", "analysis": fields{
		"min_requests": 20, "limits": []fields{{"metric": "error-rate", "max": "2%"}}, "compare": fields{"prove_by": 0},
	}})
	return dir
}

// change sets fields of the folder's deploy.json; nil takes one out.
func change(t *testing.T, folder string, to fields) {
	t.Helper()
	path := filepath.Join(folder, "deploy.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc fields
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	maps.Copy(doc, to)
	maps.DeleteFunc(doc, func(_ string, v any) bool { return v == nil })
	if data, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	write(t, path, data)
}

// TestRolloutsOnAWS runs whole rollouts the way AWS would: the state machine calls the functions' binaries,
// each with its own role's credentials and rights, and the API server believes the real authenticator alone.
// RBAC is on, and the functions have the rights of the generated Role and no others. Each rollout asks
// another source of metrics, so that all rights are used in the end.
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
	for _, resource := range []string{"deployments", "services"} {
		t.Run("without the right to create "+resource, func(t *testing.T) { w.withoutCreate(t, folder, role, resource) })
	}
	if out, code := w.run(t, role, "kubectl", "apply", "-f", "-"); code != 0 {
		t.Fatal(out)
	}
	w.refusals(t, folder)

	deploy := func(image string, metrics fields, want int, outcome string) {
		t.Run(image, func(t *testing.T) {
			change(t, folder, fields{"metrics": metrics})
			out, code := w.run(t, "", "stepcanary", "deploy", folder, "--image", image, "--watch")
			if code != want || !strings.Contains(out, outcome) {
				t.Fatalf("exit code %d, want %d and %s:\n%s\n%s", code, want, outcome, out, tail(w.log.text()))
			}
		})
	}
	from := func(address string, auth fields) fields {
		return fields{"provider": "prometheus", "queries": "traefik", "address": address, "lag": "1s", "auth": auth}
	}
	people := &team{asked: map[hook.Phase]int{}}
	change(t, folder, people.fields(serve(t, people.ServeHTTP)))
	deploy("podlet:v1", fields{"queries": "traefik"}, 0, "Promoted")
	w.start(t, exec.Command(bin(t, "load"), "-rate", "100", "-d", "600s", w.gateway+"/"))
	deploy("podlet:v2", from(w.metrics+workspace, fields{"sigv4": fields{}}), 0, "Promoted")
	deploy("podlet:v3_errors-50", from(w.metrics+workspace, fields{"sigv4": fields{"role": metricsRole}}), 2, "RolledBack")
	deploy("podlet:v4_errors-50", from(w.metrics, fields{"bearer": secretARN}), 2, "RolledBack")
	aborted := ""
	t.Run("alarm", func(t *testing.T) { aborted = w.alarm(t, folder) })
	t.Run("silence of CloudWatch", func(t *testing.T) { w.silence(t, aborted) })
	t.Run("rule", func(t *testing.T) { w.ended(t, aborted) })
	t.Run("gates and receivers", func(t *testing.T) {
		people.mu.Lock()
		defer people.mu.Unlock()
		for _, phase := range []hook.Phase{hook.PreRollout, hook.PreStep, hook.PrePromotion} {
			if people.asked[phase] == 0 {
				t.Errorf("no gate was asked at %s", phase)
			}
		}
		for _, what := range []string{"start", "endPromoted", "endRolledBack", "hold"} {
			if !slices.Contains(people.told, what) {
				t.Errorf("nobody was told of %s", what)
			}
		}
		t.Logf("asked %v, told %v", people.asked, people.told)
		for _, lie := range people.lies {
			t.Error(lie)
		}
	})
	t.Run("rights in AWS", func(t *testing.T) {
		w.cloud.mu.Lock()
		defer w.cloud.mu.Unlock()
		for _, difference := range w.cloud.rights.unlike(w.cloud.calls) {
			t.Error(difference)
		}
		t.Logf("actions called: %v", w.cloud.calls)
	})
	t.Run("rights in Kubernetes", w.rightsInKubernetes)
	t.Run("metrics of the functions", w.embedded)
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

// alarm starts a rollout, a second one beside it, pauses the first, and aborts it in the middle of its
// hold through the function behind the rule on alarms. It gives the first's execution.
func (w *world) alarm(t *testing.T, folder string) (execution string) {
	t.Helper()
	change(t, folder, fields{"alarms": []string{"checkout-5xx"}, "metrics": fields{"provider": "cloudwatch", "queries": "stepcanary"}})
	done := make(chan string, 1)
	go func() {
		out, code := w.run(t, "", "stepcanary", "deploy", folder, "--image", "podlet:v4", "--watch")
		done <- fmt.Sprintf("exit code %d: %s", code, out)
	}()
	wait(t, "the first check of the canary", func() bool {
		out, _ := w.run(t, "", "stepcanary", "status", "podlet", "-o", "json")
		execution = regexp.MustCompile(`arn:aws:states:[^"]*:execution:[^"]*`).FindString(out)
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
	return execution
}

// silence lets the binary look again at the canary that was aborted, as it would have after ten minutes
// without data: a minute of CloudWatch is longer than a test wants to wait.
func (w *world) silence(t *testing.T, execution string) {
	api := sfn.New(sfn.Options{Region: region, BaseEndpoint: aws.String(w.engine), Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")})
	out, err := api.GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: aws.String(execution), MaxResults: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var event fields
	for _, e := range out.Events {
		var task struct{ Payload fields }
		if d := e.TaskScheduledEventDetails; d != nil && json.Unmarshal([]byte(aws.ToString(d.Parameters)), &task) == nil && task.Payload["state"] == "HealthCheck" {
			event = task.Payload
		}
	}
	if event == nil {
		t.Fatal("the rollout did not come to HealthCheck")
	}
	shift := event["document"].(map[string]any)["shift"].(map[string]any)
	shift["since"] = time.Now().Add(-10 * time.Minute).UTC().Format(time.RFC3339)
	payload, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	// Its own token has been answered; it finds that and is content.
	result, refusal := w.lambda.Invoke(t.Context(), "health-check", payload)
	if refusal != nil || result.Failed {
		t.Errorf("health-check: %v, %s", refusal, result.Payload)
	}
}

// ended sends the rule's event for an execution that went back on its own, without its input, as
// EventBridge does for a large one: the function finds nothing to do.
func (w *world) ended(t *testing.T, execution string) {
	t.Helper()
	result, refusal := w.lambda.Invoke(context.Background(), "rollback", fmt.Appendf(nil, `{"source": "aws.states",
		"detail-type": "Step Functions Execution Status Change", "detail": {"executionArn": %q, "status": "FAILED"}}`, execution))
	if refusal != nil || result.Failed {
		t.Errorf("rollback of %q: %v, %s", execution, refusal, result.Payload)
	}
}
