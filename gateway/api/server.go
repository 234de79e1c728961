package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"smsotpd/gateway/access"
)

// Time-outs and bounds of a server; otp-rules 5.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 15 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 16 << 10
)

// ServerOptions of Server.
type ServerOptions struct {
	// Logger is slog.Default if nil.
	Logger *slog.Logger
	// Peer says whom a new connection comes from without a key, as on the
	// local socket; nil where every request needs a key. Where it returns an
	// error, requests over the connection need a key too.
	Peer func(net.Conn) (access.Principal, error)
}

// Server is an http.Server for handler with every time-out set. Serve it on a
// listener made by Limit.
func Server(handler http.Handler, o ServerOptions) *http.Server {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &http.Server{
		Handler:                      busy(handler),
		ReadHeaderTimeout:            readHeaderTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		DisableGeneralOptionsHandler: true,
		// What net/http has to say names peers by their address.
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			ctx, c = withConn(ctx, c)
			if o.Peer == nil {
				return ctx
			}
			p, err := o.Peer(c)
			if err != nil {
				o.Logger.Warn("a local peer is not known", "error", err)
				return ctx
			}
			return WithPrincipal(ctx, p)
		},
	}
}
