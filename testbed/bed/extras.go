package bed

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"k8s.io/client-go/rest"

	"github.com/stepcanary/stepcanary/testbed/amp"
	"github.com/stepcanary/stepcanary/testbed/cloudwatch"
	"github.com/stepcanary/stepcanary/testbed/layout"
	"github.com/stepcanary/stepcanary/testbed/mesh"
)

// What programs sign with when a bed stands for AWS. The secret is the bed's
// own; the region is any.
const (
	awsRegion    = "eu-west-1"
	awsAccessKey = "AKIATESTBEDTESTBED00"
	workspace    = "ws-testbed"
)

// newAWSSecret makes the secret key of a bed that stands for AWS.
func newAWSSecret() (string, error) {
	secret := make([]byte, 20)
	_, err := rand.Read(secret)
	return hex.EncodeToString(secret), err
}

// AMPURL is the base URL of the stand-in for Amazon Managed Prometheus, to
// which api/v1/query and so on are added; empty when there is none.
func (b *Bed) AMPURL() string {
	if !b.options.AMP {
		return ""
	}
	return "http://" + b.HostPort(b.AMPPort) + amp.Path(workspace)
}

// MeshURL is where calls go into the mesh, by Host header; empty when there is
// none.
func (b *Bed) MeshURL() string {
	if !b.options.Mesh {
		return ""
	}
	return "http://" + b.HostPort(b.MeshPort)
}

// CloudWatchURL is the endpoint of the stand-in for CloudWatch; empty when
// there is none.
func (b *Bed) CloudWatchURL() string {
	if !b.options.CloudWatch {
		return ""
	}
	return "http://" + b.HostPort(b.CloudWatchPort)
}

// extraEnvironment is what a program needs to find the stand-ins.
func (b *Bed) extraEnvironment() []string {
	var env []string
	for name, url := range map[string]string{
		"TESTBED_MESH_URL":            b.MeshURL(),
		"TESTBED_AMP_URL":             b.AMPURL(),
		"AWS_ENDPOINT_URL_CLOUDWATCH": b.CloudWatchURL(),
	} {
		if url != "" {
			env = append(env, name+"="+url)
		}
	}
	if b.options.AMP || b.options.CloudWatch {
		// Whatever credentials the caller has stay out of the bed; an empty value is
		// a variable to unset, since the AWS CLI takes an empty profile for a name.
		env = append(env, "AWS_ACCESS_KEY_ID="+awsAccessKey, "AWS_SECRET_ACCESS_KEY="+b.awsSecret, "AWS_SESSION_TOKEN=",
			"AWS_PROFILE=", "AWS_REGION="+awsRegion, "AWS_DEFAULT_REGION="+awsRegion)
	}
	return env
}

// startMesh starts the App Mesh stand-in.
func (b *Bed) startMesh(config *rest.Config) error {
	log, err := b.openLog(layout.Mesh)
	if err != nil {
		return err
	}
	config = rest.CopyConfig(config)
	config.UserAgent = "testbed-mesh"
	_, err = mesh.Start(b.ctx, mesh.Options{
		Config: config,
		Listen: b.HostPort(b.MeshPort),
		Admin:  b.HostPort(b.MeshAdminPort),
		Log:    log,
	})
	if err != nil {
		return fmt.Errorf("start the mesh stand-in: %w", err)
	}
	b.progress(layout.Mesh, "stand-in for App Mesh at %s, by Host header", b.MeshURL())
	return nil
}

// startCloudWatch starts the CloudWatch stand-in and feeds it from the pods
// and the mesh.
func (b *Bed) startCloudWatch() error {
	server, err := cloudwatch.Start(b.ctx, b.HostPort(b.CloudWatchPort), cloudwatch.Options{
		Delay: b.options.CloudWatchDelay, Resolution: b.options.CloudWatchResolution,
	})
	if err != nil {
		return fmt.Errorf("start the CloudWatch stand-in: %w", err)
	}
	log, err := b.openLog(layout.CloudWatch)
	if err != nil {
		return err
	}
	pods := cloudwatch.Pods("http://" + b.HostPort(b.DiscoveryPort) + "/targets")
	scraper := &cloudwatch.Scraper{
		Server:  server,
		Cluster: "testbed",
		Sources: func(ctx context.Context) ([]cloudwatch.Source, error) {
			// The mesh comes first: what it counts of a pod is what its callers got.
			var sources []cloudwatch.Source
			if b.options.Mesh {
				sources = append(sources, cloudwatch.Mesh("http://"+b.HostPort(b.MeshAdminPort)+"/metrics"))
			}
			list, err := pods(ctx)
			return append(sources, list...), err
		},
		Failed: func(err error) { log.Warn("scrape", "error", err) },
	}
	b.group.Go(func() { scraper.Run(b.ctx, time.Second) })
	b.progress(layout.CloudWatch, "stand-in for CloudWatch at %s", b.CloudWatchURL())
	return nil
}

// startAMP starts the stand-in for Amazon Managed Prometheus.
func (b *Bed) startAMP() error {
	handler, err := amp.New(amp.Options{
		Prometheus: b.PrometheusURL(), Workspace: workspace,
		Region: awsRegion, AccessKey: awsAccessKey, SecretKey: b.awsSecret,
	})
	if err != nil {
		return fmt.Errorf("start the stand-in for Amazon Managed Prometheus: %w", err)
	}
	listener, err := net.Listen("tcp", b.HostPort(b.AMPPort))
	if err != nil {
		return fmt.Errorf("start the stand-in for Amazon Managed Prometheus: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(b.ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }() // ends with Close
	b.progress(layout.AMP, "stand-in for Amazon Managed Prometheus at %s", b.AMPURL())
	return nil
}

// openLog opens the log of something that runs in this process.
func (b *Bed) openLog(name string) (*slog.Logger, error) {
	file, err := os.OpenFile(b.Log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(b.ctx, func() { _ = file.Close() })
	return slog.New(slog.NewTextHandler(file, nil)), nil
}
