#!/bin/sh
# Let Flagger promote a good version and roll a bad one back over ingress-nginx
# annotations, with its own built-in metrics, under 60 requests/s. Run it on a bed:
#
#   testbed/peers/build.sh
#   bin/testbed run -- testbed/peers/flagger-nginx.sh
#
# Deployment, Ingress, autoscaler and Canary are those of the guide "Canary k8s
# deployments with Flagger", with podlet and its ports for the echo server, ten
# seconds for the metrics' minute, and no webhooks: the load comes from outside.
# Flagger asks for the counters of ingress-nginx. A recording rule makes them from
# Traefik's, which plays ingress-nginx here. It takes about five minutes, and
# fails when either end is not reached.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
bin=${BIN:-$here/../../bin}
peers=${1:-$bin/peers}
log=$TESTBED_DIR/logs/flagger.log
kubectl() { "$bin/kubectl" "$@"; }

cat >"$TESTBED_DIR/nginx-rules.yml" <<'YAML'
groups:
- name: ingress-nginx
  rules:
  - record: nginx_ingress_controller_requests
    expr: |
      label_replace(
        sum by (service, code) (traefik_service_requests_total{service=~"localhost-http-echo-.*-canary@kubernetesingressnginx"}),
        "status", "$1", "code", "(.*)")
    labels: {namespace: localhost, ingress: http-echo, canary: http-echo-canary}
YAML
printf 'rule_files: ["%s"]\n' "$TESTBED_DIR/nginx-rules.yml" >>"$TESTBED_DIR/prometheus.yml"
curl -fsS -X POST "$TESTBED_PROMETHEUS_URL/-/reload"

kubectl apply -f "$peers/crds/flagger.yaml" >/dev/null
kubectl wait --for=condition=Established crd/canaries.flagger.app --timeout=20s >/dev/null
kubectl create namespace localhost >/dev/null

"$peers/flagger" -kubeconfig "$KUBECONFIG" -mesh-provider nginx \
	-metrics-server "$TESTBED_PROMETHEUS_URL" -port 18182 >"$log" 2>&1 &
flagger=$!
load=
trap 'kill "$flagger" $load 2>/dev/null || true' EXIT

kubectl apply -n localhost -f - <<'YAML' >/dev/null
apiVersion: apps/v1
kind: Deployment
metadata: {name: http-echo, labels: {app: http-echo}}
spec:
  replicas: 1
  selector: {matchLabels: {app: http-echo}}
  template:
    metadata: {labels: {app: http-echo}}
    spec:
      containers:
      - name: http-echo
        image: http-echo:v1
        ports: [{containerPort: 5678}]
        resources: {requests: {cpu: 5m}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: http-echo, labels: {app: http-echo}}
spec:
  ingressClassName: nginx
  rules:
  - host: http-echo.localhost
    http: {paths: [{path: /ping, pathType: Exact, backend: {service: {name: http-echo, port: {number: 8080}}}}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: http-echo, labels: {app: http-echo}}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: http-echo}
  minReplicas: 2
  maxReplicas: 4
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 99}}}]
---
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: http-echo}
spec:
  provider: nginx
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: http-echo}
  ingressRef: {apiVersion: networking.k8s.io/v1, kind: Ingress, name: http-echo}
  autoscalerRef: {apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, name: http-echo}
  progressDeadlineSeconds: 60
  service: {port: 8080, targetPort: 5678}
  analysis:
    interval: 10s
    threshold: 10
    maxWeight: 50
    stepWeight: 5
    metrics:
    - {name: request-success-rate, thresholdRange: {min: 99}, interval: 10s}
YAML

# phase WANTED waits until the Canary is there.
phase() {
	begun=$(date +%s)
	until [ "$(kubectl -n localhost get canary http-echo -o 'jsonpath={.status.phase}')" = "$1" ]; do
		if [ $(($(date +%s) - begun)) -gt 300 ]; then
			echo "no $1 after 300 s; Flagger's log is $log" >&2
			tail -n 5 "$log" >&2
			exit 1
		fi
		sleep 1
	done
	echo "$1 after $(($(date +%s) - begun)) s"
}

# release TAG sets the image and waits until Flagger has seen it.
release() {
	kubectl -n localhost set image deployment/http-echo "http-echo=http-echo:$1" >/dev/null
	until kubectl -n localhost get canary http-echo -o 'jsonpath={.status.phase}' | grep -q Progressing; do sleep 1; done
}

phase Initialized
"$bin/load" -rate 60 -d 15m -host http-echo.localhost "$TESTBED_GATEWAY_URL/ping" >"$TESTBED_DIR/load.txt" &
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
