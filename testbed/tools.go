//go:build tools

// Package testbed pins the programs that the bed runs beside itself, so that
// go.mod and go.sum hold what build.sh needs.
package testbed

import (
	_ "github.com/prometheus/prometheus/cmd/prometheus"
	_ "github.com/traefik/traefik/v3/cmd/traefik"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
