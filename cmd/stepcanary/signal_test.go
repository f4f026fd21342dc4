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

// Every verb ends at the first signal, by itself or by the signal. All are in the middle of something here: they read a
// pipe into which nobody writes. One that speaks to an engine did not listen until it had read its files.
func TestASignalEndsAVerb(t *testing.T) {
	if args := os.Getenv(asMain); args != "" {
		os.Args = append([]string{"stepcanary"}, strings.Fields(args)...)
		main()
	}
	t.Parallel()
	for verb, itself := range map[string]bool{"validate": false, "plan": false, "role": false, "judge": false, "deploy": true, "freeze": true, "unfreeze": true} {
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
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-ended:
				var exit *exec.ExitError
				if !errors.As(err, &exit) {
					t.Fatalf("it ended with %v; want an error", err)
				}
				if status := exit.Sys().(syscall.WaitStatus); itself && status.ExitStatus() != exitError || !itself && status.Signal() != syscall.SIGTERM {
					t.Errorf("it ended with %v", err)
				}
			case <-time.After(20 * time.Second):
				_ = cmd.Process.Kill()
				t.Fatal("it does not end")
			}
		})
	}
}
