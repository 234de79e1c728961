package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"smsotpd/gateway/queue"
	"smsotpd/gateway/verification"
	"smsotpd/modem"
)

// metrics counts what happens. No label carries a number, a code, an address or
// an id: regions, reasons, results, lanes and the operator's own names of
// modems are all there is.
type metrics struct {
	started, approved, failures    *prometheus.CounterVec
	messages, events, actions      *prometheus.CounterVec
	unmatched, received, doubled   prometheus.Counter
	moved, refusedFull             prometheus.Counter
	toSubmit, toAccept, toDelivery prometheus.Histogram
	toApproval                     prometheus.Histogram
	canaries                       *prometheus.CounterVec
	canaryTook                     *prometheus.HistogramVec
	queueDepth, queueAge           *prometheus.Desc
	modemUp, registered, signal    *prometheus.Desc
	sims                           *gauges
	gateway                        *Gateway
}

// histogram has classic buckets for any Prometheus and native ones for those
// that understand them.
func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(histogramOpts(name, help, buckets))
}

func histogramOpts(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Namespace: "smsotpd", Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
		NativeHistogramMinResetDuration: time.Hour,
	}
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "smsotpd", Name: name, Help: help}, labels)
}

func newMetrics(reg prometheus.Registerer, g *Gateway) *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("smsotpd_"+name, help, labels, nil)
	}
	fast := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}
	slow := []float64{.5, 1, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600}
	m := &metrics{
		gateway:     g,
		started:     counter("verifications_started_total", "Verifications started.", "region"),
		approved:    counter("verifications_approved_total", "Verifications whose code came back.", "region"),
		failures:    counter("verifications_failed_total", "Verifications refused or ended without success.", "reason", "region"),
		messages:    counter("messages_total", "Attempts to send a message, by result.", "modem", "result"),
		unmatched:   prometheus.NewCounter(prometheus.CounterOpts{Namespace: "smsotpd", Name: "reports_unmatched_total", Help: "Delivery reports that belong to no message."}),
		doubled:     prometheus.NewCounter(prometheus.CounterOpts{Namespace: "smsotpd", Name: "messages_doubled_total", Help: "Messages that are known to have reached their recipient twice."}),
		moved:       prometheus.NewCounter(prometheus.CounterOpts{Namespace: "smsotpd", Name: "messages_moved_total", Help: "Messages that went out once more by another operator, since no report on them came."}),
		refusedFull: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "smsotpd", Name: "no_capacity_total", Help: "Messages that were refused since the budgets of all SIMs were spent."}),
		received:    prometheus.NewCounter(prometheus.CounterOpts{Namespace: "smsotpd", Name: "messages_received_total", Help: "Messages that somebody sent to one of the SIMs."}),
		actions:     counter("operator_actions_total", "What operators did, but to API keys.", "action"),
		events:      counter("modem_events_total", "What happened to a modem, and the rungs of its recovery.", "modem", "event"),
		toSubmit:    histogram("accept_to_submit_seconds", "From the accepted request to AT+CMGS on the wire.", fast),
		toAccept:    histogram("submit_to_accepted_seconds", "From AT+CMGS to the network's acceptance.", slow),
		toDelivery:  histogram("accepted_to_delivered_seconds", "From the network's acceptance to the delivery report.", slow),
		toApproval:  histogram("start_to_approved_seconds", "From the start of a verification to its approval.", slow),
		canaries:    counter("canaries_total", "Test messages from SIM to SIM, by the sender's modem and what became of them.", "modem", "result"),
		canaryTook:  prometheus.NewHistogramVec(histogramOpts("canary_seconds", "From the first AT+CMGS of a test message to its arrival at the other SIM.", slow), []string{"modem"}),
		sims:        newGauges(),
		queueDepth:  desc("queue_messages", "Messages that wait to be sent.", "lane"),
		queueAge:    desc("queue_oldest_seconds", "Age of the oldest message that waits to be sent.", "lane"),
		modemUp:     desc("modem_up", "Whether the modem can send.", "modem"),
		registered:  desc("modem_registered", "Whether the modem is registered in a network.", "modem"),
		signal:      desc("modem_signal_dbm", "Received signal strength.", "modem"),
	}
	if reg != nil {
		reg.MustRegister(m.started, m.approved, m.failures, m.messages, m.unmatched, m.received, m.doubled, m.moved, m.refusedFull, m.events, m.actions,
			m.toSubmit, m.toAccept, m.toDelivery, m.toApproval, m.canaries, m.canaryTook, m)
	}
	return m
}

func (m *metrics) start(region string, v Verification, err error) {
	switch {
	case err != nil:
		m.failed(reason(err), region)
	case !v.Continued:
		m.started.WithLabelValues(region).Inc()
	}
}

// refused counts a start that policy didn't let in. Regions that are not allowed
// share one label: strangers must not make a series for each.
func (m *metrics) refused(region string, err error) {
	why := reason(err)
	if why == CodeRegionNotAllowed {
		region = "other"
	}
	m.failed(why, region)
}

func (m *metrics) resend(region string, err error) {
	if err != nil {
		m.failed(reason(err), region)
	}
}

// failed counts a verification that was refused or ended without success.
func (m *metrics) failed(reason, region string) { m.failures.WithLabelValues(reason, region).Inc() }

func reason(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

func (m *metrics) checked(v verification.Verdict) {
	switch {
	case v.Valid:
		m.approved.WithLabelValues(v.Record.Region).Inc()
		m.toApproval.Observe(v.Record.Ended.Time().Sub(v.Record.Created.Time()).Seconds())
	case v.Ended:
		m.failed(string(v.Record.State), v.Record.Region)
	case v.Locked:
		m.failed(CodeLocked, v.Record.Region)
	}
}

// canary counts what became of a test message.
func (m *metrics) canary(modemName, result string) {
	m.canaries.WithLabelValues(modemName, result).Inc()
}

// full counts a message that was refused for lack of budget.
func (m *metrics) full() {
	m.refusedFull.Inc()
	m.sims.fullAt.Store(time.Now().UnixNano())
}

// Sent implements dispatch.Observer.
func (m *metrics) Sent(msg queue.Message, modemName string, r modem.Result) {
	m.messages.WithLabelValues(modemName, string(r.Class)).Inc()
	if len(msg.Attempts) == 1 && !r.Began.IsZero() {
		m.toSubmit.Observe(r.Began.Sub(msg.Created.Time()).Seconds())
	}
	if r.Class == modem.Accepted {
		m.toAccept.Observe(r.Ended.Sub(r.Began).Seconds())
	}
}

// Moved implements dispatch.Observer.
func (m *metrics) Moved(o queue.Outcome) {
	if o.Before == queue.Accepted && o.Message.State == queue.Queued && o.Message.Moved == len(o.Message.Attempts) {
		m.moved.Inc()
	}
	if o.Message.State != queue.Delivered {
		return
	}
	for _, a := range o.Message.Attempts {
		if a.Fate == queue.FateDelivered {
			m.toDelivery.Observe(a.ReportAt.Time().Sub(a.Settled.Time()).Seconds())
			return
		}
	}
}

// Doubled implements dispatch.Observer.
func (m *metrics) Doubled(queue.Outcome) { m.doubled.Inc() }

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.queueDepth, m.queueAge, m.modemUp, m.registered, m.signal} {
		ch <- d
	}
	m.sims.describe(ch)
}

// Collect implements prometheus.Collector: what is true now.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, label)
	}
	waiting, oldest := m.gateway.dispatch.Depth()
	for _, lane := range []queue.Lane{queue.LaneCode, queue.LaneNotice} {
		gauge(m.queueDepth, float64(waiting[lane]), lane.Name())
		age := 0.0
		if at, ok := oldest[lane]; ok {
			age = max(0, time.Since(at).Seconds())
		}
		gauge(m.queueAge, age, lane.Name())
	}
	for _, s := range m.gateway.statuses(context.Background()) {
		gauge(m.modemUp, one(canSend(s)), s.Name)
		gauge(m.registered, one(s.Registered), s.Name)
		if s.SignalDBm != 0 {
			gauge(m.signal, float64(s.SignalDBm), s.Name)
		}
	}
	m.sims.collect(ch, m.gateway.dispatch.SIMs())
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
