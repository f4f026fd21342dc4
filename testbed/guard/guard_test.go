package guard

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestRunEndsMarkedProcessesAndRemovesFiles(t *testing.T) {
	for name, tt := range map[string]struct {
		said   string
		remove bool
		gone   bool
	}{
		"a temporary directory goes":            {"", true, true},
		"a directory that somebody named stays": {"", false, false},
		"a directory that shall be kept, stays": {Keep, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "bed")
			if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o700); err != nil {
				t.Fatal(err)
			}
			mark := "GUARD_TEST=" + t.Name()
			marked, other := sleeper(t, mark), sleeper(t, mark+"-other")
			if err := Run(strings.NewReader(tt.said), mark, tt.remove, dir); err != nil {
				t.Fatal(err)
			}
			if err := marked.Wait(); err == nil {
				t.Error("the marked process ended by itself, want it killed")
			}
			if environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(other.Process.Pid), "environ")); err != nil || len(environ) == 0 {
				t.Errorf("a process with another mark is gone: %v", err)
			}
			if _, err := os.Stat(dir); os.IsNotExist(err) != tt.gone {
				t.Errorf("directory: %v, want it gone: %v", err, tt.gone)
			}
		})
	}
}

// sleeper starts a process that has the mark. It has printed a line, so its
// environment is in place.
func sleeper(t *testing.T, mark string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", "echo up; exec sleep 1000")
	cmd.Env = append(os.Environ(), mark)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	return cmd
}
