#!/bin/sh
# Let Argo Rollouts promote a good version and roll a bad one back over
# ingress-nginx annotations, with a Prometheus analysis, under 60 requests/s. Run
# it on a bed:
#
#   testbed/peers/build.sh
#   bin/testbed run -- testbed/peers/argo-nginx.sh
#
# Rollout and AnalysisTemplate are those of the sample application of the blog
# "Canary Deployment with Argo Rollouts", with podlet for the application and its
# metric, seconds for minutes, and no pause that waits for a person. It takes
# about a minute, and fails when either end is not reached.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
bin=${BIN:-$here/../../bin}
peers=${1:-$bin/peers}
log=$TESTBED_DIR/logs/argo-rollouts.log
kubectl() { "$bin/kubectl" "$@"; }

for crd in "$peers"/crds/argo-*.yaml; do
	kubectl apply --server-side -f "$crd" >/dev/null
done
kubectl wait --for=condition=Established crd/rollouts.argoproj.io --timeout=20s >/dev/null
kubectl create namespace sample-app >/dev/null

"$peers/argo-rollouts" --kubeconfig "$KUBECONFIG" --leader-elect=false --healthzPort 18183 --metricsPort 18184 >"$log" 2>&1 &
argo=$!
load=
trap 'kill "$argo" $load 2>/dev/null || true' EXIT

kubectl apply -f - <<YAML >/dev/null
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: sample-app, namespace: sample-app}
spec:
  metrics:
  - name: success-share
    interval: 5s
    successCondition: len(result) == 0 || result[0] >= 0.99
    failureLimit: 0
    provider:
      prometheus:
        address: $TESTBED_PROMETHEUS_URL
        query: |
          sum(rate(traefik_service_requests_total{service=~"sample-app-.*-canary@kubernetesingressnginx", code="200"}[10s]))
          /
          sum(rate(traefik_service_requests_total{service=~"sample-app-.*-canary@kubernetesingressnginx"}[10s]))
          unless sum(rate(traefik_service_requests_total{service=~"sample-app-.*-canary@kubernetesingressnginx"}[10s])) == 0
---
apiVersion: v1
kind: Service
metadata: {name: sample-app-stable, namespace: sample-app}
spec: {selector: {app: sample-app}, ports: [{name: http, port: 8080, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: sample-app-canary, namespace: sample-app}
spec: {selector: {app: sample-app}, ports: [{name: http, port: 8080, targetPort: http}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: sample-app, namespace: sample-app}
spec:
  ingressClassName: nginx
  rules: [{host: sample.app, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: sample-app-stable, port: {number: 8080}}}}]}}]
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: sample-app, namespace: sample-app}
spec:
  replicas: 1
  selector: {matchLabels: {app: sample-app}}
  template:
    metadata: {labels: {app: sample-app}}
    spec:
      containers:
      - name: sample-app
        image: podlet:v1
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 1}
  strategy:
    canary:
      canaryService: sample-app-canary
      stableService: sample-app-stable
      abortScaleDownDelaySeconds: 1
      trafficRouting: {nginx: {stableIngress: sample-app}}
      steps:
      - setWeight: 25
      - pause: {duration: 5}
      - setWeight: 50
      - pause: {duration: 5}
      - setWeight: 75
      - pause: {duration: 5}
      analysis: {templates: [{templateName: sample-app}], startingStep: 2}
YAML

# phase WANTED IMAGE waits until the Rollout is there with this image.
phase() {
	begun=$(date +%s)
	until [ "$(kubectl -n sample-app get rollout sample-app -o 'jsonpath={.status.phase} {.spec.template.spec.containers[0].image}')" = "$1 podlet:$2" ]; do
		if [ $(($(date +%s) - begun)) -gt 120 ]; then
			echo "no $1 of $2 after 120 s; Argo's log is $log" >&2
			tail -n 5 "$log" >&2
			exit 1
		fi
		sleep 1
	done
	echo "$2 is $1 after $(($(date +%s) - begun)) s"
}

# release TAG sets the image and waits until Argo has begun.
release() {
	kubectl -n sample-app patch rollout sample-app --type=json \
		-p "[{\"op\":\"replace\",\"path\":\"/spec/template/spec/containers/0/image\",\"value\":\"podlet:$1\"}]" >/dev/null
	until kubectl -n sample-app get rollout sample-app -o 'jsonpath={.status.phase}' | grep -Eq 'Progressing|Paused|Degraded'; do sleep 0.2; done
}

phase Healthy v1
"$bin/load" -rate 60 -d 10m -host sample.app "$TESTBED_GATEWAY_URL/" >"$TESTBED_DIR/load.txt" &
load=$!
sleep 3
release v2
phase Healthy v2
release v3_errors-20
phase Degraded v3_errors-20
kill -INT "$load"
wait "$load" || true
load=
cat "$TESTBED_DIR/load.txt"
