package bed

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/stepcanary/stepcanary/testbed/layout"
)

// sweepTime bounds how long the guard goes on killing.
const sweepTime = 10 * time.Second

// A guard is a process that outlives the bed by a moment: when the bed is gone,
// whatever way it went, the guard ends every process that the bed's processes
// started, and removes its directory. It holds the bed's addresses until then.
type guard struct {
	cmd  *exec.Cmd
	life *os.File // its end tells the guard that the bed is gone
}

// startGuard starts the guard of a bed. remove says whether it shall remove
// the bed's directory.
func startGuard(programs string, l *layout.Layout, p *place, remove bool) (*guard, error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	listener, err := p.file()
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	cmd := exec.Command(filepath.Join(programs, "testbed"), "guard", l.ID, strconv.FormatBool(remove), l.Dir)
	cmd.Stdin = theirs
	cmd.Stderr = os.Stderr
	cmd.Env = []string{"GOMAXPROCS=1"}
	cmd.ExtraFiles = []*os.File{listener}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C and a killed group leave it
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	return &guard{cmd: cmd, life: ours}, nil
}

// keepFiles is what the guard is told when it shall leave the directory alone.
const keepFiles = "keep"

// finish lets the guard do its work, and returns when it is done.
func (g *guard) finish(keep bool) error {
	if keep {
		if _, err := io.WriteString(g.life, keepFiles); err != nil {
			return fmt.Errorf("tell the guard to keep the files: %w", err)
		}
	}
	_ = g.life.Close()
	if err := g.cmd.Wait(); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	return nil
}

// Guard is the guard's own program: it waits for the end of standard input.
func Guard(id string, remove bool, dir string) error {
	told, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(sweepTime); ; time.Sleep(10 * time.Millisecond) {
		found, err := killMarked(id)
		if err != nil {
			return err
		}
		if found == 0 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes of the bed do not end", found)
		}
	}
	if !remove || string(told) == keepFiles {
		return nil
	}
	return os.RemoveAll(dir)
}

// killMarked kills every process that has the bed's mark in its environment,
// and says how many there were.
func killMarked(id string) (int, error) {
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return 0, err
	}
	mark := []byte(layout.EnvID + "=" + id)
	found := 0
	for _, path := range environments {
		environ, err := os.ReadFile(path)
		if err != nil {
			continue // gone, or somebody else's
		}
		for variable := range bytes.SplitSeq(environ, []byte{0}) {
			if !bytes.Equal(variable, mark) {
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
