// Package guard ends what a bed leaves behind: whatever way the bed's process
// goes, kill -9 included, no process and no file of it stays.
//
// It is a program of its own, testbed-guard, that the bed starts first, so that
// it outlives the bed, and a small one, since it only waits.
package guard

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// sweepTime bounds how long the guard goes on killing.
const sweepTime = 10 * time.Second

// Keep is what the bed says before its end when its directory shall stay.
const Keep = "keep"

// Run waits until life ends. Then it kills every process whose environment has
// the mark, NAME=VALUE, and removes the directory if it shall, unless life said
// Keep.
func Run(life io.Reader, mark string, remove bool, dir string) error {
	// Whoever ends the bed by a signal to all that looks like it wants it gone.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	told, err := io.ReadAll(life)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(sweepTime); ; time.Sleep(10 * time.Millisecond) {
		found, err := killMarked(mark)
		if err != nil {
			return err
		}
		if found == 0 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes with %s in their environment do not end", found, mark)
		}
	}
	if !remove || string(told) == Keep {
		return nil
	}
	return os.RemoveAll(dir)
}

// killMarked kills every process that has the mark in its environment,
// and says how many there were.
func killMarked(mark string) (int, error) {
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return 0, err
	}
	found := 0
	for _, path := range environments {
		environ, err := os.ReadFile(path)
		if err != nil {
			continue // gone, or somebody else's
		}
		for variable := range bytes.SplitSeq(environ, []byte{0}) {
			if string(variable) != mark {
				continue
			}
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err == nil && pid != os.Getpid() && syscall.Kill(pid, syscall.SIGKILL) == nil {
				found++
			}
			break
		}
	}
	return found, nil
}
