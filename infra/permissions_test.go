package main

import (
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/permissions.json anew")

// An acceptance is an argument for a wildcard, in accepted.json.
type acceptance struct{ SID, Resource, Reason string }

func readAccepted(t *testing.T) []acceptance {
	t.Helper()
	data, err := os.ReadFile("accepted.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Wildcards []acceptance }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	return file.Wildcards
}

func TestNoActionHasAWildcard(t *testing.T) {
	for name, tm := range synth(t, fullConfig(t), newDist(t, "")) {
		for _, s := range tm.statements() {
			for _, a := range s.actions {
				if strings.Contains(a, "*") || !strings.Contains(a, ":") {
					t.Errorf("%s: %s %s: action %q", name, s.role, s.sid, a)
				}
			}
		}
		for _, id := range tm.ofType("AWS::IAM::Role") {
			if got := tm.Resources[id].Properties["ManagedPolicyArns"]; got != nil {
				t.Errorf("%s: %s has managed policies, which change without us: %v", name, id, got)
			}
		}
		if got := append(tm.ofType("AWS::IAM::ManagedPolicy"), tm.ofType("AWS::IAM::User")...); len(got) > 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestEveryWildcardInAResourceHasItsReason(t *testing.T) {
	accepted := readAccepted(t)
	used := make([]bool, len(accepted))
	for _, c := range []Config{baseConfig(), fullConfig(t)} {
		for name, tm := range synth(t, c, newDist(t, "")) {
			for _, s := range tm.statements() {
				for _, r := range s.resources {
					if s.effect == "Deny" || !strings.Contains(r, "*") {
						continue
					}
					i := slices.IndexFunc(accepted, func(a acceptance) bool { return a.fits(s.sid, r) })
					if i < 0 {
						t.Errorf("%s: %s %s: resource %q has no reason in accepted.json", name, s.role, s.sid, r)
						continue
					}
					used[i] = true
				}
			}
		}
	}
	for i, a := range accepted {
		if !used[i] {
			t.Errorf("accepted.json: %s on %s is not used: take it out", a.SID, a.Resource)
		}
		if len(a.Reason) < 20 {
			t.Errorf("accepted.json: %s has no reason", a.SID)
		}
	}
}

func (a acceptance) fits(sid, resource string) bool {
	return regexp.MustCompile("^(?:"+a.SID+")$").MatchString(sid) && regexp.MustCompile("^(?:"+a.Resource+")$").MatchString(resource)
}

// TestPermissions holds what each function's code may do in AWS against testdata/permissions.json, so that
// a new right is seen in review. What code really calls is held against the same file end to end.
func TestPermissions(t *testing.T) {
	tm := synth(t, fullConfig(t), newDist(t, ""))["stepcanary"]
	byPlatform := []string{"WriteLogs", "WriteTraces", "JoinNetwork", "OnlyLambdaJoins", "KeepFailures", "EncryptFailures"}
	got := map[string]map[string][]string{}
	for _, f := range functions {
		role, _ := tm.only(t, "AWS::IAM::Role", "RoleName", "stepcanary-eu-west-1-"+f.name)
		got[f.name] = map[string][]string{}
		for _, s := range tm.statements() {
			if s.role != role || slices.Contains(byPlatform, s.sid) {
				continue
			}
			for _, a := range s.actions {
				got[f.name][a] = append(got[f.name][a], s.resources...)
			}
		}
	}
	if *update {
		data, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/permissions.json", append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile("testdata/permissions.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]map[string][]string
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("actions and resources by function (-want +got); go test -run TestPermissions -update:\n%s", diff)
	}
}

func TestCodeInAVPCMayNotTouchItsInterfaces(t *testing.T) {
	tm := synth(t, fullConfig(t), newDist(t, ""))["stepcanary"]
	allow, deny := map[string][]string{}, map[string][]string{}
	for _, s := range tm.statements() {
		switch s.sid {
		case "JoinNetwork":
			allow[s.role] = s.actions
		case "OnlyLambdaJoins":
			deny[s.role] = s.actions
			if s.effect != "Deny" {
				t.Errorf("%s: %s", s.role, s.effect)
			}
		}
	}
	if diff := cmp.Diff(allow, deny); diff != "" || len(allow) != len(functions) {
		t.Errorf("%d functions may make interfaces; denied to their code (-allow +deny):\n%s", len(allow), diff)
	}
}

func TestNothingIsGrantedForWhatIsNotConfigured(t *testing.T) {
	tm := synth(t, baseConfig(), newDist(t, ""))["stepcanary"]
	for _, s := range tm.statements() {
		for _, a := range s.actions {
			for _, service := range []string{"aps:", "secretsmanager:", "sts:", "ec2:", "kms:"} {
				if strings.HasPrefix(a, service) {
					t.Errorf("%s: %s without a resource in the configuration", s.role, a)
				}
			}
		}
	}
}
