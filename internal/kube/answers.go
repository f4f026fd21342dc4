package kube

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// unled says of a Service without a Deployment whether anything answers behind it: then it is refused, because a first
// deployment would take its users away unjudged.
func (c *Cluster) unled(ctx context.Context, service *unstructured.Unstructured, why string) error {
	to, err := c.answers(ctx, service)
	switch {
	case err != nil:
		return err
	case to == "":
		return fmt.Errorf("%w: %s, and nothing answers behind it", fault.NotFound, why)
	}
	return fmt.Errorf("%w: %s, and the Service leads to %s: only a Deployment can be compared with, and gone back to; "+
		"put one behind it, or take the Service out of the route where its users may be without it", fault.Refused, why, to)
}

// answers names what a Service leads to; empty where that is nothing. A pod that is not ready may be in a moment; one on
// its way out will not.
func (c *Cluster) answers(ctx context.Context, service *unstructured.Unstructured) (string, error) {
	if kind, _, _ := unstructured.NestedString(service.Object, "spec", "type"); kind == "ExternalName" {
		name, _, _ := unstructured.NestedString(service.Object, "spec", "externalName")
		return "ExternalName " + name, nil
	}
	ctx, cancel := Within(ctx)
	defer cancel()
	list, err := c.client.In(service.GetNamespace(), EndpointSlices).List(ctx, metav1.ListOptions{LabelSelector: serviceLabel + "=" + service.GetName()})
	if err != nil {
		return "", Fault("list EndpointSlices of "+service.GetName(), err)
	}
	for i := range list.Items {
		var slice endpointSlice
		if err := read(&list.Items[i], &slice); err != nil {
			return "", fmt.Errorf("%w: %w", fault.Invalid, err)
		}
		for _, e := range slice.Endpoints {
			if !e.Conditions.Terminating {
				return e.String(), nil
			}
		}
	}
	return "", nil
}
