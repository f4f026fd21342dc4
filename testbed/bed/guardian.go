package bed

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/stepcanary/stepcanary/testbed/guard"
	"github.com/stepcanary/stepcanary/testbed/layout"
)

// A guardian is the process that runs package guard for a bed. It holds the
// bed's addresses until it is done.
type guardian struct {
	cmd  *exec.Cmd
	life *os.File // its end tells the guard that the bed is gone
}

// startGuard starts the guard of a bed. remove says whether it shall remove
// the bed's directory.
func startGuard(programs string, l *layout.Layout, p *place, remove bool) (*guardian, error) {
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
	cmd := exec.Command(filepath.Join(programs, "testbed-guard"), layout.EnvID+"="+l.ID, strconv.FormatBool(remove), l.Dir)
	cmd.Stdin = theirs
	cmd.Stderr = os.Stderr
	cmd.Env = []string{"GOMAXPROCS=1"}
	cmd.ExtraFiles = []*os.File{listener}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C and a killed group leave it
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	if err := p.unblock(); err != nil {
		return nil, err
	}
	return &guardian{cmd: cmd, life: ours}, nil
}

// finish lets the guard do its work, and returns when it is done.
func (g *guardian) finish(keep bool) error {
	if keep {
		if _, err := io.WriteString(g.life, guard.Keep); err != nil {
			return fmt.Errorf("tell the guard to keep the files: %w", err)
		}
	}
	_ = g.life.Close()
	if err := g.cmd.Wait(); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	return nil
}
