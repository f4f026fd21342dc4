package spec_test

import (
	"encoding/base64"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/spec"
)

// bed is the module that says with which versions of Kubernetes and of the Gateway API we work.
const bed = "../../testbed"

// roots are the Go types of the template's kinds. App Mesh has no Go types that we know: of its
// kinds the cluster alone knows what may stand in spec.
var roots = map[string]string{
	"ServiceAccount": "core.ServiceAccount", "ConfigMap": "core.ConfigMap", "Service": "core.Service",
	"PodDisruptionBudget": "policy.PodDisruptionBudget", "Deployment": "apps.Deployment",
	"HorizontalPodAutoscaler": "autoscaling.HorizontalPodAutoscaler", "HTTPRoute": "gateway.HTTPRoute",
	"VirtualNode": "custom", "VirtualRouter": "custom", "VirtualService": "custom",
}

var packages = map[string]string{
	"core": "k8s.io/api/core/v1", "apps": "k8s.io/api/apps/v1", "autoscaling": "k8s.io/api/autoscaling/v2",
	"policy": "k8s.io/api/policy/v1", "meta": "k8s.io/apimachinery/pkg/apis/meta/v1", "gateway": "sigs.k8s.io/gateway-api/apis/v1",
}

// scalars are the types that are not read further.
var scalars = map[string]definition{
	"any":         {},
	"bool":        {"type": "boolean"},
	"string":      {"type": "string", "x-expected": "text; a number or true in quotes"},
	"bytes":       {"type": "string", "format": "byte", "x-expected": "base64"},
	"int":         {"type": "integer", "x-expected": "a whole number"},
	"int32":       {"type": "integer", "minimum": -1 << 31, "maximum": 1<<31 - 1, "x-expected": "a whole number"},
	"uint16":      {"type": "integer", "minimum": 0, "maximum": 1<<16 - 1, "x-expected": "a whole number from 0 to 65535"},
	"int64":       {"type": "integer", "x-expected": "a whole number"},
	"int-or-text": {"type": []string{"integer", "string"}, "x-expected": "a whole number or text"},
	"quantity":    {"type": []string{"number", "string"}, "format": "quantity", "x-expected": `an amount such as "250m", 2 or "1Gi"`},
}

// foreign are the types that have a JSON form of their own.
var foreign = map[string]string{
	"k8s.io/apimachinery/pkg/types.UID":               "string",
	"k8s.io/apimachinery/pkg/util/intstr.IntOrString": "int-or-text",
	"k8s.io/apimachinery/pkg/api/resource.Quantity":   "quantity",
	"meta.Time":     "string",
	"meta.FieldsV1": "any",
}

// bounds are those that the API server checks and the types of Kubernetes do not say.
var bounds = map[bound][]string{
	{1, 65535, "a port from 1 to 65535"}: {
		"core.ContainerPort.containerPort", "core.ServicePort.port", "core.GRPCAction.port"},
	{1, 65535, "a port from 1 to 65535, or a port's name"}: {"core.HTTPGetAction.port", "core.TCPSocketAction.port"},
	{0, 65535, "a port up to 65535"}: {
		"core.ContainerPort.hostPort", "core.ServicePort.nodePort", "core.ServiceSpec.healthCheckNodePort"},
	{0, 65535, "a port up to 65535, or a port's name"}: {"core.ServicePort.targetPort"},
	{0, most, "a whole number, 0 or more"}: {
		"apps.DeploymentSpec.replicas", "apps.DeploymentSpec.minReadySeconds", "apps.DeploymentSpec.progressDeadlineSeconds",
		"apps.DeploymentSpec.revisionHistoryLimit", "autoscaling.HorizontalPodAutoscalerSpec.minReplicas",
		"core.Probe.failureThreshold", "core.Probe.initialDelaySeconds", "core.Probe.periodSeconds", "core.Probe.successThreshold",
		"core.Probe.timeoutSeconds"},
	{1, most, "a whole number, 1 or more"}: {
		"autoscaling.HorizontalPodAutoscalerSpec.maxReplicas", "core.TopologySpreadConstraint.maxSkew"},
	{1, 100, "a whole number from 1 to 100"}: {"core.PreferredSchedulingTerm.weight", "core.WeightedPodAffinityTerm.weight"},
	{0, 0o777, "a file's mode from 0 to 0777, which is octal"}: {
		"core.ConfigMapVolumeSource.defaultMode", "core.DownwardAPIVolumeSource.defaultMode", "core.ProjectedVolumeSource.defaultMode",
		"core.SecretVolumeSource.defaultMode", "core.KeyToPath.mode", "core.DownwardAPIVolumeFile.mode"},
}

// generate makes the schema of the template's kinds from their Go types.
func generate(t *testing.T) string {
	mod, err := os.ReadFile(bed + "/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	a := readTypes(t, bed, packages)
	for b, fields := range bounds {
		for _, field := range fields {
			a.bounds[field] = b
		}
	}
	for name, def := range scalars {
		a.defs[name] = def
	}
	a.defs["custom"] = object(definition{"apiVersion": ref("string"), "kind": ref("string"), "metadata": a.named("meta.ObjectMeta"), "spec": ref("any"), "status": ref("any")})
	for _, root := range roots {
		if root != "custom" {
			a.named(root)
		}
	}
	for kind, root := range roots {
		a.defs[kind] = ref(root)
	}
	for field := range a.bounds {
		t.Errorf("%s has bounds here and is no field", field)
	}
	return a.print("The fields of the template's kinds in Kubernetes " + version(t, mod, "k8s.io/kubernetes") +
		" and the Gateway API " + version(t, mod, "sigs.k8s.io/gateway-api") +
		". Made by: go test ./internal/spec -run TestKubernetesSchema -update")
}

func version(t *testing.T, mod []byte, module string) string {
	m := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(module) + ` v(\S+)`).FindSubmatch(mod)
	if m == nil {
		t.Fatalf("%s/go.mod does not name %s", bed, module)
	}
	return string(m[1])
}

// The schema is that of the API's own Go types.
func TestKubernetesSchema(t *testing.T) {
	golden(t, "kubernetes.schema.json", generate(t))
}

func TestEveryKindHasASchema(t *testing.T) {
	have, want := slices.Sorted(maps.Keys(roots)), slices.Sorted(maps.Keys(spec.Kinds()))
	if !slices.Equal(have, want) {
		t.Errorf("kinds with a schema: %s; want %s", strings.Join(have, " "), strings.Join(want, " "))
	}
}

// What the API takes is taken, in every form that it has; with the ancestor's template.
func TestWhatKubernetesTakesIsTaken(t *testing.T) {
	for _, path := range []string{"testdata/accepted/every_form.yml", "testdata/ancestor/kubernetes_template.yml"} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s := spec.Spec{Namespace: "shop", Service: "cart", ConfigFile: base64.StdEncoding.EncodeToString(data), TemplatePath: path}
		if _, err := s.Template(); err != nil {
			t.Error(err)
		}
	}
}
