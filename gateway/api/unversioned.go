package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"smsotpd/gateway"
	"smsotpd/gateway/access"
)

// addUnversioned adds the routes outside /v1: health, metrics, documents.
func (a *api) addUnversioned(rs routes, o Options, p published) {
	rs.add(http.MethodGet, "/healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, "application/json", Health{Status: "ok", Version: o.Version})
	})
	rs.add(http.MethodGet, "/readyz", (&probe{gateway: o.Gateway}).serve)
	rs.add(http.MethodGet, "/openapi.json", p.serveDocument)
	rs.add(http.MethodGet, "/docs", p.servePage)
	if o.Gatherer != nil {
		rs.add(http.MethodGet, "/metrics", a.metrics(o))
	}
}

func (a *api) metrics(o Options) http.HandlerFunc {
	exposition := promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{})
	if o.MetricsPublic {
		return exposition.ServeHTTP
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := a.allow(w, r, []access.Scope{access.Read}); err != nil {
			a.refuse(w, r, err)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		exposition.ServeHTTP(w, r)
	}
}

// Metrics serves /metrics alone and without a key, for an address of its own.
func Metrics(g prometheus.Gatherer) http.Handler {
	rs := routes{}
	rs.add(http.MethodGet, "/metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{}).ServeHTTP)
	mux := http.NewServeMux()
	rs.register(mux)
	return mux
}

const (
	// probeEvery bounds how often the store is written to find out whether it
	// can be: anybody may ask /readyz.
	probeEvery = time.Second
	// probeTime is how long the gateway may take to say that it is ready.
	probeTime = 3 * time.Second
)

// probe asks the gateway whether it is ready, at most once in probeEvery.
type probe struct {
	gateway Observer

	mu     sync.Mutex
	asked  time.Time
	answer gateway.Readiness
}

func (p *probe) serve(w http.ResponseWriter, r *http.Request) {
	answer := p.ask(r.Context())
	reply := Readiness{Ready: answer.Ready, Reasons: append([]string{}, answer.Reasons...)}
	status := http.StatusOK
	if !reply.Ready {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", retryAfter(probeEvery))
	}
	writeJSON(w, status, "application/json", reply)
}

func (p *probe) ask(ctx context.Context) gateway.Readiness {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked.IsZero() || time.Since(p.asked) >= probeEvery {
		// The answer is for all who ask; the one who asked first may leave.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
		defer cancel()
		p.answer = p.gateway.Ready(ctx)
		p.asked = time.Now()
	}
	return p.answer
}
