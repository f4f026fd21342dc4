package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A container runs one container of a pod: it starts the process, watches it
// by probes, and starts it again as the restart policy says.
type container struct {
	pod     *pod
	spec    *corev1.Container
	init    bool
	backOff backOff

	mu       sync.Mutex
	state    corev1.ContainerState
	last     corev1.ContainerState
	restarts int32
	started  bool // the startup probe, if any, has passed
	ready    bool // the readiness probe, if any, passes
	imageID  string
	proc     *process
	usage    sample
}

func newContainer(p *pod, spec *corev1.Container, init bool) *container {
	c := &container{pod: p, spec: spec, init: init, backOff: newBackOff(p.node.layout.CrashBackOff)}
	c.state.Waiting = &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
	if init || len(p.inits) > 0 {
		c.state.Waiting.Reason = "PodInitializing"
	}
	return c
}

// sidecar says whether this is an init container that stays.
func (c *container) sidecar() bool {
	return c.init && c.spec.RestartPolicy != nil && *c.spec.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// run starts the container again and again until it has ended for good or the
// pod is to end. It reports whether the container succeeded.
func (c *container) run(ctx context.Context) bool {
	for {
		if !c.launch(ctx) {
			return false
		}
		code := c.watch(ctx)
		if c.pod.isStopping() {
			return false
		}
		if !c.again(code) {
			return code == 0
		}
		if !c.waitToRestart() {
			return false
		}
		c.mu.Lock()
		c.restarts++
		c.mu.Unlock()
	}
}

// again says whether the restart policy wants the container back.
func (c *container) again(code int32) bool {
	if c.sidecar() {
		return true
	}
	switch c.pod.object().Spec.RestartPolicy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return code != 0
	}
	return code != 0 || !c.init
}

// launch starts the process. While that is impossible, because the image or
// what the environment refers to is missing, it says so in the container's
// state and tries on. It reports false when the pod is to end.
func (c *container) launch(ctx context.Context) bool {
	pulls := newBackOff(c.pod.node.layout.CrashBackOff)
	for !c.pod.isStopping() {
		img, err := c.pod.node.images.pull(c.spec.Image)
		if err != nil {
			if !c.waitForImage(err, &pulls) {
				return false
			}
			continue
		}
		c.event(corev1.EventTypeNormal, "Pulled", "Container image %q already present on machine", c.spec.Image)
		env, err := c.environment(ctx, img)
		if err != nil {
			c.waiting("CreateContainerConfigError", err.Error())
			c.event(corev1.EventTypeWarning, "Failed", "Error: %v", err)
			if !c.pod.wait(retryEvery) {
				return false
			}
			continue
		}
		c.event(corev1.EventTypeNormal, "Created", "Container created")
		c.start(img, env)
		return true
	}
	return false
}

// waitForImage shows an image that cannot be pulled as a kubelet does:
// ErrImagePull at the attempt, ImagePullBackOff until the next one.
func (c *container) waitForImage(err error, pulls *backOff) bool {
	c.event(corev1.EventTypeNormal, "Pulling", "Pulling image %q", c.spec.Image)
	c.event(corev1.EventTypeWarning, "Failed", "Failed to pull image %q: %v", c.spec.Image, err)
	c.waiting("ErrImagePull", err.Error())
	// The two reasons must not melt into one status write.
	if !c.pod.wait(100 * time.Millisecond) {
		return false
	}
	c.event(corev1.EventTypeNormal, "BackOff", "Back-off pulling image %q", c.spec.Image)
	c.waiting("ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q: %v", c.spec.Image, err))
	pulls.next()
	return c.pod.wait(pulls.wait())
}

// start starts the process; one that cannot be started counts as ended with
// exit code 128, as in a container runtime.
func (c *container) start(img image, env []string) {
	proc, err := startProcess(c, img, env)
	now := metav1.Now()
	c.mu.Lock()
	c.imageID = img.id
	c.proc = proc
	c.ready, c.started = false, false
	if err == nil {
		c.state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}
		c.started = c.spec.StartupProbe == nil
		c.ready = c.started && c.spec.ReadinessProbe == nil
	} else {
		c.state = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 128, Reason: "StartError", Message: err.Error(), StartedAt: now, FinishedAt: now, ContainerID: c.id(),
		}}
	}
	c.mu.Unlock()
	if err != nil {
		c.event(corev1.EventTypeWarning, "Failed", "Error: %v", err)
	} else {
		c.event(corev1.EventTypeNormal, "Started", "Container started")
	}
	c.pod.touch()
}

// watch follows the process to its end, which the pod's stopping brings about
// too, and gives its exit code.
func (c *container) watch(ctx context.Context) int32 {
	c.mu.Lock()
	proc := c.proc
	c.mu.Unlock()
	if proc == nil {
		return 128
	}
	probing, stopProbing := context.WithCancel(ctx)
	go c.probe(probing, proc)
	if c.spec.Lifecycle != nil && c.spec.Lifecycle.PostStart != nil {
		go c.postStart(probing, proc)
	}
	select {
	case <-proc.ended:
	case <-c.pod.stopping:
		c.end(ctx)
	}
	stopProbing()
	return c.record(proc)
}

// record takes the end of a process into the container's state.
func (c *container) record(proc *process) int32 {
	terminated := proc.terminated()
	terminated.ContainerID = c.id()
	c.mu.Lock()
	terminated.StartedAt = metav1.NewTime(proc.startedAt)
	c.state = corev1.ContainerState{Terminated: terminated}
	c.ready, c.started = false, false
	c.proc = nil
	c.mu.Unlock()
	c.pod.touch()
	return terminated.ExitCode
}

// waitToRestart waits as long as the back-off says before a container is
// started again, and shows it. It reports false when the pod is to end.
func (c *container) waitToRestart() bool {
	c.mu.Lock()
	c.last = c.state
	wait := c.backOff.wait()
	c.mu.Unlock()
	if wait > 0 {
		message := fmt.Sprintf("back-off %v restarting failed container=%s pod=%s", wait, c.spec.Name, c.pod.object().Name)
		c.event(corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container %s in pod %s", c.spec.Name, c.pod.object().Name)
		c.waiting("CrashLoopBackOff", message)
		if !c.pod.wait(wait) {
			return false
		}
	}
	c.backOff.next()
	return true
}

// waiting sets the container's state to waiting, and keeps how it last ended.
func (c *container) waiting(reason, message string) {
	c.mu.Lock()
	c.state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	c.mu.Unlock()
	c.pod.touch()
}

// awaitStarted waits until the container runs and has passed its startup
// probe; false when stop came first.
func (c *container) awaitStarted(stop <-chan struct{}) bool {
	for {
		c.mu.Lock()
		started := c.started
		c.mu.Unlock()
		if started {
			return true
		}
		select {
		case <-stop:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *container) event(kind, reason, format string, args ...any) {
	c.pod.node.events.Eventf(c.reference(), kind, reason, format, args...)
}

// reference names the container inside its pod, for events.
func (c *container) reference() *corev1.ObjectReference {
	object := c.pod.object()
	path := "spec.containers{" + c.spec.Name + "}"
	if c.init {
		path = "spec.initContainers{" + c.spec.Name + "}"
	}
	return &corev1.ObjectReference{
		APIVersion: "v1", Kind: "Pod", Namespace: object.Namespace, Name: object.Name,
		UID: object.UID, ResourceVersion: object.ResourceVersion, FieldPath: path,
	}
}

// id names this run of the container. The caller may hold c.mu.
func (c *container) id() string { return fmt.Sprintf("process://%s/%s", c.pod.uid, c.spec.Name) }

func (p *pod) isStopping() bool {
	select {
	case <-p.stopping:
		return true
	default:
		return false
	}
}

// wait waits for d; false when the pod is to end first.
func (p *pod) wait(d time.Duration) bool {
	select {
	case <-p.stopping:
		return false
	case <-time.After(d):
		return true
	}
}
