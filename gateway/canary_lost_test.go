package gateway

import (
	"testing"
	"time"
)

// A SIM whose test messages are lost is told of and distrusted; one sent as a
// probe that arrives brings it back.
func TestCanariesLost(t *testing.T) {
	inWorld(t, duo, func(t *testing.T, w *world) {
		c := &carrier{w: w, way: 4 * time.Second}
		c.plug("a", "b")
		w.pass(time.Hour + time.Minute)
		c.set(true)
		w.pass(time.Hour + 3*time.Minute)
		w.sent(2)
		w.counted("smsotpd_canaries_total", map[string]float64{"a arrived ": 1})
		w.pass(90 * time.Second)
		w.counted("smsotpd_canaries_total", map[string]float64{"a arrived ": 1, "a lost ": 1})
		w.counted("smsotpd_modem_events_total", map[string]float64{"canary_lost a ": 1})
		w.pass(time.Hour)
		w.counted("smsotpd_modem_events_total", map[string]float64{"canary_lost a ": 2, "breaker_open a ": 1})
		w.counted("smsotpd_breaker_open", map[string]float64{"a ": 1, "b ": 0})
		c.set(false)
		w.pass(time.Minute)
		w.sent(4)
		w.counted("smsotpd_breaker_open", map[string]float64{"a ": 0, "b ": 0})
		w.counted("smsotpd_canaries_total", map[string]float64{"a lost ": 2, "a arrived ": 2})

		// One that comes after all is not lost.
		c.bring(w.radio.heard()[2])
		c.bring(w.radio.heard()[2])
		w.counted("smsotpd_canaries_total", map[string]float64{"a lost ": 2, "a arrived ": 2, "a late ": 1})
		w.kept(0)
	})
}

// A SIM to which nothing comes is told of, and doesn't make its sender look bad.
func TestCanaryReceiverMissesAll(t *testing.T) {
	inWorld(t, duo, func(t *testing.T, w *world) {
		c := &carrier{w: w}
		c.plug("a", "b")
		c.set(true)
		w.pass(4*time.Hour + 10*time.Minute)
		w.counted("smsotpd_canaries_total", map[string]float64{"a lost ": 4})
		w.counted("smsotpd_modem_events_total", map[string]float64{"canary_missed b ": 4})
		w.counted("smsotpd_breaker_open", map[string]float64{"a ": 0, "b ": 0})
	})
}

// Nor does one that the network says has got what did not come.
func TestCanaryDeliveredElsewhere(t *testing.T) {
	inWorld(t, duo, func(t *testing.T, w *world) {
		c := &carrier{w: w}
		c.plug("a", "b")
		w.pass(time.Hour + time.Minute)
		c.set(true)
		for mr := range byte(3) {
			w.pass(time.Hour)
			w.report("a", mr+2, numbers()["b"][0], 0)
		}
		w.pass(10 * time.Minute)
		w.counted("smsotpd_canaries_total", map[string]float64{"a arrived ": 1, "a lost ": 3})
		w.counted("smsotpd_modem_events_total", map[string]float64{"canary_missed b ": 3})
		w.counted("smsotpd_breaker_open", map[string]float64{"a ": 0, "b ": 0})
	})
}

// A probe that is lost lets the breaker rest for longer.
func TestProbeLost(t *testing.T) {
	inWorld(t, duo, func(t *testing.T, w *world) {
		c := &carrier{w: w}
		c.plug("a", "b")
		w.pass(time.Hour + time.Minute)
		c.set(true)
		w.pass(2*time.Hour + 6*time.Minute)
		w.sent(4)
		open, at := w.gw.dispatch.Distrusted("imsi-a", "FR")
		if left := time.Until(at); !open || left < 0 || left > 5*time.Minute {
			t.Fatalf("nothing waits for the probe: %v, %v", open, left)
		}
		w.pass(5 * time.Minute)
		if open, at = w.gw.dispatch.Distrusted("imsi-a", "FR"); !open || time.Until(at) > 2*time.Minute {
			t.Errorf("after a lost probe: %v, %v", open, time.Until(at))
		}
		w.counted("smsotpd_canaries_total", map[string]float64{"a arrived ": 1, "a lost ": 3})
	})
}

// A SIM that isn't there when it is to be tried is tried when it is back, once.
func TestProbeWaitsForTheSIM(t *testing.T) {
	inWorld(t, duo, func(t *testing.T, w *world) {
		c := &carrier{w: w, way: time.Second}
		c.plug("b")
		a := w.radio.plug("a", takes(0))
		w.pass(time.Second)
		a.unplug()
		for range 2 {
			w.gw.dispatch.Canary("imsi-a", false)
		}
		w.pass(5 * time.Minute)
		w.sent(0)
		c.plug("a")
		w.pass(time.Minute)
		w.sent(1)
		w.pass(10 * time.Minute)
		w.sent(1)
		w.counted("smsotpd_breaker_open", map[string]float64{"a ": 0, "b ": 0})
	})
}
