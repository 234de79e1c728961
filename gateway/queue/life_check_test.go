package queue

import (
	"bytes"
	"slices"

	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"

	"smsotpd/storage"
)

// check holds every message against the promises.
func (l *lives) check(rt *rapid.T) {
	for _, id := range l.ids {
		before, known := l.was[id]
		after := l.get(l, id)
		l.was[id] = after
		if known {
			if !slices.Contains(l.target, id) && !bytes.Equal(encode(rt, before), encode(rt, after)) {
				rt.Fatalf("a message changed in a step about another: %s to %s", before.State, after.State)
			}
			checkStep(rt, before, after)
		}
		l.checkMessage(rt, id, after)
	}
	l.target = nil
}

// checkStep holds a step against the promises about changes.
func checkStep(rt *rapid.T, before, after Message) {
	switch {
	case before.State == Delivered && after.State != Delivered:
		rt.Fatalf("delivered became %s", after.State)
	case !before.State.Open() && after.State.Open():
		rt.Fatalf("%s became %s", before.State, after.State)
	case len(after.Attempts) < len(before.Attempts)-1,
		len(after.Attempts) < len(before.Attempts) && (before.State != Sending || before.last().Result != ""):
		rt.Fatal("an attempt was lost")
	}
	for i, old := range before.Attempts[:min(len(before.Attempts), len(after.Attempts))] {
		now := after.Attempts[i]
		final := old.Fate == FateDelivered || old.Fate == FateUndeliverable || old.Fate == FateGaveUp
		switch {
		case now.Modem != old.Modem || now.Started != old.Started || now.Until != old.Until:
			rt.Fatalf("an attempt changed from %+v to %+v", old, now)
		case old.Result != "" && old.Result != ResultAmbiguous && (now.Result != old.Result || now.Settled != old.Settled || old.MR >= 0 && now.MR != old.MR):
			rt.Fatalf("a settled attempt changed from %+v to %+v", old, now)
		case final && (now.Fate == FateTrying || now.Fate == ""), old.Fate == FateDelivered && now.Fate != old.Fate:
			rt.Fatalf("fate %s became %s", old.Fate, now.Fate)
		}
	}
}

// checkMessage holds a message against the promises about its state.
func (l *lives) checkMessage(rt *rapid.T, id ID, m Message) {
	f := l.facts[id]
	maybe, doubts, resends := 0, 0, 0
	for i, a := range m.Attempts {
		if a.Result == ResultTemporary || a.Result == ResultSIM || a.Result == ResultDestination || a.Result == ResultOurs {
			continue
		}
		maybe++
		if doubts > 0 {
			resends++
			previous := m.Attempts[i-1]
			if previous.Result == ResultAmbiguous && previous.Fate != FateGaveUp &&
				a.Started.Time().Before(f.committed[i-1].Add(l.policy.Hold)) {
				rt.Fatalf("sent again %v after Ctrl-Z", a.Started.Time().Sub(f.committed[i-1]))
			}
		}
		if a.Result == ResultAmbiguous {
			doubts++
		}
	}
	if resends > 1 {
		rt.Fatalf("sent %d times after a doubt: %+v", resends, m.Attempts)
	}
	switch early := l.now().Before(f.expires) && l.now().Before(m.Confirm.Time()); {
	case m.Moved > 0 && maybe > 2:
		rt.Fatalf("moved, and sent %d times: %+v", maybe, m.Attempts)
	case m.Moved > 0 && m.State == Unconfirmed && early && !f.withdrawn:
		rt.Fatalf("moved, and its reports are waited for no more: %+v", m)
	}

	possible := !f.withdrawn
	switch m.State {
	case Queued, Sending:
	case Ambiguous:
		possible = possible && doubts == 1 && m.Moved == 0
	case Accepted:
		possible = possible && maybe == 1
	default:
		possible = false
	}
	enough := f.expires.Sub(l.now()) >= l.policy.MinLife
	switch held := m.Text != nil; {
	case (m.To != nil) != held:
		rt.Fatal("recipient and text are not wiped together")
	case held && !possible:
		rt.Fatalf("the text is still there in state %s, withdrawn %v, %d attempts, %d in doubt", m.State, f.withdrawn, maybe, doubts)
	case !held && possible && enough && !f.wiped && !(m.State == Ambiguous && m.Hold.Time().Add(l.policy.MinLife).After(f.expires)):
		rt.Fatalf("the text is gone in state %s with %v to live", m.State, f.expires.Sub(l.now()))
	case held:
		to, text, err := l.Unseal(id, m)
		if err != nil || to != f.to || text != "text for "+f.to {
			rt.Fatalf("unsealed something else: %v", err)
		}
	}

	marked := false
	must(rt, l.store.View(l.Context(), func(tx storage.Tx) (err error) {
		_, marked, err = l.Queue.open.Find(tx, id[:])
		return err
	}))
	again := slices.ContainsFunc(m.Attempts[:max(0, len(m.Attempts)-1)], func(a Attempt) bool { return a.Result == ResultAmbiguous })
	again = again || m.Moved > 0 && len(m.Attempts) > m.Moved
	send, advance := l.Next(m, l.now())
	switch {
	case marked != m.State.Open():
		rt.Fatalf("state %s, among the open ones: %v", m.State, marked)
	case m.PossibleDuplicate != again && !f.late:
		rt.Fatalf("possible duplicate is %v, sent again after a doubt: %v", m.PossibleDuplicate, again)
	case m.State.Open() == (m.Settled != 0):
		rt.Fatalf("state %s, settled at %v", m.State, m.Settled)
	case !m.State.Open() && (m.Lease != nil || !advance.IsZero()), m.State == Sending && m.Lease == nil:
		rt.Fatalf("state %s with lease %+v and time %v", m.State, m.Lease, advance)
	case m.State.Open() && m.State != Sending && advance.IsZero():
		rt.Fatalf("nothing will ever happen to a message in state %s", m.State)
	case !send.IsZero() && (m.State != Queued || !enough):
		rt.Fatalf("to be sent in state %s with %v to live", m.State, f.expires.Sub(l.now()))
	}
}

func encode(t tb, m Message) []byte {
	raw, err := cbor.Marshal(m)
	must(t, err)
	return raw
}
