package bed

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/stepcanary/stepcanary/testbed/gateway"
	"github.com/stepcanary/stepcanary/testbed/layout"
	"github.com/stepcanary/stepcanary/testbed/manifest"
	"github.com/stepcanary/stepcanary/testbed/node"
	"github.com/stepcanary/stepcanary/testbed/part"
	"github.com/stepcanary/stepcanary/testbed/prom"
	"github.com/stepcanary/stepcanary/testbed/serviceproxy"
)

// startTime bounds how long one part may take until it is ready. On an idle
// machine each needs a second or two.
const startTime = time.Minute

// bringUp starts the parts: first what waits for nothing, then what needs the
// API, at once as far as possible.
func (b *Bed) bringUp(ctx context.Context) error {
	b.progress("bed", "at %s, files in %s", b.Address(), b.Dir)
	if err := prom.WriteConfig(b.Layout); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return b.startPrometheus(ctx) })
	group.Go(func() error {
		if err := b.startAPI(ctx); err != nil {
			return err
		}
		rest, err := b.connect()
		if err != nil {
			return err
		}
		group.Go(func() error { return b.startControllers() })
		group.Go(func() error { return b.startNode(ctx, rest) })
		if b.options.Mesh {
			group.Go(func() error { return b.startMesh(rest) })
		}
		return b.startGateway(ctx, rest)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if b.options.CloudWatch {
		if err := b.startCloudWatch(); err != nil {
			return err
		}
	}
	if b.options.AMP {
		if err := b.startAMP(); err != nil {
			return err
		}
	}
	return b.serveControl()
}

// launch starts a part and waits until ready says that it is, or it dies.
func (b *Bed) launch(ctx context.Context, name string, command, env []string, ready func(context.Context) bool) error {
	p := &part.Part{
		Name:    name,
		Command: command,
		Env:     append(env, layout.EnvID+"="+b.ID),
		Log:     b.Log(name),
		PIDFile: b.Path("pids", name),
	}
	b.add(p)
	if err := p.Start(); err != nil {
		return err
	}
	died := make(chan error, 1)
	waiting, stopWaiting := context.WithTimeout(ctx, startTime)
	defer stopWaiting()
	go func() { died <- p.Died(waiting) }()
	for !ready(waiting) {
		select {
		case err := <-died:
			if err == nil {
				err = fmt.Errorf("%s was not ready after %v; its log is %s", name, startTime, p.Log)
			}
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
	b.group.Go(func() { b.keep(p) })
	return nil
}

// keep starts a part again that died by itself, and says so.
func (b *Bed) keep(p *part.Part) {
	for b.ctx.Err() == nil {
		err := p.Died(b.ctx)
		if err == nil {
			// Somebody stopped it, who may start it again.
			select {
			case <-b.ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		b.progress(p.Name, "%v; starting it again", err)
		if err := p.Start(); err != nil && b.ctx.Err() == nil {
			b.progress(p.Name, "%v", err)
			time.Sleep(time.Second)
		}
	}
}

func (b *Bed) startPrometheus(ctx context.Context) error {
	command := append([]string{filepath.Join(b.options.Programs, "prometheus")}, prom.Arguments(b.Layout)...)
	err := b.launch(ctx, layout.Prometheus, command, nil, func(ctx context.Context) bool {
		return answers(ctx, http.DefaultClient, prom.ReadyURL(b.Layout))
	})
	if err == nil {
		b.progress(layout.Prometheus, "ready at %s", b.PrometheusURL())
	}
	return err
}

func (b *Bed) startAPI(ctx context.Context) error {
	config, err := restConfig(b.Layout, "installer")
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	err = b.launch(ctx, layout.APIServer, b.program(layout.APIServer), nil, func(ctx context.Context) bool {
		return answers(ctx, client, b.APIURL()+"/readyz")
	})
	if err == nil {
		b.progress(layout.APIServer, "ready at %s, Kubernetes %s", b.APIURL(), layout.KubernetesVersion)
	}
	return err
}

func (b *Bed) connect() (*rest.Config, error) {
	config, err := restConfig(b.Layout, "node")
	if err != nil {
		return nil, err
	}
	if b.client, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	return restConfig(b.Layout, "installer")
}

func (b *Bed) startControllers() error {
	// Its work shows in the objects; there is no port to ask.
	err := b.launch(b.ctx, layout.Controllers, b.program(layout.Controllers), nil, func(context.Context) bool { return true })
	if err == nil {
		b.progress(layout.Controllers, "started")
	}
	return err
}

// startNode starts what runs in this process: the node with its metrics, the
// Services' proxy and Prometheus's list of targets.
func (b *Bed) startNode(ctx context.Context, config *rest.Config) error {
	var err error
	if b.node, err = node.Start(b.ctx, b.Layout, b.client); err != nil {
		return fmt.Errorf("start the node: %w", err)
	}
	if err := b.startServices(); err != nil {
		return err
	}
	api, err := manifest.New(config)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(b.Path("pki", "ca.crt"))
	if err != nil {
		return err
	}
	if err := node.InstallMetrics(ctx, b.Layout, api, ca); err != nil {
		return fmt.Errorf("install the metrics API: %w", err)
	}
	b.progress("node", "ready for pods, images from %s", b.Images)
	return nil
}

// startServices starts the Services' proxy and Prometheus's list of targets.
func (b *Bed) startServices() error {
	log, err := b.openLog("serviceproxy")
	if err != nil {
		return err
	}
	if _, err := serviceproxy.Start(b.ctx, b.client, log); err != nil {
		return fmt.Errorf("start the service proxy: %w", err)
	}
	factory := informers.NewSharedInformerFactory(b.client, 0)
	mux := http.NewServeMux()
	mux.Handle("GET /targets", prom.Targets(factory.Core().V1().Pods().Lister()))
	factory.Core().V1().Pods().Informer()
	factory.Start(b.ctx.Done())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(b.ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(b.place.listener) }() // ends with Close
	return nil
}

func (b *Bed) startGateway(ctx context.Context, config *rest.Config) error {
	api, err := manifest.New(config)
	if err != nil {
		return err
	}
	if err := gateway.Install(ctx, b.Layout, api); err != nil {
		return fmt.Errorf("install the Gateway API: %w", err)
	}
	command := append([]string{filepath.Join(b.options.Programs, "traefik")}, gateway.Arguments(b.Layout)...)
	err = b.launch(ctx, layout.Gateway, command, gateway.Environment(b.Layout), func(ctx context.Context) bool {
		return answers(ctx, http.DefaultClient, gateway.PingURL(b.Layout)) && gateway.Programmed(ctx, api)
	})
	if err == nil {
		b.progress(layout.Gateway, "ready at %s, Gateway %s/%s, IngressClass %s", b.GatewayURL(), gateway.Namespace, gateway.Name, gateway.IngressClass)
	}
	return err
}
