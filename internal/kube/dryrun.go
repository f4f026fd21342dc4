package kube

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// DryRun sends what Apply would send, for the server to judge and to throw away. It does not look at a
// version's own objects before, which would double the requests: they are new, and the answer shows
// one that is there all the same.
func (c *Cluster) DryRun(ctx context.Context, objects []workload.Object, o workload.Ownership) error {
	err := c.dryRun(ctx, objects, o, c.asNew(o))
	if errors.Is(err, errThere) {
		err = c.dryRun(ctx, objects, o, c.client.Get)
	}
	return err
}

func (c *Cluster) dryRun(ctx context.Context, objects []workload.Object, o workload.Ownership, get getter) error {
	todo, err := c.look(ctx, objects, o, get)
	if err != nil {
		return err
	}
	return c.write(ctx, todo, o, metav1.DryRunAll)
}

// A getter reads one object.
type getter func(ctx context.Context, r schema.GroupVersionResource, namespace, name string) (*unstructured.Unstructured, error)

// asNew reads the objects that versions share, and finds none of the others.
func (c *Cluster) asNew(o workload.Ownership) getter {
	return func(ctx context.Context, r schema.GroupVersionResource, namespace, name string) (*unstructured.Unstructured, error) {
		if o.Versioned(name) {
			return nil, apierrors.NewNotFound(r.GroupResource(), name)
		}
		return c.client.sight(ctx, r, namespace, name)
	}
}

// errThere is an object that was taken for new.
var errThere = fmt.Errorf("%w: it exists by now", fault.Conflict)

// expected finds, in the answer to a dry run, an object that was taken for new: only what is stored
// has a revision.
func expected(p pending, answer *unstructured.Unstructured) error {
	if p.live == nil && answer.GetResourceVersion() != "" {
		return errThere
	}
	return nil
}
