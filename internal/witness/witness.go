// Package witness finds the independent programs and records that tests compare the engine
// with. Where one is missing its test is skipped, unless whoever runs the tests has named it
// in STEPCANARY_WITNESSES: then it is a failure. scripts/witnesses lists those of a machine.
package witness

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Env names the witnesses that have to be there, with spaces between them.
const Env = "STEPCANARY_WITNESSES"

// Program gives the path of a program that is a witness.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name, err.Error())
	}
	return path
}

// Missing ends the test of a witness that is not there.
func Missing(t testing.TB, name, why string) {
	t.Helper()
	if slices.Contains(strings.Fields(os.Getenv(Env)), name) {
		t.Fatalf("the witness %s has to be here, says %s: %s", name, Env, why)
	}
	t.Skipf("nothing is compared with the witness %s: %s", name, why)
}
