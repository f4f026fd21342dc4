// Package kube reaches a Kubernetes cluster and does there the few reads and
// writes that a rollout needs: it drives the ports workload and record, and the
// routers that are Kubernetes objects stand on its client.
//
// It uses the dynamic client alone. Any typed client of client-go doubles the size
// of a Lambda, and a rollout changes the same objects whatever Go types exist for
// them.
package kube
