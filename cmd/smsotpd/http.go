package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
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
