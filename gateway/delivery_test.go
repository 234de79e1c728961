package gateway

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/gateway/verification"
	"smsotpd/modem"
	"smsotpd/storage"
)

func (w *world) report(line string, mr byte, to string, status byte) {
	w.t.Helper()
	w.must(w.gw.Report(w.t.Context(), modem.Report{
		IMSI: "imsi-" + line, MR: mr, Recipient: to, Status: status,
		SCTS: time.Now(), Discharge: time.Now(), Received: time.Now(),
	}))
	w.pass(time.Millisecond)
}

func TestDeliveryReports(t *testing.T) {
	const delivered, busy, off, expired, reserved = 0, 33, 48, 70, 200
	for _, c := range []struct {
		name     string
		statuses []byte
		want     queue.State
		mile     LastMile
	}{
		{"delivered", []byte{delivered}, queue.Delivered, LastMileDelivered},
		{"trying", []byte{busy}, queue.Accepted, LastMileUnreachable},
		{"trying, then delivered", []byte{off, delivered}, queue.Delivered, LastMileDelivered},
		{"delivered, then trying", []byte{delivered, off}, queue.Delivered, LastMileDelivered},
		{"expired", []byte{expired}, queue.Undelivered, LastMileFailed},
		{"expired, then trying", []byte{expired, off}, queue.Undelivered, LastMileFailed},
		{"expired, then delivered", []byte{expired, delivered}, queue.Delivered, LastMileDelivered},
		{"twice delivered", []byte{delivered, delivered}, queue.Delivered, LastMileDelivered},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				w.radio.plug("a", takes(time.Second))
				v := w.start(alice, "")
				w.pass(2 * time.Second)
				for _, status := range c.statuses {
					w.report("a", 1, alice[1:], status)
				}
				if m := w.message(v.MessageID, c.want); m.LastMile != c.mile {
					t.Errorf("last mile %s, want %s", m.LastMile, c.mile)
				}
				want := verification.Pending
				if c.want == queue.Undelivered || c.statuses[0] == expired {
					want = verification.Undeliverable
				}
				w.status(v.ID, want)
			})
		})
	}
}

func TestReportMatching(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(time.Second))
		first := w.start(alice, "")
		w.pass(2 * time.Second)
		second := w.start(alice, "")
		third := w.start(bob, "")
		w.pass(5 * time.Second)
		w.report("b", 1, alice, 0) // another SIM
		w.report("a", 9, alice, 0) // another reference
		w.report("a", 3, alice, 0) // another number
		w.message(first.MessageID, queue.Accepted)
		w.report("a", 2, "0612345678", 0) // no country code
		w.message(second.MessageID, queue.Delivered)
		w.message(first.MessageID, queue.Accepted)
		w.message(third.MessageID, queue.Accepted)
		w.report("a", 1, alice, 0) // out of order
		w.message(first.MessageID, queue.Delivered)
	})
}

func TestReportBeforeItsAnswer(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(10*time.Second))
		v := w.start(alice, "")
		w.pass(5 * time.Second)
		w.report("a", 1, alice, 0)
		w.message(v.MessageID, queue.Sending)
		w.pass(6 * time.Second)
		w.message(v.MessageID, queue.Delivered)
	})
}

func TestReportAfterTheLastMomentStillCounts(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		v := w.start(alice, "")
		w.pass(6*time.Minute + time.Second)
		if m := w.message(v.MessageID, queue.Unconfirmed); m.LastMile != LastMileSent {
			t.Errorf("last mile %s", m.LastMile)
		}
		w.report("a", 1, alice, 0)
		w.message(v.MessageID, queue.Delivered)
	})
}

func TestSendInDoubt(t *testing.T) {
	doubt := func(w *world) Verification {
		w.radio.plug("a", fails(1, modem.Ambiguous, "timeout", takes(time.Second)))
		v := w.start(alice, "")
		w.pass(time.Second)
		w.message(v.MessageID, queue.Ambiguous)
		return v
	}
	for _, c := range []struct {
		name string
		act  func(w *world, v Verification)
		// after 40 s:
		sent   int
		status queue.State
	}{
		{"nothing more is heard: one re-send", func(*world, Verification) {}, 2, queue.Accepted},
		{"a report comes", func(w *world, _ Verification) { w.report("a", 77, alice, 0) }, 1, queue.Delivered},
		{"a report says: still trying", func(w *world, _ Verification) { w.report("a", 77, alice, 48) }, 1, queue.Accepted},
		{"the code comes back", func(w *world, v Verification) { w.check(v.ID, w.sent(1)[0].code()) }, 1, queue.Delivered},
		{"canceled", func(w *world, v Verification) { _, err := w.gw.Cancel(w.t.Context(), v.ID); w.must(err) }, 1, queue.Ambiguous},
		{"exhausted", func(w *world, v Verification) {
			for range 5 {
				w.check(v.ID, "x")
			}
		}, 1, queue.Ambiguous},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, nil, func(t *testing.T, w *world) {
				v := doubt(w)
				c.act(w, v)
				w.pass(27 * time.Second)
				w.sent(1) // nothing inside the hold
				w.pass(13 * time.Second)
				heard := w.sent(c.sent)
				m := w.message(v.MessageID, c.status)
				if m.PossibleDuplicate != (c.sent == 2) {
					t.Errorf("possible_duplicate is %v", m.PossibleDuplicate)
				}
				if c.sent == 2 && heard[0].code() != heard[1].code() {
					t.Error("the re-send carries another code")
				}
			})
		})
	}
}

func TestSecondDoubtIsTheLast(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", fails(9, modem.Ambiguous, "timeout", nil))
		v := w.start(alice, "")
		w.pass(2 * time.Minute)
		w.sent(2)
		if m := w.message(v.MessageID, queue.Ambiguous); m.LastMile != LastMileInDoubt {
			t.Errorf("last mile %s", m.LastMile)
		}
		w.pass(5 * time.Minute)
		if m := w.message(v.MessageID, queue.Unconfirmed); m.LastMile != LastMileInDoubt {
			t.Errorf("last mile %s", m.LastMile)
		}
		w.status(v.ID, verification.Expired)
	})
}

func TestCrashLeavesTheOneInTheAirInDoubt(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		release := make(chan struct{})
		w.radio.plug("a", func(context.Context, sms) modem.Result {
			<-release
			return modem.Result{Class: modem.Ambiguous, Cause: "eof"}
		})
		inAir := w.start(alice, "")
		waiting := w.start(bob, "")
		w.pass(time.Second)
		// The process dies: its store closes under the worker.
		w.must(w.store.Close())
		close(release)
		w.cancel()
		<-w.ended
		w.up()
		w.message(inAir.MessageID, queue.Ambiguous)
		w.radio.plug("b", takes(time.Second))
		w.pass(5 * time.Second)
		w.message(waiting.MessageID, queue.Accepted)
		w.sent(2)
		w.pass(30 * time.Second)
		if m := w.message(inAir.MessageID, queue.Accepted); !m.PossibleDuplicate || len(m.Attempts) != 2 {
			t.Fatalf("after the hold: %+v", m)
		}
		heard := w.sent(3)
		if heard[0].code() != heard[2].code() || heard[0].to != heard[2].to {
			t.Fatal("the re-send differs")
		}
	})
}

func TestSIMFailureMovesAtOnce(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", fails(1, modem.SIM, "cms-310", takes(0)))
		v := w.start(alice, "")
		w.pass(time.Second)
		w.message(v.MessageID, queue.Queued)
		w.radio.plug("b", takes(0))
		w.pass(time.Second)
		if m := w.message(v.MessageID, queue.Accepted); len(m.Attempts) != 2 || m.Attempts[1].Modem != "b" {
			t.Fatalf("attempts: %+v", m.Attempts)
		}
	})
}

func TestParkedModemReturns(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", fails(1, modem.SIM, "cms-310", takes(0)))
		v := w.start(alice, "")
		w.pass(59 * time.Second)
		w.message(v.MessageID, queue.Queued)
		w.pass(3 * time.Second)
		w.message(v.MessageID, queue.Accepted)
	})
}

func TestTemporaryFailures(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", fails(3, modem.Temporary, "cms-42", takes(0)))
		v := w.start(alice, "")
		w.pass(2*time.Second + 4*time.Second + 7*time.Second)
		w.sent(3)
		w.pass(2 * time.Second)
		heard := w.sent(4)
		m := w.message(v.MessageID, queue.Accepted)
		if m.PossibleDuplicate || len(m.Attempts) != 4 || m.Attempts[0].Cause != "cms-42" {
			t.Fatalf("%+v", m)
		}
		if gap := heard[3].at.Sub(heard[2].at); gap < 8*time.Second {
			t.Errorf("third wait %v", gap)
		}
	})
}

func TestTemporaryFailuresEndWithTheCode(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", fails(1000, modem.Temporary, "cms-42", nil))
		v := w.start(alice, "")
		w.pass(4*time.Minute + 41*time.Second)
		n := len(w.radio.heard())
		w.pass(20 * time.Second)
		if len(w.radio.heard()) != n {
			t.Error("sent with less than 20 s to live")
		}
		w.message(v.MessageID, queue.Failed)
		w.status(v.ID, verification.Expired)
	})
}

func TestOneBadNumberHoldsUpNobody(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", func(ctx context.Context, s sms) modem.Result {
			if s.to == bob {
				return modem.Result{Class: modem.Temporary, Cause: "cms-38", OtherSIM: true, CMS: 38, CME: -1}
			}
			return takes(time.Second)(ctx, s)
		})
		bad := w.start(bob, "")
		for range 20 {
			w.start(alice, "")
		}
		w.pass(30 * time.Second)
		ok := 0
		for _, s := range w.radio.heard() {
			if s.to == alice {
				ok++
			}
		}
		if ok != 20 {
			t.Fatalf("%d of 20 were sent", ok)
		}
		w.message(bad.MessageID, queue.Queued)
	})
}

func TestPermanentFailureIsUndeliverable(t *testing.T) {
	for class, cause := range map[modem.Class]string{modem.Destination: "cms-1", modem.Ours: "cms-304"} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			w.radio.plug("a", fails(9, class, cause, nil))
			v := w.start(alice, "")
			w.pass(time.Second)
			w.message(v.MessageID, queue.Failed)
			w.status(v.ID, verification.Undeliverable)
			w.pass(time.Minute)
			w.sent(1)
		})
	}
}

func TestServiceCentreGaveUp(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		v := w.start(alice, "")
		w.pass(time.Second)
		w.report("a", 1, alice, 99)
		w.pass(time.Second)
		w.sent(2)
		w.message(v.MessageID, queue.Accepted)
		w.report("a", 2, alice, 99)
		w.pass(time.Second)
		w.sent(2)
		w.message(v.MessageID, queue.Undelivered)
		w.status(v.ID, verification.Undeliverable)
	})
}

func TestHangingModemHoldsUpNobodyElse(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		stuck := make(chan struct{})
		w.radio.plug("stuck", func(context.Context, sms) modem.Result {
			<-stuck
			return modem.Result{Class: modem.Ambiguous, Cause: "timeout", CommittedAt: time.Now().Add(-3 * time.Minute)}
		})
		first := w.start(alice, "")
		w.pass(time.Second)
		for i := range 10 {
			w.start(fmt.Sprintf("+3361234560%d", i), "")
		}
		w.radio.plug("good", takes(time.Second))
		w.pass(15 * time.Second)
		w.sent(11)
		w.message(first.MessageID, queue.Sending)
		close(stuck)
		w.pass(2 * time.Second)
		heard := w.sent(12)
		if heard[11].line != "good" {
			t.Error("the re-send went to the doubtful modem")
		}
	})
}

func TestEveryNumberGetsItsOwnCode(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		const n = 200
		for i := range 4 {
			w.radio.plug(fmt.Sprint("m", i), fails(5, modem.Temporary, "cms-42", takes(time.Second)))
		}
		ids := map[string]string{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				to := fmt.Sprintf("+336%08d", 12000000+i)
				v := w.start(to, "")
				mu.Lock()
				defer mu.Unlock()
				ids[to] = v.ID
			})
		}
		wg.Wait()
		w.pass(90 * time.Second)
		seen := map[string]bool{}
		for _, s := range w.radio.heard() {
			if !seen[s.to] && !w.check(ids[s.to], s.code()).Valid {
				t.Errorf("a number got a code that is not its own")
			}
			seen[s.to] = true
		}
		if len(seen) != n {
			t.Errorf("%d of %d numbers were sent to", len(seen), n)
		}
	})
}

func TestClockSetBackRevivesNothing(t *testing.T) {
	var offset time.Duration
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.now = func() time.Time { return time.Now().Add(offset) }
		w.down()
		w.up()
		w.radio.plug("a", takes(0))
		v := w.start(alice, "user")
		w.pass(5*time.Minute + time.Second)
		code := w.sent(1)[0].code()
		offset = -time.Hour
		w.down()
		w.up()
		if w.check(v.ID, code).Valid {
			t.Fatal("a clock set back revived a code")
		}
		w.radio.plug("b", takes(0))
		w.start(bob, "user")
		w.pass(time.Second)
		w.sent(2)
	})
}

func TestUnreadableRecordHoldsUpNobody(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		spoilt := w.start(alice, "")
		id, ok := queue.ParseID(spoilt.MessageID)
		if !ok {
			t.Fatal("no message id")
		}
		spoil := func() {
			w.must(w.store.Update(t.Context(), func(tx storage.Tx) error {
				return tx.Put(append(w.gw.queue.Prefix(), id[:]...), []byte("\x01no record"))
			}))
			w.pass(time.Millisecond)
		}
		spoil()
		w.radio.plug("a", takes(time.Second))
		w.start(bob, "")
		w.pass(3 * time.Second)
		w.sent(1)
		// Nor at the next start, nor while it is being sent.
		w.down()
		w.up()
		w.radio.plug("b", func(ctx context.Context, s sms) modem.Result {
			id, _ = queue.ParseID(w.start(alice, "").MessageID)
			return takes(time.Second)(ctx, s)
		})
		v := w.start(bob, "")
		w.pass(500 * time.Millisecond)
		id, _ = queue.ParseID(v.MessageID)
		spoil()
		w.pass(5 * time.Second)
		if heard := w.radio.heard(); len(heard) < 3 {
			t.Fatalf("a record that was spoilt in the air stopped the modem: %d sent", len(heard))
		}
	})
}
