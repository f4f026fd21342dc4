package secret_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/secret"
)

const arn = secret.Ref("arn:aws:secretsmanager:eu-west-1:123456789012:secret:stepcanary/token-AbCdEf")

func TestAReferenceIsNoSecret(t *testing.T) {
	for _, ref := range []secret.Ref{"env:STEPCANARY_SECRET_TOKEN", arn, "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:x"} {
		if err := ref.Check(); err != nil {
			t.Errorf("Check(%s) = %v", ref, err)
		}
	}
	for _, ref := range []secret.Ref{
		"", "hunter2", "env:hunter2", "env:AWS_SECRET_ACCESS_KEY", "env:STEPCANARY_SECRET_", "env:STEPCANARY_SECRET_A B",
		"xenv:STEPCANARY_SECRET_A", "arn:aws:ssm:eu-west-1:123456789012:parameter/hunter2", arn + "\n",
	} {
		err := ref.Check()
		if fault.Of(err) != fault.Invalid {
			t.Errorf("Check(%q) = %v; want %v", ref, err, fault.Invalid)
		}
		if strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("Check(%q) tells what it is: %v", ref, err)
		}
	}
}

func TestResolveReadsTheEnvironment(t *testing.T) {
	t.Setenv("STEPCANARY_SECRET_TOKEN", " t0ken\n")
	t.Setenv("STEPCANARY_SECRET_EMPTY", " ")
	if got, err := secret.Ref("env:STEPCANARY_SECRET_TOKEN").Resolve(t.Context()); err != nil || got != "t0ken" {
		t.Errorf("Resolve() = %q, %v; want t0ken", got, err)
	}
	for _, name := range []string{"EMPTY", "NONE"} {
		if got, err := secret.Ref("env:STEPCANARY_SECRET_" + name).Resolve(t.Context()); got != "" || fault.Of(err) != fault.Invalid {
			t.Errorf("Resolve(%s) = %q, %v; want %v", name, got, err, fault.Invalid)
		}
	}
}

func TestResolveReadsSecretsManager(t *testing.T) {
	for k, v := range map[string]string{
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PROFILE": "",
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI", "AWS_SESSION_TOKEN": "", "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(k, v)
	}
	for name, tt := range map[string]struct {
		status int
		answer string
		want   string
		kind   fault.Kind
	}{
		"there":         {200, `{"SecretString":"t0ken"}`, "t0ken", ""},
		"empty":         {200, `{"SecretString":""}`, "", fault.Invalid},
		"not there":     {400, `{"__type":"ResourceNotFoundException","Message":"no"}`, "", fault.Invalid},
		"not for us":    {400, `{"__type":"AccessDeniedException","Message":"no"}`, "", fault.Invalid},
		"wrongly asked": {403, `{"__type":"InvalidSignatureException","Message":"you sent s3ss10n"}`, "", fault.Invalid},
		"throttled":     {400, `{"__type":"ThrottlingException","Message":"slow"}`, "", fault.Transient},
		"out of order":  {500, `{"__type":"InternalServiceError","Message":"oops"}`, "", fault.Transient},
		"another thing": {502, `<html>`, "", fault.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/secretsmanager/") {
					t.Errorf("signed for %s; want the region of the ARN", r.Header.Get("Authorization"))
				}
				w.Header().Set("Content-Type", "application/x-amz-json-1.1")
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.answer)
			}))
			defer server.Close()
			t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.URL)
			got, err := arn.Resolve(t.Context())
			if strings.Contains(fmt.Sprint(err), "s3ss10n") {
				t.Errorf("the error tells the session's token: %v", err)
			}
			if got != tt.want || tt.kind == "" && err != nil || tt.kind != "" && fault.Of(err) != tt.kind {
				t.Errorf("Resolve() = %q, %v; want %q, %v", got, err, tt.want, tt.kind)
			}
		})
	}
}
