package dispatch

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/dispatch/route"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
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
		a := h.sim(simA, time.Second)
		h.d.Hold(a.name, true)
		h.pass(10 * time.Second)
		h.wentBy(id)
		h.d.Hold(a.name, false)
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

// A modem that is held gets nothing more, and may be pulled once it has nothing in
// the air; others take over, and nothing is lost.
func TestHoldUnderLoad(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		a := h.sim(simA, 3*time.Second)
		b := h.sim(simB, 3*time.Second)
		var ids []queue.ID
		for i := range 40 {
			ids = append(ids, h.code(fmt.Sprintf("+336%08d", i)))
		}
		h.pass(7 * time.Second)
		h.d.Hold(a.name, true)
		var free time.Time
		for range 100 {
			if h.pass(100 * time.Millisecond); !h.d.InAir(a.name) && free.IsZero() {
				free = time.Now()
			}
		}
		for _, s := range h.given() {
			if s.imsi == simA && !free.IsZero() && s.at.After(free) {
				t.Error("a modem that is held, and told to have nothing in the air, was given a message")
			}
		}
		if free.IsZero() || !h.d.InAir(b.name) {
			t.Errorf("in the air: %v by the one that is held, %v by the other", h.d.InAir(a.name), h.d.InAir(b.name))
		}
		// All are held for a while.
		h.d.Hold(b.name, true)
		h.pass(30 * time.Second)
		n := len(h.given())
		late := h.code(alice)
		h.pass(20 * time.Second)
		if len(h.given()) != n {
			t.Error("modems that are held sent something")
		}
		h.d.Hold(a.name, false)
		h.d.Hold(b.name, false)
		h.pass(90 * time.Second)
		for _, id := range append(ids, late) {
			h.want(id, queue.Accepted)
			if n := h.times(id); n != 1 {
				t.Errorf("sent %d times", n)
			}
		}
		h.stop()
	})
}

// Another policy in the midst of it loses nothing, whatever becomes of who asked
// for it.
func TestReloadUnderLoad(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		for _, imsi := range []string{simA, simB, simC} {
			h.sim(imsi, 700*time.Millisecond)
		}
		strict := DefaultPolicy()
		strict.Routes = table(t, route.Rule{Name: "blue", Prefixes: []string{"+336"}, Operators: []string{"20801"}})
		var ids []queue.ID
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for n := range 30 {
					id, err := h.ask(queue.Address{To: fmt.Sprintf("+336%08d", 100*i+n), Region: "FR"}, 5*time.Minute)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					ids = append(ids, id)
					mu.Unlock()
					time.Sleep(300 * time.Millisecond) // virtual time
				}
			})
		}
		for i := range 20 {
			time.Sleep(331 * time.Millisecond) // virtual time
			ctx, cancel := context.WithCancel(t.Context())
			if i%3 == 0 {
				cancel()
			}
			h.must(h.d.Reload(ctx, []Policy{strict, DefaultPolicy()}[i%2]))
			cancel()
		}
		wg.Wait()
		h.pass(3 * time.Minute)
		for _, id := range ids {
			h.want(id, queue.Accepted)
			if n := h.times(id); n != 1 {
				t.Errorf("sent %d times", n)
			}
		}
		h.stop()
	})
}

// What was queued while all messages are read for another policy is not forgotten.
func TestReloadKeepsWhatComesMeanwhile(t *testing.T) {
	x := newIndex(DefaultPolicy())
	x.lay(nth(1), waiting(queue.LaneCode), 0)
	load := x.loading()
	x.lay(nth(2), waiting(queue.LaneCode), 0)
	x.keep(load)
	if x.entries[nth(1)] != nil || x.entries[nth(2)] == nil {
		t.Error("it forgets what came, or keeps what has gone")
	}
}

func TestReloadTakesLabelsAndLimits(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Limits.PerDay = 1 })
		h.run()
		h.sim(simA, time.Second)
		h.pass(time.Second)
		h.code(alice)
		h.pass(2 * time.Second)
		id := h.enqueueTo(bob, 5*time.Minute)
		h.pass(2 * time.Second)
		h.want(id, queue.Queued)
		h.must(h.d.Reload(t.Context(), DefaultPolicy()))
		h.pass(2 * time.Second)
		h.want(id, queue.Accepted)
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
