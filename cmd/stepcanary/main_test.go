package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// What an error or a plan quotes from a file or a command line is shown and not obeyed, by a terminal or by a pipeline that takes
// lines of its log for commands.
func TestWhatIsQuotedIsNotObeyed(t *testing.T) {
	const hostile = `X\u001b]0;pwned\u0007\n::add-mask::x\u009b31m\u202e`
	folder := func(document, template string) string {
		dir := t.TempDir()
		for name, text := range map[string]string{"deploy.json": document, "kubernetes_template.yml": template} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	document, err := os.ReadFile("../../specfiles/podlet/deploy.json")
	if err != nil {
		t.Fatal(err)
	}
	template, err := os.ReadFile("../../specfiles/podlet/kubernetes_template.yml")
	if err != nil {
		t.Fatal(err)
	}
	field := strings.Replace(string(document), "{", `{"`+hostile+`": 1,`, 1)
	kind := folder(string(document), "kind: \""+hostile+"\"\n")
	limit := folder(`{"cluster_name": "c", "kubernetes_namespace": "shop", "microservice_name": "podlet", "percentage_step": 50, "wait_time": 60,
		"analysis": {"limits": [{"name": "`+hostile+`", "metric": "error-rate", "max": "1%"}]}}`, string(template))
	for name, args := range map[string][]string{
		"validate, a kind":            {"validate", kind},
		"validate, a kind, as JSON":   {"validate", "-o", "json", kind},
		"validate, an unknown field":  {"validate", folder(field, string(template))},
		"plan, a kind":                {"plan", kind},
		"plan, the name of a limit":   {"plan", limit},
		"deploy, a kind":              {"deploy", kind},
		"deploy, a file's name":       {"deploy", "X\x1b[31m\x9b\u202e"},
		"a flag":                      {"plan", "-X\x1b[31m"},
		"an operation, a bad service": {"status", "--endpoint", "http://127.0.0.1:1", "X\x1b[31m"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			newConsole(&out, &out).run(t.Context(), args)
			for _, line := range strings.Split(out.String(), "\n") {
				if strings.HasPrefix(line, "::") || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) && r != '\t' }) {
					t.Errorf("%q is obeyed", line)
				}
			}
			if out.Len() == 0 {
				t.Error("nothing is said")
			}
		})
	}
}

// A report is read up to a bound: what never ends was read until memory did.
func TestJudgeReadsNoMoreThanAReport(t *testing.T) {
	var out bytes.Buffer
	if code := newConsole(&out, &out).run(t.Context(), []string{"judge", "--report", "/dev/zero"}); code != exitError || !strings.Contains(out.String(), "found more than 134217728 bytes, expected a report") {
		t.Errorf("code %d, %q; want %d and what is too much", code, out.String(), exitError)
	}
}
