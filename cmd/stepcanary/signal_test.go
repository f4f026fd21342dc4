package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// asMain makes this test's own binary the command, with one verb and its argument.
const asMain = "TEST_AS_MAIN"

// A verb that does not listen, here one that reads a pipe into which nobody writes, ends at the
// second signal at the latest.
func TestASecondSignalEndsWhatDoesNotListen(t *testing.T) {
	if path := os.Getenv(asMain); path != "" {
		os.Args = []string{"stepcanary", "validate", path}
		main()
	}
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "deploy.json")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), asMain+"="+pipe)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	writer, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits for the reader
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	deadline := time.After(20 * time.Second)
	for {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
				t.Errorf("it ended with %v; want the signal", err)
			}
			return
		case <-deadline:
			_ = cmd.Process.Kill()
			t.Fatal("it does not end")
		case <-time.After(20 * time.Millisecond):
		}
	}
}
