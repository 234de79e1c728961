package api

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// DefaultConnections is how many connections a server has at most.
const DefaultConnections = 1024

// Limit bounds how many connections accepted from l are open at once. When
// one more comes, the connection that has waited longest for its next request
// is closed in its favour, first one that never sent any: clients that open
// connections and send nothing, or send it slowly, push out one another and
// not those who ask. If all are being served, the newcomer is closed.
//
// It must be served by a Server, with the ConnContext that it came with.
func Limit(l net.Listener, connections int) net.Listener {
	return &limitListener{Listener: l, max: connections, open: map[*limitedConn]struct{}{}}
}

type limitListener struct {
	net.Listener
	max int

	mu   sync.Mutex
	open map[*limitedConn]struct{}
}

// limitedConn is one open connection. Its fields are the listener's.
type limitedConn struct {
	net.Conn
	listener *limitListener

	// serving is how many requests are being served: 0 or 1 with HTTP/1.
	serving int
	// served: at least one request came in whole.
	served bool
	// since is when the connection began to wait for its next request.
	since time.Time
}

// Accept implements net.Listener.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		inner, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &limitedConn{Conn: inner, listener: l, since: time.Now()}
		victim, taken := l.take(c)
		if victim != nil {
			_ = victim.Conn.Close()
		}
		if taken {
			return c, nil
		}
		_ = inner.Close()
	}
}

// take counts c, in place of the victim where there is one to be closed.
func (l *limitListener) take(c *limitedConn) (victim *limitedConn, taken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.max {
		for o := range l.open {
			if o.serving == 0 && (victim == nil || o.before(victim)) {
				victim = o
			}
		}
		if victim == nil {
			return nil, false
		}
		delete(l.open, victim)
	}
	l.open[c] = struct{}{}
	return victim, true
}

// before says whether c is to be closed rather than o.
func (c *limitedConn) before(o *limitedConn) bool {
	if c.served != o.served {
		return !c.served
	}
	return c.since.Before(o.since)
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.open, c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// begin says that a request came in whole; false if c was closed meanwhile.
func (c *limitedConn) begin() bool {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	if _, open := c.listener.open[c]; !open {
		return false
	}
	c.serving++
	c.served = true
	return true
}

func (c *limitedConn) end() {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.serving--
	c.since = time.Now()
}

type connKey struct{}

// withConn lets busy find the limited connection, and is the one beneath it.
func withConn(ctx context.Context, c net.Conn) (context.Context, net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if limited, ok := c.(*limitedConn); ok {
		return context.WithValue(ctx, connKey{}, limited), limited.Conn
	}
	return ctx, c
}

// busy keeps the connections of requests under way from being closed.
func busy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*limitedConn); ok {
			if !c.begin() {
				panic(http.ErrAbortHandler) // nobody would get the reply
			}
			defer c.end()
		}
		next.ServeHTTP(w, r)
	})
}
