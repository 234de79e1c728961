package dispatch

import (
	"errors"
	"testing"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/queue"
	"smsotpd/storage"
)

// enqueueBy is enqueueTo for a notice that one SIM alone may carry.
func (h *hall) enqueueBy(sim, number string, life time.Duration) queue.ID {
	h.t.Helper()
	d := h.queue.Draft(queue.Address{To: number, Region: "FR", Lane: queue.LaneNotice, By: sim})
	h.queue.Write(&d, nil, d.ID.String())
	h.must(h.store.Store.Update(h.t.Context(), func(tx storage.Tx) error {
		_, err := h.queue.Enqueue(tx, d, tx.Now().Add(life))
		return err
	}))
	return d.ID
}

// askBy is the admission of a notice that one SIM alone may carry.
func (h *hall) askBy(sim, number string) Admission {
	return Admission{
		ID: queue.NewID(), Region: "FR", Number: number, Recipient: h.queue.Number(number),
		Lane: queue.LaneNotice, Life: 5 * time.Minute, By: sim,
	}
}

func (h *hall) limit(l budget.Limits) {
	h.t.Helper()
	p := DefaultPolicy()
	p.Limits = l
	h.must(h.d.Reload(h.t.Context(), p))
}

func TestSIMsAreSeenAsTheyAre(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		defer h.stop()
		a := h.plug("a", h.takes(time.Second))
		h.plug("b", h.takes(time.Second))
		h.pass(0)
		h.d.Limit(t.Context(), "imsi-a", budget.Change{PerDay: new(10)})
		h.d.Hold("b", true)
		h.want(h.enqueue(5*time.Minute), queue.Queued)
		h.pass(2 * time.Second)
		h.d.Canary("imsi-b", false)
		h.d.Canary("imsi-b", false)
		h.pass(0)

		views := h.d.SIMs()
		if len(views) != 2 || views[0].IMSI != "imsi-a" || views[0].Modem != "a" || views[1].Modem != "b" {
			t.Fatalf("%+v", views)
		}
		first, second := views[0], views[1]
		if !first.Here || first.Held || first.Limits.PerDay != 10 || first.Rates.Success.Samples == 0 {
			t.Errorf("a: %+v", first)
		}
		if got := first.Standing.Windows(first.Now)["per_day"]; got != (budget.Use{Used: 1, Limit: 10}) {
			t.Errorf("a's day: %+v", got)
		}
		if !second.Held || !h.d.Held("b") || h.d.Held("a") || len(second.Standing.Windows(second.Now)) != 0 {
			t.Errorf("b: %+v", second)
		}
		if open, at := h.d.Distrusted("imsi-b", "FR"); !open || time.Until(at) != time.Minute {
			t.Errorf("after two lost canaries b's breaker is open: %v, until %v", open, at)
		}
		h.pass(time.Minute)
		if !h.d.Probe("imsi-b", "FR") || h.d.Probe("imsi-b", "FR") {
			t.Error("not one probe was let out")
		}
		h.d.Canary("imsi-b", true)
		if open, _ := h.d.Distrusted("imsi-b", "FR"); open {
			t.Error("b is not trusted again")
		}
		a.unplug()
		h.pass(24 * time.Hour)
		first = h.d.SIMs()[0]
		if got := first.Standing.Windows(first.Now)["per_day"]; first.Here || got != (budget.Use{Used: 0, Limit: 10}) {
			t.Errorf("a on the next day: %+v, %+v", first.Here, got)
		}
	})
}

func TestLimitsSetByHandHoldAtOnce(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		defer h.stop()
		h.plug("a", h.takes(0))
		h.pass(0)
		h.must(h.store.Store.Update(t.Context(), func(tx storage.Tx) error {
			return h.d.o.Ledger.SetBalance(tx, "imsi-a", 7.5)
		}))
		if h.d.SIMs()[0].Standing.Balance != nil {
			t.Fatal("the ledger was read by itself")
		}
		h.must(h.d.Restand(t.Context(), "imsi-a"))
		if b := h.d.SIMs()[0].Standing.Balance; b == nil || b.Amount != 7.5 {
			t.Errorf("balance: %+v", b)
		}
	})
}

// Room for a message that one SIM alone may carry is asked of that SIM.
func TestAdmissionByOneSIM(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		defer h.stop()
		h.plug("a", h.takes(0))
		h.plug("b", h.takes(0))
		h.pass(0)
		h.limit(budget.Limits{PerDay: 2})
		h.d.Limit(t.Context(), "imsi-a", budget.Change{PerDay: new(1)})
		admit := func(sim string, want bool) {
			t.Helper()
			cancel, err := h.d.Admit(t.Context(), h.askBy(sim, "+33698765432"))
			if _, full := errors.AsType[*NoCapacityError](err); full == want || err != nil && !full {
				t.Errorf("admitted by %s: %v, want %v", sim, err, want)
			}
			if err == nil {
				cancel()
			}
		}
		admit("imsi-a", true)
		cancel, err := h.d.Admit(t.Context(), h.askBy("imsi-a", "+33698765432"))
		h.must(err)
		admit("imsi-a", false) // it has room for one
		cancel()
		admit("imsi-a", true)
		admit("imsi-c", false) // it isn't there
		h.enqueueBy("imsi-a", "+33612345678", 5*time.Minute)
		h.pass(time.Second)
		admit("imsi-a", false)
		admit("imsi-b", true)
		h.d.Hold("b", true)
		admit("imsi-b", false)
	})
}

// A message for one SIM alone that may have no new recipient waits without
// keeping store and modem busy.
func TestNoNewRecipientForTheOnlySIM(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		defer h.stop()
		h.plug("a", h.takes(0))
		h.pass(0)
		h.limit(budget.Limits{RecipientsPerMonth: 1})
		h.enqueueTo("+33612345678", 5*time.Minute)
		h.pass(time.Second)
		admit := func(number string) error {
			cancel, err := h.d.Admit(t.Context(), h.askBy("imsi-a", number))
			if err == nil {
				cancel()
			}
			return err
		}
		if err := admit("+33612345678"); err != nil {
			t.Errorf("to the known recipient: %v", err)
		}
		if err := admit("+33698765432"); err == nil {
			t.Error("a new recipient was admitted")
		}
		h.calm(10)
		id := h.enqueueBy("imsi-a", "+33698765432", 5*time.Minute)
		h.pass(time.Minute)
		h.want(id, queue.Queued)
		h.refusing(nil)
		known := h.enqueueBy("imsi-a", "+33612345678", 5*time.Minute)
		h.pass(time.Second)
		h.want(known, queue.Accepted)
	})
}

// A recipient that a SIM knows from the month before is a new one in this: the
// message goes by another SIM at once, and nothing is asked again and again.
func TestRecipientOfTheMonthBefore(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.must(h.store.Close())
		h.open(func() time.Time { return time.Now().Add(31*24*time.Hour - 10*time.Minute) })
		h.run()
		defer h.stop()
		h.plug("a", h.takes(0))
		h.pass(0)
		old := "+33698765432"
		h.enqueueTo(old, 5*time.Minute)
		h.pass(20 * time.Minute) // into February
		h.limit(budget.Limits{RecipientsPerMonth: 1})
		h.enqueueTo("+33612345678", 5*time.Minute)
		h.pass(time.Second)
		h.plug("b", h.takes(0))
		h.pass(0)
		h.calm(10)
		id := h.enqueueTo(old, 5*time.Minute)
		h.pass(time.Second)
		if m := h.want(id, queue.Accepted); m.Attempts[0].IMSI != "imsi-b" {
			t.Errorf("sent by %s", m.Attempts[0].IMSI)
		}
	})
}
