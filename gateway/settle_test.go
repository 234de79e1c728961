package gateway

import (
	"context"
	"testing"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/gateway/verification"
	"smsotpd/modem"
	"smsotpd/storage"
)

// A message that fails for good doesn't make its verification undeliverable
// while another one arrived or may still arrive.
func TestOneOfSeveralFails(t *testing.T) {
	for name, c := range map[string]struct {
		first func(w *world)
		state queue.State
	}{
		"the other is on its way": {func(w *world) { w.radio.plug("a", takes(0)) }, queue.Accepted},
		"the other arrived": {func(w *world) {
			w.radio.plug("a", takes(0))
			w.pass(time.Second)
			w.report("a", 1, alice, 0)
		}, queue.Delivered},
		"the other is in doubt": {func(w *world) {
			line := w.radio.plug("a", fails(1, modem.Ambiguous, "timeout", nil))
			w.pass(time.Second)
			line.unplug() // its re-send is still queued when the second one comes
		}, queue.Unconfirmed},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				v := w.start(alice, "")
				c.first(w)
				w.pass(time.Minute)
				for _, l := range w.radio.lines {
					l.unplug()
				}
				again, err := w.gw.Resend(t.Context(), Call{}, v.ID)
				w.must(err)
				w.radio.plug("b", fails(9, modem.Destination, "cms-1", nil))
				w.pass(time.Second)
				w.message(again.MessageID, queue.Failed)
				w.message(v.MessageID, c.state)
				w.status(v.ID, verification.Pending)
				if !w.check(v.ID, w.sent(2)[0].code()).Valid {
					t.Error("the code of the other message was refused")
				}
			})
		})
	}
}

// What waits for its re-send is in doubt, not merely queued.
func TestLastMileOfAReSend(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		line := w.radio.plug("a", fails(1, modem.Ambiguous, "timeout", nil))
		v := w.start(alice, "")
		w.pass(time.Second)
		if m := w.message(v.MessageID, queue.Ambiguous); m.LastMile != LastMileInDoubt {
			t.Errorf("in its hold: %s", m.LastMile)
		}
		line.unplug()
		w.pass(time.Minute)
		if m := w.message(v.MessageID, queue.Queued); m.LastMile != LastMileInDoubt {
			t.Errorf("queued again: %s", m.LastMile)
		}
	})
}

// The code proves that a message arrived, but not which of two.
func TestCodeOfTwoMessages(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		v := w.start(alice, "")
		w.pass(time.Minute)
		again, err := w.gw.Resend(t.Context(), Call{}, v.ID)
		w.must(err)
		w.pass(time.Second)
		if !w.check(v.ID, w.sent(2)[1].code()).Valid {
			t.Fatal("the code was refused")
		}
		w.message(v.MessageID, queue.Accepted)
		w.message(again.MessageID, queue.Accepted)
	})
}

// What is in the air when its verification ends is not sent again, and changes
// nothing about how it ended, whatever becomes of it.
func TestEndWithAMessageInTheAir(t *testing.T) {
	results := map[modem.Class]queue.State{modem.Temporary: queue.Canceled, modem.Destination: queue.Failed}
	for state, end := range map[verification.State]func(w *world, id string){
		verification.Canceled: func(w *world, id string) {
			_, err := w.gw.Cancel(w.t.Context(), id)
			w.must(err)
		},
		verification.Exhausted: func(w *world, id string) {
			for range 5 {
				w.check(id, "x")
			}
		},
		verification.Expired: func(w *world, _ string) { w.pass(6 * time.Minute) },
	} {
		for class, want := range results {
			t.Run(string(state)+" and "+string(class), func(t *testing.T) {
				inWorld(t, nil, func(t *testing.T, w *world) {
					ended := make(chan struct{})
					w.radio.plug("a", func(context.Context, sms) modem.Result {
						<-ended
						return modem.Result{Class: class, Cause: "refused", CMS: -1, CME: -1}
					})
					v := w.start(alice, "")
					w.pass(time.Second)
					end(w, v.ID)
					close(ended)
					w.pass(10 * time.Minute)
					w.sent(1)
					w.message(v.MessageID, want)
					w.status(v.ID, state)
				})
			})
		}
	}
}

func TestUnreadableRecordHoldsUpNoSweep(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		for range sweepPage { // a whole page of them
			id, _ := verification.ParseID(w.start(alice, "").ID)
			w.must(w.store.Update(t.Context(), func(tx storage.Tx) error {
				return tx.Put(append([]byte("verification/"), id[:]...), []byte("\x01no record"))
			}))
		}
		w.pass(time.Second)
		good := w.start(bob, "")
		w.pass(25 * time.Hour)
		_, err := w.gw.Verification(t.Context(), good.ID)
		w.refusedWith(err, CodeNotFound)
	})
}

func TestEndlessLockNamesNoTime(t *testing.T) {
	inWorld(t, func(o *Options) {
		o.Services[0].Verification.MaxFailures, o.Services[0].Verification.LockFor = 1, 0
	}, func(t *testing.T, w *world) {
		w.check(w.start(alice, "").ID, "x")
		_, err := w.gw.Start(t.Context(), Call{}, StartRequest{To: alice})
		if e := w.refusedWith(err, CodeLocked); e.Kind != Forbidden || e.RetryAfter != 0 {
			t.Errorf("kind %v, retry after %v", e.Kind, e.RetryAfter)
		}
	})
}
