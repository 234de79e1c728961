package queue

import (
	"testing"
	"time"

	"smsotpd/storage"
)

func (o *office) late(t tb, id ID, attempt int, s Settlement) Outcome {
	t.Helper()
	return o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Late(tx, id, attempt, s) })
}

var refused = Settlement{Result: ResultTemporary, Cause: "cms-42"}

func TestLateAcceptance(t *testing.T) {
	for _, c := range []struct {
		name string
		// before is what happens between the doubt, 5 s ago, and the answer.
		before func(t *testing.T, o *office, id ID)
		want   State
		again  bool // it may have been sent twice
		text   bool // it may yet be sent again, if the service centre gives up
	}{
		{"within the hold", func(*testing.T, *office, ID) {}, Accepted, false, true},
		{"when it is queued again", held, Accepted, false, true},
		{"after a refusal of the re-send", func(t *testing.T, o *office, id ID) {
			held(t, o, id)
			o.send(t, id, "b", refused)
			o.want(t, id, Queued)
		}, Accepted, true, true},
		{"while it is sent again", func(t *testing.T, o *office, id ID) {
			held(t, o, id)
			o.begin(t, id, o.carrier("b"))
		}, Sending, true, true},
		{"after it was accepted again", func(t *testing.T, o *office, id ID) {
			held(t, o, id)
			o.send(t, id, "b", accepted(9))
		}, Accepted, true, false},
		{"after the second doubt", func(t *testing.T, o *office, id ID) {
			held(t, o, id)
			o.send(t, id, "b", doubt())
		}, Accepted, true, false},
		{"given up by the service centre", func(t *testing.T, o *office, id ID) {
			o.report(t, "a", 7, alice, FateGaveUp, o.now())
		}, Queued, false, true},
		{"withdrawn", func(t *testing.T, o *office, id ID) {
			o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Withdraw(tx, id, Canceled) })
		}, Accepted, false, false},
		{"unconfirmed", func(t *testing.T, o *office, id ID) {
			o.pass(7 * time.Minute)
			o.advance(t, id)
		}, Unconfirmed, false, false},
		{"delivered by a report", func(t *testing.T, o *office, id ID) {
			o.report(t, "a", 7, alice, FateDelivered, o.now())
		}, Delivered, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t)
			id := inDoubt(t, o)
			o.pass(5 * time.Second)
			c.before(t, o, id)
			o.late(t, id, 0, accepted(7))
			m := o.want(t, id, c.want)
			if a := m.Attempts[0]; a.MR != 7 || a.Result != ResultAccepted {
				t.Errorf("%+v", a)
			}
			if m.PossibleDuplicate != c.again || (m.Text != nil) != c.text {
				t.Errorf("possible duplicate %v, text kept %v", m.PossibleDuplicate, m.Text != nil)
			}
			o.late(t, id, 0, refused) // there is only one answer
			if a := o.want(t, id, c.want).Attempts[0]; a.Result != ResultAccepted {
				t.Errorf("%+v", a)
			}
			// The reference counts from now on.
			o.report(t, "a", 8, alice, FateDelivered, o.now())
			o.want(t, id, c.want)
			o.report(t, "a", 7, alice, FateDelivered, o.now())
			if c.want != Sending {
				o.want(t, id, Delivered)
			}
		})
	}
}

// A message that its first modem turns out to have sent is not sent a third
// time, whatever becomes of the second.
func TestLateAcceptanceWhileSentAgain(t *testing.T) {
	for result, want := range map[Result]State{
		ResultAccepted: Accepted, ResultAmbiguous: Accepted, ResultTemporary: Accepted, ResultSIM: Accepted,
		ResultUnsent: Accepted, ResultDestination: Unconfirmed,
	} {
		o := newOffice(t)
		id := inDoubt(t, o)
		held(t, o, id)
		b := o.begin(t, id, o.carrier("b"))
		o.late(t, id, 0, accepted(7))
		o.settle(t, b, Settlement{Result: result, MR: 9})
		o.want(t, id, want)
		o.pass(45 * time.Second)
		o.advance(t, id)
		o.want(t, id, want)
	}
}

func TestLateRefusal(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(t *testing.T, o *office, id ID)
		s      Settlement
		want   State
		again  bool
	}{
		{"within the hold", func(*testing.T, *office, ID) {}, refused, Queued, false},
		{"of the SIM", func(*testing.T, *office, ID) {}, Settlement{Result: ResultSIM}, Queued, false},
		{"for good", func(*testing.T, *office, ID) {}, Settlement{Result: ResultDestination}, Failed, false},
		{"for good, when it is queued again", held, Settlement{Result: ResultDestination}, Failed, false},
		{"when it is queued again", held, refused, Queued, false},
		{"when its re-send was refused", func(t *testing.T, o *office, id ID) {
			held(t, o, id)
			o.send(t, id, "b", refused)
		}, refused, Queued, false},
		{"while it is sent again", func(t *testing.T, o *office, id ID) {
			held(t, o, id)
			o.begin(t, id, o.carrier("b"))
		}, refused, Sending, false},
		{"after the second doubt", func(t *testing.T, o *office, id ID) {
			held(t, o, id)
			o.send(t, id, "b", doubt())
		}, refused, Ambiguous, false},
		{"for good, after the second doubt", func(t *testing.T, o *office, id ID) {
			held(t, o, id)
			o.send(t, id, "b", doubt())
		}, Settlement{Result: ResultDestination}, Unconfirmed, false},
		{"withdrawn", func(t *testing.T, o *office, id ID) {
			o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Withdraw(tx, id, Canceled) })
		}, refused, Canceled, false},
		{"expired", func(t *testing.T, o *office, id ID) {
			o.pass(5 * time.Minute)
			o.advance(t, id)
		}, refused, Failed, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t)
			id := inDoubt(t, o)
			o.pass(5 * time.Second)
			c.before(t, o, id)
			o.late(t, id, 0, c.s)
			m := o.want(t, id, c.want)
			if m.PossibleDuplicate != c.again || m.Attempts[0].Result != c.s.Result {
				t.Errorf("possible duplicate %v, %+v", m.PossibleDuplicate, m.Attempts[0])
			}
			if send, _ := o.Next(m, o.now()); c.want == Queued && send.After(o.now()) {
				t.Errorf("due in %v", send.Sub(o.now()))
			}
			// No report can be about it.
			if _, matched := o.report(t, "a", 7, alice, FateDelivered, o.now()); matched {
				t.Error("a report was credited to what was not sent")
			}
		})
	}
}

// What a report or the recipient has proven is not taken back.
func TestLateRefusalAgainstProof(t *testing.T) {
	for name, prove := range map[string]func(o *office, id ID){
		"trying":    func(o *office, _ ID) { o.report(t, "a", 7, alice, FateTrying, o.now()) },
		"delivered": func(o *office, _ ID) { o.report(t, "a", 7, alice, FateDelivered, o.now()) },
		"code": func(o *office, id ID) {
			o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Proven(tx, id, true) })
		},
	} {
		o := newOffice(t)
		id := inDoubt(t, o)
		prove(o, id)
		before := o.get(t, id).State
		if out := o.late(t, id, 0, refused); out.Changed() || out.Attempt >= 0 || out.Message.State != before {
			t.Errorf("%s: %+v", name, out)
		}
	}
}

// A report that came with the reference before the late answer is applied by it.
func TestReportBeforeTheLateAnswer(t *testing.T) {
	o := newOffice(t)
	first, second := inDoubt(t, o), inDoubt(t, o)
	o.pass(time.Second)
	if _, matched := o.report(t, "a", 7, alice, FateDelivered, o.now()); matched {
		t.Fatal("matched one of two doubts")
	}
	o.late(t, second, 0, accepted(7))
	o.want(t, second, Delivered)
	o.want(t, first, Ambiguous)
	if o.holds(t) != 0 {
		t.Error("the report is still held")
	}
}

// CMS 197: accepted under a reference that nobody knows. A report is credited
// to it by recipient and time, if to one alone.
func TestAcceptedUnderAnUnknownReference(t *testing.T) {
	for _, others := range []int{0, 1} {
		o := newOffice(t)
		for range others {
			inDoubt(t, o)
		}
		id := o.enqueue(t, alice, 5*time.Minute)
		o.send(t, id, "a", Settlement{Result: ResultAccepted, MR: -1, Cause: "cms-197"})
		if m := o.want(t, id, Accepted); m.Attempts[0].MR != -1 {
			t.Fatalf("reference %d", m.Attempts[0].MR)
		}
		_, matched := o.report(t, "a", 0, alice, FateDelivered, o.now())
		if matched != (others == 0) {
			t.Errorf("%d others: matched %v", others, matched)
		}
	}
}

func TestGivenBackIsNoAttempt(t *testing.T) {
	o := newOffice(t)
	id := o.enqueue(t, alice, 5*time.Minute)
	due := o.get(t, id).Due
	for range 20 {
		o.pass(time.Second)
		out := o.send(t, id, "a", Settlement{Result: ResultUnsent, Cause: "closed"})
		if m := o.want(t, id, Queued); len(m.Attempts) != 0 || m.Due != due || len(m.Avoid()) != 0 || out.Attempt != -1 {
			t.Fatalf("%+v, attempt %d", m, out.Attempt)
		}
	}
	o.send(t, id, "a", doubt())
	held(t, o, id)
	o.send(t, id, "b", Settlement{Result: ResultUnsent})
	if m := o.want(t, id, Queued); m.PossibleDuplicate || len(m.Attempts) != 1 {
		t.Errorf("marked although it was not sent again; %d attempts", len(m.Attempts))
	}
	// Canceled in the air: it never went out.
	other := o.enqueue(t, bob, 5*time.Minute)
	b := o.begin(t, other, o.carrier("a"))
	o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Withdraw(tx, other, Canceled) })
	o.settle(t, b, Settlement{Result: ResultUnsent})
	o.want(t, other, Canceled)
}

// Both attempts of a message are reported as delivered: counted once.
func TestDuplicatesAreTold(t *testing.T) {
	o := newOffice(t)
	id := taken(t, o, alice, 7)
	report := func(modem string, mr byte) bool {
		out, matched := o.report(t, modem, mr, alice, FateDelivered, o.now())
		if !matched {
			t.Fatalf("the report on %d is not matched", mr)
		}
		return out.Duplicate
	}
	o.report(t, "a", 7, alice, FateGaveUp, o.now())
	o.want(t, id, Queued)
	o.send(t, id, "b", accepted(8))
	for range 2 {
		if report("b", 8) {
			t.Error("one delivery is a duplicate")
		}
	}
	if !report("a", 7) {
		t.Error("the second delivery is none")
	}
	if report("a", 7) || report("b", 8) {
		t.Error("counted twice")
	}
}

func TestReportByAlias(t *testing.T) {
	for _, c := range []struct {
		sent        string
		imsi, alias string
		matched     bool
	}{
		{"imei-1", "", "imei-1", true},
		{"imei-1", "00101", "imei-1", true}, // told late
		{"00101", "00101", "imei-1", true},
		{"imei-1", "", "imei-2", false}, // another modem without IMSI
		{"imei-1", "00101", "imei-2", false},
		{"imei-1", "00101", "", false},
	} {
		o := newOffice(t)
		id := o.enqueue(t, alice, 5*time.Minute)
		o.settle(t, o.begin(t, id, Carrier{Session: o.store.Session(), Modem: "a", IMSI: c.sent}), accepted(7))
		var matched bool
		o.do(t, func(tx storage.Tx) (err error) {
			_, matched, err = o.Reported(tx, Report{
				IMSI: c.imsi, Alias: c.alias, MR: 7, Recipient: alice, SCTS: o.now(), Fate: FateDelivered,
			}, NewID())
			return err
		})
		if matched != c.matched {
			t.Errorf("%+v: matched %v", c, matched)
		}
	}
}

// The key budget of what settles late.
func TestKeyBudgetOfLateAnswers(t *testing.T) {
	for _, s := range []Settlement{accepted(7), refused} {
		o := newOffice(t)
		id, _ := inDoubt(t, o), inDoubt(t, o)
		for i := range 2 * scanHeld {
			o.report(t, "a", 7, alice, FateTrying, o.now().Add(time.Duration(i)))
		}
		if n := o.keysOf(t, func(tx storage.Tx) error { _, err := o.Late(tx, id, 0, s); return err }); n > 2*scanHeld+5 {
			t.Errorf("%s takes %d keys", s.Result, n)
		}
	}
}
