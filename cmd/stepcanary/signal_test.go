package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asMain makes this test's own binary the command, with these arguments.
const asMain = "TEST_AS_MAIN"

// A verb that works alone ends at the first signal, and one that does not listen at the second. Both are in the
// middle of something here: they read a pipe into which nobody writes.
func TestASignalEndsAVerb(t *testing.T) {
	if args := os.Getenv(asMain); args != "" {
		os.Args = append([]string{"stepcanary"}, strings.Fields(args)...)
		main()
	}
	t.Parallel()
	for verb, signals := range map[string]int{"validate": 1, "plan": 1, "role": 1, "judge": 1, "deploy": 2} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			pipe := filepath.Join(t.TempDir(), "deploy.json")
			if err := syscall.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestASignalEndsAVerb$")
			cmd.Env = append(os.Environ(), asMain+"="+verb+" "+pipe)
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
			sent := 0
			for deadline := time.After(20 * time.Second); ; {
				if sent < signals || signals > 1 { // how soon the first of two is heard is not known
					sent++
					if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
						t.Fatal(err)
					}
				}
				select {
				case err := <-ended:
					var exit *exec.ExitError
					if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
						t.Errorf("it ended with %v; want the signal", err)
					}
					if sent < signals {
						t.Errorf("it ended after %d signals; want %d", sent, signals)
					}
					return
				case <-deadline:
					_ = cmd.Process.Kill()
					t.Fatal("it does not end")
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
}
