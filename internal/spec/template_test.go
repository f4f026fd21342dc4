package spec_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/spec"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// cart is the least template: a Deployment and its Service.
const cart = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${MICROSERVICE_NAME}-${CANARY_VERSION}
spec:
  selector: {matchLabels: {version: "${CANARY_VERSION}"}}
  template:
    metadata: {labels: {app: cart, version: "${CANARY_VERSION}"}}
    spec: {containers: [{name: app, image: "${CONTAINER_IMAGE}"}]}
---
apiVersion: v1
kind: Service
metadata:
  name: ${MICROSERVICE_NAME}-${CANARY_VERSION}
spec:
  selector: {version: "${CANARY_VERSION}"}
  ports: [{port: 80}]
`

// with gives a Spec of shop/cart whose template has more documents.
func with(documents ...string) spec.Spec {
	text := strings.Join(append([]string{cart}, documents...), "---\n")
	return spec.Spec{Namespace: "shop", Service: "cart", ConfigFile: base64.StdEncoding.EncodeToString([]byte(text))}
}

func template(t *testing.T, s spec.Spec) spec.Template {
	t.Helper()
	tmpl, err := s.Template()
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// objects renders version 12 beside version 11, by "Kind name".
func objects(t *testing.T, s spec.Spec) map[string]workload.Object {
	t.Helper()
	all, err := template(t, s).Render(spec.Values{
		Namespace: "shop", Service: "cart", Image: digest, Version: 12,
		Routes: []spec.Route{{Name: "cart-11", Weight: 100}, {Name: "cart-12"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]workload.Object{}
	for _, o := range all {
		byName[o["kind"].(string)+" "+o["metadata"].(map[string]any)["name"].(string)] = o
	}
	return byName
}

func TestPlaceholders(t *testing.T) {
	data := func(lines string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"cart-${CANARY_VERSION}\"}\ndata:\n  x: " + lines + "\n"
	}
	for name, tt := range map[string]struct {
		yaml string
		want any
	}{
		"alone, as a number where text is wanted": {`${CANARY_VERSION}`, "12"},
		"in quotes it stays text":                 {`"${CANARY_VERSION}"`, "12"},
		"in single quotes too":                    {`'${CANARY_VERSION}'`, "12"},
		"inside longer text":                      {`${MICROSERVICE_NAME}-${CANARY_VERSION}.${KUBERNETES_NAMESPACE}.svc`, "cart-12.shop.svc"},
		"twice on a line":                         {`${CANARY_VERSION}${CANARY_VERSION}`, "1212"},
		"a digest":                                {`${CONTAINER_IMAGE}`, digest},
		"stars, runs of spaces and unicode":       {`"* ${CANARY_VERSION}   **  Grüezi 🐤"`, "* 12   **  Grüezi 🐤"},
		"quotes and back slashes":                 {`"a\"${CANARY_VERSION}\\'"`, `a"12\'`},
		"a block of text":                         {"|\n    v=${CANARY_VERSION}\n    $${HOME}/${KUBERNETES_NAMESPACE}", "v=12\n${HOME}/shop\n"},
		"an escaped variable":                     {`$${CANARY_VERSION}`, "${CANARY_VERSION}"},
		"what the shell means by other braces":    {`"${HOME:-/} $HOME {a} $(X) ${}"`, "${HOME:-/} $HOME {a} $(X) ${}"},
		"a key":                                   {"\"1\"\n  ${MICROSERVICE_NAME}: \"2\"", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			o := objects(t, with(data(tt.yaml)))["ConfigMap cart-12"]
			if got := o["data"].(map[string]any)["x"]; got != tt.want {
				t.Errorf("%s became %#v, want %#v", tt.yaml, got, tt.want)
			}
		})
	}
}

// A version that stands alone is a number where the API wants one.
func TestPlaceholderAsNumber(t *testing.T) {
	o := objects(t, with("apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata:\n  name: cart\n  labels: {version: ${CANARY_VERSION}}\nspec: {maxUnavailable: ${CANARY_VERSION}}\n"))["PodDisruptionBudget cart"]
	want := workload.Object{
		"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
		"metadata": map[string]any{"name": "cart", "namespace": "shop", "labels": map[string]any{"version": "12"}},
		"spec":     map[string]any{"maxUnavailable": int64(12)},
	}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The weights of a new route are written out, zero included.
func TestRoutes(t *testing.T) {
	route := "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart}\nspec: {rules: [{backendRefs: [${CANARY_ROUTES}]}]}\n"
	got := objects(t, with(route))["HTTPRoute cart"]["spec"]
	want := map[string]any{"rules": []any{map[string]any{"backendRefs": []any{
		map[string]any{"name": "cart-11", "port": int64(80), "weight": int64(100)},
		map[string]any{"name": "cart-12", "port": int64(80), "weight": int64(0)},
	}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

func TestRenderRefuses(t *testing.T) {
	good := spec.Values{Namespace: "shop", Service: "cart", Image: "app:1", Version: 1, Routes: []spec.Route{{Name: "cart-1", Weight: 100}}}
	tmpl := template(t, with())
	for name, spoil := range map[string]func(*spec.Values){
		"another namespace": func(v *spec.Values) { v.Namespace = "kube-system" },
		"another service":   func(v *spec.Values) { v.Service = "checkout" },
		"no image":          func(v *spec.Values) { v.Image = "" },
		"an image with yaml in it": func(v *spec.Values) {
			v.Image = "app:1\nhostNetwork: true"
		},
		"no version": func(v *spec.Values) { v.Version = 0 },
		"no routes":  func(v *spec.Values) { v.Routes = nil },
	} {
		t.Run(name, func(t *testing.T) {
			v := good
			spoil(&v)
			if objects, err := tmpl.Render(v); !errors.Is(err, fault.Invalid) {
				t.Errorf("Render(%+v) = %v, %v; want %v", v, objects, err, fault.Invalid)
			}
		})
	}
	if _, err := tmpl.Render(good); err != nil {
		t.Errorf("Render(%+v) = %v", good, err)
	}
}

func withRouter(s spec.Spec, kind, route string) spec.Spec {
	s.Router = spec.Router{Kind: kind, Route: route}
	return s
}

func TestRouting(t *testing.T) {
	http := "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart}\nspec: {}\n"
	for name, tt := range map[string]struct {
		s    spec.Spec
		want string
	}{
		"nothing said":             {with(), "gateway-api cart"},
		"a route in the template":  {with(http), "gateway-api cart"},
		"a route made by somebody": {spec.Spec{Router: spec.Router{Route: "shop"}}, "gateway-api shop"},
		"another kind":             {spec.Spec{Router: spec.Router{Kind: "app-mesh"}}, "app-mesh cart"},
		"deploy.json has the say":  {withRouter(with(http), "app-mesh", "shop"), "app-mesh shop"},
	} {
		t.Run(name, func(t *testing.T) {
			s := with()
			if tt.s.ConfigFile != "" {
				s.ConfigFile = tt.s.ConfigFile
			}
			tmpl := template(t, s) // as Routing has to cope with whatever was made elsewhere
			s.Router = tt.s.Router
			kind, route := s.Routing(tmpl)
			if got := kind + " " + route; got != tt.want {
				t.Errorf("Routing() = %s, want %s", got, tt.want)
			}
		})
	}
}

// The weights of one route are moved: not of another than that which gets the versions.
func TestARouteBesideTheTemplatesOwnIsRefused(t *testing.T) {
	const own = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart}\nspec: {rules: [{backendRefs: [${CANARY_ROUTES}]}]}\n"
	const mesh = "apiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualNode\nmetadata: {name: \"cart-${CANARY_VERSION}\"}\nspec: {podSelector: {matchLabels: {version: \"${CANARY_VERSION}\"}}}\n---\n" +
		"apiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualRouter\nmetadata: {name: cart}\nspec: {}\n"
	for name, tt := range map[string]struct {
		s    spec.Spec
		want string // empty where it is taken
	}{
		"the same name":                 {withRouter(with(own), "", "cart"), ""},
		"no name":                       {withRouter(with(own), "gateway-api", ""), ""},
		"a route that exists":           {withRouter(with(), "", "shop"), ""},
		"a route of the other kind":     {withRouter(with(mesh, own), "gateway-api", "cart"), ""},
		"a typo":                        {withRouter(with(own), "", "crat"), `config_file:21:18: document 3 HTTPRoute: metadata.name: found "cart" beside router.route "crat" of deploy.json, expected one name in both, or no router.route`},
		"a typo, with the router named": {withRouter(with(own), "gateway-api", "crat"), `"cart" beside router.route "crat"`},
		"a typo in the mesh":            {withRouter(with(mesh), "", "crat"), `document 4 VirtualRouter: metadata.name: found "cart" beside router.route "crat"`},
		"a typo beside both kinds":      {withRouter(with(mesh, own), "app-mesh", "crat"), `document 4 VirtualRouter: metadata.name`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tt.s.Template()
			if tt.want == "" && err != nil || tt.want != "" && (fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Template() = %v; want %q", err, tt.want)
			}
		})
	}
}

func TestJudgeable(t *testing.T) {
	mesh := func(route, provider string) string {
		return "apiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualNode\nmetadata: {name: \"cart-${CANARY_VERSION}\"}\nspec: {podSelector: {matchLabels: {version: \"${CANARY_VERSION}\"}}}\n---\n" +
			"apiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualRouter\nmetadata: {name: cart}\nspec: {routes: [{name: r, " + route + ": {action: {weightedTargets: [${CANARY_ROUTES}]}}}]}\n---\n" +
			"apiVersion: appmesh.k8s.aws/v1beta2\nkind: VirtualService\nmetadata: {name: cart}\nspec: {provider: {" + provider + "}}\n"
	}
	const byRouter = "virtualRouter: {virtualRouterRef: {name: cart}}"
	http := func(refs string) string {
		return "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart}\nspec: {rules: [{backendRefs: [" + refs + "]}]}\n"
	}
	query := func(s spec.Spec, advisory bool) spec.Spec {
		s.Metrics.Query = map[string]string{"lag": "max(replication_lag)"}
		s.Analysis.Limits = []spec.Limit{{Name: "lag", Metric: "lag", Advisory: advisory}}
		return s
	}
	replace := func(s spec.Spec) spec.Spec { s.Strategy = spec.Replace; return s }
	// front is a Service in front of the pods, of any name, type and selector.
	front := func(name, kind, selector string) spec.Spec {
		return with("apiVersion: v1\nkind: Service\nmetadata: {name: \"" + name + "\"}\nspec: {type: " + kind + ", selector: {" + selector + "}, ports: [{port: 80}]}\n")
	}
	loadBalancer := with()
	loadBalancer.ConfigFile = base64.StdEncoding.EncodeToString([]byte(strings.Replace(cart, "ports:", "type: LoadBalancer\n  ports:", 1)))
	for name, tt := range map[string]struct {
		s    spec.Spec
		want string // in the reason; empty where it can be judged
	}{
		"HTTP through the mesh":                {with(mesh("httpRoute", byRouter)), ""},
		"HTTP/2 through the mesh":              {with(mesh("http2Route", byRouter)), ""},
		"TCP through the mesh":                 {with(mesh("tcpRoute", byRouter)), "TCP only"},
		"TCP with a query that judges":         {query(with(mesh("tcpRoute", byRouter)), false), ""},
		"TCP with a query that only reports":   {query(with(mesh("tcpRoute", byRouter)), true), "TCP only"},
		"TCP, replaced at once":                {replace(with(mesh("tcpRoute", byRouter))), ""},
		"a VirtualService past the router":     {with(mesh("httpRoute", "virtualNode: {virtualNodeRef: {name: cart}}")), "VirtualNode cart"},
		"a VirtualService to another router":   {with(mesh("httpRoute", "virtualRouter: {virtualRouterRef: {name: other}}")), "VirtualRouter other"},
		"a VirtualService that leads nowhere":  {with(mesh("httpRoute", "")), "nowhere"},
		"a route to the versions":              {with(http("${CANARY_ROUTES}")), ""},
		"a route that names the version":       {with(http(`{name: "cart-${CANARY_VERSION}", port: 80}`)), ""},
		"a route to something else":            {with(http("{name: static, port: 80}")), "no rule whose backendRefs"},
		"a route that somebody else made":      {with(), ""},
		"an address of each version's own":     {loadBalancer, "LoadBalancer"},
		"such an address, replaced at once":    {replace(loadBalancer), ""},
		"one address for all versions":         {front("cart", "LoadBalancer", "app: cart"), "Service cart is of type LoadBalancer and selects the pods of every version"},
		"a port of the nodes for all versions": {front("cart", "NodePort", "app: cart"), "Service cart is of type NodePort"},
		"such an address, replaced":            {replace(front("cart", "LoadBalancer", "app: cart")), ""},
		"a name for all within the cluster":    {front("cart", "ClusterIP", "app: cart"), ""},
		"an address of something else":         {front("cart", "LoadBalancer", "app: gateway"), ""},
		"an address without pods":              {front("cart", "LoadBalancer", ""), ""},
		"a second address of each version":     {front("cart-${CANARY_VERSION}-front", "LoadBalancer", "app: cart"), "Service cart-<version>-front is of type LoadBalancer"},
		"several reasons are all given: first": {with(mesh("tcpRoute", "")), "TCP only"},
		"and second":                           {with(mesh("tcpRoute", "")), "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.s.Judgeable(template(t, tt.s))
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("Judgeable() = %v, want nil", err)
			case tt.want != "" && (!errors.Is(err, fault.Refused) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), `"strategy": "replace"`)):
				t.Errorf("Judgeable() = %v; want %v with %q and the ways out", err, fault.Refused, tt.want)
			}
		})
	}
}

// Hostile input is refused in bounded time. The bound is far above what it takes
// (less than 0.1 s), so that a slow machine is no failure, and far below a hang.
func TestHostileInputEnds(t *testing.T) {
	const size = spec.MaxInput - 1000
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 10), ","))
	}
	var indent strings.Builder
	for i := 0; indent.Len() < size-i; i++ {
		indent.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	for name, input := range map[string]string{
		"aliases of aliases":     bomb,
		"an alias to itself":     "a: &a [*a]",
		"merges":                 "a: &a {" + strings.Repeat("b: 1, ", 5000) + "}\nb:\n" + strings.Repeat("  - <<: [*a,*a,*a]\n", 1000),
		"open brackets":          fill("["),
		"open braces":            fill("{"),
		"dashes":                 fill("- "),
		"question marks":         fill("? "),
		"deep indentation":       indent.String(),
		"many fields":            fill("a: b\n"),
		"many items":             "a: [" + fill("1,") + "1]",
		"many documents":         fill("---\na\n"),
		"unknown variables":      "a: " + fill("${A}"),
		"unknown variables, two": fill("- ${A}\n"),
		"comments":               fill("- #\n"),
		"anchors":                fill("&a "),
		"quotes":                 fill("'"),
		"JSON, deep":             `{"a":` + fill(`{"a":`),
		"JSON, one field often":  "{" + fill(`"a":1,`) + `"a":1}`,
		"giant":                  strings.Repeat("#", 10*spec.MaxInput),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			files := []string{"deploy.json"}
			if strings.HasPrefix(input, "{") { // read as YAML, too
				files = append(files, "deploy.yml")
			}
			for _, file := range files {
				_, err := spec.Parse(file, []byte(input))
				if err == nil {
					t.Error("Parse took it")
				} else if len(input) > spec.MaxInput && !strings.Contains(err.Error(), fmt.Sprint("expected at most ", spec.MaxInput)) {
					t.Errorf("Parse read all of it: %v", err)
				}
			}
			s := spec.Spec{Namespace: "shop", Service: "cart", ConfigFile: base64.StdEncoding.EncodeToString([]byte(input))}
			if _, err := s.Template(); err == nil {
				t.Error("Template took it")
			}
			if d := time.Since(start); d > time.Minute {
				t.Errorf("it took %v", d)
			}
		})
	}
}
