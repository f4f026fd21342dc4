package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/kubernetes/pkg/probe"
	grpcprobe "k8s.io/kubernetes/pkg/probe/grpc"
	httpprobe "k8s.io/kubernetes/pkg/probe/http"
	tcpprobe "k8s.io/kubernetes/pkg/probe/tcp"
)

// firstLook is how often a container that has not been ready yet is asked. A
// kubelet asks at the probe's own period, one second at least; a bed would
// spend most of its life waiting. Once ready, the container is asked at the
// probe's period, and failures count as they do in a cluster.
const firstLook = 50 * time.Millisecond

var (
	httpProber = httpprobe.New(false)
	tcpProber  = tcpprobe.New()
	grpcProber = grpcprobe.New()
)

// probe watches a run of the container by its probes until ctx ends. While the
// startup probe has not passed, the other two are not asked.
func (c *container) probe(ctx context.Context, proc *process) {
	if s := c.spec.StartupProbe; s != nil {
		if !c.probeStartup(ctx, s, proc) {
			return
		}
		c.mu.Lock()
		c.started = true
		c.ready = c.spec.ReadinessProbe == nil
		c.mu.Unlock()
		c.pod.touch()
	}
	if l := c.spec.LivenessProbe; l != nil {
		go c.probeLiveness(ctx, l, proc)
	}
	if r := c.spec.ReadinessProbe; r != nil {
		c.probeReadiness(ctx, r, proc)
	}
}

// probeStartup reports whether the startup probe passed; when it has failed
// too often, it ends the process.
func (c *container) probeStartup(ctx context.Context, p *corev1.Probe, proc *process) bool {
	pause(ctx, seconds(p.InitialDelaySeconds))
	for failures := int32(0); ctx.Err() == nil; pause(ctx, seconds(p.PeriodSeconds)) {
		err := c.ask(ctx, p, proc)
		if err == nil {
			return true
		}
		failures++
		c.unhealthy(ctx, "Startup", err)
		if failures >= p.FailureThreshold {
			c.restart(ctx, "startup", p, proc)
			return false
		}
	}
	return false
}

func (c *container) probeLiveness(ctx context.Context, p *corev1.Probe, proc *process) {
	pause(ctx, seconds(p.InitialDelaySeconds))
	for failures := int32(0); ctx.Err() == nil; pause(ctx, seconds(p.PeriodSeconds)) {
		err := c.ask(ctx, p, proc)
		if err == nil {
			failures = 0
			continue
		}
		failures++
		c.unhealthy(ctx, "Liveness", err)
		if failures >= p.FailureThreshold {
			c.restart(ctx, "liveness", p, proc)
			return
		}
	}
}

func (c *container) probeReadiness(ctx context.Context, p *corev1.Probe, proc *process) {
	pause(ctx, seconds(p.InitialDelaySeconds))
	ready := false
	for passed, failures := int32(0), int32(0); ctx.Err() == nil; {
		if err := c.ask(ctx, p, proc); err == nil {
			passed, failures = passed+1, 0
		} else if ctx.Err() == nil {
			// A process needs a moment until it listens; that is not news.
			if ready || time.Since(proc.startedAt) > time.Second && failures%20 == 0 {
				c.unhealthy(ctx, "Readiness", err)
			}
			passed, failures = 0, failures+1
		}
		switch {
		case !ready && passed >= p.SuccessThreshold:
			ready = c.setReady(proc, true)
		case ready && failures >= p.FailureThreshold:
			ready = c.setReady(proc, false)
		}
		if ready || failures > 100 {
			pause(ctx, seconds(p.PeriodSeconds))
		} else {
			pause(ctx, firstLook)
		}
	}
}

// setReady notes whether the container is ready and returns the same.
func (c *container) setReady(proc *process, ready bool) bool {
	c.mu.Lock()
	if c.proc == proc {
		c.ready = ready
	}
	c.mu.Unlock()
	c.pod.touch()
	return ready
}

// restart ends a process that its probe found dead; the container's own loop
// starts it again.
func (c *container) restart(ctx context.Context, kind string, p *corev1.Probe, proc *process) {
	c.event(corev1.EventTypeNormal, "Killing", "Container %s failed %s probe, will be restarted", c.spec.Name, kind)
	grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if g := c.pod.object().Spec.TerminationGracePeriodSeconds; g != nil {
		grace = *g
	}
	if p.TerminationGracePeriodSeconds != nil {
		grace = *p.TerminationGracePeriodSeconds
	}
	proc.send(15)
	select {
	case <-proc.ended:
	case <-ctx.Done():
	case <-time.After(time.Duration(grace) * time.Second):
		proc.kill()
	}
}

func (c *container) unhealthy(ctx context.Context, kind string, err error) {
	if ctx.Err() == nil && !c.pod.isStopping() {
		c.event(corev1.EventTypeWarning, "Unhealthy", "%s probe failed: %v", kind, err)
	}
}

// ask makes one probe and says why it failed.
func (c *container) ask(ctx context.Context, p *corev1.Probe, proc *process) error {
	timeout := seconds(p.TimeoutSeconds)
	var result probe.Result
	var output string
	var err error
	switch {
	case p.HTTPGet != nil:
		request, requestErr := httpprobe.NewRequestForHTTPGetAction(p.HTTPGet, c.spec, c.pod.address, "probe")
		if requestErr != nil {
			return requestErr
		}
		result, output, err = httpProber.Probe(request, timeout)
	case p.TCPSocket != nil:
		port, portErr := c.port(p.TCPSocket.Port)
		if portErr != nil {
			return portErr
		}
		result, output, err = tcpProber.Probe(c.host(p.TCPSocket.Host), port, timeout)
	case p.GRPC != nil:
		service := ""
		if p.GRPC.Service != nil {
			service = *p.GRPC.Service
		}
		result, output, err = grpcProber.Probe(c.pod.address, service, int(p.GRPC.Port), timeout)
	case p.Exec != nil:
		limited, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		output, err = c.execute(limited, p.Exec.Command, proc)
		if err != nil {
			return fmt.Errorf("command %q: %w: %s", p.Exec.Command, err, output)
		}
		return nil
	default:
		return errors.New("probe of a kind that this node does not know")
	}
	if err == nil && result == probe.Failure {
		err = errors.New(output)
	}
	return err
}

func (c *container) host(host string) string {
	if host != "" {
		return host
	}
	return c.pod.address
}

// port finds a port by number or by the container's name for it.
func (c *container) port(port intstr.IntOrString) (int, error) {
	if port.Type == intstr.Int {
		return port.IntValue(), nil
	}
	for _, p := range c.spec.Ports {
		if p.Name == port.StrVal {
			return int(p.ContainerPort), nil
		}
	}
	return 0, fmt.Errorf("container %s has no port named %q", c.spec.Name, port.StrVal)
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }
