package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/gateway"
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
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
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

// At the limit, those who have waited longest without asking anything make
// room, then those who are idle; never one whose request is under way.
func TestLimit(t *testing.T) {
	f := newFixture(t)
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f.during = func(context.Context) { <-release }
		p := serve(t, f.handler, 4, api.ServerOptions{})
		dial := func(sent string) *client {
			<-time.After(time.Millisecond) // each begins at a time of its own
			c := p.dial(t)
			c.send(sent)
			synctest.Wait()
			return c
		}
		underWay := "GET /v1/modems HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer read\r\n\r\n"
		idle := dial(wholeRequest)
		idle.reply()
		busy := dial(underWay)
		slow1, slow2 := dial("GET /healthz"), dial("")

		newcomer := dial(wholeRequest)
		if got := newcomer.reply().StatusCode; got != http.StatusOK {
			t.Errorf("newcomer: status %d", got)
		}
		if !slow1.closed() || slow2.closed() || idle.closed() {
			t.Error("not the one that waited longest made room")
		}
		busy2 := dial(underWay)
		if !slow2.closed() || idle.closed() {
			t.Error("an idle one made room before one that never asked")
		}
		busy3 := dial(underWay)
		busy4 := dial(underWay)
		if !idle.closed() || !newcomer.closed() {
			t.Error("the idle ones made no room")
		}
		if refused := dial(""); !refused.closed() {
			t.Error("one more was let in than the limit")
		}
		close(release)
		for _, c := range []*client{busy, busy2, busy3, busy4} {
			if got := c.reply().StatusCode; got != http.StatusOK {
				t.Errorf("under way: status %d", got)
			}
		}
	})
}

// Closed connections are no longer counted.
func TestLimitForgets(t *testing.T) {
	f := newFixture(t)
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, f.handler, 2, api.ServerOptions{})
		waiting := p.dial(t)
		for range 10 {
			c := p.dial(t)
			c.send(wholeRequest)
			c.reply()
			_ = c.conn.Close()
			synctest.Wait()
		}
		if waiting.closed() {
			t.Error("a connection was closed although there was room")
		}
	})
}

// However many connections say nothing, those who ask are answered.
func TestSilentCrowd(t *testing.T) {
	f := newFixture(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := api.Server(f.handler, api.ServerOptions{Logger: slog.New(slog.DiscardHandler)})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(api.Limit(listener, 16))
	}()
	defer func() {
		_ = s.Close()
		<-done
	}()
	for range 200 {
		c, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nX-Slow: ")
	}
	for range 20 {
		fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		r, err := fresh.Get("http://" + listener.Addr().String() + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
	}
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
			s := api.Server(f.handler, api.ServerOptions{Peer: tt.peer, Logger: slog.New(slog.DiscardHandler)})
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

// An operation that the gateway does not take up gets its answer before the
// server's write time-out.
func TestHandlingTime(t *testing.T) {
	f := newFixture(t)
	synctest.Test(t, func(t *testing.T) {
		f.during = func(ctx context.Context) {
			<-ctx.Done()
			f.err = ctx.Err()
		}
		began := time.Now()
		p := problem(t, f.do(t, request{method: "POST", path: "/v1/verifications", body: startBody}))
		if took := time.Since(began); p.Code != "overloaded" || took != 10*time.Second {
			t.Errorf("%s after %v", p.Code, took)
		}
	})
}

// Whoever asks whether the gateway is ready, and however often, it is found
// out at most once a second.
func TestReadiness(t *testing.T) {
	f := newFixture(t)
	synctest.Test(t, func(t *testing.T) {
		asked := func() int { return len(f.calls) }
		get := func() (int, string) {
			w := f.do(t, request{method: "GET", path: "/readyz", key: "-"})
			return w.Code, w.Body.String()
		}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { get() })
		}
		all.Wait()
		if asked() != 1 {
			t.Errorf("asked %d times at once", asked())
		}
		if status, body := get(); status != 200 || body != `{"ready":true,"reasons":[]}` {
			t.Errorf("%d %s", status, body)
		}
		f.readiness = gateway.Readiness{Reasons: []string{"no modem is ready"}}
		<-time.After(time.Second)
		if status, body := get(); status != 503 || body != `{"ready":false,"reasons":["no modem is ready"]}` {
			t.Errorf("%d %s", status, body)
		}
		f.readiness = gateway.Readiness{Ready: true}
		<-time.After(time.Second)
		if status, _ := get(); status != 200 || asked() != 3 {
			t.Errorf("%d, asked %d times", status, asked())
		}
	})
}

// One who leaves while the answer is being found out doesn't spoil it.
func TestReadinessOutlivesTheAsker(t *testing.T) {
	f := newFixture(t)
	f.during = func(ctx context.Context) { f.readiness.Ready = ctx.Err() == nil }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := request{method: "GET", path: "/readyz"}.build().WithContext(ctx)
	f.handler.ServeHTTP(discard{}, r)
	if w := f.do(t, request{method: "GET", path: "/readyz"}); w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
}

// discard is a ResponseWriter of one who has left.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return 0, io.ErrClosedPipe }
func (discard) WriteHeader(int)             {}

// BenchmarkSlowHeaders tells how long others wait while 1,000 clients send
// their headers byte by byte.
func BenchmarkSlowHeaders(b *testing.B) {
	f := newFixture(b)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := api.Server(f.handler, api.ServerOptions{Logger: slog.New(slog.DiscardHandler)})
	go func() { _ = s.Serve(api.Limit(listener, api.DefaultConnections)) }()
	defer func() { _ = s.Close() }()
	address := listener.Addr().String()

	ctx, cancel := context.WithCancel(b.Context())
	var crowd sync.WaitGroup
	for range 1000 {
		crowd.Go(func() { drip(ctx, address) })
	}
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var waits []time.Duration
	for b.Loop() {
		began := time.Now()
		r, err := fresh.Get("http://" + address + "/healthz")
		if err != nil {
			b.Fatal(err)
		}
		_ = json.NewDecoder(r.Body).Decode(&struct{}{})
		_ = r.Body.Close()
		waits = append(waits, time.Since(began))
	}
	slices.Sort(waits)
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "p99-ms")
	cancel()
	crowd.Wait()
}

// drip sends headers a byte each 100 ms over connection after connection.
func drip(ctx context.Context, address string) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		_, err = io.WriteString(c, "GET / HTTP/1.1\r\nX: ")
		for err == nil && ctx.Err() == nil {
			<-tick.C
			_, err = io.WriteString(c, "x")
		}
		_ = c.Close()
	}
}
