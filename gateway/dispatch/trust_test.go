package dispatch

import (
	"fmt"
	"testing"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

func TestBreakers(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Stick = 0 })
		h.run()
		h.sim(simA, time.Second)
		b := h.sim(simB, time.Second)
		h.pass(time.Second)
		h.lose(simA)
		if h.told(EventBreakerOpen) != 1 {
			t.Errorf("told: %+v", h.happened())
		}
		for i := range 10 {
			id := h.code(fmt.Sprintf("+336%08d", i))
			h.pass(2 * time.Second)
			h.wentBy(id, simB)
		}
		// With nothing else it sends all the same.
		b.unplug()
		h.pass(0)
		id := h.code(alice)
		h.pass(2 * time.Second)
		h.wentBy(id, simA)
		h.why(id, 0, whyDoubted)
		// The breaker outlives a restart.
		h.restart()
		h.sim(simA, time.Second)
		h.sim(simB, time.Second)
		h.pass(time.Second)
		id = h.code(bob)
		h.pass(2 * time.Second)
		h.wentBy(id, simB)
		// After its rest it is tried by one message, though others are idle.
		h.pass(time.Minute)
		probe, other := h.code(alice), h.code(carol)
		h.pass(2 * time.Second)
		h.wentBy(probe, simA)
		h.why(probe, 0, whyProbe)
		h.wentBy(other, simB)
		h.reports(probe, 0, alice, 0)
		if h.told(EventBreakerClosed) != 1 {
			t.Errorf("told: %+v", h.happened())
		}
		n := len(h.given())
		for i := range 6 {
			h.code(fmt.Sprintf("+336%08d", i))
			h.pass(2 * time.Second)
		}
		back := 0
		for _, s := range h.given()[n:] {
			if s.imsi == simA {
				back++
			}
		}
		if back < 3 {
			t.Errorf("it sent %d of 6 when it was trusted again", back)
		}
		h.stop()
	})
}

// A probe without a result is followed by another one.
func TestProbeWithoutAResult(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Stick = 0 })
		h.run()
		h.sim(simA, time.Second)
		h.sim(simB, time.Second)
		h.pass(time.Second)
		h.lose(simA)
		for i := range 130 {
			h.code(fmt.Sprintf("+336%08d", i))
			h.pass(5 * time.Second)
		}
		n := 0
		for _, s := range h.given() {
			if s.imsi == simA {
				n++
			}
		}
		if n != 2 && n != 3 { // after a minute, and each five minutes on
			t.Errorf("%d messages went to see whether it works again", n)
		}
		h.stop()
	})
}

func TestAllDistrusted(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		h.sim(simA, time.Second)
		h.sim(simB, time.Second)
		h.pass(time.Second)
		h.lose(simA)
		h.lose(simB)
		var ids []queue.ID
		for i := range 6 {
			ids = append(ids, h.code(fmt.Sprintf("+336%08d", i)))
		}
		h.pass(5 * time.Second)
		for _, id := range ids {
			h.want(id, queue.Accepted)
		}
		h.stop()
	})
}

// A resend after the hold goes by another SIM than the one in doubt, and only
// unless a report or the code says that it came.
func TestDoubtfulSIMIsAvoided(t *testing.T) {
	for name, settle := range map[string]func(h *hall, id queue.ID){
		"nothing is known": func(*hall, queue.ID) {},
		"a report":         func(h *hall, id queue.ID) { h.reports(id, 0, alice, 0) },
		"the code": func(h *hall, id queue.ID) {
			h.must(h.store.Store.Update(h.t.Context(), func(tx storage.Tx) error {
				_, err := h.queue.Proven(tx, id, true)
				return err
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inHall(t, func(t *testing.T, h *hall) {
				h.run()
				h.answers(simA, func(modem.Submission) modem.Result {
					time.Sleep(time.Second) // virtual time
					return modem.Result{Class: modem.Ambiguous, Cause: "timeout", Committed: true, CommittedAt: time.Now()}
				})
				id := h.code(alice)
				h.pass(2 * time.Second)
				h.want(id, queue.Ambiguous)
				h.sim(simB, time.Second)
				settle(h, id)
				h.pass(32 * time.Second)
				if name != "nothing is known" {
					h.wentBy(id, simA)
					h.want(id, queue.Delivered)
				} else {
					h.wentBy(id, simA, simB)
					h.why(id, 1, whyOther)
					if !h.want(id, queue.Accepted).PossibleDuplicate {
						t.Error("not marked as a possible duplicate")
					}
				}
				h.stop()
			})
		})
	}
}

func TestReportBeforeTheAnswer(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		h.answers(simA, func(modem.Submission) modem.Result {
			time.Sleep(5 * time.Second) // virtual time
			return modem.Result{Class: modem.Accepted, MR: 0, Committed: true, CommittedAt: time.Now()}
		})
		id := h.code(alice)
		h.pass(time.Second)
		h.reports(id, 0, alice, 0)
		h.want(id, queue.Sending)
		h.pass(5 * time.Second)
		h.want(id, queue.Delivered)
		if r := h.d.health.Rates(time.Now(), simA); r.Delivery.Samples < 0.99 || r.Delivery.Value < 0.99 {
			t.Errorf("the SIM's reports: %+v", r.Delivery)
		}
		h.stop()
	})
}
