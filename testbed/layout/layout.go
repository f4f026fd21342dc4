// Package layout says where a bed keeps its files and at which addresses its
// parts listen.
//
// A bed owns one block of loopback addresses, 127.B.0.0/16. Its own parts
// listen at 127.B.0.1, its pods live in 127.B.1.0 to 127.B.127.255, and its
// Services in 127.B.128.0/17. Linux answers for the whole of 127.0.0.0/8
// without any set-up, so a bed needs neither root nor a network namespace, and
// two beds never share an address. A bed with a network of its own has 10 in
// place of 127.
package layout

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Names of the parts. The first four run as processes of their own.
const (
	APIServer   = "apiserver"
	Controllers = "controllers"
	Gateway     = "gateway"
	Prometheus  = "prometheus"
	Mesh        = "mesh"
	CloudWatch  = "cloudwatch"
	AMP         = "amp"
)

// KubernetesVersion is the version that the bed's API server says it is; it
// follows the k8s.io/kubernetes requirement in go.mod.
const KubernetesVersion = "v1.36.3"

// A Layout is all that a part needs to know about the bed it belongs to. The
// bed writes it to bed.json, and each part reads it from there.
type Layout struct {
	// Dir holds every file of the bed.
	Dir string `json:"dir"`
	// ID marks the bed's processes: each has it in its environment.
	ID string `json:"id"`
	// Net and Block are the first and second byte of every address of the bed.
	Net   int `json:"net"`
	Block int `json:"block"`
	// Ports on the bed's own address.
	APIPort        int `json:"apiPort"`
	GatewayPort    int `json:"gatewayPort"`
	GatewayMetrics int `json:"gatewayMetricsPort"`
	PrometheusPort int `json:"prometheusPort"`
	DiscoveryPort  int `json:"discoveryPort"`
	KubeletPort    int `json:"kubeletPort"`
	MeshPort       int `json:"meshPort"`
	MeshAdminPort  int `json:"meshAdminPort"`
	CloudWatchPort int `json:"cloudWatchPort"`
	AMPPort        int `json:"ampPort"`
	// HasMesh says that there is something at the mesh's ports.
	HasMesh bool `json:"hasMesh,omitempty"`
	// Images is the directory in which the image NAME:TAG is the file NAME.
	Images string `json:"images"`
	// AuthenticationWebhook is the path of a webhook configuration for bearer
	// tokens, in kubeconfig form; empty for none.
	AuthenticationWebhook string `json:"authenticationWebhook,omitempty"`
	// Audit makes the API server write audit.log.
	Audit bool `json:"audit,omitempty"`
	// CrashBackOff is the first wait before a crashed container is started
	// again; each further crash doubles it.
	CrashBackOff time.Duration `json:"crashBackOff"`
	// Started is when the bed began to start.
	Started time.Time `json:"started"`
}

// EnvID is the name of the environment variable that holds Layout.ID.
const EnvID = "TESTBED_ID"

// Address is where the bed's own parts listen.
func (l *Layout) Address() string { return fmt.Sprintf("%d.%d.0.1", l.Net, l.Block) }

// PodAddress is the address of the bed's n-th pod. Addresses are used again
// after 32,000 pods.
func (l *Layout) PodAddress(n int) string {
	n %= 127 * 253
	return fmt.Sprintf("%d.%d.%d.%d", l.Net, l.Block, 1+n/253, 1+n%253)
}

// ServiceCIDR is the range of cluster IPs.
func (l *Layout) ServiceCIDR() string { return fmt.Sprintf("%d.%d.128.0/17", l.Net, l.Block) }

// KubernetesService is the cluster IP that the Service kubernetes gets: the
// first of the range.
func (l *Layout) KubernetesService() string { return fmt.Sprintf("%d.%d.128.1", l.Net, l.Block) }

// Loopback says whether the bed's addresses are loopback's.
func (l *Layout) Loopback() bool { return l.Net == 127 }

// HostPort joins the bed's own address with a port.
func (l *Layout) HostPort(port int) string {
	return net.JoinHostPort(l.Address(), strconv.Itoa(port))
}

// APIURL is the base URL of the Kubernetes API.
func (l *Layout) APIURL() string { return "https://" + l.HostPort(l.APIPort) }

// GatewayURL is the base URL at which the gateway serves routes.
func (l *Layout) GatewayURL() string { return "http://" + l.HostPort(l.GatewayPort) }

// PrometheusURL is the base URL of Prometheus.
func (l *Layout) PrometheusURL() string { return "http://" + l.HostPort(l.PrometheusPort) }

// Path is a file or directory of the bed.
func (l *Layout) Path(elem ...string) string {
	return filepath.Join(append([]string{l.Dir}, elem...)...)
}

// Log is where a part's output goes.
func (l *Layout) Log(part string) string { return l.Path("logs", part+".log") }

// Kubeconfig is the kubeconfig of one of the bed's users; "admin" is the one
// that people get.
func (l *Layout) Kubeconfig(user string) string {
	if user == "admin" {
		return l.Path("kubeconfig")
	}
	return l.Path("users", user+".kubeconfig")
}

// Save writes the layout to bed.json in its directory.
func (l *Layout) Save() error {
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the bed's layout: %w", err)
	}
	return os.WriteFile(l.Path("bed.json"), append(b, '\n'), 0o600)
}

// Load reads the layout of the bed that lives in dir.
func Load(dir string) (*Layout, error) {
	path := filepath.Join(dir, "bed.json")
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	l := new(Layout)
	if err := json.Unmarshal(b, l); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return l, nil
}
