package hook_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/hook"
)

var ended = hook.Message{
	On: hook.OnEnd, Cluster: "demo", Namespace: "shop", Name: "checkout", Canary: "checkout-2", Stable: "checkout-1", Weight: 40,
	Execution: "arn:run-1", Verdict: "unhealthy", End: "RolledBack", Reason: "12 of 300 requests failed; <b>1 & 2</b>", At: now,
}

func TestWhatAReceiverGets(t *testing.T) {
	for format, want := range map[string]string{
		"json": `{"on":"end","cluster":"demo","namespace":"shop","name":"checkout","canary":"checkout-2","stable":"checkout-1","weight":40,` +
			`"execution":"arn:run-1","verdict":"unhealthy","end":"RolledBack","reason":"12 of 300 requests failed; \u003cb\u003e1 \u0026 2\u003c/b\u003e","at":"2026-11-21T09:00:00Z"}`,
		"slack": `{"attachments":[{"color":"warning","text":"12 of 300 requests failed; \u0026lt;b\u0026gt;1 \u0026amp; 2\u0026lt;/b\u0026gt;",` +
			`"fallback":"12 of 300 requests failed; \u0026lt;b\u0026gt;1 \u0026amp; 2\u0026lt;/b\u0026gt;","footer":"arn:run-1","ts":1795251600}],` +
			`"text":"demo shop/checkout checkout-2: RolledBack at 40 %"}`,
	} {
		got := ""
		c := client(func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			got = string(body)
			return response(200, "ok"), nil
		})
		err := c.Notify(t.Context(), hook.Receiver{Endpoint: gate().Endpoint, Format: format}, ended)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: Notify() = %v (-want +got):\n%s", format, err, diff)
		}
	}
}

func TestPeopleReadWhatAMessageIsAbout(t *testing.T) {
	for want, m := range map[string]hook.Message{
		`"text":"shop/checkout checkout-2: started at 0 %"`:                        {On: hook.OnStart},
		`"text":"shop/checkout checkout-2: goes on at 25 %"`:                       {On: hook.OnStep, Weight: 25},
		`"color":"warning","text":""`:                                              {On: hook.OnHold, Needs: "approval"},
		`"text":"shop/checkout checkout-2: waits for a person (approval) at 25 %"`: {On: hook.OnHold, Needs: "approval", Weight: 25},
		`"color":"danger","text":"12 failed"`:                                      {On: hook.OnVerdict, Verdict: "unhealthy", Reason: "12 failed"},
		`"text":"shop/checkout checkout-2: NeedsOperator at 0 %"`:                  {On: hook.OnEnd, End: "NeedsOperator"},
	} {
		m.Namespace, m.Name, m.Canary = "shop", "checkout", "checkout-2"
		got := ""
		c := client(func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			got = string(body)
			return response(200, "ok"), nil
		})
		if err := c.Notify(t.Context(), hook.Receiver{Endpoint: gate().Endpoint, Format: "slack"}, m); err != nil || !strings.Contains(got, want) {
			t.Errorf("Notify(%+v) = %v, %s; want %s in it", m, err, got, want)
		}
	}
}

func TestAReceiverGetsWhatItWants(t *testing.T) {
	for name, tt := range map[string]struct {
		on   []hook.Occasion
		want bool
	}{
		"all":           {nil, true},
		"ends":          {[]hook.Occasion{hook.OnEnd}, true},
		"verdicts only": {[]hook.Occasion{hook.OnVerdict}, false},
	} {
		asked := false
		c := client(func(*http.Request) (*http.Response, error) {
			asked = true
			return response(204, ""), nil
		})
		if err := c.Notify(t.Context(), hook.Receiver{Endpoint: gate().Endpoint, On: tt.on}, ended); err != nil || asked != tt.want {
			t.Errorf("%s: Notify() = %v, sent %v; want %v", name, err, asked, tt.want)
		}
	}
}

func TestTheURLOfAReceiverIsASecret(t *testing.T) {
	t.Setenv("STEPCANARY_SECRET_SLACK", "https://hooks.example/services/hunter2")
	r := hook.Receiver{Endpoint: hook.Endpoint{Name: "team", URLFrom: "env:STEPCANARY_SECRET_SLACK"}, Format: "slack"}
	path := ""
	err := client(func(req *http.Request) (*http.Response, error) {
		path = req.URL.Path
		return nil, fmt.Errorf("cannot post to %s", req.URL)
	}).Notify(t.Context(), r, ended)
	if path != "/services/hunter2" || fault.Of(err) != fault.Transient || strings.Contains(fmt.Sprint(err), "hunter2") {
		t.Errorf("Notify() = %v at %s; want %v, and no path in the error", err, path, fault.Transient)
	}
	t.Setenv("STEPCANARY_SECRET_SLACK", "http://hooks.example/services/hunter2")
	err = client(nil).Notify(t.Context(), r, ended)
	if fault.Of(err) != fault.Invalid || strings.Contains(fmt.Sprint(err), "hunter2") {
		t.Errorf("Notify() over http = %v; want %v, and no path in the error", err, fault.Invalid)
	}
}

func TestCheckReceiverRefuses(t *testing.T) {
	for name, r := range map[string]hook.Receiver{
		"another format":  {Endpoint: gate().Endpoint, Format: "teams"},
		"another message": {Endpoint: gate().Endpoint, On: []hook.Occasion{"weather"}},
		"no endpoint":     {},
	} {
		if err := client(nil).CheckReceiver(r); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: CheckReceiver() = %v; want %v", name, err, fault.Invalid)
		}
		if err := client(nil).Notify(t.Context(), r, hook.Message{On: hook.OnEnd}); len(r.On) == 0 && fault.Of(err) != fault.Invalid {
			t.Errorf("%s: Notify() = %v; want %v", name, err, fault.Invalid)
		}
	}
}

func TestNewsIsToldOnce(t *testing.T) {
	verdict := func(v string) hook.Message {
		return hook.Message{On: hook.OnVerdict, Verdict: v, At: now.Add(time.Hour)}
	}
	end := func(e string) hook.Message { return hook.Message{On: hook.OnEnd, End: e} }
	begin := hook.Message{On: hook.OnStart, Reason: "start"}
	step := func(w int) hook.Message {
		return hook.Message{On: hook.OnStep, Weight: w, Reason: fmt.Sprint(w)}
	}
	hold := func(need string) hook.Message { return hook.Message{On: hook.OnHold, Needs: need} }
	var told hook.Told
	var got []string
	for _, m := range []hook.Message{
		begin, begin, step(25), verdict("inconclusive"), verdict("healthy"), verdict("healthy"), verdict("inconclusive"), verdict("inconclusive"),
		hold(""), hold("resume"), hold("resume"), hold("approval"), hold(""), hold("approval"), step(25), step(50),
		verdict("healthy"), verdict("unhealthy"), verdict("unhealthy"), verdict(""),
		end("RolledBack"), end("RolledBack"), verdict("healthy"), step(75), hold("gate"), end("NeedsOperator"),
	} {
		next, due := told.Due(m)
		if due {
			got = append(got, m.Verdict+m.End+m.Needs+m.Reason)
		}
		told = next
	}
	if diff := cmp.Diff([]string{
		"start", "25", "healthy", "inconclusive", "resume", "approval", "approval", "50", "healthy", "unhealthy", "RolledBack",
	}, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
