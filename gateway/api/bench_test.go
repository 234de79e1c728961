package api_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"smsotpd/gateway/api"
)

const usualBody = `{"to":"+33612345678","service":"default","purpose":"login","locale":"fr","client_ip":"203.0.113.9","subject":"user-4711"}`

func benchmarkHandler(b *testing.B) http.Handler {
	h, err := api.New(api.Options{
		Gateway: newStub(), Auth: scopeKeys{}, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		b.Fatal(err)
	}
	return h
}

// blank is a ResponseWriter that costs next to nothing.
type blank struct {
	header http.Header
	status int
}

func (w *blank) Header() http.Header         { return w.header }
func (w *blank) Write(p []byte) (int, error) { return len(p), nil }
func (w *blank) WriteHeader(status int)      { w.status = status }

// BenchmarkStart is the handler's own cost: no network, no gateway.
func BenchmarkStart(b *testing.B) {
	h := benchmarkHandler(b)
	r := request{method: "POST", path: "/v1/verifications", body: usualBody, key: "verify"}.build()
	w := &blank{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		r.Body = io.NopCloser(strings.NewReader(usualBody))
		h.ServeHTTP(w, r)
		if w.status != http.StatusCreated {
			b.Fatal(w.status)
		}
	}
}

// BenchmarkServed is a start over loopback by 64 connections, client included.
func BenchmarkServed(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := api.Server(benchmarkHandler(b), api.ServerOptions{})
	go func() { _ = s.Serve(api.Limit(listener, api.DefaultConnections)) }()
	defer func() { _ = s.Close() }()
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}}
	url := "http://" + listener.Addr().String() + "/v1/verifications"
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			q, err := http.NewRequest(http.MethodPost, url, strings.NewReader(usualBody))
			if err != nil {
				b.Error(err)
				return
			}
			q.Header.Set("Authorization", "Bearer verify")
			q.Header.Set("Content-Type", "application/json")
			r, err := c.Do(q)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			_ = r.Body.Close()
			if r.StatusCode != http.StatusCreated {
				b.Error(r.StatusCode)
				return
			}
		}
	})
}
