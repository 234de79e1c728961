package gateway

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"smsotpd/gateway/guard"
	"smsotpd/gateway/queue"
	"smsotpd/gateway/verification"
	"smsotpd/modem"
	"smsotpd/storage"
)

func TestCodeTravels(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(3*time.Second))
		v := w.start(alice, "")
		if v.Status != verification.Pending || v.To != "+33•••••••78" || v.ChecksLeft != 5 || v.Continued {
			t.Fatalf("unexpected start: %+v", v)
		}
		w.pass(time.Second)
		w.message(v.MessageID, queue.Sending)
		w.pass(3 * time.Second)
		w.message(v.MessageID, queue.Accepted)
		got := w.sent(1)[0]
		if got.to != alice || got.validity != 0 {
			t.Fatalf("sent to the wrong place or for the wrong time: %+v", got.validity)
		}
		if verdict := w.check(v.ID, wrong(got.code())); verdict.Valid || verdict.ChecksLeft != 4 || verdict.Status != verification.Pending {
			t.Fatalf("a wrong code: %+v", verdict)
		}
		if verdict := w.check(v.ID, got.code()); !verdict.Valid || verdict.Status != verification.Approved {
			t.Fatalf("the right code: %+v", verdict)
		}
		if verdict := w.check(v.ID, got.code()); verdict.Valid {
			t.Fatal("a code succeeded twice")
		}
		w.status(v.ID, verification.Approved)
		w.message(v.MessageID, queue.Delivered)
	})
}

func TestPolicyRefusals(t *testing.T) {
	inWorld(t, func(o *Options) { o.Services[0].Purposes = []string{"login", "recovery"} }, func(t *testing.T, w *world) {
		for _, c := range []struct {
			name, code string
			req        StartRequest
		}{
			{"no number", CodeInvalidNumber, StartRequest{Purpose: "login"}},
			{"extension", CodeInvalidNumber, StartRequest{To: alice + ";ext=9", Purpose: "login"}},
			{"control", CodeInvalidNumber, StartRequest{To: "+1415555267\x1a", Purpose: "login"}},
			{"other region", CodeRegionNotAllowed, StartRequest{To: "+447911123456", Purpose: "login"}},
			{"satellite", CodeRegionNotAllowed, StartRequest{To: "+870773111632", Purpose: "login"}},
			{"premium", CodeClassRefused, StartRequest{To: "+33899123456", Purpose: "login"}},
			{"no such service", CodeUnknownService, StartRequest{To: alice, Service: "x"}},
			{"undeclared purpose", CodePurposeUndeclared, StartRequest{To: alice, Purpose: "marketing"}},
			{"which purpose", CodeInvalidField, StartRequest{To: alice}},
		} {
			_, err := w.gw.Start(t.Context(), Call{}, c.req)
			if e := AsError(err); err == nil || e.Code != c.code {
				t.Errorf("%s: got %v, want %s", c.name, err, c.code)
			}
		}
		w.radio.plug("a", takes(0))
		w.pass(time.Minute)
		w.sent(0)
	})
}

func TestNothingIsSentWithoutAllowedRegions(t *testing.T) {
	inWorld(t, func(o *Options) { o.Guard = guard.Policy{} }, func(t *testing.T, w *world) {
		_, err := w.gw.Start(t.Context(), Call{}, StartRequest{To: alice})
		w.refusedWith(err, CodeRegionNotAllowed)
	})
}

func TestParallelGuessesAreCharged(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		v := w.start(alice, "")
		w.pass(time.Second)
		code := w.sent(1)[0].code()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if w.check(v.ID, wrong(code)).Valid {
					t.Error("a wrong code was valid")
				}
			})
		}
		wg.Wait()
		if got := w.status(v.ID, verification.Exhausted); got.ChecksLeft != 0 {
			t.Errorf("%d checks left", got.ChecksLeft)
		}
		if verdict := w.check(v.ID, code); verdict.Valid || verdict.Status != verification.Exhausted {
			t.Errorf("the right code after five wrong ones: %+v", verdict)
		}
		// The failures counted by number are what was really compared.
		n := 0
		for range 19 {
			again := w.start(alice, "")
			for range 5 {
				w.check(again.ID, "000000x")
				n++
			}
		}
		if _, err := w.gw.Start(t.Context(), Call{}, StartRequest{To: alice}); n != 95 || AsError(err).Code != CodeLocked {
			t.Errorf("after 100 failures a start got %v", err)
		}
	})
}

func TestParallelRightCodesSucceedOnce(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		v := w.start(alice, "")
		w.pass(time.Second)
		code := w.sent(1)[0].code()
		var valid atomic.Int32
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if w.check(v.ID, code).Valid {
					valid.Add(1)
				}
			})
		}
		wg.Wait()
		if valid.Load() != 1 {
			t.Fatalf("%d successes", valid.Load())
		}
	})
}

func TestFailuresLockAndOutliveEverything(t *testing.T) {
	inWorld(t, func(o *Options) { o.Services[0].Verification.MaxFailures = 7 }, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		first := w.start(alice, "")
		for range 5 {
			w.check(first.ID, "x")
		}
		w.down()
		w.up()
		w.radio.plug("b", takes(0))
		second := w.start(alice, "")
		w.pass(time.Second)
		code := w.radio.heard()[len(w.radio.heard())-1].code()
		w.check(second.ID, "x")
		w.check(second.ID, "x")
		if verdict := w.check(second.ID, code); verdict.Valid || verdict.ChecksLeft != 3 {
			t.Fatalf("a check while locked: %+v", verdict)
		}
		_, err := w.gw.Start(t.Context(), Call{}, StartRequest{To: alice})
		if e := w.refusedWith(err, CodeLocked); e.RetryAfter <= 23*time.Hour {
			t.Errorf("retry after %v", e.RetryAfter)
		}
		_, err = w.gw.Resend(t.Context(), Call{}, second.ID)
		w.refusedWith(err, CodeLocked)
		w.start(bob, "")
		w.pass(24 * time.Hour)
		w.start(alice, "")
	})
}

func TestSuccessClearsOnlyItsPair(t *testing.T) {
	inWorld(t, func(o *Options) {
		other := DefaultService()
		other.Name = "other"
		for _, s := range []*Service{&o.Services[0], &other} {
			s.Verification.MaxFailures = 4
		}
		o.Services = append(o.Services, other)
	}, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		fail := func(service string, n int) {
			v, err := w.gw.Start(t.Context(), Call{}, StartRequest{To: alice, Service: service})
			w.must(err)
			for range n {
				w.check(v.ID, "x")
			}
		}
		fail("default", 3)
		fail("other", 3)
		v := w.start(alice, "")
		w.pass(time.Second)
		heard := w.radio.heard()
		if !w.check(v.ID, heard[len(heard)-1].code()).Valid {
			t.Fatal("the right code failed")
		}
		fail("default", 3)
		w.start(alice, "") // three failures since the success: no lock
		fail("other", 1)
		_, err := w.gw.Start(t.Context(), Call{}, StartRequest{To: alice, Service: "other"})
		w.refusedWith(err, CodeLocked)
	})
}

func TestExpiry(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		v := w.start(alice, "")
		w.pass(5*time.Minute + time.Second)
		if verdict := w.check(v.ID, w.sent(1)[0].code()); verdict.Valid || verdict.Status != verification.Expired {
			t.Fatalf("a code a second too late: %+v", verdict)
		}
		w.pass(25 * time.Hour)
		_, err := w.gw.Verification(t.Context(), v.ID)
		w.refusedWith(err, CodeNotFound)
		_, err = w.gw.Message(t.Context(), v.MessageID)
		w.refusedWith(err, CodeNotFound)
	})
}

func TestWithoutModemItExpiresHonestly(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		v := w.start(alice, "")
		w.message(v.MessageID, queue.Queued)
		w.pass(5*time.Minute + time.Second)
		w.status(v.ID, verification.Expired)
		if m := w.message(v.MessageID, queue.Expired); m.LastMile != LastMileFailed {
			t.Errorf("last mile %s", m.LastMile)
		}
		w.radio.plug("a", takes(0))
		w.pass(time.Minute)
		w.sent(0)
	})
}

func TestNothingIsBegunWithTooLittleLife(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		v := w.start(alice, "")
		w.pass(4*time.Minute + 41*time.Second)
		w.radio.plug("a", takes(0))
		w.pass(10 * time.Second)
		w.sent(0)
		w.message(v.MessageID, queue.Queued)
	})
}

func TestCancel(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		v := w.start(alice, "")
		got, err := w.gw.Cancel(t.Context(), v.ID)
		w.must(err)
		if got.Status != verification.Canceled {
			t.Fatalf("status %s", got.Status)
		}
		w.message(v.MessageID, queue.Canceled)
		if _, err := w.gw.Cancel(t.Context(), v.ID); err != nil {
			t.Fatalf("canceling twice: %v", err)
		}
		w.radio.plug("a", takes(0))
		w.pass(time.Minute)
		w.sent(0)
		_, err = w.gw.Cancel(t.Context(), verification.NewID().String())
		w.refusedWith(err, CodeNotFound)
	})
}

func TestCodeIsBoundToItsPlace(t *testing.T) {
	inWorld(t, func(o *Options) {
		o.Services[0].Purposes = []string{"login", "recovery"}
		other := o.Services[0]
		other.Name = "other"
		o.Services = append(o.Services, other)
	}, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		type place struct{ service, purpose, to string }
		places := []place{{"default", "login", alice}, {"default", "recovery", alice}, {"default", "login", bob}, {"other", "login", alice}}
		ids, codes := make([]string, len(places)), make([]string, len(places))
		for i, p := range places {
			v, err := w.gw.Start(t.Context(), Call{}, StartRequest{To: p.to, Service: p.service, Purpose: p.purpose})
			w.must(err)
			ids[i] = v.ID
			w.pass(time.Second)
			codes[i] = w.sent(i + 1)[i].code()
		}
		for i, id := range ids {
			for j, code := range codes {
				if i != j && code != codes[i] && w.check(id, code).Valid {
					t.Errorf("the code of %v was right for %v", places[j], places[i])
				}
			}
			if !w.check(id, codes[i]).Valid {
				t.Errorf("the code of %v failed", places[i])
			}
		}
	})
}

func TestReadiness(t *testing.T) {
	inWorld(t, func(o *Options) { o.NeedModem = true }, func(t *testing.T, w *world) {
		if r := w.gw.Ready(t.Context()); r.Ready || len(r.Reasons) != 1 || r.Reasons[0] != "no modem is ready" {
			t.Fatalf("without a modem: %+v", r)
		}
		line := w.radio.plug("a", takes(0))
		if r := w.gw.Ready(t.Context()); !r.Ready {
			t.Fatalf("with a modem: %+v", r)
		}
		line.unplug()
		if r := w.gw.Ready(t.Context()); r.Ready {
			t.Fatal("ready with its only modem gone")
		}
	})
}

// A store without room for a start is not ready, and still ends what was begun.
func TestFullStoreIsNotReady(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.down()
		w.maxSize = 1300 << 10 // of which 1 MiB is the reserve
		w.up()
		if r := w.gw.Ready(t.Context()); !r.Ready {
			t.Fatalf("with room: %+v", r)
		}
		first := w.start(alice, "")
		var err error
		for n := 0; err == nil; n++ {
			if n == 2000 {
				t.Fatal("the store is never full")
			}
			_, err = w.gw.Start(t.Context(), Call{}, StartRequest{To: alice})
		}
		w.refusedWith(err, CodeStorageFull)
		if r := w.gw.Ready(t.Context()); r.Ready || len(r.Reasons) != 1 {
			t.Errorf("a full store: %+v", r)
		}
		filler := storage.NewTable[struct{}]("filler", 1)
		for n := uint16(0); err == nil || n == 0; n++ { // until not one record more has room
			err = w.store.Update(t.Context(), func(tx storage.Tx) error {
				return filler.Put(tx, binary.BigEndian.AppendUint16(nil, n), struct{}{})
			})
		}
		if v := w.check(first.ID, "x"); v.ChecksLeft != 4 {
			t.Errorf("a check: %+v", v)
		}
		if v, err := w.gw.Cancel(t.Context(), first.ID); err != nil || v.Status != verification.Canceled {
			t.Errorf("cancel: %s %v", v.Status, err)
		}
	})
}

func TestModems(t *testing.T) {
	for _, nameless := range []bool{false, true} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			w.radio.nameless = nameless
			w.radio.plug("a", takes(0))
			for range 3 {
				w.start(alice, "")
			}
			w.pass(time.Second)
			modems, err := w.gw.Modems(t.Context())
			w.must(err)
			if len(modems) != 1 || modems[0].SentToday != 3 || modems[0].State != modem.Ready {
				t.Fatalf("modems: %+v", modems)
			}
		})
	}
}

// An attempt says in words what the network or its report said.
func TestAttemptsSayWhatTheyMean(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", fails(1, modem.Temporary, "cms-38", takes(0)))
		v := w.start(alice, "")
		w.pass(5 * time.Second)
		m := w.message(v.MessageID, queue.Accepted)
		if len(m.Attempts) != 2 || m.Attempts[0].Meaning != modem.Explain("cms-38") || m.Attempts[1].Meaning != "" {
			t.Fatalf("%+v", m.Attempts)
		}
		w.report("a", 1, alice, 34)
		if m := w.message(v.MessageID, queue.Accepted); m.Attempts[1].Meaning != (modem.Report{Status: 34}).Explain() {
			t.Errorf("%+v", m.Attempts[1])
		}
	})
}

func TestGracefulStopBringsHomeWhatIsInTheAir(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(10*time.Second))
		v := w.start(alice, "")
		queued := w.start(bob, "")
		w.pass(time.Second)
		w.down()
		w.up()
		w.message(v.MessageID, queue.Accepted)
		w.message(queued.MessageID, queue.Queued)
		w.sent(1)
	})
}

func TestRunReturnsWithItsContext(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		block := make(chan struct{})
		w.radio.plug("a", func(context.Context, sms) modem.Result {
			<-block
			return modem.Result{Class: modem.Ambiguous, Cause: "eof", Committed: true, CommittedAt: time.Now()}
		})
		v := w.start(alice, "")
		w.pass(time.Second)
		w.cancel()
		w.pass(time.Minute)
		select {
		case <-w.ended:
			t.Fatal("returned with a message in the air")
		default:
		}
		close(block)
		w.must(<-w.ended)
		w.message(v.MessageID, queue.Ambiguous)
		w.must(w.store.Close())
		w.up()
	})
}
