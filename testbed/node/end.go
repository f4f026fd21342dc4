package node

import (
	"context"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// minGrace is what a process gets between SIGTERM and SIGKILL at least, when
// its preStop hook has used the grace period up.
const minGrace = 2 * time.Second

// end ends the container's process: the preStop hook first, then SIGTERM, and
// SIGKILL when the pod's grace period is over. It returns when the process is
// gone.
func (c *container) end(ctx context.Context) {
	c.mu.Lock()
	proc := c.proc
	c.mu.Unlock()
	if proc == nil {
		return
	}
	if c.pod.left() > 0 {
		c.event(corev1.EventTypeNormal, "Killing", "Stopping container %s", c.spec.Name)
		c.preStop(ctx, proc)
		proc.send(syscall.SIGTERM)
		for until := time.Now().Add(max(c.pod.left(), minGrace)); ; {
			select {
			case <-proc.ended:
				return
			case <-time.After(20 * time.Millisecond):
			}
			// The deadline may have come closer meanwhile.
			if now := time.Now(); now.After(until) || c.pod.left() < -minGrace {
				break
			}
		}
	}
	proc.kill()
	<-proc.ended
}

// kill ends the container's process at once.
func (c *container) kill() {
	c.mu.Lock()
	proc := c.proc
	c.mu.Unlock()
	if proc != nil {
		proc.kill()
	}
}

// preStop runs the container's preStop hook, for as long as grace is left.
func (c *container) preStop(ctx context.Context, proc *process) {
	if c.spec.Lifecycle == nil || c.spec.Lifecycle.PreStop == nil {
		return
	}
	limited, cancel := context.WithTimeout(ctx, c.pod.left())
	defer cancel()
	go func() {
		select {
		case <-proc.ended:
			cancel()
		case <-limited.Done():
		}
	}()
	if err := c.hook(limited, c.spec.Lifecycle.PreStop, proc); err != nil && limited.Err() == nil {
		c.event(corev1.EventTypeWarning, "FailedPreStopHook", "PreStopHook failed: %v", err)
	}
}

// postStart runs the container's postStart hook; a container whose hook fails
// is killed.
func (c *container) postStart(ctx context.Context, proc *process) {
	if err := c.hook(ctx, c.spec.Lifecycle.PostStart, proc); err != nil && ctx.Err() == nil {
		c.event(corev1.EventTypeWarning, "FailedPostStartHook", "PostStartHook failed: %v", err)
		proc.kill()
	}
}
