package node

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// written writes a log and gives its path.
func written(t *testing.T, chunks ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "logs", "c.log")
	log, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	out := log.stream("stdout")
	for _, c := range chunks {
		if _, err := out.Write([]byte(c)); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string, o *corev1.PodLogOptions) string {
	t.Helper()
	var out strings.Builder
	if err := readLog(t.Context(), path, o, func() bool { return true }, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestLogComesBackLineByLine(t *testing.T) {
	path := written(t, "one\ntw", "o\n\nthree with spaces \nno end")
	lines, bytes := int64(2), int64(5)
	past, future := metav1.NewTime(time.Now().Add(-time.Hour)), metav1.NewTime(time.Now().Add(time.Hour))
	for name, tt := range map[string]struct {
		options corev1.PodLogOptions
		want    string
	}{
		"all":           {corev1.PodLogOptions{}, "one\ntwo\n\nthree with spaces \nno end\n"},
		"two lines":     {corev1.PodLogOptions{TailLines: &lines}, "three with spaces \nno end\n"},
		"five bytes":    {corev1.PodLogOptions{LimitBytes: &bytes}, "one\nt"},
		"since before":  {corev1.PodLogOptions{SinceTime: &past}, "one\ntwo\n\nthree with spaces \nno end\n"},
		"since later":   {corev1.PodLogOptions{SinceTime: &future}, ""},
		"to its end":    {corev1.PodLogOptions{Follow: true}, "one\ntwo\n\nthree with spaces \nno end\n"},
		"no lines":      {corev1.PodLogOptions{TailLines: new(int64)}, ""},
		"zero time ago": {corev1.PodLogOptions{SinceSeconds: new(int64)}, ""},
	} {
		if got := read(t, path, &tt.options); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	stamped := read(t, path, &corev1.PodLogOptions{Timestamps: true})
	stamp, rest, _ := strings.Cut(stamped, " ")
	if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil || !strings.HasPrefix(rest, "one\n") {
		t.Errorf("with timestamps: %q, want a time before each line", stamped)
	}
}

func TestEndlessLineIsCut(t *testing.T) {
	path := written(t, strings.Repeat("x", 3*maxLine), "\n")
	if got := read(t, path, &corev1.PodLogOptions{}); strings.Count(got, "x") != 3*maxLine || strings.Count(got, "\n") != 3 {
		t.Errorf("%d bytes in %d lines, want all in 3 lines", strings.Count(got, "x"), strings.Count(got, "\n"))
	}
}

func TestLogOptionsComeFromTheQuery(t *testing.T) {
	o, err := logQuery(url.Values{"follow": {"true"}, "tailLines": {"7"}, "sinceTime": {"2026-11-21T00:00:00Z"}})
	if err != nil || !o.Follow || *o.TailLines != 7 || o.SinceTime.Unix() != 1795219200 || o.LimitBytes != nil {
		t.Errorf("options %+v, %v", o, err)
	}
	for _, bad := range []url.Values{{"tailLines": {"many"}}, {"sinceTime": {"yesterday"}}} {
		if o, err := logQuery(bad); err == nil {
			t.Errorf("%v gives %+v, want an error", bad, o)
		}
	}
}
