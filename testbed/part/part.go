// Package part runs the programs that make up a bed as child processes: each
// with its log and its pid in a file, and none of them outliving the bed.
package part

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// stopTime is how long a part may take to end after SIGTERM before it is
// killed.
const stopTime = 3 * time.Second

// A Part is one program of the bed. The zero value is not usable; fill in the
// exported fields and call Start.
type Part struct {
	// Name is the part's name in messages, of its log and of its pid file.
	Name string
	// Command is the program and its arguments.
	Command []string
	// Env is added to the bed's own environment.
	Env []string
	// Log is the file that the part's output is appended to.
	Log string
	// PIDFile holds the process id while the part runs.
	PIDFile string

	mu   sync.Mutex
	proc *process
}

type process struct {
	cmd    *exec.Cmd
	ended  chan struct{}
	err    error // set before ended is closed
	wanted bool  // somebody asked for the end
}

// ErrRunning says that a part was to be started that runs already.
var ErrRunning = errors.New("already running")

// Start starts the part and returns once it has a pid.
func (p *Part) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc != nil && !p.proc.over() {
		return fmt.Errorf("%s: %w", p.Name, ErrRunning)
	}
	for _, file := range []string{p.Log, p.PIDFile} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
	}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own copy
	cmd := exec.Command(p.Command[0], p.Command[1:]...)
	cmd.Env = append(os.Environ(), p.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	// A terminal's Ctrl-C must reach the bed alone, which then stops its parts
	// in order; Pdeathsig takes the part along when the bed is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	proc := &process{cmd: cmd, ended: make(chan struct{})}
	p.proc = proc
	go func() {
		proc.err = cmd.Wait()
		_ = os.Remove(p.PIDFile) // best effort: the pid means nothing any more
		close(proc.ended)
	}()
	return os.WriteFile(p.PIDFile, []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o600)
}

// Stop asks the part to end, kills it when it does not, and returns when it is
// gone. Stopping a part that does not run does nothing.
func (p *Part) Stop() { p.end(syscall.SIGTERM) }

// Kill kills the part as kill -9 does and returns when it is gone.
func (p *Part) Kill() { p.end(syscall.SIGKILL) }

func (p *Part) end(signal syscall.Signal) {
	p.mu.Lock()
	proc := p.proc
	if proc != nil {
		proc.wanted = true
	}
	p.mu.Unlock()
	if proc == nil || proc.over() {
		return
	}
	_ = proc.cmd.Process.Signal(signal) // fails only when it is over already
	select {
	case <-proc.ended:
	case <-time.After(stopTime):
		_ = proc.cmd.Process.Kill()
		<-proc.ended
	}
}

// PID is the part's process id, 0 when it does not run.
func (p *Part) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc == nil || p.proc.over() {
		return 0
	}
	return p.proc.cmd.Process.Pid
}

// Died waits until the running process ends. It returns nil when that was
// asked for or ctx ended first, and else an error that says how it ended.
func (p *Part) Died(ctx context.Context) error {
	p.mu.Lock()
	proc := p.proc
	p.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil
	case <-proc.ended:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if proc.wanted || ctx.Err() != nil {
		return nil
	}
	if proc.err == nil {
		return fmt.Errorf("%s ended by itself; its log is %s", p.Name, p.Log)
	}
	return fmt.Errorf("%s ended by itself: %w; its log is %s", p.Name, proc.err, p.Log)
}

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}
