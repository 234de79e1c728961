package api

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// recorder remembers what was answered, and to whom.
type recorder struct {
	http.ResponseWriter
	status int
	// caller is the id of the key, "" where none was accepted.
	caller string
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// observe counts and logs a request that is done: by route pattern, never by
// path, address or anything that was submitted.
func (a *api) observe(w *recorder, r *http.Request, took time.Duration) {
	route := r.Pattern
	if !strings.Contains(route, " ") { // one that only says what is not there
		route = "none"
	}
	a.meter.requests.WithLabelValues(route, strconv.Itoa(w.status/100)+"xx").Inc()
	a.meter.duration.WithLabelValues(route).Observe(took.Seconds())
	if a.log.Enabled(r.Context(), slog.LevelDebug) {
		a.log.DebugContext(r.Context(), "request", "method", knownMethod(r.Method), "route", route,
			"status", w.status, "duration", took, "key", w.caller)
	}
}

// knownMethod keeps a made-up method out of the log.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	default:
		return "other"
	}
}

// recovered answers for a handler that panicked with v. The value is not
// logged, since it may hold anything; its type and the stack are.
func (a *api) recovered(w *recorder, r *http.Request, v any) {
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	p := problemOf(fmt.Errorf("panic of type %T", v))
	p.RequestID = newRequestID()
	a.log.ErrorContext(r.Context(), "a request panicked", "route", r.Pattern, "request_id", p.RequestID,
		"type", fmt.Sprintf("%T", v), "stack", stack())
	if w.status != 0 {
		panic(http.ErrAbortHandler) // half a reply must not look like a whole one
	}
	p.write(w)
}

// stack is where the panic came from, as functions and lines only.
func stack() []string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)])
	var lines []string
	for {
		f, more := frames.Next()
		lines = append(lines, f.Function+":"+strconv.Itoa(f.Line))
		if !more {
			return lines
		}
	}
}

func newRequestID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// meter is the API's own metrics. The labels are route patterns and classes
// of statuses, so that the number of series is bounded.
type meter struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMeter(r prometheus.Registerer) (meter, error) {
	m := meter{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "smsotpd_http_requests_total",
			Help: "Requests answered, by route and class of status.",
		}, []string{"route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "smsotpd_http_request_duration_seconds",
			Help:    "Time from a request's headers to the end of its reply.",
			Buckets: []float64{0.001, 0.005, 0.025, 0.1, 0.5, 2.5},
		}, []string{"route"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration} {
		if err := r.Register(c); err != nil {
			return m, fmt.Errorf("api: %w", err)
		}
	}
	return m, nil
}
