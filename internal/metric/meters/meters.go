package meters

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	awscloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/egress"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/cloudwatch"
	"github.com/stepcanary/stepcanary/internal/metric/prometheus"
	"github.com/stepcanary/stepcanary/internal/metric/queries"
)

// Open gives the meter that the configuration names. It looks secrets up and
// asks the source nothing. A configuration that cannot work is an error of kind
// fault.Invalid, and so is a provider that is not known: a guess would judge a
// canary by somebody else's numbers.
func Open(ctx context.Context, c Config, clk clock.Clock) (metric.Meter, error) {
	switch c.Provider {
	case "prometheus":
		return openPrometheus(ctx, c, clk)
	case "cloudwatch":
		return openCloudWatch(ctx, c, clk)
	}
	return nil, fmt.Errorf("metrics.provider %q: %w: prometheus or cloudwatch is expected", c.Provider, fault.Invalid)
}

// Opener opens the meter of a document's metrics block over the engine's
// defaults.
func Opener(engine Config, clk clock.Clock) func(context.Context, json.RawMessage) (metric.Meter, error) {
	return func(ctx context.Context, block json.RawMessage) (metric.Meter, error) {
		document, err := Parse(block)
		if err != nil {
			return nil, err
		}
		c, err := Merge(engine, document)
		if err != nil {
			return nil, err
		}
		return Open(ctx, c, clk)
	}
}

// Check finds what is wrong with a configuration without looking up secrets.
func Check(c Config) error {
	switch c.Provider {
	case "prometheus":
		if _, err := queries.OpenPrometheus(c.Queries); err != nil {
			return err
		}
		if err := c.Auth.check(c); err != nil {
			return err
		}
		if _, err := c.transport(); err != nil {
			return err
		}
		_, err := prometheus.New(prometheus.Options{Address: c.Address})
		return err
	case "cloudwatch":
		if c.Auth != (Auth{}) || c.Address != "" {
			return fmt.Errorf("metrics: %w: provider cloudwatch takes no address and no auth", fault.Invalid)
		}
		_, err := queries.OpenCloudWatch(c.Queries)
		return err
	}
	_, err := Open(context.Background(), c, nil)
	return err
}

// Unscoped tells whether the source that a configuration names counts all versions of a service
// together, so that limits alone can judge.
func Unscoped(c Config) bool {
	set, err := queries.OpenCloudWatch(c.Queries)
	return c.Provider == "cloudwatch" && err == nil && set.Unscoped
}

func openPrometheus(ctx context.Context, c Config, clk clock.Clock) (metric.Meter, error) {
	if err := Check(c); err != nil {
		return nil, err
	}
	set, err := queries.OpenPrometheus(c.Queries)
	if err != nil {
		return nil, err
	}
	transport, err := c.transport()
	if err != nil {
		return nil, err
	}
	o := prometheus.Options{
		Address: c.Address, Queries: set, Clock: clk, Transport: transport,
		Scrape: time.Duration(c.ScrapeInterval), Lag: c.lag(),
	}
	if o.Authorize, o.Secrets, err = c.authorize(ctx, clk); err != nil {
		return nil, fmt.Errorf("metrics.auth: %w", err)
	}
	return prometheus.New(o)
}

// Pace says how the source that the configuration names can be read, without opening it. It is false where the
// configuration does not say enough, such as a document that leaves the provider to the engine.
func (c Config) Pace() (metric.Pace, bool) {
	switch c.Provider {
	case "prometheus":
		set, err := queries.OpenPrometheus(c.Queries)
		return prometheus.PaceOf(prometheus.Options{Queries: set, Scrape: time.Duration(c.ScrapeInterval), Lag: c.lag()}), err == nil
	case "cloudwatch":
		return cloudwatch.PaceOf(time.Duration(c.Lag)), true
	}
	return metric.Pace{}, false
}

// lag is what the configuration says, or a managed store's; zero for the driver's own.
func (c Config) lag() time.Duration {
	if c.Auth.SigV4 != nil && c.Lag == 0 {
		return remoteLag
	}
	return time.Duration(c.Lag)
}

// remoteLag is how long samples take from a scrape to a managed store, where
// agents send them on in batches.
const remoteLag = 15 * time.Second

// transport leads to the address: the engine's own wherever it is, a document's
// only where egress allows it.
func (c Config) transport() (http.RoundTripper, error) {
	policy := egress.Policy{Private: true, Loopback: c.own || c.AllowLoopback}
	t := policy.Transport()
	if c.own {
		t.Proxy = http.ProxyFromEnvironment
	}
	if c.CA != "" {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(c.CA)) {
			return nil, fmt.Errorf("metrics.ca: %w: a PEM certificate is expected", fault.Invalid)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return t, nil
}

// authorize looks the credentials up.
func (c Config) authorize(ctx context.Context, clk clock.Clock) (prometheus.Authorize, []string, error) {
	switch a := c.Auth; {
	case a.Bearer != "":
		token, err := a.Bearer.Resolve(ctx)
		return prometheus.Bearer(token), []string{token}, err
	case a.Basic != nil:
		password, err := a.Basic.Password.Resolve(ctx)
		return prometheus.Basic(a.Basic.Username, password), prometheus.BasicSecrets(a.Basic.Username, password), err
	case a.SigV4 != nil:
		cfg, err := loadAWS(ctx, c.signingRegion())
		if err != nil {
			return nil, nil, err
		}
		if a.SigV4.Role != "" {
			cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), a.SigV4.Role))
		}
		s := prometheus.Signer{Credentials: cfg.Credentials, Region: cfg.Region, Service: a.SigV4.Service, Now: clk.Now}
		return s.Authorize, nil, nil
	}
	return nil, nil, nil
}

func (c Config) signingRegion() string {
	if m := workspaces.FindStringSubmatch(origin(c.Address)); m != nil && c.Region == "" {
		return m[1]
	}
	return c.Region
}

func openCloudWatch(ctx context.Context, c Config, clk clock.Clock) (metric.Meter, error) {
	if err := Check(c); err != nil {
		return nil, err
	}
	set, err := queries.OpenCloudWatch(c.Queries)
	if err != nil {
		return nil, err
	}
	fill(&c.Namespace, set.Namespace)
	set.Namespace, set.LoadBalancer, set.Targets = c.Namespace, c.LoadBalancer, c.TargetGroups
	cfg, err := loadAWS(ctx, c.Region)
	if err != nil {
		return nil, err
	}
	return cloudwatch.New(cloudwatch.Options{
		Client: awscloudwatch.NewFromConfig(cfg), Queries: set, Lag: time.Duration(c.Lag), Clock: clk,
	}), nil
}

// loadAWS reads the SDK's usual configuration, for a region if one is named.
func loadAWS(ctx context.Context, region string) (aws.Config, error) {
	var options []func(*awsconfig.LoadOptions) error
	if region != "" {
		options = append(options, awsconfig.WithRegion(region))
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("AWS configuration: %w: %v", fault.Invalid, err)
	}
	if cfg.Region == "" {
		return aws.Config{}, fmt.Errorf("metrics.region: %w: none is set, here or in AWS_REGION", fault.Invalid)
	}
	return cfg, nil
}
