package node

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A process is one run of a container.
type process struct {
	cmd       *exec.Cmd
	env       []string
	startedAt time.Time
	ended     chan struct{}

	// Set before ended is closed.
	code    int32
	signal  syscall.Signal
	endedAt time.Time
}

// startProcess starts the container's command with its output going to the
// container's log.
func startProcess(c *container, img image, env []string) (*process, error) {
	command, args := expandCommand(c.spec, img, env)
	root := filepath.Join(c.pod.dir, "root", c.spec.Name)
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	log, err := openLog(c.pod.logFile(c.spec.Name))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(command, args...)
	cmd.Env = env
	cmd.Dir = root
	if c.spec.WorkingDir != "" {
		cmd.Dir = c.spec.WorkingDir
	}
	cmd.Stdout, cmd.Stderr = log.stream("stdout"), log.stream("stderr")
	// Its own group, so that what it starts can be ended with it; killed by
	// the kernel when the bed is.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	// The log is closed soon after the process ended, even if something that
	// it started holds on to its output.
	cmd.WaitDelay = 100 * time.Millisecond
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	p := &process{cmd: cmd, env: env, startedAt: time.Now(), ended: make(chan struct{})}
	go func() {
		err := cmd.Wait()
		p.endedAt = time.Now()
		p.code, p.signal = exitCode(cmd, err)
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left behind, if anything
		_ = log.Close()
		close(p.ended)
	}()
	return p, nil
}

// exitCode tells how a process ended, in a container runtime's terms: a
// process that a signal ended has 128 plus the signal's number.
func exitCode(cmd *exec.Cmd, err error) (int32, syscall.Signal) {
	if cmd.ProcessState == nil {
		return 128, 0
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case !ok && err != nil:
		return 128, 0
	case ok && status.Signaled():
		return 128 + int32(status.Signal()), status.Signal()
	}
	return int32(cmd.ProcessState.ExitCode()), 0
}

// terminated describes the end of the process for the API.
func (p *process) terminated() *corev1.ContainerStateTerminated {
	t := &corev1.ContainerStateTerminated{
		ExitCode:   p.code,
		Reason:     "Completed",
		FinishedAt: metav1.NewTime(p.endedAt),
	}
	if p.code != 0 {
		t.Reason = "Error"
	}
	return t
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// send signals the container's main process, which is what a kubelet signals.
func (p *process) send(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s) // fails only when it has ended
}

// kill ends the process and all that it started.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
}
