package queue

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"smsotpd/storage"
)

// TestLives leads messages through random lives (every operation at every
// moment, also those that a sound dispatcher would not ask for) and holds the
// promises of the package against what the store says after each step.
func TestLives(t *testing.T) {
	o := newOffice(t)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		l := &lives{T: rt, office: o, round: round, was: map[ID]Message{}, facts: map[ID]*facts{}}
		for range rapid.IntRange(1, 2).Draw(rt, "messages") {
			l.enqueue(rt)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"":         l.check,
			"enqueue":  l.enqueue,
			"begin":    l.begin,
			"lease":    l.lease,
			"settle":   l.settle,
			"unsent":   l.unsent,
			"late":     l.late,
			"move":     l.moveOn,
			"report":   l.report,
			"withdraw": l.withdraw,
			"proven":   l.proven,
			"recover":  l.recover,
			"pass":     l.letPass,
			"next":     l.toNext,
		})
		l.end()
	})
}

// lives is one random run.
type lives struct {
	*rapid.T
	*office
	round int
	ids   []ID
	was   map[ID]Message
	facts map[ID]*facts
	// target are the messages that the step is about; others stay as they are.
	target []ID
}

// facts is what the test knows of a message without asking the queue.
type facts struct {
	to        string
	expires   time.Time
	withdrawn bool
	// committed is when each attempt's Ctrl-Z was written at the latest.
	committed []time.Time
	// dead: the session that sends it is gone.
	dead bool
	// wiped: it had no text any more when a late answer changed what may be
	// done with it.
	wiped bool
	// late: an attempt in doubt got its answer.
	late bool
}

func (l *lives) enqueue(rt *rapid.T) {
	if len(l.ids) >= 4 {
		return
	}
	to := fmt.Sprintf("+336%04d%04d", l.round, rapid.IntRange(0, 1).Draw(rt, "recipient"))
	life := rapid.SampledFrom([]time.Duration{30 * time.Second, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute}).Draw(rt, "life")
	id := l.office.enqueue(l, to, life)
	l.ids = append(l.ids, id)
	l.facts[id] = &facts{to: to, expires: l.now().Add(life)}
	l.target = []ID{id}
}

func (l *lives) one(rt *rapid.T) (ID, *facts, Message) {
	id := rapid.SampledFrom(l.ids).Draw(rt, "message")
	l.target = []ID{id}
	return id, l.facts[id], l.get(l, id)
}

// modem draws a modem; "z" is one of a session that is gone.
func (l *lives) modem(rt *rapid.T) Carrier {
	name := rapid.SampledFrom([]string{"a", "b", "z"}).Draw(rt, "modem")
	c := Carrier{Session: l.store.Session(), Modem: name, IMSI: fmt.Sprintf("%s-%d", name, l.round)}
	if name == "z" {
		c.Session = "gone"
	}
	return c
}

func (l *lives) begin(rt *rapid.T) {
	id, f, before := l.one(rt)
	c := l.modem(rt)
	err := l.store.Update(l.Context(), func(tx storage.Tx) error {
		_, err := l.Begin(tx, id, c, Choice{})
		return err
	})
	sendable := before.State == Queued && !f.withdrawn && f.expires.Sub(l.now()) >= l.policy.MinLife
	if lease := before.Lease; lease != nil && lease.Session != "gone" && c.Session == "gone" {
		sendable = sendable && !l.now().Before(lease.Until.Time())
	}
	switch {
	case err == nil && !sendable:
		rt.Fatalf("begun in state %s, withdrawn %v, with %v to live", before.State, f.withdrawn, f.expires.Sub(l.now()))
	case errors.Is(err, ErrNotSendable) && sendable:
		rt.Fatal("a sendable message was refused")
	case err != nil && !errors.Is(err, ErrNotSendable):
		rt.Fatal(err)
	case err == nil:
		f.dead = c.Session == "gone"
		f.committed = append(f.committed, l.now())
	}
}

func (l *lives) lease(rt *rapid.T) {
	id, _, before := l.one(rt)
	c := l.modem(rt)
	l.do(l, func(tx storage.Tx) error { return l.Lease(tx, id, c, time.Minute) })
	after := l.get(l, id)
	if (after.Lease != nil) != (before.Lease != nil || before.State == Queued) {
		rt.Fatal("only a queued message can be leased")
	}
}

func (l *lives) settle(rt *rapid.T) {
	id, f, before := l.one(rt)
	if before.State != Sending {
		return
	}
	s := Settlement{
		Result: rapid.SampledFrom([]Result{
			ResultAccepted, ResultAccepted, ResultAmbiguous, ResultAmbiguous,
			ResultDestination, ResultOurs, ResultSIM, ResultTemporary,
		}).Draw(rt, "result"),
		MR:       rapid.IntRange(-1, 3).Draw(rt, "MR"),
		OtherSIM: rapid.Bool().Draw(rt, "other SIM"),
		Soon:     time.Duration(rapid.IntRange(0, 2).Draw(rt, "soon")) * time.Second,
	}
	if rapid.Bool().Draw(rt, "committed") {
		s.Committed = l.now().Add(-time.Second)
		f.committed[len(f.committed)-1] = s.Committed
	} else {
		f.committed[len(f.committed)-1] = l.now()
	}
	attempt := len(before.Attempts) - 1
	stale := rapid.IntRange(0, 9).Draw(rt, "stale") == 0
	if stale {
		attempt--
	}
	out := l.move(l, func(tx storage.Tx) (Outcome, error) { return l.Settle(tx, id, attempt, s) })
	if !stale && out.Message.Lease != nil {
		rt.Fatal("a settled attempt leaves its lease")
	}
	if stale != (out.Message.State == Sending) {
		rt.Fatalf("a settlement of attempt %d of %d left the message %s", attempt, len(before.Attempts), out.Message.State)
	}
}

// unsent gives back the attempt that is in the air.
func (l *lives) unsent(rt *rapid.T) {
	id, f, before := l.one(rt)
	if before.State != Sending {
		return
	}
	n := len(before.Attempts) - 1
	out := l.move(l, func(tx storage.Tx) (Outcome, error) { return l.Settle(tx, id, n, Settlement{Result: ResultUnsent}) })
	if len(out.Message.Attempts) != n || out.Message.State == Sending {
		rt.Fatalf("given back: %s with %d attempts of %d", out.Message.State, len(out.Message.Attempts), n+1)
	}
	if !f.withdrawn && !before.taken() && !before.arrived() && (out.Message.State != Queued || out.Message.Due != before.Due) {
		rt.Fatalf("given back: %s, due %v", out.Message.State, out.Message.Due.Time())
	}
	f.committed = f.committed[:n]
}

// late tells what became of any attempt, whether or not it is in doubt.
func (l *lives) late(rt *rapid.T) {
	id, f, before := l.one(rt)
	if len(before.Attempts) == 0 {
		return
	}
	attempt := rapid.IntRange(0, len(before.Attempts)-1).Draw(rt, "attempt")
	s := Settlement{
		Result: rapid.SampledFrom([]Result{ResultAccepted, ResultAccepted, ResultAmbiguous, ResultDestination, ResultSIM, ResultTemporary}).Draw(rt, "result"),
		MR:     rapid.IntRange(-1, 3).Draw(rt, "MR"),
	}
	a := before.Attempts[attempt]
	out := l.move(l, func(tx storage.Tx) (Outcome, error) { return l.Late(tx, id, attempt, s) })
	m := out.Message
	f.late = f.late || m.Attempts[attempt].Result != a.Result
	f.wiped = f.wiped || before.Text == nil
	switch {
	case a.Result != ResultAmbiguous, s.Result == ResultAmbiguous:
		if !bytes.Equal(encode(l, m), encode(l, before)) {
			rt.Fatalf("a late %s changed an attempt that was %q", s.Result, a.Result)
		}
	case m.Attempts[attempt].Result != s.Result && a.Fate == "" && !a.ByCode:
		rt.Fatalf("a late %s left the attempt %s", s.Result, m.Attempts[attempt].Result)
	case s.Result == ResultAccepted && m.State == Queued && a.pending() && before.Attempts[attempt].Fate == m.Attempts[attempt].Fate:
		rt.Fatal("a message that the network has is queued")
	case s.Result == ResultTemporary && !a.proven() && before.State == Ambiguous && !f.withdrawn && before.Text != nil &&
		(m.State != Queued || m.Due.Time().After(l.now())):
		rt.Fatalf("a message that was not sent is %s", m.State)
	}
}

// moveOn gives the message to another operator, whether or not it may be.
func (l *lives) moveOn(rt *rapid.T) {
	id, f, before := l.one(rt)
	may := before.State == Accepted && before.Moved == 0 && !f.withdrawn && before.sent() == 1 && before.Text != nil &&
		before.last().Result == ResultAccepted && before.last().Fate == "" && f.expires.Sub(l.now()) >= l.policy.MinLife
	out := l.move(l, func(tx storage.Tx) (Outcome, error) { return l.Move(tx, id) })
	m := out.Message
	switch {
	case !may && !bytes.Equal(encode(l, m), encode(l, before)):
		rt.Fatalf("moved in state %s: %+v", before.State, before)
	case may && (m.State != Queued || m.Moved != len(m.Attempts) || m.Due.Time().After(l.now()) || len(m.Unmoved()) != 1):
		rt.Fatalf("a message that may be moved is %s: %+v", m.State, m)
	}
}

func (l *lives) report(rt *rapid.T) {
	_, f, m := l.one(rt)
	imsi, mr := l.modem(rt).IMSI, int(rapid.Byte().Draw(rt, "MR")%4)
	if len(m.Attempts) > 0 && rapid.Bool().Draw(rt, "aimed") {
		a := rapid.SampledFrom(m.Attempts).Draw(rt, "attempt")
		imsi = a.IMSI
		if a.MR >= 0 {
			mr = a.MR
		}
	}
	fate := rapid.SampledFrom([]Fate{FateDelivered, FateTrying, FateUndeliverable, FateGaveUp}).Draw(rt, "fate")
	scts := rapid.SampledFrom([]time.Time{{}, l.now(), l.now().Add(-time.Hour), l.now().Add(time.Hour)}).Draw(rt, "SCTS")
	var out Outcome
	var matched bool
	hold := NewID()
	l.do(l, func(tx storage.Tx) (err error) {
		out, matched, err = l.Reported(tx, Report{
			IMSI: imsi, MR: byte(mr), Recipient: f.to[3:], SCTS: scts, Fate: fate,
		}, hold)
		return err
	})
	if !matched {
		l.target = nil
		return
	}
	l.target = []ID{out.ID}
	if l.facts[out.ID].to != f.to {
		rt.Fatal("a report on one recipient's message was credited to another's")
	}
	a := out.Message.Attempts[out.Attempt]
	if a.IMSI != imsi || a.MR >= 0 && a.MR != mr || a.Result != ResultAccepted && a.Result != ResultAmbiguous {
		rt.Fatalf("a report of SIM %s with MR %d was credited to %+v", imsi, mr, a)
	}
}

func (l *lives) withdraw(rt *rapid.T) {
	id, f, before := l.one(rt)
	state := rapid.SampledFrom([]State{Canceled, Superseded, Expired}).Draw(rt, "as")
	l.move(l, func(tx storage.Tx) (Outcome, error) { return l.Withdraw(tx, id, state) })
	f.withdrawn = f.withdrawn || before.State.Open()
}

func (l *lives) proven(rt *rapid.T) {
	id, f, before := l.one(rt)
	sole := rapid.Bool().Draw(rt, "sole")
	out := l.move(l, func(tx storage.Tx) (Outcome, error) { return l.Proven(tx, id, sole) })
	f.withdrawn = f.withdrawn || before.State.Open()
	if sole && (before.State == Accepted || before.State == Ambiguous) && out.Message.State != Delivered {
		rt.Fatalf("the only message that carried the code is %s", out.Message.State)
	}
}

func (l *lives) recover(*rapid.T) {
	l.target = nil
	for _, id := range l.ids {
		before := l.get(l, id)
		out := l.move(l, func(tx storage.Tx) (Outcome, error) { return l.Recover(tx, id) })
		dead := before.State == Sending && l.facts[id].dead
		if dead == (out.Message.State == Sending) && before.State == Sending {
			l.Fatalf("recovered: a dead session %v, state %s", dead, out.Message.State)
		}
		if dead {
			l.target = append(l.target, id)
			l.facts[id].committed[len(before.Attempts)-1] = l.now()
		}
	}
}

func (l *lives) letPass(rt *rapid.T) {
	l.target = nil
	l.pass(rapid.SampledFrom([]time.Duration{time.Second, 5 * time.Second, 31 * time.Second, 2 * time.Minute}).Draw(rt, "time"))
	l.drive()
}

// toNext goes to the next time at which something happens.
func (l *lives) toNext(rt *rapid.T) {
	_, _, m := l.one(rt)
	send, advance := l.Next(m, l.now())
	l.target = nil
	for _, at := range []time.Time{send, advance} {
		if at.After(l.now()) {
			l.clock.Store(at.UnixMicro())
			l.drive()
			return
		}
	}
}

// drive does what dispatch does when time has passed.
func (l *lives) drive() {
	for _, id := range l.ids {
		for turns := 0; ; turns++ {
			before := l.get(l, id)
			_, advance := l.Next(before, l.now())
			if advance.IsZero() || advance.After(l.now()) {
				break
			}
			if turns == 4 {
				l.Fatalf("a message in state %s doesn't come to rest", before.State)
			}
			l.target = append(l.target, id)
			if out := l.advance(l, id); bytes.Equal(encode(l, out.Message), encode(l, before)) {
				l.Fatalf("Advance at its time did nothing to a message in state %s", before.State)
			}
		}
	}
}

// end lets time run out: nothing may be stuck.
func (l *lives) end() {
	for range 3 {
		l.recover(nil)
		l.check(l.T)
		for _, id := range l.ids {
			if m := l.get(l, id); m.State == Sending {
				l.target = []ID{id}
				l.facts[id].committed[len(m.Attempts)-1] = l.now()
				l.move(l, func(tx storage.Tx) (Outcome, error) { return l.Settle(tx, id, len(m.Attempts)-1, doubt()) })
				l.check(l.T)
			}
		}
		l.target = nil
		l.pass(20 * time.Minute)
		l.drive()
		l.check(l.T)
	}
	for _, id := range l.ids {
		if m := l.get(l, id); m.State.Open() {
			l.Fatalf("a message is stuck in state %s", m.State)
		}
	}
}
