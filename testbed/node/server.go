package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// serve offers what the API server passes on: logs, which it asks a kubelet
// for, and resource metrics. Only the API server, by its certificate, may ask.
func (n *Node) serve(ctx context.Context) error {
	pki := func(file string) string { return n.layout.Path("pki", file) }
	certificate, err := tls.LoadX509KeyPair(pki("kubelet.crt"), pki("kubelet.key"))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(pki("ca.crt"))
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(ca) {
		return fmt.Errorf("no certificate in %s", pki("ca.crt"))
	}
	listener, err := net.Listen("tcp", n.layout.HostPort(n.layout.KubeletPort))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", n.containerLogs)
	n.handleMetrics(mux)
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{
			MinVersion:   tls.VersionTLS12,
			Certificates: []tls.Certificate{certificate},
			ClientCAs:    clients,
			ClientAuth:   tls.RequireAndVerifyClientCert,
		},
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.ServeTLS(listener, "", "") }() // ends with Close
	return nil
}

func (n *Node) containerLogs(w http.ResponseWriter, r *http.Request) {
	options, err := logQuery(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p := n.lookup(r.PathValue("namespace"), r.PathValue("pod"))
	if p == nil {
		http.Error(w, "pod is not on this node", http.StatusNotFound)
		return
	}
	c := p.container(r.PathValue("container"))
	if c == nil {
		http.Error(w, "container is not in the pod", http.StatusNotFound)
		return
	}
	path := p.logFile(c.spec.Name)
	if options.Previous {
		path += previousSuffix
		options.Follow = false
	}
	w.Header().Set("Content-Type", "text/plain")
	err = readLog(r.Context(), path, options, c.over, flushWriter{w})
	if errors.Is(err, os.ErrNotExist) {
		http.Error(w, fmt.Sprintf("container %q in pod %q is waiting to start: %s", c.spec.Name, r.PathValue("pod"), c.reason()), http.StatusBadRequest)
	}
}

// flushWriter makes lines of a followed log arrive as they are written.
type flushWriter struct{ http.ResponseWriter }

func (w flushWriter) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

func (p *pod) container(name string) *container {
	for _, c := range p.all() {
		if c.spec.Name == name {
			return c
		}
	}
	return nil
}

// over says whether the container has no process.
func (c *container) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.proc == nil
}

// reason is why the container does not run.
func (c *container) reason() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Waiting != nil {
		return c.state.Waiting.Reason
	}
	return "no log"
}
