package e2e

import (
	"bufio"
	"io"
	"sort"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestLogs(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	// The first run fails, the second one does not.
	apply(t, pod(ns, "talks", `restartPolicy: OnFailure
volumes: [{name: state, emptyDir: {}}]
containers:
- name: app
  image: podlet
  command: [sh, -c, "test -e state/again && RUN=two || RUN=one; echo first $RUN; sleep 0.1; echo second >&2; sleep 0.1; printf third; test $RUN = two || { touch state/again; exit 1; }"]
  volumeMounts: [{name: state, mountPath: /state}]`))
	podWhen(t, ns, "talks", "succeeded", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
	two, ten := int64(2), int64(10)
	for name, tt := range map[string]struct {
		options corev1.PodLogOptions
		want    string
	}{
		"all":                 {corev1.PodLogOptions{}, "first two\nsecond\nthird\n"},
		"the last two lines":  {corev1.PodLogOptions{TailLines: &two}, "second\nthird\n"},
		"the first ten bytes": {corev1.PodLogOptions{LimitBytes: &ten}, "first two\n"},
		"the run before":      {corev1.PodLogOptions{Previous: true}, "first one\nsecond\nthird\n"},
	} {
		if got := logs(t, ns, "talks", &tt.options); !sameLines(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// sameLines compares without regard to the order of lines: streams race.
func sameLines(got, want string) bool {
	a, b := strings.SplitAfter(got, "\n"), strings.SplitAfter(want, "\n")
	sort.Strings(a)
	sort.Strings(b)
	return strings.Join(a, "") == strings.Join(b, "")
}

func readLines(t *testing.T, r io.Reader) []string {
	t.Helper()
	var lines []string
	s := bufio.NewScanner(r)
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	return lines
}
