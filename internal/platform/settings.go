// Package platform reads the settings of a platform, in one place, and opens with them
// what the steps of a rollout reach: the cluster, the routers, the metrics source.
package platform

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/meters"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/traffic/routers"
)

// Settings are a platform's, the same for all of its services.
type Settings struct {
	// Kubeconfig and Context lead to the cluster; without a kubeconfig EKS does.
	Kubeconfig string
	Context    string
	// Metrics are the defaults for the block of that name in deploy.json, as JSON.
	Metrics json.RawMessage
	// Hooks says where webhooks and notifications may go beyond public addresses, as JSON:
	// {"allow_private": true, "allow_loopback": true}. Empty allows neither.
	Hooks json.RawMessage
	// EKS describes clusters and makes tokens, where there is no kubeconfig.
	EKS kube.EKS
	// Version is this program's, for the user agent.
	Version string
}

// FromEnvironment reads the settings that a Lambda has in its environment.
func FromEnvironment() Settings {
	return Settings{
		Kubeconfig: os.Getenv("STEPCANARY_KUBECONFIG"),
		Context:    os.Getenv("STEPCANARY_CONTEXT"),
		Metrics:    json.RawMessage(os.Getenv("STEPCANARY_METRICS")),
		Hooks:      json.RawMessage(os.Getenv("STEPCANARY_HOOKS")),
		Version:    os.Getenv("AWS_LAMBDA_FUNCTION_VERSION"),
		EKS:        newEKS(),
	}
}

// Opener gives what opens clusters. A cluster is opened once for each process: a Lambda that
// stays warm keeps its connection, and asks for a new token when the old one ends.
func (s Settings) Opener() step.Opener {
	var mu sync.Mutex
	opened := map[string]step.Access{}
	return func(ctx context.Context, cluster string) (step.Access, error) {
		mu.Lock()
		defer mu.Unlock()
		if a, ok := opened[cluster]; ok {
			return a, nil
		}
		client, err := kube.Open(ctx, kube.Config{
			Cluster: cluster, Kubeconfig: s.Kubeconfig, Context: s.Context, Version: s.Version, EKS: s.EKS,
		})
		if err != nil {
			return step.Access{}, err
		}
		a := step.Access{
			Cluster: kube.NewCluster(client),
			Records: kube.NewRecords(client),
			Router:  func(kind string) (traffic.Router, error) { return routers.Open(kind, client) },
		}
		opened[cluster] = a
		return a, nil
	}
}

// MeterOpener gives what opens the metrics source of a deploy.json, filled up with the platform's
// defaults.
func (s Settings) MeterOpener() step.MeterOpener {
	return func(ctx context.Context, block json.RawMessage) (metric.Meter, error) {
		defaults, err := s.metrics()
		if err != nil {
			return nil, err
		}
		return meters.Opener(defaults, clock.Real{})(ctx, block)
	}
}

// CheckMetrics finds what is wrong with the metrics source of a deploy.json, filled up with the
// platform's defaults, and tells whether it counts all versions together. It looks no secret up and
// reaches nothing, so it needs no right.
func (s Settings) CheckMetrics(_ context.Context, block json.RawMessage) (unscoped bool, err error) {
	defaults, err := s.metrics()
	if err != nil {
		return false, err
	}
	document, err := meters.Parse(block)
	if err != nil {
		return false, err
	}
	c, err := meters.Merge(defaults, document)
	if err != nil {
		return false, err
	}
	return meters.Unscoped(c), meters.Check(c)
}

// CheckDefaults finds what is wrong with the platform's own metrics settings, as far as they can be
// told without a deploy.json: one that names the source whole has to be right.
func (s Settings) CheckDefaults(ctx context.Context) error {
	c, err := s.metrics()
	if err != nil || c.Provider == "" || c.Provider == "prometheus" && c.Address == "" {
		return err
	}
	_, err = s.CheckMetrics(ctx, nil)
	return err
}

// metrics are the platform's defaults.
func (s Settings) metrics() (meters.Config, error) {
	c, err := meters.Parse(s.Metrics)
	if err != nil {
		return meters.Config{}, fmt.Errorf("read the engine's metrics settings: %w", err)
	}
	return c, nil
}
