package gatewayapi

import (
	"cmp"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// A status is the part of an HTTPRoute that says who serves it, and how far.
type status struct {
	Spec struct {
		ParentRefs []parentRef `json:"parentRefs"`
	} `json:"spec"`
	Status struct {
		Parents []struct {
			ParentRef      parentRef   `json:"parentRef"`
			ControllerName string      `json:"controllerName"`
			Conditions     []condition `json:"conditions"`
		} `json:"parents"`
	} `json:"status"`
}

type parentRef struct {
	Group       string `json:"group"`
	Kind        string `json:"kind"`
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	SectionName string `json:"sectionName"`
	Port        int64  `json:"port"`
}

type condition struct {
	Type               string `json:"type"`
	Status             string `json:"status"`
	ObservedGeneration int64  `json:"observedGeneration"`
	Reason             string `json:"reason"`
	Message            string `json:"message"`
}

// full fills in the defaults of the specification.
func (p parentRef) full(namespace string) parentRef {
	if p.Kind == "" {
		p.Group, p.Kind = cmp.Or(p.Group, "gateway.networking.k8s.io"), "Gateway"
	}
	p.Namespace = cmp.Or(p.Namespace, namespace)
	return p
}

func (p parentRef) String() string {
	s := fmt.Sprintf("%s %s/%s", p.Kind, p.Namespace, p.Name)
	if p.SectionName != "" {
		s += " section " + p.SectionName
	}
	return s
}

// why says why the present generation is not in force.
func why(o *unstructured.Unstructured) (string, error) {
	var s status
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &s); err != nil {
		return "", fmt.Errorf("status: %w: %w", fault.Invalid, err)
	}
	return s.why(o.GetNamespace(), o.GetGeneration()), nil
}

// why says why the present generation is not in force; empty if it is. Every parent
// of the route must have taken it up: a route that two gateways serve is shifted
// when both have it.
func (s status) why(namespace string, generation int64) string {
	if len(s.Spec.ParentRefs) == 0 {
		return "the route has no parent"
	}
	for _, p := range s.Spec.ParentRefs {
		p = p.full(namespace)
		why := fmt.Sprintf("%v has not reported on the route", p)
		for _, reported := range s.Status.Parents {
			if reported.ParentRef.full(namespace) != p {
				continue
			}
			why = judge(p, reported.Conditions, generation)
			if why == "" {
				break
			}
		}
		if why != "" {
			return why
		}
	}
	return ""
}

// judge looks at one parent's conditions. Both must speak of the present
// generation: a true one about an older generation says nothing of these weights.
func judge(p parentRef, conditions []condition, generation int64) string {
	for _, want := range []string{"Accepted", "ResolvedRefs"} {
		why := fmt.Sprintf("%v has not reported %s", p, want)
		for _, c := range conditions {
			if c.Type != want {
				continue
			}
			why = ""
			switch {
			case c.ObservedGeneration != generation:
				why = fmt.Sprintf("%v has taken up generation %d, and %d is wanted", p, c.ObservedGeneration, generation)
			case c.Status != "True":
				why = fmt.Sprintf("%v says %s=%s: %s: %s", p, c.Type, c.Status, c.Reason, c.Message)
			}
		}
		if why != "" {
			return why
		}
	}
	return ""
}
