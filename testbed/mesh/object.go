package mesh

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The objects of the API, as far as the stand-in acts on them. Field names are
// the API's; https://docs.aws.amazon.com/app-mesh/latest/APIReference says what
// they mean.

const group = "appmesh.k8s.aws"

func resource(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: "v1beta2", Resource: plural}
}

var (
	meshes          = resource("meshes")
	virtualNodes    = resource("virtualnodes")
	virtualRouters  = resource("virtualrouters")
	virtualServices = resource("virtualservices")
)

// A key names an object of one kind.
type key struct{ namespace, name string }

func (k key) String() string { return k.namespace + "/" + k.name }

type header struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Status            map[string]any `json:"status"`
}

func (h *header) key() key { return key{h.Namespace, h.Name} }

func (h *header) deleting() bool { return h.DeletionTimestamp != nil }

type meshObject struct {
	header `json:",inline"`
	Spec   struct {
		AWSName           string                `json:"awsName"`
		NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector"`
	} `json:"spec"`
}

type portMapping struct {
	Port     int    `json:"port"`
	Protocol string `json:"protocol"`
}

type listener struct {
	PortMapping portMapping `json:"portMapping"`
}

type virtualNode struct {
	header `json:",inline"`
	Spec   struct {
		AWSName          string     `json:"awsName"`
		Listeners        []listener `json:"listeners"`
		ServiceDiscovery *struct {
			AWSCloudMap any `json:"awsCloudMap"`
			DNS         *struct {
				Hostname string `json:"hostname"`
			} `json:"dns"`
		} `json:"serviceDiscovery"`
	} `json:"spec"`
}

// service gives the Kubernetes Service behind the node's host name.
func (n *virtualNode) service() (key, error) {
	d := n.Spec.ServiceDiscovery
	if d == nil || d.DNS == nil || d.AWSCloudMap != nil {
		return key{}, errors.New("serviceDiscovery: expected dns, the only kind that this stand-in serves")
	}
	host := strings.TrimSuffix(d.DNS.Hostname, ".")
	parts := strings.Split(strings.TrimSuffix(host, ".svc.cluster.local"), ".")
	if !strings.HasSuffix(host, ".svc.cluster.local") || len(parts) != 2 {
		return key{}, fmt.Errorf("serviceDiscovery.dns.hostname: found %q, expected SERVICE.NAMESPACE.svc.cluster.local", d.DNS.Hostname)
	}
	return key{parts[1], parts[0]}, nil
}

type reference struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// in completes the reference with the namespace of the object that holds it.
func (r reference) in(namespace string) key { return key{cmp.Or(r.Namespace, namespace), r.Name} }

type virtualRouter struct {
	header `json:",inline"`
	Spec   struct {
		AWSName   string      `json:"awsName"`
		Listeners []listener  `json:"listeners"`
		Routes    []routeSpec `json:"routes"`
	} `json:"spec"`
}

type routeSpec struct {
	Name       string     `json:"name"`
	Priority   *int       `json:"priority"`
	HTTPRoute  *httpRoute `json:"httpRoute"`
	TCPRoute   *tcpRoute  `json:"tcpRoute"`
	HTTP2Route any        `json:"http2Route"`
	GRPCRoute  any        `json:"grpcRoute"`
}

type httpRoute struct {
	Match       httpMatch    `json:"match"`
	Action      action       `json:"action"`
	RetryPolicy *retryPolicy `json:"retryPolicy"`
	Timeout     *struct {
		PerRequest *duration `json:"perRequest"`
	} `json:"timeout"`
}

type tcpRoute struct {
	Match struct {
		Port *int `json:"port"`
	} `json:"match"`
	Action action `json:"action"`
}

type action struct {
	WeightedTargets []weightedTarget `json:"weightedTargets"`
}

type weightedTarget struct {
	VirtualNodeRef *reference `json:"virtualNodeRef"`
	VirtualNodeARN *string    `json:"virtualNodeARN"`
	Weight         int        `json:"weight"`
	Port           *int       `json:"port"`
}

type retryPolicy struct {
	HTTPRetryEvents []string `json:"httpRetryEvents"`
	TCPRetryEvents  []string `json:"tcpRetryEvents"`
	MaxRetries      int      `json:"maxRetries"`
	PerRetryTimeout duration `json:"perRetryTimeout"`
}

type duration struct {
	Unit  string `json:"unit"`
	Value int64  `json:"value"`
}

func (d duration) duration() time.Duration {
	if d.Unit == "ms" {
		return time.Duration(d.Value) * time.Millisecond
	}
	return time.Duration(d.Value) * time.Second
}

type virtualService struct {
	header `json:",inline"`
	Spec   struct {
		AWSName  string `json:"awsName"`
		Provider *struct {
			VirtualNode *struct {
				VirtualNodeRef *reference `json:"virtualNodeRef"`
			} `json:"virtualNode"`
			VirtualRouter *struct {
				VirtualRouterRef *reference `json:"virtualRouterRef"`
			} `json:"virtualRouter"`
		} `json:"provider"`
	} `json:"spec"`
}
