package api_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/gateway/api"
)

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

// An idle connection has waited since its last reply, not since it was opened.
func TestLimitCountsFromTheLastReply(t *testing.T) {
	f := newFixture(t)
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, f.handler, 2, api.ServerOptions{})
		ask := func(c *client) {
			<-time.After(time.Millisecond)
			c.send(wholeRequest)
			c.reply()
			synctest.Wait()
		}
		old, young := p.dial(t), p.dial(t)
		ask(old)
		ask(young)
		ask(old)
		ask(p.dial(t))
		if old.closed() || !young.closed() {
			t.Error("not the one that waited longest made room")
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
	s := api.Server(f.handler, api.ServerOptions{})
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

// BenchmarkSlowHeaders tells how long others wait while 1,000 clients send
// their headers byte by byte.
func BenchmarkSlowHeaders(b *testing.B) {
	f := newFixture(b)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := api.Server(f.handler, api.ServerOptions{})
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
		_, _ = io.Copy(io.Discard, r.Body)
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
