package kube_test

import (
	"os/exec"
	"strings"
	"testing"
)

// A typed client, or the types and the scheme that come with one, would double every
// Lambda.
func TestNoTypedClientIsImported(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../kube/...", "../traffic/...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	for path := range strings.Lines(string(out)) {
		path = strings.TrimSpace(path)
		for _, heavy := range []string{"k8s.io/client-go/kubernetes", "k8s.io/client-go/applyconfigurations", "k8s.io/client-go/informers", "k8s.io/api/"} {
			if strings.HasPrefix(path, heavy) {
				t.Errorf("%s is imported; the dynamic client is enough", path)
			}
		}
	}
}
