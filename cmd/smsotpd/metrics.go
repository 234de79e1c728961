package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// storeMetrics tell how the group commit does.
type storeMetrics struct {
	batch, seconds prometheus.Histogram
}

// newRegistry is a registry of the daemon's own with what the Go runtime and
// the process tell of themselves, and the store's metrics in it.
func newRegistry() (*prometheus.Registry, storeMetrics) {
	m := storeMetrics{
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "smsotpd_store_commit_batch",
			Help:    "Transactions that shared one durable commit.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 6),
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "smsotpd_store_commit_seconds",
			Help:    "Time to write and sync one durable commit.",
			Buckets: prometheus.ExponentialBuckets(0.00025, 2, 12),
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "smsotpd_build_info",
		Help:        "1, with the version as a label.",
		ConstLabels: prometheus.Labels{"version": buildVersion()},
	})
	build.Set(1)
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		m.batch, m.seconds, build,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return registry, m
}

// onCommit is told of each commit by the store.
func (m storeMetrics) onCommit(batch int, d time.Duration) {
	m.batch.Observe(float64(batch))
	m.seconds.Observe(d.Seconds())
}
