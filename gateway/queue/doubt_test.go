package queue

import (
	"testing"
	"time"

	"smsotpd/storage"
)

// inDoubt is a message of five minutes whose only attempt, by modem a, is in
// doubt.
func inDoubt(t *testing.T, o *office) ID {
	t.Helper()
	id := o.enqueue(t, alice, 5*time.Minute)
	o.send(t, id, "a", doubt())
	o.want(t, id, Ambiguous)
	return id
}

// held lets the hold of a message in doubt go by.
func held(t *testing.T, o *office, id ID) {
	t.Helper()
	o.pass(30 * time.Second)
	o.advance(t, id)
	o.want(t, id, Queued)
}

func TestPossibleDuplicateMeansSentAgain(t *testing.T) {
	o := newOffice(t)
	id := inDoubt(t, o)
	held(t, o, id)
	if o.get(t, id).PossibleDuplicate {
		t.Error("marked before it was sent again")
	}
	o.begin(t, id, o.carrier("b"))
	if !o.get(t, id).PossibleDuplicate {
		t.Error("not marked although it was sent again")
	}
	other := inDoubt(t, o)
	held(t, o, other)
	o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Withdraw(tx, other, Canceled) })
	if m := o.want(t, other, Unconfirmed); m.PossibleDuplicate {
		t.Error("marked although it was not sent again")
	}
}

func TestWhatEarlierAttemptsLeftOpen(t *testing.T) {
	gaveUp := func(o *office, id ID) {
		o.send(t, id, "a", accepted(1))
		o.report(t, "a", 1, alice, FateGaveUp, time.Time{})
		o.want(t, id, Queued)
	}
	doubted := func(o *office, id ID) {
		o.send(t, id, "a", doubt())
		held(t, o, id)
	}
	withdraw := func(o *office, id ID) {
		o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Withdraw(tx, id, Canceled) })
	}
	expire := func(o *office, id ID) {
		o.pass(5 * time.Minute)
		o.advance(t, id)
	}
	// settles the second attempt, which modem b makes, with what comes in
	// while it is in the air.
	second := func(result Result, inAir func(o *office, id ID)) func(o *office, id ID) {
		return func(o *office, id ID) {
			b := o.begin(t, id, o.carrier("b"))
			inAir(o, id)
			o.want(t, id, Sending)
			o.settle(t, b, Settlement{Result: result})
		}
	}
	nothing := func(*office, ID) {}
	says := func(fate Fate) func(o *office, id ID) {
		return func(o *office, _ ID) { o.report(t, "a", 7, alice, fate, time.Time{}) }
	}
	for _, c := range []struct {
		name        string
		first, then func(o *office, id ID)
		want        State
	}{
		{"doubt, then refused for good", doubted, second(ResultDestination, nothing), Unconfirmed},
		{"doubt, then a fault of ours", doubted, second(ResultOurs, nothing), Unconfirmed},
		{"doubt, then canceled in the air", doubted, second(ResultTemporary, withdraw), Unconfirmed},
		{"doubt, then canceled", doubted, withdraw, Unconfirmed},
		{"doubt, then expired", doubted, expire, Unconfirmed},
		{"doubt, then refused for now", doubted, second(ResultTemporary, nothing), Queued},
		{"doubt; delivered, as the second is in the air", doubted, second(ResultTemporary, says(FateDelivered)), Delivered},
		{"doubt; still trying, as the second is in the air", doubted, second(ResultTemporary, says(FateTrying)), Accepted},
		{"doubt; failed, as the second is in the air", doubted, second(ResultDestination, says(FateUndeliverable)), Failed},
		{"doubt; failed, as the second is accepted", doubted, second(ResultAccepted, says(FateUndeliverable)), Accepted},
		{"doubt; the second accepted, and failed", doubted, func(o *office, id ID) {
			o.send(t, id, "b", accepted(9))
			o.report(t, "b", 9, alice, FateUndeliverable, time.Time{})
		}, Accepted},
		{"gave up, and again", gaveUp, func(o *office, id ID) {
			o.send(t, id, "b", accepted(9))
			o.report(t, "b", 9, alice, FateGaveUp, time.Time{})
		}, Undelivered},
		{"gave up, then doubt, then gave up", gaveUp, func(o *office, id ID) {
			o.send(t, id, "b", doubt())
			o.report(t, "b", 9, alice, FateGaveUp, time.Time{})
		}, Undelivered},
		{"gave up, then refused for good", gaveUp, second(ResultDestination, nothing), Failed},
		{"gave up, then canceled", gaveUp, withdraw, Canceled},
		{"gave up, then expired", gaveUp, expire, Undelivered},
		{"doubt; given up for good", func(o *office, id ID) { o.send(t, id, "a", doubt()) }, says(FateUndeliverable), Undelivered},
		{"doubt; given up for now", func(o *office, id ID) { o.send(t, id, "a", doubt()) }, says(FateGaveUp), Queued},
		{"doubt; given up for now, as it waits", doubted, says(FateGaveUp), Queued},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t)
			id := o.enqueue(t, alice, 5*time.Minute)
			c.first(o, id)
			c.then(o, id)
			o.want(t, id, c.want)
		})
	}
}

func TestTheCodeSettlesWhatIsInTheAir(t *testing.T) {
	prove := func(o *office, id ID, sole bool) {
		o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Proven(tx, id, sole) })
		o.want(t, id, Sending)
	}
	for _, c := range []struct {
		name           string
		doubtedBefore  bool
		sole           bool
		result         Result
		want           State
		deliveredByIts []bool // by attempt
	}{
		{"the only message, accepted", false, true, ResultAccepted, Delivered, []bool{true}},
		{"the only message, in doubt", false, true, ResultAmbiguous, Delivered, []bool{true}},
		{"the only message, but not sent", false, true, ResultTemporary, Canceled, []bool{false}},
		{"one of several", false, false, ResultAccepted, Accepted, []bool{false}},
		{"one of several, in doubt before", true, false, ResultTemporary, Delivered, []bool{true, false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t)
			id := o.enqueue(t, alice, 5*time.Minute)
			if c.doubtedBefore {
				o.send(t, id, "a", doubt())
				held(t, o, id)
			}
			b := o.begin(t, id, o.carrier("b"))
			prove(o, id, c.sole)
			o.settle(t, b, Settlement{Result: c.result})
			m := o.want(t, id, c.want)
			for i, want := range c.deliveredByIts {
				if m.Attempts[i].ByCode != want {
					t.Errorf("attempt %d delivered by its code: %v", i, !want)
				}
			}
		})
	}
}

// A code that outlives the validity of its first SMS is still sent again after
// a long outage.
func TestHoldGoesBeforeTheEndOfWaiting(t *testing.T) {
	o := newOffice(t)
	id := o.enqueue(t, alice, 10*time.Minute)
	o.pass(time.Second) // so that TP-VP is its first step, 5 minutes
	o.begin(t, id, Carrier{Session: "gone", Modem: "a", IMSI: "imsi-a"})
	o.pass(8 * time.Minute)
	o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Recover(tx, id) })
	if _, next := o.Next(o.want(t, id, Ambiguous), o.now()); !next.Equal(o.now().Add(30 * time.Second)) {
		t.Fatalf("looked at again after %v", next.Sub(o.now()))
	}
	o.pass(29 * time.Second)
	o.advance(t, id)
	o.want(t, id, Ambiguous)
	o.pass(time.Second)
	o.advance(t, id)
	o.want(t, id, Queued)
}

func TestNextLook(t *testing.T) {
	ago := func(o *office, d time.Duration) Settlement {
		s := doubt()
		s.Committed = o.now().Add(-d)
		return s
	}
	for _, c := range []struct {
		name string
		life time.Duration
		with func(o *office) Settlement
		want time.Duration
	}{
		{"in doubt, by the time of Ctrl-Z", 5 * time.Minute, func(o *office) Settlement { return ago(o, 10*time.Second) }, 20 * time.Second},
		{"in doubt, held for longer than it lives", 25 * time.Second, func(*office) Settlement { return doubt() }, 25 * time.Second},
		{"accepted, until the code expires", 4 * time.Minute, func(*office) Settlement { return accepted(1) }, 4 * time.Minute},
		{"refused for now, until it expires", 4 * time.Minute, func(*office) Settlement { return Settlement{Result: ResultTemporary} }, 4 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t)
			id := o.enqueue(t, alice, c.life)
			o.send(t, id, "a", c.with(o))
			if _, next := o.Next(o.get(t, id), o.now()); next.Sub(o.now()) != c.want {
				t.Errorf("looked at again after %v, want %v", next.Sub(o.now()), c.want)
			}
		})
	}
	o := newOffice(t)
	id := taken(t, o, alice, 1)
	o.pass(10 * time.Minute)
	o.advance(t, id) // wipes the text
	if _, next := o.Next(o.want(t, id, Accepted), o.now()); next.Sub(o.now()) != time.Minute {
		t.Errorf("a report is waited for until %v after TP-VP's end", next.Sub(o.now()))
	}
	o.pass(time.Minute)
	o.advance(t, id)
	o.want(t, id, Unconfirmed)
}
