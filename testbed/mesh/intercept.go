package mesh

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"
)

// interceptors listen at the cluster IPs of virtual services, where a sidecar
// would have caught a pod's call.
type interceptors struct {
	proxy *proxy
	log   *slog.Logger
	open  map[place]func()
}

// A place is one port of one virtual service at its cluster IP.
type place struct {
	service  key
	address  string
	port     int
	protocol string
}

// set makes the mesh listen at exactly these places.
func (in *interceptors) set(wanted map[place]bool) {
	for p, stop := range in.open {
		if !wanted[p] {
			stop()
			delete(in.open, p)
		}
	}
	for p := range wanted {
		if in.open[p] != nil {
			continue
		}
		stop, err := in.listen(p)
		if err != nil {
			in.log.Warn("virtual service has no listener", "service", p.service.String(), "error", err)
			continue
		}
		in.open[p] = stop
	}
}

func (in *interceptors) listen(p place) (stop func(), err error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(p.address, strconv.Itoa(p.port)))
	if err != nil {
		return nil, err
	}
	if p.protocol == "http" {
		srv := &http.Server{Handler: in.proxy.at(p.service, p.port), ReadHeaderTimeout: 10 * time.Second}
		go srv.Serve(ln) //nolint:errcheck // it ends when it is closed below
		return func() { srv.Close() }, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	go in.proxy.accept(ctx, ln, p)
	return func() { cancel(); ln.Close() }, nil
}

func (p *proxy) accept(ctx context.Context, ln net.Listener, at place) {
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			go p.forward(ctx, conn, at)
		}
	}
}

// forward joins a TCP client with an endpoint of the node whose turn it is. A
// client for whom there is none is hung up on.
func (p *proxy) forward(ctx context.Context, client net.Conn, at place) {
	defer client.Close()
	v := p.table.Load().byKey[at.service]
	if v == nil {
		return
	}
	route := v.tcp(at.port)
	if route == nil {
		return
	}
	t := route.balance.next()
	if t == nil {
		return
	}
	e, ok := t.node.next()
	p.stats.connection(t.node, e.pod)
	if !ok {
		return
	}
	server, err := net.DialTimeout("tcp", e.address, connectTimeout)
	if err != nil {
		return
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() { client.Close(); server.Close() })
	defer stop()
	go func() {
		io.Copy(server, client)            //nolint:errcheck // either side may end the connection as it likes
		server.(*net.TCPConn).CloseWrite() //nolint:errcheck
	}()
	io.Copy(client, server) //nolint:errcheck
}

// places lists where virtual services can be met: at the ports that both their
// Kubernetes Service and their router have.
func (t *table) places(address func(key) (string, []int)) map[place]bool {
	out := map[place]bool{}
	for k, v := range t.byKey {
		ip, ports := address(k)
		for _, port := range ports {
			if protocol := v.ports[port]; ip != "" && protocol != "" {
				out[place{k, ip, port, protocol}] = true
			}
		}
	}
	return out
}
