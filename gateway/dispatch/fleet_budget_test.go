package dispatch

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/dispatch/route"
	"smsotpd/gateway/queue"
	"smsotpd/storage"
)

// most is the most messages that one SIM was given within d.
func (h *hall) most(imsi string, d time.Duration) (most int) {
	given := h.given()
	for _, first := range given {
		n := 0
		for _, s := range given {
			if first.imsi == imsi && s.imsi == imsi && !s.at.Before(first.at) && s.at.Before(first.at.Add(d)) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

func TestBudgetByTheMinute(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Limits.PerMinute = 3 })
		h.run()
		h.sim(simA, time.Second)
		var ids []queue.ID
		for i := range 10 {
			ids = append(ids, h.code(fmt.Sprintf("+336%08d", i)))
		}
		h.pass(10 * time.Second)
		if n := len(h.given()); n != 3 {
			t.Errorf("%d went out at first, want 3", n)
		}
		h.pass(200 * time.Second)
		for _, id := range ids {
			h.want(id, queue.Accepted)
		}
		if n := h.most(simA, time.Minute); n > 3 {
			t.Errorf("%d within a minute", n)
		}
		h.stop()
	})
}

// A hundred ask at once for what is left of two SIMs' day: none is let in that can't
// be sent.
func TestBudgetOfTheDay(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Limits.PerDay = 5 })
		h.run()
		h.sim(simA, time.Second)
		h.sim(simB, time.Second)
		h.pass(time.Second)
		var admitted []queue.ID
		var refused atomic.Int64
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				id, err := h.ask(queue.Address{To: fmt.Sprintf("+336%08d", i), Region: "FR"}, 5*time.Minute)
				full, ok := errors.AsType[*NoCapacityError](err)
				if ok {
					if full.After < time.Second || full.After > 24*time.Hour {
						t.Errorf("ask again after %v", full.After)
					}
					refused.Add(1)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				admitted = append(admitted, id)
			})
		}
		wg.Wait()
		if len(admitted) != 10 || refused.Load() != 90 {
			t.Errorf("%d let in, %d refused", len(admitted), refused.Load())
		}
		h.pass(time.Minute)
		for _, id := range admitted {
			h.want(id, queue.Accepted)
		}
		if h.told(EventBudgetSpent) != 2 || h.told(EventBudgetLow) != 2 {
			t.Errorf("told: %+v", h.happened())
		}
		_, err := h.ask(queue.Address{To: alice, Region: "FR"}, 5*time.Minute)
		full, ok := errors.AsType[*NoCapacityError](err)
		if !ok || full.After < 20*time.Hour || full.After > 24*time.Hour {
			t.Fatalf("the day is spent: %v", err)
		}
		// It is as spent after a restart, and not the next day.
		h.restart()
		h.sim(simA, time.Second)
		h.pass(time.Second)
		if _, err := h.ask(queue.Address{To: alice, Region: "FR"}, 5*time.Minute); err == nil {
			t.Error("let in after the restart")
		}
		h.pass(full.After)
		h.pass(time.Second)
		id := h.code(alice)
		h.pass(5 * time.Second)
		h.want(id, queue.Accepted)
		h.stop()
	})
}

// Messages that come while others are being begun and settled find what is left, no
// more and no less.
func TestBudgetWhileItIsSpent(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Limits.PerDay = 20 })
		h.run()
		for _, imsi := range []string{simA, simB, simC} {
			h.sim(imsi, 300*time.Millisecond)
		}
		h.pass(time.Second)
		var admitted []queue.ID
		for i := range 100 {
			if id, err := h.ask(queue.Address{To: fmt.Sprintf("+336%08d", i), Region: "FR"}, 5*time.Minute); err == nil {
				admitted = append(admitted, id)
			}
			h.pass(40 * time.Millisecond)
		}
		h.pass(time.Minute)
		if len(admitted) != 60 {
			t.Errorf("%d let in, want 60", len(admitted))
		}
		for _, id := range admitted {
			h.want(id, queue.Accepted)
		}
		h.stop()
	})
}

func TestNoticesHaveACapOfTheirOwn(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Limits.NoticesPerMinute = 1 })
		h.run()
		h.sim(simA, time.Second)
		notices := []queue.ID{h.notice(alice), h.notice(bob), h.notice(carol)}
		h.pass(5 * time.Second)
		codes := []queue.ID{h.code(alice), h.code(bob)}
		h.pass(5 * time.Second)
		for _, id := range codes {
			h.want(id, queue.Accepted)
		}
		h.want(notices[0], queue.Accepted)
		h.want(notices[1], queue.Queued)
		h.pass(2 * time.Minute)
		h.want(notices[1], queue.Accepted)
		h.want(notices[2], queue.Accepted)
		h.stop()
	})
}

// A SIM whose share for notices is spent for the day leaves them to those that may
// stand in for it, and keeps the codes.
func TestNoticesSpillOver(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) {
			p.Limits.NoticesPerDay = 1
			p.Routes = table(t, route.Rule{Name: "fr", Regions: []string{"FR"}, Operators: []string{"20801"}, Fallback: true})
		})
		h.run()
		h.sim(simA, time.Second)
		h.sim(simB, time.Second)
		h.pass(time.Second)
		first, second := h.notice(alice), h.notice(bob)
		h.pass(10 * time.Second)
		h.wentBy(first, simA)
		h.wentBy(second, simB)
		h.why(second, 0, whyStandIn)
		code := h.code(carol)
		h.pass(5 * time.Second)
		h.wentBy(code, simA)
		h.stop()
	})
}

func TestNoticesNeverDelayCodes(t *testing.T) {
	for modems := 1; modems <= 3; modems++ {
		inHall(t, func(t *testing.T, h *hall) {
			h.run()
			for _, imsi := range []string{simA, simB, simC}[:modems] {
				h.sim(imsi, 10*time.Second)
			}
			var notices []queue.ID
			for i := range 9 {
				notices = append(notices, h.notice(fmt.Sprintf("+336%08d", i)))
			}
			for range 4 {
				h.pass(7 * time.Second)
				code := h.code(alice)
				h.pass(time.Second)
				late := h.times(code) == 0
				if late && modems > 1 {
					t.Fatalf("%d modems: a code waits behind notices", modems)
				}
				if h.pass(10 * time.Second); h.times(code) == 0 {
					t.Fatalf("%d modems: a code waits behind more than one notice", modems)
				}
			}
			h.pass(2 * time.Minute)
			for _, id := range notices {
				h.want(id, queue.Accepted)
			}
			h.stop()
		})
	}
}

// A SIM that may have no more recipients serves those it knows for as long as they
// wait, refuses others, and begins anew with the month although nothing was sent.
func TestRecipientsOfTheMonth(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Limits.RecipientsPerMonth = 1 })
		h.run()
		h.sim(simA, 20*time.Second)
		h.pass(time.Second)
		first := h.code(alice)
		h.pass(21 * time.Second)
		h.want(first, queue.Accepted)
		if _, err := h.ask(queue.Address{To: bob, Region: "FR"}, 5*time.Minute); err == nil {
			t.Fatal("a recipient that the SIM may not have was let in")
		}
		again := []queue.ID{h.code(alice), h.code(alice), h.code(alice)}
		h.pass(time.Second)
		id := h.enqueueTo(bob, 5*time.Minute) // as from before a change of the limits
		h.pass(70 * time.Second)
		for _, id := range again {
			h.want(id, queue.Accepted)
		}
		h.want(id, queue.Queued)
		asked := h.store.updates.Load()
		h.pass(2 * time.Minute)
		if n := h.store.updates.Load() - asked; n > 30 {
			t.Errorf("the store was asked %d times about what can't be sent", n)
		}
		h.pass(time.Until(time.Now().UTC().AddDate(0, 1, 1-time.Now().UTC().Day()).Truncate(24 * time.Hour)))
		h.pass(time.Second)
		other := h.code(bob)
		h.pass(25 * time.Second)
		h.want(other, queue.Accepted)
		h.stop()
	})
}

// Of two messages to one recipient, the last that the SIM may have, the second goes
// out as the first did, although the SIM did not know the recipient when it came.
func TestLastRecipientTwice(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Limits.RecipientsPerMonth = 1 })
		h.run()
		h.sim(simA, time.Second)
		h.pass(0)
		first, second := h.enqueueTo(alice, 5*time.Minute), h.enqueueTo(alice, 5*time.Minute)
		h.pass(20 * time.Second)
		h.want(first, queue.Accepted)
		h.want(second, queue.Accepted)
		h.calm(100)
		other := h.enqueueTo(bob, 5*time.Minute)
		h.pass(time.Minute)
		h.want(other, queue.Queued)
		h.stop()
	})
}

// What is being sent is for its recipient still, and counts among what the SIM has for
// those that it knows until the line is told.
func TestWhatIsSentIsForWhomItKnows(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		h.sim(simA, 10*time.Second)
		h.pass(0)
		h.code(alice)
		h.pass(15 * time.Second)
		id := h.code(alice)
		h.pass(5 * time.Second)
		m := h.want(id, queue.Sending)
		h.must(h.store.View(t.Context(), func(tx storage.Tx) error {
			w, err := h.d.want(tx, id, m)
			if !slices.Equal(w.acquainted(), []string{simA}) {
				t.Errorf("%v", w.acquainted())
			}
			return err
		}))
		h.pass(10 * time.Second)
		h.stop()
	})
}

// Known recipients are let in as far as the SIM's other limits go.
func TestKnownRecipientsCountEachOther(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Limits = budget.Limits{RecipientsPerMonth: 1, PerDay: 4} })
		h.run()
		h.sim(simA, time.Second)
		h.pass(time.Second)
		h.code(alice)
		h.pass(5 * time.Second)
		admitted := 0
		for range 10 {
			if _, err := h.ask(queue.Address{To: alice, Region: "FR"}, 5*time.Minute); err == nil {
				admitted++
			}
		}
		if admitted != 3 {
			t.Errorf("%d let in, want 3", admitted)
		}
		h.pass(time.Minute)
		if n := len(h.given()); n != 4 {
			t.Errorf("%d went out", n)
		}
		h.stop()
	})
}

// The operator's hand raises what is spent, and lowers it, at once.
func TestLimitByHand(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Limits.PerDay = 1 })
		h.run()
		h.sim(simA, time.Second)
		h.pass(time.Second)
		h.code(alice)
		h.pass(5 * time.Second)
		id := h.enqueueTo(bob, 5*time.Minute)
		h.pass(5 * time.Second)
		h.want(id, queue.Queued)
		h.d.Limit(t.Context(), simA, budget.Change{PerDay: new(2)})
		h.pass(2 * time.Second)
		h.want(id, queue.Accepted)
		id = h.enqueueTo(carol, 5*time.Minute)
		h.pass(5 * time.Second)
		h.want(id, queue.Queued)
		h.d.Limit(t.Context(), simA, budget.Change{PerDay: new(0)})
		h.pass(2 * time.Second)
		h.want(id, queue.Accepted)
		h.d.Limit(t.Context(), simA, budget.Change{})
		if got := h.d.LimitsOf(simA); got.PerDay != 1 {
			t.Errorf("limits: %+v", got)
		}
		if _, err := h.ask(queue.Address{To: bob, Region: "FR"}, 5*time.Minute); err == nil {
			t.Error("let in by the limits of the policy")
		}
		h.stop()
	})
}

// Limits that change while a message is in the air hold when it lands.
func TestLimitByHandWhileOneIsInTheAir(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Limits.PerDay = 1 })
		h.run()
		h.sim(simA, 10*time.Second)
		h.code(alice)
		h.pass(time.Second)
		id := h.enqueueTo(bob, 5*time.Minute)
		if _, err := h.ask(queue.Address{To: carol, Region: "FR"}, 5*time.Minute); err == nil {
			t.Error("let in while the last is in the air")
		} else if full, ok := errors.AsType[*NoCapacityError](err); !ok || full.After > 24*time.Hour {
			t.Errorf("ask again: %v", err)
		}
		h.d.Limit(t.Context(), simA, budget.Change{PerDay: new(2)})
		h.pass(20 * time.Second)
		h.want(id, queue.Accepted)
		h.stop()
	})
}
