// Package bed puts a bed together: a real Kubernetes API, a node whose pods are
// processes, a real gateway and a real Prometheus, on this machine's loopback
// addresses, with neither root nor containers.
package bed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/stepcanary/stepcanary/testbed/layout"
	"github.com/stepcanary/stepcanary/testbed/netns"
	"github.com/stepcanary/stepcanary/testbed/node"
	"github.com/stepcanary/stepcanary/testbed/part"
)

// A Bed is one that runs.
type Bed struct {
	*layout.Layout
	options Options
	place   *place
	guard   *guardian
	parts   map[string]*part.Part
	order   []string // of the parts, as they were started
	client  kubernetes.Interface
	node    *node.Node
	ready   time.Duration

	awsSecret string // of requests to the stand-ins

	mu sync.Mutex // guards parts and order

	ctx    context.Context // ends when the bed does
	cancel context.CancelFunc
	group  sync.WaitGroup
}

// Start brings a bed up and returns when it is ready for use: the API answers,
// the node takes pods, the gateway serves routes and Prometheus answers
// queries. Stop ends it, and so does the end of this process, however it comes.
//
// When a part fails, the error names it and its log, and the bed's directory
// is kept.
func Start(ctx context.Context, options Options) (*Bed, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	b, err := prepare(options)
	if err != nil {
		return nil, err
	}
	b.ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	stopEarly := context.AfterFunc(ctx, b.cancel)
	if err := b.bringUp(b.ctx); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("start was interrupted: %w", context.Cause(ctx))
		}
		return nil, errors.Join(err, b.stop(ctx.Err() == nil))
	}
	stopEarly()
	b.ready = time.Since(b.Started)
	return b, nil
}

// prepare claims addresses, makes the bed's directory and starts its guard.
func prepare(options Options) (b *Bed, err error) {
	p, err := newPlace(options)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = p.listener.Close()
		}
	}()
	dir, temporary, err := options.directory()
	if err != nil {
		return nil, err
	}
	l := newLayout(options, dir, p)
	b = &Bed{Layout: l, options: options, place: p, parts: map[string]*part.Part{}}
	if b.guard, err = startGuard(options.Programs, l, p, temporary); err != nil {
		return nil, err
	}
	if err := b.layOut(); err != nil {
		return nil, errors.Join(err, b.guard.finish(false))
	}
	return b, nil
}

// newPlace claims addresses of the kind that the options ask for.
func newPlace(options Options) (*place, error) {
	if !options.OwnNetwork {
		return claim(127)
	}
	network := &net.IPNet{IP: net.IPv4(10, firstBlock, 0, 1), Mask: net.CIDRMask(16, 32)}
	if err := netns.Up(network); err != nil {
		return nil, fmt.Errorf("set the bed's network up: %w", err)
	}
	return claim(10)
}

// layOut fills the bed's directory.
func (b *Bed) layOut() (err error) {
	if b.awsSecret, err = newAWSSecret(); err != nil {
		return err
	}
	for _, sub := range []string{"logs", "pids", "users"} {
		if err := os.MkdirAll(b.Path(sub), 0o700); err != nil {
			return err
		}
	}
	if err := b.Save(); err != nil {
		return err
	}
	return writeCredentials(b.Layout)
}

// Stop ends the bed and returns when nothing of it is left: no process, no
// listener, and, unless Options.Dir named it, no directory.
func (b *Bed) Stop() error { return b.stop(false) }

func (b *Bed) stop(keepFiles bool) error {
	b.cancel()
	if b.node != nil {
		b.node.Wait()
	}
	for i := len(b.order) - 1; i >= 0; i-- {
		b.parts[b.order[i]].Stop()
	}
	b.group.Wait()
	_ = b.place.listener.Close()
	return b.guard.finish(keepFiles)
}

// Environment is what a program needs to find the bed, as NAME=VALUE. NAME= alone
// is a variable that the program must not have.
func (b *Bed) Environment() []string {
	return append(b.extraEnvironment(),
		"KUBECONFIG="+b.Kubeconfig("admin"),
		"TESTBED_GATEWAY_URL="+b.GatewayURL(),
		"TESTBED_PROMETHEUS_URL="+b.PrometheusURL(),
		"TESTBED_DIR="+b.Dir,
		layout.EnvID+"="+b.ID,
	)
}

// ReadyAfter is how long the bed took to be ready.
func (b *Bed) ReadyAfter() time.Duration { return b.ready }

func (b *Bed) progress(part, format string, args ...any) {
	b.options.Progress(part, fmt.Sprintf(format, args...))
}

// program is a part that this program itself can be.
func (b *Bed) program(name string) []string {
	return []string{filepath.Join(b.options.Programs, "testbed"), "part", name, b.Dir}
}

// answers reports whether the URL answers 200.
func answers(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}
