package api

import (
	"bytes"
	"context"
	"log"
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
	// Logger may be nil: nothing is logged.
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
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &http.Server{
		Handler:                      busy(handler),
		ReadHeaderTimeout:            readHeaderTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(serverLog{o.Logger}, "", 0),
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

// serverLog passes on what net/http has to say, but for the lines that name a
// peer's address or hold a panic's value.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	switch {
	case bytes.HasPrefix(line, []byte("http: panic serving")):
		l.log.Error("a request panicked outside of the API")
	case bytes.HasPrefix(line, []byte("http: TLS handshake error")):
		l.log.Debug("a TLS handshake failed")
	default:
		l.log.Warn("HTTP server", "message", string(bytes.TrimSpace(line)))
	}
	return len(line), nil
}
