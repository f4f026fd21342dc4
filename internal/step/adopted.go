package step

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// adopt finds the version behind a back end that is not ours.
func (s Prepare) adopt(ctx context.Context, access Access, ro Rollout, name string) (v workload.Version, dead string, err error) {
	v, err = access.Cluster.Adopt(ctx, ro.Service, name)
	if errors.Is(err, fault.NotFound) {
		return workload.Version{}, name, nil // the route leads nowhere: nothing serves
	}
	if err != nil {
		return v, "", fmt.Errorf("adopt %s: %w", name, err)
	}
	return v, "", nil
}

// apartFrom makes sure that the Service of an adopted version does not lead to the new one's pods too: users would reach
// them the moment they are ready, whatever the weights.
func apartFrom(old workload.Version, objects []workload.Object) error {
	if old.Selector == "" {
		return nil
	}
	for _, o := range objects {
		if o.Kind() == "Deployment" && selects(old.Selector, o.Field("spec", "template", "metadata", "labels")) {
			return fmt.Errorf("%w: Service %s, which the route names, selects the new version's pods too (%s), so that users would reach them past the weights; "+
				"give the pods of the template other labels, or that Service one more", fault.Refused, old.Name, old.Selector)
		}
	}
	return nil
}

// selects tells whether pods with these labels are selected.
func selects(selector string, labels any) bool {
	have, _ := labels.(map[string]any)
	for _, want := range strings.Split(selector, ",") {
		key, value, _ := strings.Cut(want, "=")
		if text, ok := have[key].(string); !ok || text != value {
			return false
		}
	}
	return true
}
