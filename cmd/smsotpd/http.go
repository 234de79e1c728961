package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"smsotpd/gateway/access"
)

// shutdownTime is how long requests under way may take at a graceful stop.
const shutdownTime = 5 * time.Second

// serveHTTP serves on l until ctx ends, and then lets the requests under way
// come to their end.
func serveHTTP(ctx context.Context, server *http.Server, l net.Listener) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		err := server.Shutdown(deadline)
		if errors.Is(err, context.DeadlineExceeded) {
			err = server.Close()
		}
		stopped <- err
	})
	err := server.Serve(l)
	if !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return <-stopped
}

// peerContext names the peer of a connection of the local socket, as the
// kernel knows it. A peer that can't be named gets no principal, and so needs
// an API key.
func peerContext(ctx context.Context, conn net.Conn) context.Context {
	p, err := access.Peer(conn)
	if err != nil {
		return ctx
	}
	return withPeer(ctx, p)
}
