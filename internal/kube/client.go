package kube

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// A Config says which cluster to reach, and how.
type Config struct {
	// Cluster is deploy.json's cluster_name: an EKS cluster, or the name of a context or
	// a cluster in the kubeconfig.
	Cluster string
	// Kubeconfig is the path of a kubeconfig; where it is empty, the cluster is looked up
	// at EKS.
	Kubeconfig string
	// Context, where set, chooses the kubeconfig's context whatever Cluster says.
	Context string
	// Version is this program's version, for the user agent.
	Version string
	// EKS describes clusters and makes tokens; needed where Kubeconfig is empty.
	EKS EKS
	// Wrap, where set, sees every request to the API server.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// RequestTimeout bounds each request that is not a watch.
const RequestTimeout = 15 * time.Second

// A Client reaches one cluster. It may be used by many goroutines.
type Client struct {
	dynamic dynamic.Interface

	mu   sync.Mutex
	uids map[string]types.UID // of Deployments, for the events about them
	seen map[string]*unstructured.Unstructured
}

// Open gives a client for the cluster. It sends nothing to a cluster that a
// kubeconfig names, and one DescribeCluster to EKS otherwise.
func Open(ctx context.Context, c Config) (*Client, error) {
	var config *rest.Config
	var err error
	switch {
	case c.Kubeconfig != "":
		config, err = fromKubeconfig(c)
	case c.EKS != nil:
		config, err = fromEKS(ctx, c)
	default:
		err = fmt.Errorf("%w: neither a kubeconfig nor EKS is configured", fault.Invalid)
	}
	if err != nil {
		return nil, fmt.Errorf("open cluster %q: %w", c.Cluster, err)
	}
	config.UserAgent = "stepcanary/" + c.Version
	config.QPS, config.Burst = 50, 100
	config.Timeout = 0 // it would end watches; each request has RequestTimeout instead
	if c.Wrap != nil {
		config.Wrap(c.Wrap)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("open cluster %q: %w: %w", c.Cluster, fault.Invalid, err)
	}
	return New(client), nil
}

// New gives a client that speaks through d.
func New(d dynamic.Interface) *Client {
	return &Client{dynamic: d, uids: map[string]types.UID{}, seen: map[string]*unstructured.Unstructured{}}
}

// In gives access to one kind of object in a namespace.
func (c *Client) In(namespace string, r schema.GroupVersionResource) dynamic.ResourceInterface {
	return c.dynamic.Resource(r).Namespace(namespace)
}

// Within bounds one request.
func Within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, RequestTimeout)
}
