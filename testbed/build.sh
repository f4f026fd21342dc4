#!/usr/bin/env bash
# Build the bed's programs into DIR (by default bin/ beside testbed/): testbed,
# traefik, prometheus and the sample images; with --kubectl also kubectl, with
# --only-kubectl nothing else.
#
# Needs Go, git and a module proxy. From nothing it takes some minutes on two
# cores, nearly all of it compiling Kubernetes; again, some seconds.
set -euo pipefail

cd "$(dirname "$0")"
case "${1:-}" in
--kubectl | --only-kubectl)
	kubectl=$1
	shift
	;;
*) kubectl=no ;;
esac
bin=${1:-../bin}
mkdir -p "$bin" build
bin=$(cd "$bin" && pwd)
say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }

# module_dir MODULE@VERSION prints where the Go module cache holds a module. It
# runs outside this module, whose replace directives must not count.
module_dir() {
	(cd / && go mod download -json "$1") | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p'
}

# version MODULE prints the version that go.mod requires of it.
version() {
	sed -n "s|^[[:space:]]*$1 \(v[^ ]*\).*|\1|p" go.mod | head -n 1
}

# copy MODULE DIR copies a module to where go.mod's replace directive looks for
# it, without its tests; false when that version, trimmed by this very script, is
# there already.
copy() {
	local wanted
	wanted="$1@$(version "$1") $(cksum <build.sh)"
	[ "$(cat "build/$2/.version" 2>/dev/null || true)" = "$wanted" ] && return 1
	say "trim ${wanted%% *}"
	rm -rf "build/$2"
	cp -R "$(module_dir "${wanted%% *}")" "build/$2"
	chmod -R u+w "build/$2"
	find "build/$2" -name '*_test.go' -delete
	echo "$wanted" >"build/$2/.version"
}

# Traefik gets certificates through lego, which brings the SDKs of 150 DNS
# providers: a third of all packages, and none of use here. lego is copied
# without them.
trim_lego() {
	copy github.com/go-acme/lego/v5 lego || return 0
	find build/lego/providers/dns -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
	rm -rf build/lego/cmd build/lego/e2e build/lego/docs build/lego/internal/dnsdocs build/lego/internal/releaser
	cat >build/lego/providers/dns/zz_gen_dns_providers.go <<'GO'
package dns

import (
	"fmt"

	"github.com/go-acme/lego/v5/challenge"
)

// NewDNSChallengeProviderByName refuses: this copy has no providers.
func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
	return nil, fmt.Errorf("no DNS providers in this build: %s", name)
}
GO
}

# Traefik can read what runs on Amazon ECS, through three SDKs of which one, EC2,
# is the slowest package of the whole build: 65 s of processor time together.
# Traefik is copied without that one provider.
trim_traefik() {
	copy github.com/traefik/traefik/v3 traefik || return 0
	rm -rf build/traefik/docs build/traefik/integration build/traefik/pkg/provider/ecs
	mkdir build/traefik/pkg/provider/ecs
	cat >build/traefik/pkg/provider/ecs/ecs.go <<'GO'
// Package ecs is left out of this build.
package ecs

import (
	"errors"

	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/safe"
)

// What the static configuration mentions.
const (
	ProviderName        = "ecs"
	DefaultTemplateRule = "Host(`{{ normalize .Name }}`)"
)

// A Provider provides nothing.
type Provider struct {
	DefaultRule string
}

// SetDefaults sets nothing.
func (p *Provider) SetDefaults() {}

// Init refuses.
func (p *Provider) Init() error { return errors.New("no ECS provider in this build") }

// Provide refuses.
func (p *Provider) Provide(chan<- dynamic.Message, *safe.Pool) error { return p.Init() }
GO
	add_mirror
}

# Traefik can mirror requests, and its Gateway API provider does not use it for
# the filter RequestMirror: a rule with one answers 500. One file and two lines
# join them. sed changes nothing where the lines have moved, so that is checked.
add_mirror() {
	local gateway=build/traefik/pkg/provider/kubernetes/gateway
	cat >$gateway/mirror.go <<'GO'
package gateway

import (
	"context"

	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gatev1 "sigs.k8s.io/gateway-api/apis/v1"
)

// mirrored puts the back ends of a rule's RequestMirror filters beside the service that answers.
// One that cannot be loaded is left out and told in the condition, as the Gateway API wants it.
func (p *Provider) mirrored(ctx context.Context, gatewayName string, listener gatewayListener, conf *dynamic.Configuration, routerName, service string, rule gatev1.HTTPRouteRule, route *gatev1.HTTPRoute, condition *metav1.Condition) (string, *metav1.Condition) {
	var mirrors []dynamic.MirrorService
	for i, filter := range rule.Filters {
		if filter.RequestMirror == nil {
			continue
		}
		ref := gatev1.HTTPBackendRef{BackendRef: gatev1.BackendRef{BackendObjectReference: filter.RequestMirror.BackendRef}}
		name, trouble := p.loadService(ctx, gatewayName, listener, conf, routerName+"-mirror", route, i, ref, nil)
		if trouble != nil {
			condition = trouble
			continue
		}
		mirrors = append(mirrors, dynamic.MirrorService{Name: name, Percent: percentOf(filter.RequestMirror)})
	}
	if len(mirrors) == 0 {
		return service, condition
	}
	mirroring := &dynamic.Mirroring{Service: service, Mirrors: mirrors}
	mirroring.SetDefaults()
	conf.HTTP.Services[routerName+"-mirror"] = &dynamic.Service{Mirroring: mirroring}
	return routerName + "-mirror", condition
}

// percentOf is the share of requests to mirror, all of them by default. Traefik knows whole percents.
func percentOf(m *gatev1.HTTPRequestMirrorFilter) int {
	switch {
	case m.Percent != nil:
		return int(*m.Percent)
	case m.Fraction != nil:
		return int(100 * m.Fraction.Numerator / ptr.Deref(m.Fraction.Denominator, 100))
	}
	return 100
}
GO
	sed -i \
		-e 's/^\t\tcase gatev1.HTTPRouteFilterExtensionRef:$/\t\tcase gatev1.HTTPRouteFilterRequestMirror: \/\/ mirrored has it\n&/' \
		-e 's/^\(\t*\)router.Service, serviceCondition = p.loadWRRService(.*$/&\n\1router.Service, serviceCondition = p.mirrored(ctx, gatewayName, listener, conf, routerName, router.Service, routeRule, route, serviceCondition)/' \
		$gateway/httproute.go
	if [ "$(grep -cE 'mirrored has it|p\.mirrored\(' $gateway/httproute.go)" != 2 ]; then
		echo "build.sh: Traefik's httproute.go is not the one that add_mirror knows" >&2
		exit 1
	fi
}

# The Gateway API's definitions go into the testbed program.
copy_crds() {
	gateway_api=sigs.k8s.io/gateway-api@$(version sigs.k8s.io/gateway-api)
	[ "$(cat build/gateway-api.version 2>/dev/null || true)" = "$gateway_api" ] && return
	say "copy the definitions of $gateway_api"
	rm -f gateway/crds/*.yaml
	cp "$(module_dir "$gateway_api")"/config/crd/standard/*.yaml gateway/crds/
	chmod u+w gateway/crds/*.yaml
	echo "$gateway_api" >build/gateway-api.version
}

kubernetes=$(version k8s.io/kubernetes)
component=k8s.io/component-base/version
ldflags="-s -w
 -X $component.gitVersion=$kubernetes -X $component.gitMajor=1 -X $component.gitMinor=$(echo "$kubernetes" | cut -d. -f2)
 -X $component.gitCommit=none -X $component.buildDate=2026-01-01T00:00:00Z"

# compiled counts the packages that go build -v names, and passes on what else it says.
compiled() {
	local line n=0 next=20
	while read -r line; do
		if [[ $line == *[[:space:]]* || $line == '#'* ]]; then
			echo "$line" >&2
		elif n=$((n + 1)); [ "$SECONDS" -ge "$next" ]; then
			say "$n packages compiled"
			next=$((SECONDS + 20))
		fi
	done
}

# build PACKAGE... builds programs by the names of their packages. Without
# debugging information the whole takes a fifth less time, and a compiler that
# collects its garbage less often takes another eighth off.
build() {
	say "build ${*##*/}"
	GOGC=400 go build -v -buildvcs=false -gcflags=all=-dwarf=false -ldflags "$ldflags" -tags remove_all_sd \
		-o "$bin/" "$@" 2>&1 | compiled
}

if [ "$kubectl" = --only-kubectl ]; then
	build k8s.io/kubernetes/cmd/kubectl
	exit
fi
trim_lego
trim_traefik
copy_crds
say "download modules"
go mod download k8s.io/kubernetes github.com/traefik/traefik/v3 github.com/prometheus/prometheus
programs=(./cmd/testbed ./cmd/testbed-guard ./cmd/load
	github.com/traefik/traefik/v3/cmd/traefik github.com/prometheus/prometheus/cmd/prometheus)
if [ "$kubectl" = --kubectl ]; then
	programs+=(k8s.io/kubernetes/cmd/kubectl)
fi
build "${programs[@]}"
say "build podlet"
(cd .. && go build -buildvcs=false -gcflags=all=-dwarf=false -o "$bin/podlet" ./examples/podlet)
# The same program plays other services, by its name.
for image in yelb-ui yelb-appserver yelb-db redis-server podinfo http-echo; do
	ln -sf podlet "$bin/$image"
done
say "done: programs in $bin"
