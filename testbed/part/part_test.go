package part

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func shell(t *testing.T, script string) *Part {
	t.Helper()
	dir := t.TempDir()
	p := &Part{Name: "shell", Command: []string{"sh", "-c", script}, Log: filepath.Join(dir, "logs", "shell.log"), PIDFile: filepath.Join(dir, "pids", "shell")}
	t.Cleanup(p.Kill)
	return p
}

func TestPartRunsUntilStopped(t *testing.T) {
	p := shell(t, "echo $GREETING; sleep 1000 & wait")
	p.Env = []string{"GREETING=hello"}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); !errors.Is(err, ErrRunning) {
		t.Errorf("start again: %v, want %v", err, ErrRunning)
	}
	if pid, err := os.ReadFile(p.PIDFile); err != nil || strings.TrimSpace(string(pid)) != strconv.Itoa(p.PID()) {
		t.Errorf("pid file %q, %v; want %d", pid, err, p.PID())
	}
	p.Stop()
	if pid := p.PID(); pid != 0 {
		t.Errorf("pid %d after the stop, want 0", pid)
	}
	if err := p.Died(t.Context()); err != nil {
		t.Errorf("died: %v, want nil since it was stopped", err)
	}
	if _, err := os.Stat(p.PIDFile); !os.IsNotExist(err) {
		t.Errorf("pid file is still there: %v", err)
	}
	if err := p.Start(); err != nil {
		t.Errorf("start after a stop: %v", err)
	}
}

func TestPartThatDiesSaysHow(t *testing.T) {
	for name, tt := range map[string]struct{ script, want string }{
		"a failure":  {"echo broken; exit 3", "exit status 3"},
		"a signal":   {"kill -9 $$", "killed"},
		"by itself":  {"true", "ended by itself"},
		"its log is": {"exit 1", "shell.log"},
	} {
		p := shell(t, tt.script)
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := p.Died(ctx)
		cancel()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q in it", name, err, tt.want)
		}
	}
}

func TestDeafPartIsKilled(t *testing.T) {
	p := shell(t, "trap '' TERM; echo up; while :; do sleep 0.1; done")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if log, _ := os.ReadFile(p.Log); strings.Contains(string(log), "up") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("never came up")
		}
	}
	pid := p.PID()
	p.Stop()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", pid, err)
	}
}

func TestMissingProgramIsAnError(t *testing.T) {
	p := shell(t, "")
	p.Command = []string{"/no/such/program"}
	if err := p.Start(); err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("start: %v, want an error that names the program", err)
	}
}
