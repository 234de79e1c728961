package dispatch

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/dispatch/route"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
)

// Whoever is refused since the SIMs that are there have nothing left is told to
// come back soon while another modem comes up, and else when a budget begins anew.
func TestRefusedWhileModemsComeUp(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		policy := DefaultPolicy()
		policy.Limits = budget.Limits{PerDay: 1}
		h.d.index.reload(policy)
		h.run()
		defer h.stop()
		h.plug("a", h.takes(time.Second))
		h.enqueue(5 * time.Minute)
		h.pass(10 * time.Second)
		refused := func() time.Duration {
			t.Helper()
			number := "+33612345678"
			_, err := h.d.Admit(t.Context(), Admission{
				ID: queue.NewID(), Region: "FR", Number: number, Recipient: h.queue.Number(number), Life: 5 * time.Minute,
			})
			full, ok := errors.AsType[*NoCapacityError](err)
			if !ok {
				t.Fatalf("not refused: %v", err)
			}
			return full.After
		}
		if after := refused(); after < time.Hour {
			t.Errorf("the day is spent, and it is to be asked again in %v", after)
		}
		h.statuses = []modem.Status{{Name: "a", State: modem.Ready}, {Name: "b", State: modem.Starting}}
		if after := refused(); after != tillReady {
			t.Errorf("a modem comes up, and it is to be asked again in %v", after)
		}
	})
}

// No more new recipients are let in than the SIM may have, however much else it may
// send; those that it knows are, besides.
func TestNewRecipientsCountEachOther(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Limits.RecipientsPerMonth = 4 })
		h.run()
		h.sim(simA, 10*time.Second)
		h.pass(0)
		h.code(alice)
		h.pass(15 * time.Second)
		var ids []queue.ID
		for i := range 10 {
			if id, err := h.ask(queue.Address{To: fmt.Sprintf("+3361000000%d", i), Region: "FR"}, 5*time.Minute); err == nil {
				ids = append(ids, id)
			}
			h.pass(0)
		}
		if len(ids) != 3 {
			t.Errorf("%d let in, want 3", len(ids))
		}
		ids = append(ids, h.code(alice))
		h.pass(time.Minute)
		for _, id := range ids {
			h.want(id, queue.Accepted)
		}
		h.stop()
	})
}

// What was let in before another policy came takes no room from those that a rule of
// the same number is about now.
func TestRoomOverAReload(t *testing.T) {
	fr := route.Rule{Name: "fr", Regions: []string{"FR"}, Operators: []string{"20801"}}
	de := route.Rule{Name: "de", Regions: []string{"DE"}, Operators: []string{"20810"}}
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Limits.PerDay, p.Routes = 1, table(t, fr, de) })
		h.run()
		h.sim(simA, time.Second)
		h.sim(simB, time.Second)
		h.pass(0)
		admit := func(region string) {
			t.Helper()
			_, err := h.d.Admit(t.Context(), Admission{
				ID: queue.NewID(), Region: region, Number: alice, Recipient: h.queue.Number(alice), Life: 5 * time.Minute,
			})
			if err != nil {
				t.Errorf("to %s: %v", region, err)
			}
		}
		admit("FR")
		p := h.policy
		p.Routes = table(t, de, fr)
		h.must(h.d.Reload(t.Context(), p))
		admit("DE")
		h.stop()
	})
}

// What takes its time in the air is counted by the minute from then on, which leaves
// room for less than the minutes of a life.
func TestRoomIsLessThanMinutes(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Limits.PerMinute = 1 })
		h.run()
		h.sim(simA, 5*time.Second)
		h.pass(0)
		var ids []queue.ID
		for i := range 15 {
			if id, err := h.ask(queue.Address{To: fmt.Sprintf("+336100000%02d", i), Region: "FR"}, 10*time.Minute); err == nil {
				ids = append(ids, id)
			}
		}
		if len(ids) < 8 {
			t.Errorf("%d let in", len(ids))
		}
		h.pass(10 * time.Minute)
		if len(h.given()) != len(ids) {
			t.Errorf("%d of %d went out", len(h.given()), len(ids))
		}
		h.stop()
	})
}
