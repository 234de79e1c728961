package gateway

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/dispatch/health"
)

// fullFor is how long a message that was refused for lack of budget is shown.
const fullFor = time.Minute

// gauges are what is true now of the SIMs, under the names of the modems that
// they are in.
type gauges struct {
	used, limit, rate, breaker *prometheus.Desc
	balance, balanceAt, spent  *prometheus.Desc
	// fullAt is when a message was refused last for lack of budget, in ns since
	// 1970; 0: never.
	fullAt atomic.Int64
}

func newGauges() *gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("smsotpd_"+name, help, labels, nil)
	}
	return &gauges{
		used:      desc("budget_used", "What the SIM in the modem has used of a limit, what is in the air included.", "modem", "window"),
		limit:     desc("budget_limit", "A limit of the SIM in the modem.", "modem", "window"),
		rate:      desc("sim_rate", "The part of what the SIM in the modem sent lately that was accepted by the network (success), of whose delivery a report came (delivery), or whose code was entered (verified).", "modem", "kind"),
		breaker:   desc("breaker_open", "Whether the SIM in the modem is not trusted, in any region.", "modem"),
		balance:   desc("sim_balance", "What was left on the SIM in the modem when it was asked last, in its currency.", "modem"),
		balanceAt: desc("sim_balance_timestamp_seconds", "When it was told, in seconds since 1970: one that grows old is asked for in vain.", "modem"),
		spent:     desc("capacity_spent", "Whether a message was refused within the last minute since the budgets of all SIMs were spent."),
	}
}

func (s *gauges) describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.used, s.limit, s.rate, s.breaker, s.balance, s.balanceAt, s.spent} {
		ch <- d
	}
}

// collect tells of one SIM a modem: a metric must not come twice.
func (s *gauges) collect(ch chan<- prometheus.Metric, sims []dispatch.SIMView) {
	told := map[string]bool{}
	for _, here := range []bool{true, false} {
		for _, v := range sims {
			if v.Here == here && v.Modem != "" && !told[v.Modem] {
				told[v.Modem] = true
				s.collectSIM(ch, v)
			}
		}
	}
	at := s.fullAt.Load()
	full := at != 0 && time.Since(time.Unix(0, at)) < fullFor
	ch <- prometheus.MustNewConstMetric(s.spent, prometheus.GaugeValue, one(full))
}

func (s *gauges) collectSIM(ch chan<- prometheus.Metric, v dispatch.SIMView) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{v.Modem}, labels...)...)
	}
	for key, use := range v.Standing.Windows(v.Now) {
		gauge(s.used, float64(use.Used), windowLabel(key))
		gauge(s.limit, float64(use.Limit), windowLabel(key))
	}
	for _, r := range []struct {
		kind string
		rate health.Rate
	}{{"success", v.Rates.Success}, {"delivery", v.Rates.Delivery}, {"verified", v.Rates.Verified}} {
		if r.rate.Samples > 0 {
			gauge(s.rate, r.rate.Value, r.kind)
		}
	}
	gauge(s.breaker, one(distrusted(v.Rates)))
	if b := v.Standing.Balance; b != nil {
		gauge(s.balance, b.Amount)
		gauge(s.balanceAt, float64(b.At.UnixMilli())/1000)
	}
}

// distrusted says whether any breaker of the SIM is open.
func distrusted(r health.Rates) bool {
	if r.State != health.Closed {
		return true
	}
	for _, of := range r.Regions {
		if of.State != health.Closed {
			return true
		}
	}
	return false
}

// windowLabel is the label of a limit with the given name in the configuration.
func windowLabel(key string) string {
	switch key {
	case "per_minute":
		return "minute"
	case "per_hour":
		return "hour"
	case "per_day":
		return "day"
	case "per_month":
		return "month"
	case "recipients_per_month":
		return "recipients"
	case "segments_per_day":
		return "segments_day"
	case "segments_per_month":
		return "segments_month"
	case "notices_per_minute":
		return "notices_minute"
	case "notices_per_day":
		return "notices_day"
	}
	return key
}
