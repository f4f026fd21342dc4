package spec_test

import (
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/spec"
)

func TestImages(t *testing.T) {
	const sha = "sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
	for image, good := range map[string]bool{
		"app":                               true,
		"app:1.2":                           true,
		"app:V1_2-x.y":                      true,
		"podlet:v3_errors-20_latency-300ms": true,
		"team/app@" + sha:                   true,
		"team/app:1.2@" + sha:               true,
		"registry:5000/app":                 true,
		"registry:5000/team/app:1":          true,
		"localhost/app:1":                   true,
		"127.0.0.1:5000/app:1":              true,
		"[::1]:5000/app:1":                  true,
		"Registry.Example/team/app:1":       true,
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b__c--d.e@" + sha: true,
		"app@sha512:" + strings.Repeat("0", 128):                          true,

		"":                                   false,
		" app:1":                             false,
		"app:":                               false,
		"app:-1":                             false,
		"app:1 2":                            false,
		"app:" + strings.Repeat("1", 129):    false,
		"App:1":                              false,
		"team/App:1":                         false,
		"team//app:1":                        false,
		"/app:1":                             false,
		"team/app-:1":                        false,
		"app@sha256:0f1e":                    false,
		"app@md5:" + strings.Repeat("0", 32): false,
		"app@" + sha + "@" + sha:             false,
		"app@" + strings.ToUpper(sha):        false,
		"regi_stry.example/app:1":            false,
		"registry:port/app:1":                false,
		"registry:5000000/app":               false,
		"https://registry/app":               false,
		"app:1\nprivileged: true":            false,
		"*":                                  false,
		"${CONTAINER_IMAGE}":                 false,
		strings.Repeat("a", 300):             false,
	} {
		_, err := (spec.File{Path: "deploy.json", Raw: []byte("{}")}).WithImage(image)
		if (err == nil) != good {
			t.Errorf("WithImage(%q) = %v, want it taken: %t", image, err, good)
		}
	}
}
