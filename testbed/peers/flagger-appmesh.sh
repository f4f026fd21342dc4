#!/bin/sh
# Let Flagger promote a good version and roll a bad one back through the App Mesh
# stand-in, with its own built-in metrics, under 60 requests/s. Run it on a bed:
#
#   testbed/peers/build.sh
#   bin/testbed run --mesh -- testbed/peers/flagger-appmesh.sh
#
# The Canary is the one of Flagger's App Mesh tutorial, with podlet for podinfo,
# 10 s for its interval, no autoscaler and no webhooks: the load comes from outside.
# It takes about three minutes, and fails when either end is not reached.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
bin=${BIN:-$here/../../bin}
peers=${1:-$bin/peers}
log=$TESTBED_DIR/logs/flagger.log
kubectl() { "$bin/kubectl" "$@"; }

kubectl apply -f "$peers/crds/flagger.yaml" >/dev/null
kubectl wait --for=condition=Established crd/canaries.flagger.app --timeout=20s >/dev/null
kubectl create namespace test >/dev/null

"$peers/flagger" -kubeconfig "$KUBECONFIG" -mesh-provider appmesh:v1beta2 \
	-metrics-server "$TESTBED_PROMETHEUS_URL" -port 18181 >"$log" 2>&1 &
flagger=$!
load=
trap 'kill "$flagger" $load 2>/dev/null || true' EXIT

kubectl apply -f - <<'YAML' >/dev/null
apiVersion: apps/v1
kind: Deployment
metadata: {name: podinfo, namespace: test, labels: {app: podinfo}}
spec:
  replicas: 2
  selector: {matchLabels: {app: podinfo}}
  template:
    metadata: {labels: {app: podinfo}}
    spec:
      containers:
      - name: podinfod
        image: podinfo:v1
        ports: [{name: http, containerPort: 9898}]
        readinessProbe: {httpGet: {path: /readyz, port: 9898}, periodSeconds: 1}
---
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: podinfo, namespace: test}
spec:
  provider: "appmesh:v1beta2"
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: podinfo}
  progressDeadlineSeconds: 60
  service:
    port: 9898
    timeout: 15s
    retries: {attempts: 3, perTryTimeout: 5s, retryOn: "gateway-error,client-error,stream-error"}
    match: [{uri: {prefix: /}}]
  analysis:
    interval: 10s
    threshold: 2
    maxWeight: 50
    stepWeight: 25
    metrics:
    - {name: request-success-rate, thresholdRange: {min: 99}, interval: 10s}
    - {name: request-duration, thresholdRange: {max: 500}, interval: 10s}
YAML

# phase WANTED waits until the Canary is there.
phase() {
	begun=$(date +%s)
	until [ "$(kubectl -n test get canary podinfo -o 'jsonpath={.status.phase}')" = "$1" ]; do
		if [ $(($(date +%s) - begun)) -gt 180 ]; then
			echo "no $1 after 180 s; Flagger's log is $log" >&2
			tail -n 5 "$log" >&2
			exit 1
		fi
		sleep 1
	done
	echo "$1 after $(($(date +%s) - begun)) s"
}

# release TAG sets the image and waits until Flagger has seen it.
release() {
	kubectl -n test set image deployment/podinfo "podinfod=podinfo:$1" >/dev/null
	until kubectl -n test get canary podinfo -o 'jsonpath={.status.phase}' | grep -q Progressing; do sleep 1; done
}

phase Initialized
"$bin/load" -rate 60 -d 10m -host podinfo.test "$TESTBED_MESH_URL/" >"$TESTBED_DIR/load.txt" &
load=$!
sleep 3
release v2
phase Succeeded
release v3_errors-20
phase Failed
kill -INT "$load"
wait "$load" || true
load=
cat "$TESTBED_DIR/load.txt"
