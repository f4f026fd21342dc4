// Package mesh stands in for AWS App Mesh on the test bed.
//
// AWS ended App Mesh on 2026-09-30: its control plane and the Envoy
// configuration that it served are gone, so no data plane exists any more that
// could obey an appmesh.k8s.aws object. What is left in clusters are manifests
// and the engines that write them. So that those can be tried, this package
// installs the group's v1beta2 resource definitions (Mesh, VirtualNode,
// VirtualRouter, VirtualService, written anew from the published API), does
// what the App Mesh controller for Kubernetes did to their status, finalizers
// and events, and splits real traffic by their weights in one proxy, which
// stands for the Envoy beside every pod.
//
// # Traffic
//
// A client sends to Mesh.URL with the virtual service as its Host header
// (name, name.namespace, name.namespace.svc.cluster.local or awsName, with or
// without a port). Where a Service of the virtual service's name has no
// selector, the mesh also answers at its cluster IP, so that a pod's plain call
// to the Service goes through the mesh, as it did with a sidecar. TCP routes
// are served there alone.
//
// HTTP routes match by prefix, path, method, scheme, headers and query
// parameters. A route's weights are kept exactly, by smooth weighted
// round-robin, where Envoy draws lots. Retries follow retryPolicy. Without a
// ready endpoint, a caller gets 503, without a route 404, as from Envoy. A
// virtual node's endpoints are the ready ones of the Service that its DNS host
// name names; its listener's health check is not run.
//
// # Control
//
// As the controller did, the mesh resolves all virtualNodeRefs of a router
// before it touches any route. When one is missing, the routes in force stay,
// status is left as it was, so that observedGeneration lags behind, and a
// Warning event ReconcileError says why. Accepted objects get a finalizer, and
// a virtual node or router that is still in use is not let go.
//
// Unlike the controller's webhooks, it neither fills in spec.meshRef and
// spec.awsName nor refuses objects of a namespace without a mesh: these get the
// event. http2Route, grpcRoute, AWS Cloud Map, TLS, virtual gateways and ARNs in
// place of references are refused in the same way.
//
// # Metrics
//
// The admin address serves, at /stats/prometheus and /metrics, what the Envoy
// beside each called pod counted: envoy_cluster_upstream_rq by
// envoy_response_code, and the histogram envoy_cluster_upstream_rq_time in
// milliseconds; with kubernetes_namespace and kubernetes_pod_name as
// Prometheus' relabelling added them, virtual_node, and in envoy_cluster_name the
// pod's own application, cds_ingress_MESH_NODE_PROTOCOL_PORT. Each attempt counts.
// What no pod was called for has an empty kubernetes_pod_name.
package mesh
