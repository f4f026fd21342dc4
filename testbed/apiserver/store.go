package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/stepcanary/stepcanary/testbed/layout"
)

// startTime bounds how long etcd may take to become ready.
const startTime = 20 * time.Second

// startStore starts etcd over the bed's data directory. It listens on a socket
// inside the bed's directory, so that nobody else on the machine can reach
// past the API server. It answers kill -9 and a restart with the same data,
// though it never waits for the disk: the machine's going down ends the bed
// anyway.
func startStore(ctx context.Context, l *layout.Layout) (endpoint string, stop func(), err error) {
	client := url.URL{Scheme: "unix", Path: l.Path("etcd.sock")}
	// etcd wants to advertise itself with host and port. Nothing listens there:
	// a store of one has no peers, and its only client knows the socket.
	nowhere := url.URL{Scheme: "http", Host: l.HostPort(2379)}
	config := embed.NewConfig()
	config.Dir = l.Path("etcd")
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{nowhere}
	config.ListenPeerUrls, config.AdvertisePeerUrls = nil, []url.URL{nowhere}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.LogLevel = "error"
	config.UnsafeNoFsync = true
	config.TickMs, config.ElectionMs = 50, 250
	server, err := embed.StartEtcd(config)
	if err != nil {
		return "", nil, err
	}
	timeout, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	select {
	case <-server.Server.ReadyNotify():
		return client.String(), server.Close, nil
	case err := <-server.Err():
		server.Close()
		return "", nil, err
	case <-timeout.Done():
		server.Close()
		return "", nil, fmt.Errorf("not ready after %v: %w", startTime, errors.Join(timeout.Err(), context.Cause(ctx)))
	}
}
