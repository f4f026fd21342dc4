package main

import (
	"flag"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/spec"
	"github.com/stepcanary/stepcanary/internal/traffic/routers"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// kubernetesGroup is the group that infra/ gives the engine's roles in a cluster.
const kubernetesGroup = "stepcanary"

// role prints the Role and the RoleBinding that let the engine roll a service out.
func role(c *console, args []string) error {
	f := flag.NewFlagSet("role", flag.ContinueOnError)
	group := f.String("group", kubernetesGroup, "the engine's group in the cluster")
	c.outputFlag(f)
	file, err := load(c, f, args)
	if err != nil {
		return err
	}
	needs, err := needsOf(file)
	if err != nil {
		return fmt.Errorf("rights for %s: %w", file.Path, err)
	}
	objects := kube.Role(needs, *group)
	if c.json {
		return c.printJSON(map[string]any{"apiVersion": "v1", "kind": "List", "items": objects})
	}
	for i, o := range objects {
		text, err := yaml.Marshal(map[string]any(o))
		if err != nil {
			return err
		}
		if i > 0 {
			c.printf("---\n")
		}
		c.printf("%s", text)
	}
	return nil
}

func needsOf(file spec.File) (kube.Needs, error) {
	tmpl, err := file.Spec.Template()
	if err != nil {
		return kube.Needs{}, err
	}
	objects, err := tmpl.Render(spec.Values{
		Namespace: file.Spec.Namespace, Service: file.Spec.Service, Image: "image", Version: 1,
		Routes: []spec.Route{{Name: workload.VersionName(file.Spec.Service, 1), Weight: 100}},
	})
	if err != nil {
		return kube.Needs{}, err
	}
	kind, route := file.Spec.Routing(tmpl)
	needs := kube.Needs{
		Service: workload.Service{Namespace: file.Spec.Namespace, Name: file.Spec.Service}, Route: route,
	}
	switch kind {
	case routers.GatewayAPI:
		needs.RouteKind = "HTTPRoute"
	case routers.AppMesh:
		needs.RouteKind = "VirtualRouter"
	default:
		return kube.Needs{}, fmt.Errorf("router %q: %q or %q is expected", kind, routers.GatewayAPI, routers.AppMesh)
	}
	for _, o := range objects {
		needs.Kinds = append(needs.Kinds, o.Kind())
	}
	return needs, nil
}
