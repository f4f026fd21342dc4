package node

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/probe"
	httpprobe "k8s.io/kubernetes/pkg/probe/http"
)

// hook runs a lifecycle handler of the container.
func (c *container) hook(ctx context.Context, h *corev1.LifecycleHandler, proc *process) error {
	switch {
	case h.Exec != nil:
		_, err := c.execute(ctx, h.Exec.Command, proc)
		return err
	case h.Sleep != nil:
		pause(ctx, time.Duration(h.Sleep.Seconds)*time.Second)
		return ctx.Err()
	case h.HTTPGet != nil:
		request, err := httpprobe.NewRequestForHTTPGetAction(h.HTTPGet, c.spec, c.pod.address, "lifecycle")
		if err != nil {
			return err
		}
		result, output, err := httpprobe.DoHTTPProbe(request.WithContext(ctx), http.DefaultClient)
		if err == nil && result == probe.Failure {
			err = fmt.Errorf("%s", output)
		}
		return err
	}
	return fmt.Errorf("lifecycle handler of a kind that this node does not know")
}

// execute runs a command beside the container's process, with its environment
// and in its directory, and gives what it printed.
func (c *container) execute(ctx context.Context, command []string, proc *process) (string, error) {
	if len(command) == 0 {
		return "", fmt.Errorf("exec: no command given")
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env, cmd.Dir = proc.env, proc.cmd.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 100 * time.Millisecond
	output, err := cmd.CombinedOutput()
	return string(output), err
}
