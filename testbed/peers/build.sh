#!/bin/sh
# Build Flagger and Argo Rollouts, unmodified, from their Go modules into
# bin/peers, with their resource definitions beside them. Needs Go and a module
# proxy; some minutes on two cores. Not part of CI.
set -eu

flagger=github.com/fluxcd/flagger@v1.44.0
argo=github.com/argoproj/argo-rollouts@v1.10.1

cd "$(dirname "$0")"
bin=${1:-../../bin/peers}
mkdir -p "$bin/crds"
bin=$(cd "$bin" && pwd)

module_dir() {
	(cd / && go mod download -json "$1") | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p'
}

# build MODULE PACKAGE NAME builds in a copy of the module: go install does not
# take modules with replace directives, and the cache is read-only.
build() {
	echo "build $3 from $1"
	copy=$(mktemp -d)
	trap 'rm -rf "$copy"' EXIT
	cp -R "$(module_dir "$1")/." "$copy"
	chmod -R u+w "$copy"
	# Argo's dashboard is a web page that its Makefile builds; the controller
	# embeds the folder, which the module does not have.
	if [ -d "$copy/server" ] && [ ! -d "$copy/server/static" ]; then
		mkdir "$copy/server/static"
		echo '<!doctype html>' >"$copy/server/static/index.html"
	fi
	(cd "$copy" && go build -buildvcs=false -gcflags=all=-dwarf=false -ldflags='-s -w' -o "$bin/$3" "$2")
	rm -rf "$copy"
	trap - EXIT
}

build "$flagger" ./cmd/flagger flagger
cp "$(module_dir "$flagger")/artifacts/flagger/crd.yaml" "$bin/crds/flagger.yaml"
build "$argo" ./cmd/rollouts-controller argo-rollouts
for crd in "$(module_dir "$argo")"/manifests/crds/*-crd.yaml; do
	cp "$crd" "$bin/crds/argo-$(basename "$crd")"
done
chmod u+w "$bin"/crds/*
echo "done: programs in $bin"
