package dispatch

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

func TestEveryMessageGoesOutOnceWhileModemsComeAndGo(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		const messages, modems = 300, 24
		calm := time.Now().Add(time.Minute) // from then on modems stay
		var flapping sync.WaitGroup
		for i := range modems {
			flapping.Go(func() {
				for {
					l := &scripted{name: fmt.Sprint("m", i), closed: make(chan struct{})}
					l.answer = func(s modem.Submission) modem.Result {
						select {
						case <-l.closed: // nothing left the port
							return modem.Result{Class: modem.Temporary, Cause: "eof"}
						case <-time.After(time.Duration(rand.IntN(1500)) * time.Millisecond):
						}
						h.went(s.Text)
						return modem.Result{Class: modem.Accepted, MR: 1, Committed: true, CommittedAt: time.Now()}
					}
					h.fresh <- l
					time.Sleep(time.Duration(rand.IntN(4000)) * time.Millisecond) // virtual time
					if time.Now().After(calm) {
						return
					}
					l.unplug()
					time.Sleep(time.Second) // virtual time
				}
			})
		}
		var ids []queue.ID
		for range messages {
			ids = append(ids, h.enqueue(10*time.Minute))
			time.Sleep(100 * time.Millisecond) // virtual time
		}
		flapping.Wait()
		h.pass(2 * time.Minute)
		for _, id := range ids {
			if n := h.times(id); n != 1 {
				t.Errorf("a message went out %d times: %+v", n, h.want(id, queue.Accepted))
			}
			h.want(id, queue.Accepted)
		}
		h.stop()
		if n := len(h.d.index.lines); n != 0 {
			t.Errorf("%d lines are left", n)
		}
		for _, w := range h.d.index.ways {
			if len(w.seats) != 0 || w.idle[0].Len() != 0 || w.idle[1].Len() != 0 {
				t.Errorf("seats of lines that are gone are left: %+v", w)
			}
		}
	})
}

func TestHangingModemHoldsUpNoRetry(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		hang := make(chan struct{})
		h.plug("stuck", func(modem.Submission) modem.Result {
			<-hang
			return modem.Result{Class: modem.Temporary, Cause: "eof"}
		})
		h.enqueue(5 * time.Minute)
		h.pass(time.Second)
		h.plug("good", once(modem.Result{Class: modem.Temporary, Cause: "cms-42"}, h.takes(time.Second)))
		id := h.enqueue(5 * time.Minute)
		h.pass(time.Second)
		h.want(id, queue.Queued)
		h.pass(15 * time.Second)
		if m := h.want(id, queue.Accepted); m.Attempts[1].Modem != "good" {
			t.Errorf("attempts: %+v", m.Attempts)
		}
		close(hang)
		h.stop()
	})
}

func TestAnotherSIMGoesFirst(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		h.plug("a", once(modem.Result{Class: modem.Temporary, Cause: "cms-42"}, h.takes(0)))
		id := h.enqueue(5 * time.Minute)
		h.pass(time.Second)
		h.plug("b", h.takes(0))
		h.pass(3 * time.Second)
		if m := h.want(id, queue.Accepted); m.Attempts[1].Modem != "b" {
			t.Errorf("attempts: %+v", m.Attempts)
		}
		h.stop()
	})
}

// refusing sets what the store does with Updates; nil: it takes them.
func (h *hall) refusing(refuse func(reserved bool) error) {
	if refuse == nil {
		h.store.refuse.Store(nil)
		return
	}
	h.store.refuse.Store(&refuse)
}

func TestStoreRefuses(t *testing.T) {
	for name, refuse := range map[string]func(bool) error{"full": full, "busy": busy} {
		t.Run(name, func(t *testing.T) {
			inHall(t, func(t *testing.T, h *hall) {
				h.run()
				const modems = 4
				for i := range modems {
					h.plug(fmt.Sprint("m", i), h.takes(10*time.Second))
				}
				var ids []queue.ID
				for range modems * 3 {
					ids = append(ids, h.enqueue(5*time.Minute))
				}
				h.pass(time.Second)
				h.refusing(refuse)
				before := h.store.updates.Load()
				h.pass(time.Minute)
				// Each modem asks at most twice in a quarter of a second, and
				// so does what settles.
				if n := h.store.updates.Load() - before; n > modems*60*4*3 {
					t.Errorf("the store was asked %d times in a minute", n)
				}
				begun := 0
				for _, id := range ids {
					begun += h.times(id)
				}
				if begun != modems {
					t.Errorf("%d messages went out while the store refused to begin any", begun-modems)
				}
				if name == "full" {
					for _, id := range ids[:modems] {
						h.want(id, queue.Accepted) // the reserve is for that
					}
				}
				h.refusing(nil)
				h.pass(time.Minute)
				for _, id := range ids {
					if n := h.times(id); n != 1 {
						t.Errorf("a message went out %d times", n)
					}
					h.want(id, queue.Accepted)
				}
				h.stop()
			})
		})
	}
}

func TestLostWakes(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.store.wakes = make(chan storage.Wake)
		h.run()
		var ids []queue.ID
		for range 2*page + 10 {
			ids = append(ids, h.enqueue(5*time.Minute))
		}
		synctest.Wait()
		if n := len(h.d.index.entries); n != 0 {
			t.Fatalf("%d messages are known without a wake", n)
		}
		h.store.wakes <- storage.Wake{Lost: true}
		synctest.Wait()
		if n := len(h.d.index.entries); n != len(ids) {
			t.Fatalf("%d of %d messages are known", n, len(ids))
		}
		// What has ended meanwhile is known no more.
		for _, id := range ids[10:] {
			h.must(h.store.Store.Update(t.Context(), func(tx storage.Tx) error {
				_, err := h.queue.Withdraw(tx, id, queue.Canceled)
				return err
			}))
		}
		h.store.wakes <- storage.Wake{Lost: true}
		synctest.Wait()
		if n := len(h.d.index.entries); n != 10 {
			t.Fatalf("%d messages are known of 10", n)
		}
		h.plug("a", h.takes(0))
		synctest.Wait()
		for i, id := range ids {
			if n, want := h.times(id), map[bool]int{true: 1, false: 0}[i < 10]; n != want {
				t.Errorf("message %d went out %d times", i, n)
			}
		}
		h.cancel()
		close(h.store.wakes)
		h.must(<-h.ended)
	})
}

func TestThousandsExpireAtOnce(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		const n = 3000
		end := time.Now().Add(2 * time.Minute)
		ids := make([]queue.ID, n)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() { ids[i] = h.enqueue(time.Until(end)) })
		}
		wg.Wait()
		h.run()
		before := h.store.updates.Load()
		h.pass(2 * time.Minute)
		for _, id := range ids {
			h.want(id, queue.Expired)
		}
		if got := h.moved[queue.Expired]; got != n {
			t.Errorf("%d were told of, want %d", got, n)
		}
		if left := len(h.d.index.entries); left != 0 {
			t.Errorf("%d are still known", left)
		}
		if asked := h.store.updates.Load() - before; asked > n {
			t.Errorf("%d transactions for %d messages", asked, n)
		}
		if widest := h.store.widest.Load(); widest > 3*page { // a message, and what its recipient knows
			t.Errorf("one View read %d keys", widest)
		}
		h.stop()
	})
}

// The store's time may be ahead of the wall clock, by which a modem tells when
// it wrote Ctrl-Z.
func TestHoldIsByTheStoresClock(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.must(h.store.Close())
		h.open(func() time.Time { return time.Now().Add(time.Hour) })
		h.enqueue(time.Second)
		h.must(h.store.Close())
		h.open(nil)
		h.run()
		h.plug("a", func(s modem.Submission) modem.Result {
			h.went(s.Text)
			committed := time.Now()
			time.Sleep(5 * time.Second) // virtual time
			return modem.Result{Class: modem.Ambiguous, Cause: "timeout", Committed: true, CommittedAt: committed}
		})
		id := h.enqueue(5 * time.Minute)
		h.pass(29 * time.Second)
		if n := h.times(id); n != 1 {
			t.Fatalf("sent %d times within the hold", n)
		}
		h.pass(2 * time.Second)
		if n := h.times(id); n != 2 {
			t.Fatalf("sent %d times after the hold", n)
		}
		h.pass(10 * time.Second)
		h.stop()
	})
}

// Another process's lease keeps a message from being sent here, and from being
// asked for again and again.
func TestLeaseOfAnotherProcess(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.store.session = "ours"
		id := h.enqueue(5 * time.Minute)
		h.must(h.store.Store.Update(t.Context(), func(tx storage.Tx) error {
			return h.queue.Lease(tx, id, queue.Carrier{Session: h.store.Store.Session(), Modem: "theirs"}, time.Minute)
		}))
		h.plug("a", h.takes(time.Second))
		h.run()
		before := h.store.updates.Load()
		h.pass(59 * time.Second)
		h.want(id, queue.Queued)
		if n := h.store.updates.Load() - before; n > 60 {
			t.Fatalf("the store was asked %d times in a minute", n)
		}
		h.pass(3 * time.Second)
		if n := h.times(id); n != 1 {
			t.Errorf("sent %d times once the lease was over", n)
		}
		h.stop()
	})
}

func TestLeaseOfADeadProcess(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		id := h.enqueue(5 * time.Minute)
		h.must(h.store.Store.Update(t.Context(), func(tx storage.Tx) error {
			return h.queue.Lease(tx, id, queue.Carrier{Session: "dead", Modem: "theirs"}, time.Minute)
		}))
		h.plug("a", h.takes(0))
		h.run()
		h.pass(storage.Patience)
		h.want(id, queue.Accepted)
		h.stop()
	})
}
