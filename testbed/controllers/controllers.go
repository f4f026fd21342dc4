// Package controllers runs the part of kube-controller-manager that a bed
// needs: what turns Deployments into pods, Services into endpoints, and what
// cleans up after them.
package controllers

import (
	"context"
	"fmt"
	"strings"

	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"

	"github.com/stepcanary/stepcanary/testbed/layout"
)

// names are the controllers that run. The rest of kube-controller-manager
// serves volumes, clouds and certificates, of which a bed has none.
var names = []string{
	"deployment-controller",
	"replicaset-controller",
	"endpoints-controller",
	"endpointslice-controller",
	"garbage-collector-controller",
	"namespace-controller",
	"serviceaccount-controller",
	"serviceaccount-token-controller",
	"root-ca-certificate-publisher-controller",
	"horizontal-pod-autoscaler-controller",
	"disruption-controller",
	"job-controller",
	"resourcequota-controller",
	"clusterrole-aggregation-controller",
	"pod-garbage-collector-controller",
	"statefulset-controller",
	"daemonset-controller",
	"ttl-after-finished-controller",
	"cronjob-controller",
}

// Run runs the controllers against the bed's API server until ctx ends.
func Run(ctx context.Context, l *layout.Layout) error {
	kubeconfig := l.Kubeconfig("controllers")
	command := kcm.NewControllerManagerCommand()
	command.SetArgs([]string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--controllers=" + strings.Join(names, ","),
		"--leader-elect=false",
		"--secure-port=0",
		"--service-account-private-key-file=" + l.Path("pki", "serviceaccount.key"),
		"--root-ca-file=" + l.Path("pki", "ca.crt"),
		"--kube-api-qps=1000",
		"--kube-api-burst=1000",
		"--endpointslice-updates-batch-period=0s",
		"--endpoint-updates-batch-period=0s",
		// A cluster looks every 15 s and waits 5 minutes before it scales
		// down; a bed is there to see both happen.
		"--horizontal-pod-autoscaler-sync-period=1s",
		"--horizontal-pod-autoscaler-downscale-stabilization=10s",
		"--horizontal-pod-autoscaler-initial-readiness-delay=1s",
		"--horizontal-pod-autoscaler-cpu-initialization-period=5s",
	})
	done := make(chan error, 1)
	go func() { done <- command.ExecuteContext(ctx) }()
	select {
	case err := <-done:
		if err == nil {
			err = fmt.Errorf("kube-controller-manager ended by itself")
		}
		return err
	case <-ctx.Done():
		return nil
	}
}
