#!/bin/sh
# Build the bed's programs into DIR (by default bin/ beside testbed/): testbed,
# traefik, prometheus and the sample images; with --kubectl also kubectl, with
# --only-kubectl nothing else.
#
# Needs Go, git and a module proxy. From nothing it takes some minutes on two
# cores, nearly all of it compiling Kubernetes; again, some seconds.
set -eu

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
begun=$(date +%s)

say() { printf '[%4ds] %s\n' "$(($(date +%s) - begun))" "$*"; }

# module_dir MODULE@VERSION prints where the Go module cache holds a module. It
# runs outside this module, whose replace directives must not count.
module_dir() {
	(cd / && go mod download -json "$1") | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p'
}

# version MODULE prints the version that go.mod requires of it.
version() {
	sed -n "s|^[[:space:]]*$1 \(v[^ ]*\).*|\1|p" go.mod | head -n 1
}

# Traefik gets certificates through lego, which brings the SDKs of 150 DNS
# providers: a third of all packages, and none of use here. Traefik's own
# sources are untouched; lego is copied without its providers, and go.mod
# points there.
trim_lego() {
	lego=github.com/go-acme/lego/v5@$(version github.com/go-acme/lego/v5)
	[ "$(cat build/lego/.version 2>/dev/null || true)" = "$lego" ] && return
	say "trim $lego"
	dir=$(module_dir "$lego")
	rm -rf build/lego
	cp -R "$dir" build/lego
	chmod -R u+w build/lego
	find build/lego/providers/dns -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
	rm -rf build/lego/cmd build/lego/e2e build/lego/docs build/lego/internal/dnsdocs build/lego/internal/releaser
	find build/lego -name '*_test.go' -delete
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
	echo "$lego" >build/lego/.version
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

# build NAME PACKAGE builds one program. Without debugging information the
# whole takes a fifth less time.
build() {
	say "build $1"
	go build -buildvcs=false -gcflags=all=-dwarf=false -ldflags "$ldflags" -tags remove_all_sd -o "$bin/$1" "$2"
}

if [ "$kubectl" = --only-kubectl ]; then
	build kubectl k8s.io/kubernetes/cmd/kubectl
	exit
fi
trim_lego
copy_crds
say "download modules"
go mod download k8s.io/kubernetes github.com/traefik/traefik/v3 github.com/prometheus/prometheus
build testbed ./cmd/testbed
build testbed-guard ./cmd/testbed-guard
build traefik github.com/traefik/traefik/v3/cmd/traefik
build prometheus github.com/prometheus/prometheus/cmd/prometheus
if [ "$kubectl" = --kubectl ]; then
	build kubectl k8s.io/kubernetes/cmd/kubectl
fi
build load ./cmd/load
say "build podlet"
(cd .. && go build -buildvcs=false -o "$bin/podlet" ./examples/podlet)
# The same program plays other services, by its name.
for image in yelb-ui yelb-appserver yelb-db redis-server podinfo http-echo; do
	ln -sf podlet "$bin/$image"
done
say "done: programs in $bin"
