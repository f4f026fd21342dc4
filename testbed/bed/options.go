package bed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/stepcanary/stepcanary/testbed/layout"
	"github.com/stepcanary/stepcanary/testbed/netns"
)

// Options say how a bed shall be. The zero value is a bed in a temporary
// directory, built from the programs beside the running one.
type Options struct {
	// Dir is where the bed keeps its files. It must be empty or missing, and
	// is kept when the bed ends. By default it is a temporary directory that
	// the bed's end removes, unless the bed failed to start.
	Dir string
	// Programs is the directory of testbed, testbed-guard, traefik and prometheus; by default
	// the one of the running program.
	Programs string
	// Images is the directory of the pods' executables; by default Programs.
	Images string
	// AuthenticationWebhook is the path of a kubeconfig-like file that names a
	// webhook for bearer tokens, as kube-apiserver's
	// --authentication-token-webhook-config-file; none by default.
	AuthenticationWebhook string
	// Audit makes the API server log every request to audit.log in Dir.
	Audit bool
	// CrashBackOff is the first wait of a crash loop; 1 s by default, where a
	// kubelet has 10 s.
	CrashBackOff time.Duration
	// Mesh adds the stand-in for App Mesh.
	Mesh bool
	// CloudWatch adds the stand-in for Amazon CloudWatch. Data show after
	// CloudWatchDelay, at once by default, and are kept by
	// CloudWatchResolution, a minute by default.
	CloudWatch           bool
	CloudWatchDelay      time.Duration
	CloudWatchResolution time.Duration
	// AMP adds the stand-in for Amazon Managed Prometheus: the bed's own, which
	// answers there to signed requests alone.
	AMP bool
	// OwnNetwork makes the bed live at 10.64.0.0/16 and not at loopback
	// addresses. This process must be in a network namespace that netns.Run
	// made. The stand-ins for App Mesh and CloudWatch, which listen on loopback
	// alone, cannot be had there.
	OwnNetwork bool
	// Progress is told what happens, part by part; nil for silence.
	Progress func(part, message string)
}

// complete fills the defaults in and checks what was given.
func (o Options) complete() (Options, error) {
	if o.Programs == "" {
		self, err := os.Executable()
		if err != nil {
			return o, fmt.Errorf("find the running program: %w", err)
		}
		o.Programs = filepath.Dir(self)
	}
	if o.Images == "" {
		o.Images = o.Programs
	}
	if o.CrashBackOff == 0 {
		o.CrashBackOff = time.Second
	}
	if o.CrashBackOff < 0 {
		return o, fmt.Errorf("crash back-off: %v is below 0", o.CrashBackOff)
	}
	if o.OwnNetwork && (o.Mesh || o.CloudWatch) {
		return o, errors.New("a bed with a network of its own has no stand-in for App Mesh or CloudWatch")
	}
	if o.OwnNetwork && !netns.Inside() {
		return o, errors.New("a bed with a network of its own must be started in its network namespace")
	}
	if o.Progress == nil {
		o.Progress = func(string, string) {}
	}
	for _, path := range []*string{&o.Programs, &o.Images, &o.AuthenticationWebhook} {
		if *path == "" {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return o, err
		}
		if _, err := os.Stat(absolute); err != nil {
			return o, err
		}
		*path = absolute
	}
	for _, program := range []string{"testbed", "testbed-guard", "traefik", "prometheus"} {
		if _, err := os.Stat(filepath.Join(o.Programs, program)); err != nil {
			return o, fmt.Errorf("program %s: %w; testbed/build.sh builds it", program, err)
		}
	}
	return o, nil
}

// directory makes the bed's directory; temporary says whether the bed's end
// shall remove it.
func (o Options) directory() (dir string, temporary bool, err error) {
	if o.Dir == "" {
		dir, err = os.MkdirTemp("", "testbed-")
		return dir, true, err
	}
	if dir, err = filepath.Abs(o.Dir); err != nil {
		return "", false, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", false, err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("directory %s is not empty", dir)
	}
	return dir, false, err
}

func newLayout(o Options, dir string, p *place) *layout.Layout {
	return &layout.Layout{
		Dir:                   dir,
		ID:                    fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixNano()),
		Net:                   int(p.net),
		Block:                 p.block,
		DiscoveryPort:         p.port,
		APIPort:               p.free(6443),
		GatewayPort:           p.free(8000),
		GatewayMetrics:        p.free(8082),
		PrometheusPort:        p.free(9090),
		KubeletPort:           p.free(10250),
		MeshPort:              p.free(9080),
		MeshAdminPort:         p.free(9901),
		CloudWatchPort:        p.free(9600),
		AMPPort:               p.free(9095),
		HasMesh:               o.Mesh,
		Images:                o.Images,
		AuthenticationWebhook: o.AuthenticationWebhook,
		Audit:                 o.Audit,
		CrashBackOff:          o.CrashBackOff,
		Started:               time.Now(),
	}
}
