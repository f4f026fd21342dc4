package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/engine"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/platform"
)

// A server is what serve's flags say.
type server struct {
	listen, clock, lambda, state string
	settings                     platform.Settings
	metrics, hooks               string
}

// serve runs the local engine until it is interrupted, and then names the rollouts that it leaves
// running. They go on when it is started again with the same --state.
func serve(ctx context.Context, c *console, args []string) error {
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	var s server
	f.StringVar(&s.listen, "listen", "127.0.0.1:8083", "address of the API, on loopback")
	f.StringVar(&s.clock, "clock", "real", "real or virtual: virtual jumps to the next due time while no function runs; needs --lambda-endpoint")
	f.StringVar(&s.lambda, "lambda-endpoint", "", "URL of a Lambda-compatible service that runs the functions")
	f.StringVar(&s.state, "state", "", "file that keeps rollouts over a restart; empty keeps them in memory")
	f.StringVar(&s.settings.Kubeconfig, "kubeconfig", kubeconfig(c), "path of the kubeconfig")
	f.StringVar(&s.settings.Context, "context", "", "context of the kubeconfig; without it, the one called like cluster_name")
	f.StringVar(&s.metrics, "metrics", c.env("STEPCANARY_METRICS"), "defaults for the block \"metrics\" of deploy.json, as JSON (or STEPCANARY_METRICS)")
	f.StringVar(&s.hooks, "hooks", c.env("STEPCANARY_HOOKS"), "where webhooks and notifications may go beyond public addresses, as JSON: {\"allow_private\": true, \"allow_loopback\": true} (or STEPCANARY_HOOKS)")
	if _, err := parse(c, f, args, 0); err != nil {
		return err
	}
	if s.lambda != "" {
		if _, err := web(s.lambda); err != nil {
			return fmt.Errorf("serve: --lambda-endpoint %w", err)
		}
	}
	s.settings.Hooks = json.RawMessage(s.hooks)
	if _, err := s.settings.HookOpener(clock.Real{})(); err != nil {
		return fmt.Errorf("serve: --hooks: %w", err)
	}
	s.settings.Metrics = json.RawMessage(s.metrics)
	if err := s.settings.CheckDefaults(ctx); err != nil {
		return fmt.Errorf("serve: --metrics: %w", err)
	}
	slog.SetDefault(slog.New(slog.NewJSONHandler(c.err, nil)))
	return s.run(ctx, c)
}

// kubeconfig is where kubectl would look.
func kubeconfig(c *console) string {
	if path := c.env("KUBECONFIG"); path != "" {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".kube", "config")
}

func (s server) run(ctx context.Context, c *console) error {
	o, p, err := s.parts()
	if err != nil {
		return err
	}
	listener, err := local.Listen(s.listen)
	if err != nil {
		return fmt.Errorf("serve: --listen: %w", err)
	}
	if s.lambda == "" { // functions elsewhere have settings of their own
		if err := kube.CheckKubeconfig(s.settings.Kubeconfig, s.settings.Context); err != nil {
			_ = listener.Close()
			return fmt.Errorf("serve: --kubeconfig: %w", err)
		}
	}
	e, err := engine.Local(o, p)
	if err != nil {
		_ = listener.Close()
		return err
	}
	defer e.Close()
	api := local.Server(e)
	done := make(chan error, 1)
	go func() { done <- api.Serve(listener) }()
	c.printf("Step Functions API on http://%s (state machine %s)\n", listener.Addr(), engine.MachineName)
	if s.state == "" {
		c.printf("Rollouts are kept in memory: an engine that is stopped forgets them. --state FILE keeps them.\n")
	}
	select {
	case err := <-done:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	left, unknown := leftovers(ctx, c, "http://"+listener.Addr().String())
	_ = api.Close()
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	if unknown != nil {
		return exit{exitHeld, fmt.Sprintf("serve: what still runs is not known: %v", unknown)}
	}
	return s.farewell(c, left)
}

// parts are the engine's options and ports.
func (s server) parts() (local.Options, engine.Ports, error) {
	o := local.Options{LambdaEndpoint: s.lambda, Log: func(message string, err error) { slog.Error(message, "error", err) }}
	switch {
	case s.clock == "real":
		o.Clock = clock.Real{}
	case s.clock == "virtual" && s.lambda == "":
		return o, engine.Ports{}, errors.New("serve: --clock virtual needs --lambda-endpoint: the functions in this process roll out on a real cluster, whose time does not jump")
	case s.clock == "virtual":
		o.Clock = clock.NewVirtual(time.Now())
	default:
		return o, engine.Ports{}, fmt.Errorf("serve: --clock %q: real or virtual is expected", s.clock)
	}
	if s.state != "" {
		store, err := local.OpenBolt(s.state)
		if err != nil {
			return o, engine.Ports{}, fmt.Errorf("serve: --state %s: %w", s.state, err)
		}
		o.Store = store
	}
	return o, engine.Ports{Open: s.settings.Opener(), Meter: s.settings.MeterOpener(), Clock: o.Clock, Hooks: s.settings.HookOpener(o.Clock)}, nil
}
