package kube

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// mostSeen bounds how many routes are kept; beyond it all are forgotten.
const mostSeen = 256

func seenKey(r schema.GroupVersionResource, namespace, name string) string {
	return r.Resource + "/" + namespace + "/" + name
}

// Remember keeps a route as it was last seen, so that the next patch of it may do
// without reading it first. The patch carries the version that was seen; one made
// from an old sight is refused by the server, and no harm is done.
func (c *Client) Remember(r schema.GroupVersionResource, o *unstructured.Unstructured) {
	if r != HTTPRoutes && r != VirtualRouters {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.seen) >= mostSeen {
		clear(c.seen)
	}
	c.seen[seenKey(r, o.GetNamespace(), o.GetName())] = o
}

// sight gives a route as it was last seen, and reads every other object.
func (c *Client) sight(ctx context.Context, r schema.GroupVersionResource, namespace, name string) (*unstructured.Unstructured, error) {
	c.mu.Lock()
	o := c.seen[seenKey(r, namespace, name)]
	c.mu.Unlock()
	if o != nil {
		return o, nil
	}
	return c.Get(ctx, r, namespace, name)
}

// Recall gives a route as it was last seen, and forgets it; nil where it was not.
func (c *Client) Recall(r schema.GroupVersionResource, namespace, name string) *unstructured.Unstructured {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := seenKey(r, namespace, name)
	o := c.seen[key]
	delete(c.seen, key)
	return o
}
