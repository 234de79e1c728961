package api_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/gateway"
)

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
