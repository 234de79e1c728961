package dispatch

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/dispatch/route"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
)

func TestRecipientStaysOnItsSIM(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		h.sim(simA, 4*time.Second)
		first := h.code(alice)
		h.pass(time.Second)
		h.sim(simB, 4*time.Second)
		h.wentBy(first, simA)
		h.pass(4 * time.Second)
		busy := h.queued(queue.Address{To: bob, Region: "FR", By: simA})
		h.pass(time.Second)
		second := h.code(alice)
		h.pass(time.Second)
		h.wentBy(second) // it waits for its SIM, though another is idle
		h.pass(4 * time.Second)
		h.wentBy(second, simA)
		h.wentBy(busy, simA)
		h.why(busy, 0, whyOnly)
		h.why(second, 0, whyKnown)
		// As before after a restart.
		h.pass(5 * time.Second)
		h.restart()
		h.sim(simB, 4*time.Second)
		h.sim(simA, 4*time.Second)
		h.pass(time.Second)
		third := h.code(alice)
		h.pass(time.Second)
		h.wentBy(third, simA)
		h.pass(5 * time.Second)
		h.stop()
	})
}

// Nothing waits longer than that for a SIM that is busy, and nothing for one that
// can't have it.
func TestRecipientLeavesItsSIM(t *testing.T) {
	for name, c := range map[string]struct {
		lose func(h *hall, l *scripted)
		wait time.Duration
	}{
		"busy":        {func(h *hall, _ *scripted) { h.queued(queue.Address{To: bob, Region: "FR", By: simA}) }, 5 * time.Second},
		"held":        {func(h *hall, l *scripted) { h.d.Hold(l.name, true) }, 0},
		"gone":        {func(_ *hall, l *scripted) { l.unplug() }, 0},
		"not trusted": {func(h *hall, _ *scripted) { h.lose(simA) }, 0},
		"spent": {func(h *hall, _ *scripted) {
			h.d.Limit(h.t.Context(), simA, budget.Change{PerDay: new(1)})
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inHall(t, func(t *testing.T, h *hall) {
				h.run()
				var air atomic.Int64
				air.Store(int64(time.Second))
				a := h.answers(simA, func(s modem.Submission) modem.Result {
					time.Sleep(time.Duration(air.Load())) // virtual time
					return modem.Result{Class: modem.Accepted, MR: 1, Committed: true, CommittedAt: time.Now()}
				})
				h.code(alice)
				h.pass(2 * time.Second)
				h.sim(simB, time.Second)
				h.pass(time.Second)
				air.Store(int64(time.Minute))
				c.lose(h, a)
				h.pass(0)
				id := h.code(alice)
				if c.wait > 0 {
					h.pass(c.wait - time.Second)
					h.wentBy(id)
					h.pass(time.Second)
				}
				h.pass(0)
				h.wentBy(id, simB)
				h.pass(2 * time.Minute)
				h.stop()
			})
		})
	}
}

// What waits for its SIM goes by another at once when that one falls out.
func TestWhatWaitsForASIMThatFallsOut(t *testing.T) {
	for name, lose := range map[string]func(h *hall, l *scripted){
		"held":        func(h *hall, l *scripted) { h.d.Hold(l.name, true) },
		"not trusted": func(h *hall, _ *scripted) { h.lose(simA) },
	} {
		t.Run(name, func(t *testing.T) {
			inHall(t, func(t *testing.T, h *hall) {
				h.run()
				a := h.sim(simA, 10*time.Second)
				h.code(alice)
				h.pass(11 * time.Second)
				h.sim(simB, time.Second)
				h.queued(queue.Address{To: bob, Region: "FR", By: simA})
				h.pass(time.Second)
				id := h.code(alice)
				h.pass(time.Second)
				h.wentBy(id)
				lose(h, a)
				h.pass(0)
				h.wentBy(id, simB)
				h.pass(time.Minute)
				h.stop()
			})
		})
	}
}

func TestLeastLoadedFirst(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		for _, imsi := range []string{simA, simB, simC} {
			h.sim(imsi, time.Second)
		}
		h.pass(time.Second)
		for i := range 30 {
			h.code(fmt.Sprintf("+336%08d", i))
			h.pass(20 * time.Second)
		}
		n := map[string]int{}
		for _, s := range h.given() {
			n[s.imsi]++
		}
		for imsi, n := range n {
			if n < 9 || n > 11 {
				t.Errorf("%s sent %d of 30", imsi, n)
			}
		}
		h.stop()
	})
}

// What a SIM has sent weighs less with time also while it sends nothing.
func TestLoadIsForgottenWhileASIMRests(t *testing.T) {
	for name, limits := range map[string]budget.Limits{"no limits": {}, "by the hour": {PerHour: 100}} {
		t.Run(name, func(t *testing.T) {
			inHall(t, func(t *testing.T, h *hall) {
				h.under(func(p *Policy) { p.Limits = limits })
				h.run()
				h.sim(simA, time.Second)
				h.sim(simB, time.Second)
				h.pass(0)
				for i := range 60 {
					h.queued(queue.Address{To: fmt.Sprintf("+3361%07d", i), Region: "FR", By: simA})
					h.pass(5 * time.Second)
				}
				h.pass(2 * time.Hour)
				for i := range 20 {
					h.code(fmt.Sprintf("+3362%07d", i))
					h.pass(10 * time.Second)
				}
				byA := 0
				for _, s := range h.given()[60:] {
					if s.imsi == simA {
						byA++
					}
				}
				if byA < 8 || byA > 12 {
					t.Errorf("the SIM that has rested got %d of 20", byA)
				}
				h.stop()
			})
		})
	}
}

func TestPinnedMessageWaitsForItsSIM(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		h.sim(simB, time.Second)
		id := h.queued(queue.Address{To: alice, Region: "FR", By: simA})
		never, err := h.ask(queue.Address{To: alice, Region: "FR", By: simC}, time.Minute)
		h.must(err)
		h.pass(30 * time.Second)
		h.wentBy(id)
		a := "m" + simA[:6]
		h.d.Hold(a, true)
		h.sim(simA, time.Second)
		h.pass(10 * time.Second)
		h.wentBy(id)
		h.d.Hold(a, false)
		h.pass(2 * time.Second)
		h.wentBy(id, simA)
		h.pass(time.Minute)
		h.want(never, queue.Expired)
		h.stop()
	})
}

func TestRules(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) {
			p.Limits.PerMinute = 1
			p.Stick = 0
			p.Routes = table(t,
				route.Rule{Name: "blue", Prefixes: []string{"+336"}, Operators: []string{"20801"}, Fallback: true},
				route.Rule{Name: "strict", Regions: []string{"DE"}, Operators: []string{"20810"}},
			)
		})
		h.run()
		h.sim(simA, time.Second)
		h.sim(simC, time.Second)
		h.pass(time.Second)
		first := h.code(alice)
		german := h.queued(queue.Address{To: "+4915112345678", Region: "DE"})
		h.pass(5 * time.Second)
		h.wentBy(first, simA)
		h.why(first, 0, "rule blue")
		// Its SIM can send nothing for a while: another stands in.
		second := h.code(bob)
		h.pass(5 * time.Second)
		h.wentBy(second, simC)
		h.why(second, 0, whyStandIn)
		// Where none may, it waits for one that does.
		h.wentBy(german)
		h.sim(simB, time.Second)
		h.pass(time.Second)
		h.wentBy(german, simB)
		// Its SIM is back.
		h.pass(50 * time.Second)
		third := h.code(carol)
		h.pass(10 * time.Second)
		h.wentBy(third, simA)
		h.stop()
	})
}
