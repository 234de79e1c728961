package dispatch

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

// What can't be done now is not asked for again and again.

// calm fails the test if the store is asked for so many Updates from now on, and then
// takes no more: virtual time would stand still while it is asked without a pause.
func (h *hall) calm(most int64) {
	h.t.Helper()
	var asked atomic.Int64
	h.refusing(func(bool) error {
		n := asked.Add(1)
		if n == most {
			h.t.Error("asked for again and again")
		}
		if n >= most {
			return storage.ErrBusy
		}
		return nil
	})
}

// A message that time should have moved on, and that can't be moved, holds up no
// other and is tried again, but not at once.
func TestWhatCantBeMovedOnWaits(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		var tries atomic.Int64
		h.d.o.Settled = func(storage.Tx, queue.Outcome) error {
			if n := tries.Add(1); n > 3 && n < 1000 {
				return errors.New("a record that can't be read")
			}
			return nil
		}
		tries.Store(3)
		h.run()
		defer h.stop()
		id := h.enqueue(time.Minute)
		h.pass(2 * time.Minute)
		if n := tries.Load() - 3; n == 0 || n > 10 {
			t.Errorf("tried %d times in a minute", n)
		}
		h.want(id, queue.Queued)
		tries.Store(1000) // it can be read again
		h.pass(2 * time.Minute)
		h.want(id, queue.Expired)
	})
}

// A SIM whose budget is used up by what is in the air, in a modem that it was in
// before, waits for that.
func TestBudgetInTheAirElsewhere(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Limits.PerMinute = 1 })
		h.run()
		lands := make(chan struct{})
		takes := h.takes(time.Second)
		h.answers(simA, func(s modem.Submission) modem.Result {
			<-lands
			return takes(s)
		})
		h.pass(0)
		first := h.enqueueTo(alice, 5*time.Minute)
		h.pass(0)
		h.want(first, queue.Sending)
		h.sim(simA, time.Second)
		h.pass(0)
		h.calm(100)
		second := h.enqueueTo(bob, 5*time.Minute)
		h.pass(30 * time.Second)
		h.want(second, queue.Queued)
		close(lands)
		h.pass(65 * time.Second)
		h.want(second, queue.Accepted)
		h.stop()
	})
}

// A new SIM whose first day has no share for notices leaves them to others.
func TestNoShareForNotices(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) {
			p.Limits.PerDay, p.Limits.Reserve = 100, 20
			p.Limits.WarmUp.Days, p.Limits.WarmUp.Start = 14, 1
		})
		h.must(h.d.o.Policy.Validate())
		h.run()
		h.sim(simA, time.Second)
		h.pass(0)
		h.calm(100)
		d := h.queue.Draft(queue.Address{To: alice, Region: "FR", Lane: queue.LaneNotice})
		h.queue.Write(&d, []byte("owner"), d.ID.String())
		h.must(h.store.Store.Update(t.Context(), func(tx storage.Tx) error {
			_, err := h.queue.Enqueue(tx, d, tx.Now().Add(5*time.Minute))
			return err
		}))
		h.pass(30 * time.Second)
		h.want(d.ID, queue.Queued)
		h.stop()
	})
}

// damage makes every record of a table one that can't be read.
func (h *hall) damage(table string) {
	h.t.Helper()
	h.must(h.store.Store.Update(h.t.Context(), func(tx storage.Tx) error {
		all, err := tx.Scan([]byte(table+"/"), []byte(table+"0"), page)
		for _, record := range all {
			err = errors.Join(err, tx.Put(record.Key, []byte("damaged")))
		}
		return err
	}))
}

// A recipient of whom nothing can be read holds up no other. Its message is tried
// again from time to time until its life ends.
func TestRecipientThatCantBeRead(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		h.sim(simA, time.Second)
		h.pass(0)
		h.code(alice)
		h.pass(5 * time.Second)
		h.damage("contact")
		h.calm(100)
		spoilt, good := h.enqueueTo(alice, 5*time.Minute), h.enqueueTo(bob, 5*time.Minute)
		h.pass(10 * time.Second)
		h.want(good, queue.Accepted)
		h.want(spoilt, queue.Queued)
		h.pass(5 * time.Minute)
		h.want(spoilt, queue.Expired)
		h.stop()
	})
}

// A SIM whose ledger can't be read any more ends nothing.
func TestSIMThatCantBeRead(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		h.sim(simA, time.Second)
		h.pass(0)
		h.code(alice)
		h.pass(5 * time.Second)
		h.damage("simledger")
		h.pass(24 * time.Hour) // its day ends
		other := h.sim(simB, time.Second)
		h.d.Hold("m"+simA[:6], true)
		h.pass(0)
		id := h.enqueueTo(bob, 5*time.Minute)
		h.pass(5 * time.Second)
		h.want(id, queue.Accepted)
		other.unplug()
		h.stop()
	})
}

// A dispatcher that is told of no more changes ends, rather than miss what comes.
func TestWatchThatEnds(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		wakes := make(chan storage.Wake)
		h.store.wakes = wakes
		h.run()
		close(wakes)
		h.pass(time.Second)
		select {
		case err := <-h.ended:
			if err == nil {
				t.Error("ended without an error")
			}
		default:
			t.Error("goes on")
			h.stop()
		}
	})
}
