// Package apiserver runs etcd and kube-apiserver in one process, as a bed
// needs them: data in the bed's directory, listening on the bed's address, and
// ready in about two seconds.
//
// The API server is the real one with all its groups, RBAC and admission. One
// rule is relaxed: EndpointSlices may hold loopback addresses (see
// takeLoopback).
package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"github.com/stepcanary/stepcanary/testbed/layout"
)

// drainTime is how long the API server may go on after it was told to stop.
// On its own it waits up to a minute for watches, which in a bed never end.
const drainTime = 300 * time.Millisecond

// Run starts etcd and kube-apiserver for the bed and serves until ctx ends.
func Run(ctx context.Context, l *layout.Layout) error {
	endpoint, stop, err := startStore(ctx, l)
	if err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	defer stop()
	args, err := arguments(l, endpoint)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- serve(ctx, args, l.Loopback()) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-served:
		return err
	case <-time.After(drainTime):
		return nil
	}
}

// serve is kube-apiserver's Run over the bed's own chain of servers.
func serve(ctx context.Context, args []string, loopback bool) error {
	// etcd and the API server share one process and with it one log set-up.
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	opts := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, f := range opts.Flags().FlagSets {
		flags.AddFlagSet(f)
	}
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("parse kube-apiserver's flags: %w", err)
	}
	if err := opts.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return fmt.Errorf("set kube-apiserver's features: %w", err)
	}
	completed, err := opts.Complete(ctx)
	if err != nil {
		return fmt.Errorf("complete kube-apiserver's options: %w", err)
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return fmt.Errorf("check kube-apiserver's options: %w", utilerrors.NewAggregate(errs))
	}
	chain, err := newChain(completed, loopback)
	if err != nil {
		return fmt.Errorf("build kube-apiserver: %w", err)
	}
	prepared, err := chain.PrepareRun()
	if err != nil {
		return fmt.Errorf("prepare kube-apiserver: %w", err)
	}
	if err := prepared.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("serve the API: %w", err)
	}
	return nil
}

func arguments(l *layout.Layout, endpoint string) ([]string, error) {
	args := []string{
		"--etcd-servers=" + endpoint,
		"--bind-address=" + l.Address(),
		fmt.Sprintf("--secure-port=%d", l.APIPort),
		"--external-hostname=" + l.Address(),
		"--tls-cert-file=" + l.Path("pki", "apiserver.crt"),
		"--tls-private-key-file=" + l.Path("pki", "apiserver.key"),
		"--authorization-mode=RBAC",
		"--token-auth-file=" + l.Path("pki", "tokens.csv"),
		"--service-account-key-file=" + l.Path("pki", "serviceaccount.pub"),
		"--service-account-signing-key-file=" + l.Path("pki", "serviceaccount.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--api-audiences=https://kubernetes.default.svc",
		"--service-cluster-ip-range=" + l.ServiceCIDR(),
		"--endpoint-reconciler-type=none",
		"--enable-priority-and-fairness=false",
		"--kubelet-certificate-authority=" + l.Path("pki", "ca.crt"),
		"--kubelet-client-certificate=" + l.Path("pki", "kubelet-client.crt"),
		"--kubelet-client-key=" + l.Path("pki", "kubelet-client.key"),
		"--proxy-client-cert-file=" + l.Path("pki", "kubelet-client.crt"),
		"--proxy-client-key-file=" + l.Path("pki", "kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
	}
	if l.AuthenticationWebhook != "" {
		args = append(args,
			"--authentication-token-webhook-config-file="+l.AuthenticationWebhook,
			"--authentication-token-webhook-version=v1",
			"--authentication-token-webhook-cache-ttl=5s",
		)
	}
	if l.Audit {
		policy := l.Path("audit-policy.yaml")
		if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--audit-policy-file="+policy, "--audit-log-path="+l.Path("audit.log"))
	}
	return args, nil
}

// auditPolicy writes one line for each finished request: who asked for what,
// with which user agent, and what came of it. Bodies stay out of it.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
`
