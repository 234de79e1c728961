package api_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/gateway/access"
	"smsotpd/gateway/api"
)

// pipes is a listener in memory, so that servers run in fake time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes {
	return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

// client is one connection to a server.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (p *pipes) dial(t *testing.T) *client {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	t.Cleanup(func() { _ = ours.Close() })
	return &client{t, ours, bufio.NewReader(ours)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if text == "" {
		return
	}
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Errorf("send: %v", err)
	}
}

func (c *client) reply() *http.Response {
	c.t.Helper()
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatalf("reply: %v", err)
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		c.t.Fatalf("reply: %v", err)
	}
	return r
}

// closed says whether the server has closed the connection.
func (c *client) closed() bool {
	synctest.Wait()
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Nanosecond))
	_, err := c.in.Peek(1)
	_ = c.conn.SetReadDeadline(time.Time{})
	return errors.Is(err, io.EOF)
}

// serve runs a server in a bubble of fake time.
func serve(t *testing.T, h http.Handler, connections int, o api.ServerOptions) *pipes {
	p := newPipes()
	s := api.Server(h, o)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(api.Limit(p, connections))
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
		<-time.After(time.Second) // net/http lingers over some connections
	})
	return p
}

const wholeRequest = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

func TestSlowClientsAreCut(t *testing.T) {
	tests := []struct {
		name, sent string
		after      time.Duration
		status     int
	}{
		{"headers", "GET /healthz HTTP/1.1\r\nHost:", 5 * time.Second, 0},
		{"nothing", "", 5 * time.Second, 0},
		{"body", "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer verify\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", 10 * time.Second, http.StatusRequestTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			synctest.Test(t, func(t *testing.T) {
				c := serve(t, f.handler, 10, api.ServerOptions{}).dial(t)
				c.send(tt.sent)
				began := time.Now()
				if tt.status != 0 {
					if got := c.reply().StatusCode; got != tt.status {
						t.Errorf("status %d", got)
					}
				} else if _, err := c.in.Peek(1); !errors.Is(err, io.EOF) {
					t.Errorf("read: %v", err)
				}
				if took := time.Since(began); took != tt.after {
					t.Errorf("cut after %v", took)
				}
			})
		})
	}
}

func TestLargeHeaders(t *testing.T) {
	f := newFixture(t)
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, f.handler, 10, api.ServerOptions{}).dial(t)
		go func() { // the server stops reading before the end
			_, _ = fmt.Fprintf(c.conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: %0*d\r\n\r\n", 32<<10, 0)
		}()
		if got := c.reply().StatusCode; got != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("status %d", got)
		}
	})
}

// A body that claims to be too large is refused unread.
func TestLargeBodyIsNotAwaited(t *testing.T) {
	f := newFixture(t)
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, f.handler, 10, api.ServerOptions{}).dial(t)
		c.send("POST /v1/verifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer verify\r\nContent-Type: application/json\r\n" +
			"Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
		if r := c.reply(); r.StatusCode != http.StatusRequestEntityTooLarge || !r.Close {
			t.Errorf("status %d, close %t", r.StatusCode, r.Close)
		}
	})
}

// A peer of the local socket needs no key; one that presents a key is the
// key's; one that is not known needs a key.
func TestLocalPeer(t *testing.T) {
	tests := []struct {
		name, key string
		peer      func(net.Conn) (access.Principal, error)
		status    int
		caller    string
	}{
		{"known", "", func(net.Conn) (access.Principal, error) {
			return access.Principal{KeyID: "local:0", Scopes: access.Scopes()}, nil
		}, 200, "local:0"},
		{"known, with a key", "Bearer verify", func(net.Conn) (access.Principal, error) {
			return access.Principal{KeyID: "local:0", Scopes: access.Scopes()}, nil
		}, 200, "key1"},
		{"unknown", "", func(net.Conn) (access.Principal, error) {
			return access.Principal{}, access.ErrUnauthenticated
		}, 401, ""},
		{"unknown, with a key", "Bearer verify", func(net.Conn) (access.Principal, error) {
			return access.Principal{}, access.ErrUnauthenticated
		}, 200, "key1"},
		{"kernel's word", "", access.Peer, 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			path := filepath.Join(t.TempDir(), "socket")
			listener, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			s := api.Server(f.handler, api.ServerOptions{Peer: tt.peer})
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = s.Serve(api.Limit(listener, 10))
			}()
			c := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
				return net.Dial("unix", path)
			}}}
			q, err := http.NewRequest(http.MethodPost, "http://local/v1/verifications/x/resend", nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.key != "" {
				q.Header.Set("Authorization", tt.key)
			}
			r, err := c.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			_ = r.Body.Close()
			_ = s.Close()
			<-done
			if r.StatusCode != tt.status || (tt.caller != "" && f.call.Caller != tt.caller) {
				t.Errorf("status %d, caller %q", r.StatusCode, f.call.Caller)
			}
		})
	}
}

// What net/http logs holds no panic's value and no peer's address.
func TestServerLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/panic" {
				panic("no row for " + someNumber)
			}
			w.WriteHeader(http.StatusOK)
			w.WriteHeader(http.StatusAccepted)
		}), 10, api.ServerOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		c := p.dial(t)
		c.send(wholeRequest)
		c.reply()
		c.send("GET /panic HTTP/1.1\r\nHost: x\r\n\r\n")
		if !c.closed() {
			t.Error("a panic was answered")
		}
		if strings.Contains(log.String(), someNumber) || strings.Contains(log.String(), "pipe") {
			t.Errorf("logged %s", &log)
		}
		for _, want := range []string{"level=ERROR", "level=WARN", "superfluous"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%s is missing: %s", want, &log)
			}
		}
	})
}
