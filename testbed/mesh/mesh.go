package mesh

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/stepcanary/stepcanary/testbed/manifest"
)

// Options of a Mesh. Config and Listen are needed.
type Options struct {
	// Config is of a user who may do everything with the mesh's kinds, read
	// namespaces, Services and EndpointSlices, write events and, unless they
	// are there, create the resource definitions.
	Config *rest.Config
	// Listen is the loopback address for calls by Host header, port 0 for any.
	Listen string
	// Admin is the loopback address of counters and configuration; default: any
	// port of 127.0.0.1.
	Admin string
	// Name of a Mesh object to create, which selects all namespaces; default
	// "bed". "-" creates none.
	Name string
	// Log hears what cannot be written to the API server; default: nobody.
	Log *slog.Logger
}

// A Mesh runs until the context that it was started with is done.
type Mesh struct {
	// URL is where calls go, with the virtual service in the Host header.
	URL string
	// AdminURL serves /stats/prometheus, /metrics and /config.
	AdminURL string

	control *control
	watcher *watcher
	writer  *writer
	proxy   *proxy
	catch   *interceptors
	log     *slog.Logger
}

//go:embed crds.yaml
var crds []byte

const defaultMesh = `apiVersion: appmesh.k8s.aws/v1beta2
kind: Mesh
metadata: {name: %q}
spec: {namespaceSelector: {}}
`

// Install creates the group's resource definitions and waits until they are served.
func Install(ctx context.Context, config *rest.Config) error {
	api, err := manifest.New(config)
	if err == nil {
		err = api.Apply(ctx, crds)
	}
	if err == nil {
		err = api.AwaitCRDs(ctx)
	}
	if err != nil {
		return fmt.Errorf("install the App Mesh resource definitions: %w", err)
	}
	return nil
}

// Start installs the resource definitions, takes up the objects that are there,
// and returns when traffic is served.
func Start(ctx context.Context, o Options) (*Mesh, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := Install(ctx, o.Config); err != nil {
		return nil, err
	}
	if o.Name == "" {
		o.Name = "bed"
	}
	if o.Name != "-" {
		api, err := manifest.New(o.Config)
		if err == nil {
			err = api.Apply(ctx, fmt.Appendf(nil, defaultMesh, o.Name))
		}
		if err != nil {
			return nil, fmt.Errorf("create mesh %s: %w", o.Name, err)
		}
	}
	typed, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(o.Config)
	if err != nil {
		return nil, err
	}
	return start(ctx, o, typed, dyn)
}

// start does what follows the installation.
func start(ctx context.Context, o Options, typed kubernetes.Interface, dyn dynamic.Interface) (*Mesh, error) {
	w, err := newWatcher(typed, dyn)
	if err != nil {
		return nil, err
	}
	p := newProxy(newStats())
	m := &Mesh{control: newControl(), watcher: w, proxy: p, log: o.Log,
		writer: &writer{typed: typed, dynamic: dyn, said: map[types.UID]string{}},
		catch:  &interceptors{proxy: p, log: o.Log, open: map[place]func(){}}}
	w.start(ctx.Done())
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	m.look(ctx)
	if m.URL, err = serve(ctx, o.Listen, p); err != nil {
		return nil, err
	}
	if o.Admin == "" {
		o.Admin = "127.0.0.1:0"
	}
	if m.AdminURL, err = serve(ctx, o.Admin, m.admin()); err != nil {
		return nil, err
	}
	go m.run(ctx)
	return m, nil
}

// again is the wait before writes that failed are tried once more.
const again = 200 * time.Millisecond

func (m *Mesh) run(ctx context.Context) {
	defer m.catch.set(nil)
	for {
		select {
		case <-m.watcher.changed:
			m.look(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// look takes the world up: first traffic, then what the objects say of it, so
// that a status never speaks of a route that is not in force.
func (m *Mesh) look(ctx context.Context) {
	world, err := m.watcher.world()
	if err != nil {
		m.log.Error("look at the mesh", "error", err)
		return
	}
	d := m.control.look(world)
	t := m.control.table()
	m.proxy.table.Store(t)
	m.catch.set(t.places(world.address))
	if err := m.writer.write(ctx, d); err != nil && ctx.Err() == nil {
		m.log.Warn("write to the API server, and again soon", "error", err)
		time.AfterFunc(again, m.watcher.kick)
	}
}

// admin serves what the mesh counted, and what it goes by.
func (m *Mesh) admin() http.Handler {
	mux := http.NewServeMux()
	counters := promhttp.HandlerFor(m.proxy.stats.registry, promhttp.HandlerOpts{})
	mux.Handle("GET /metrics", counters)
	mux.Handle("GET /stats/prometheus", counters)
	mux.HandleFunc("GET /config", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(m.proxy.table.Load().describe()) //nolint:errcheck // a client that went away asks again
	})
	return mux
}

// serve listens on a loopback address until ctx is done.
func serve(ctx context.Context, address string, h http.Handler) (url string, err error) {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	if !a.Addr().IsLoopback() {
		return "", fmt.Errorf("listen: found %s, expected a loopback address", a)
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { srv.Close() })
	go srv.Serve(ln) //nolint:errcheck // it ends when it is closed
	return "http://" + ln.Addr().String(), nil
}
