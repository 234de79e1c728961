package verification

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"smsotpd/storage"
)

// TestBookAgainstAModel runs random operations against the book on a real store
// that is closed and opened in between, and against a plain model of its rules.
func TestBookAgainstAModel(t *testing.T) {
	o := newOffice(t)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		m := &model{
			T: rt, office: o, policy: somePolicy(rt), services: []string{fmt.Sprint("a", round), fmt.Sprint("b", round)},
			all: map[ID]*entry{}, subjects: map[Ask]*memory{}, failures: map[Ask]*lock{},
		}
		must(rt, m.policy.Validate())
		rt.Repeat(map[string]func(*rapid.T){
			"":       m.compare,
			"start":  m.start,
			"resend": m.resend,
			"right":  func(rt *rapid.T) { m.check(rt, true) },
			"wrong":  func(rt *rapid.T) { m.check(rt, false) },
			"wrong again": func(rt *rapid.T) {
				for range m.policy.Checks {
					m.check(rt, false)
				}
			},
			"cancel": m.cancel,
			"sweep":  m.sweepAll,
			"pass": func(rt *rapid.T) {
				o.pass(rapid.SampledFrom([]time.Duration{
					time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, time.Hour, 25 * time.Hour,
				}).Draw(rt, "time"))
			},
			"reopen": func(rt *rapid.T) {
				must(rt, o.store.Close())
				o.open(rt)
			},
		})
	})
}

func somePolicy(rt *rapid.T) Policy {
	p := DefaultPolicy()
	p.Checks = rapid.IntRange(1, 5).Draw(rt, "checks")
	p.MaxFailures = rapid.IntRange(3, 8).Draw(rt, "max failures")
	p.LockFor = rapid.SampledFrom([]time.Duration{0, 10 * time.Minute, 24 * time.Hour}).Draw(rt, "lock for")
	p.NewCode = rapid.Bool().Draw(rt, "new code")
	p.Retention = rapid.SampledFrom([]time.Duration{time.Hour, 24 * time.Hour}).Draw(rt, "retention")
	if rapid.Bool().Draw(rt, "one cooldown") {
		p.Cooldowns = []time.Duration{time.Second}
	}
	return p
}

// model is one run: what the book should know, in plain words.
type model struct {
	*rapid.T
	*office
	policy Policy
	// services are this run's own, since all runs share the store.
	services []string
	order    []ID
	all      map[ID]*entry
	// subjects are by the whole Ask, failures by service and number alone.
	subjects map[Ask]*memory
	failures map[Ask]*lock
}

type entry struct {
	ask             Ask
	state           State
	code            Code
	checks, sends   int
	step            int
	expires, resend time.Time
	ended           time.Time
}

type memory struct {
	id           ID
	step         int
	last, resend time.Time
}

type lock struct {
	count  int
	locked time.Time
}

func (m *model) someAsk(rt *rapid.T) Ask {
	a := ask(rt, rapid.SampledFrom([]string{alice, bob}).Draw(rt, "to"), rapid.SampledFrom([]string{"", "u1", "u2"}).Draw(rt, "subject"))
	a.Service = rapid.SampledFrom(m.services).Draw(rt, "service")
	return a
}

func (m *model) one(rt *rapid.T) (ID, *entry) {
	if len(m.order) == 0 {
		rt.Skip("there is no verification yet")
	}
	// The newest ones are of the most interest.
	from := max(0, len(m.order)-3)
	id := m.order[rapid.IntRange(from, len(m.order)-1).Draw(rt, "verification")]
	return id, m.all[id]
}

func (m *model) live(e *entry) bool { return e.state == Pending && m.now().Before(e.expires) }

// pair is the key of a number's failures under a service.
func pair(a Ask) Ask { return Ask{Service: a.Service, To: a.To} }

// locked says whether the number is locked, and for how much longer.
func (m *model) locked(a Ask) (time.Duration, bool) {
	l := m.failures[pair(a)]
	if l == nil || l.locked.IsZero() {
		return 0, false
	}
	if m.policy.LockFor == 0 {
		return 0, true
	}
	wait := l.locked.Add(m.policy.LockFor).Sub(m.now())
	return wait, wait > 0
}

// sent notes a message of the verification.
func (m *model) sent(id ID, e *entry) {
	p, s := m.policy, m.subjects[e.ask]
	if s != nil && m.now().Sub(s.last) < p.Calm {
		e.step = s.step
	}
	e.resend = m.now().Add(p.Cooldowns[min(e.step, len(p.Cooldowns)-1)])
	e.step++
	e.sends++
	if e.ask.Subject != "" {
		m.subjects[e.ask] = &memory{id: id, step: e.step, last: m.now(), resend: e.resend}
	}
}

func (m *model) finish(e *entry, state State) {
	e.state, e.ended = state, m.now()
	if state == Approved && e.ask.Subject != "" {
		delete(m.subjects, e.ask)
	}
}

// wantErr compares a refusal with what the model expects.
func wantErr(rt *rapid.T, what string, err error, locked, soon bool, wait time.Duration) {
	rt.Helper()
	byLock, isLock := errors.AsType[*LockedError](err)
	bySoon, isSoon := errors.AsType[*TooSoonError](err)
	switch {
	case isLock != locked, isSoon != (soon && !locked), err != nil && !isLock && !isSoon:
		rt.Fatalf("%s: %v; locked %v, too soon %v", what, err, locked, soon)
	case isLock && byLock.Wait != wait, isSoon && bySoon.Wait != wait:
		rt.Fatalf("%s: another wait than %v", what, wait)
	}
}

func (m *model) start(rt *rapid.T) {
	a := m.someAsk(rt)
	d := m.Draft(a, m.policy)
	again := NewSend([]byte("again"), m.policy)
	var got Admission
	var code Code
	err := m.store.Update(m.Context(), func(tx storage.Tx) (err error) {
		if got, err = m.Admit(tx, d, m.policy); err != nil {
			return err
		}
		switch got.Decision {
		case Continue:
			return nil
		case SendAgain:
			_, code, err = m.Resend(tx, got.ID, m.policy, again)
			return err
		case Replace:
			if _, err = m.End(tx, got.ID, got.Record, Canceled); err != nil {
				return err
			}
		}
		_, err = m.Create(tx, d, m.policy, []byte("message"))
		return err
	})

	wait, isLocked := m.locked(a)
	want, soon := Begin, false
	var old *entry
	if s := m.subjects[a]; s != nil && a.Subject != "" {
		early := m.now().Before(s.resend)
		if old = m.all[s.id]; old != nil && !m.live(old) {
			old = nil
		}
		switch {
		case old == nil:
			soon = early
		case early:
			want = Continue
		case old.expires.Sub(m.now()) < m.policy.MinLeft:
			want = Replace
		default:
			want = SendAgain
			early = old.sends >= maxSends
			soon = early
		}
		if early && !isLocked {
			wait = s.resend.Sub(m.now())
			if want == SendAgain {
				wait = old.expires.Sub(m.now())
			}
		}
	}
	wantErr(rt, "a start", err, isLocked, soon, wait)
	if err != nil {
		return
	}
	if got.Decision != want {
		rt.Fatalf("a start was decided as %d, want %d", got.Decision, want)
	}
	switch want {
	case Continue:
		return
	case SendAgain:
		m.newCode(rt, old, code)
		m.sent(got.ID, old)
		return
	case Replace:
		m.finish(old, Canceled)
	}
	e := &entry{ask: a, state: Pending, code: d.Code, checks: m.policy.Checks, expires: m.now().Add(m.policy.TTL)}
	m.order, m.all[d.ID] = append(m.order, d.ID), e
	m.sent(d.ID, e)
}

// newCode compares the code that a message is to carry.
func (m *model) newCode(rt *rapid.T, e *entry, code Code) {
	if !m.policy.NewCode && code != e.code {
		rt.Fatal("a resend changed the code")
	}
	if len(code) != m.policy.Length {
		rt.Fatalf("a code of %d digits", len(code))
	}
	e.code = code
}

func (m *model) resend(rt *rapid.T) {
	id, e := m.one(rt)
	again := NewSend([]byte("again"), m.policy)
	var code Code
	err := m.store.Update(m.Context(), func(tx storage.Tx) (err error) {
		_, code, err = m.Resend(tx, id, m.policy, again)
		return err
	})
	switch {
	case e.state == "":
		if !errors.Is(err, ErrNotFound) {
			rt.Fatalf("a resend of what is gone: %v", err)
		}
		return
	case !m.live(e):
		if !errors.Is(err, ErrNotPending) {
			rt.Fatalf("a resend of what has ended: %v", err)
		}
		return
	}
	wait, isLocked := m.locked(e.ask)
	soon := m.now().Before(e.resend) || e.sends >= maxSends
	if !isLocked && soon {
		if wait = e.resend.Sub(m.now()); wait <= 0 {
			wait = e.expires.Sub(m.now())
		}
	}
	wantErr(rt, "a resend", err, isLocked, soon, wait)
	if err == nil {
		m.newCode(rt, e, code)
		m.sent(id, e)
	}
}

func (m *model) check(rt *rapid.T, right bool) {
	id, e := m.one(rt)
	entered := wrong(Code("000000"))
	if e.code != "" {
		entered = wrong(e.code)
	}
	if right {
		entered = e.code
	}
	var got Verdict
	err := m.store.Update(m.Context(), func(tx storage.Tx) (err error) {
		got, err = m.Check(tx, id, entered, m.policy)
		return err
	})
	if e.state == "" {
		if !errors.Is(err, ErrNotFound) {
			rt.Fatalf("a check of what is gone: %v", err)
		}
		return
	}
	must(rt, err)
	_, isLocked := m.locked(e.ask)
	var want Verdict
	switch {
	case e.state != Pending:
	case !m.live(e):
		m.finish(e, Expired)
		want.Ended = true
	case isLocked:
		want.Locked = true
	case right:
		e.checks--
		m.finish(e, Approved)
		delete(m.failures, pair(e.ask))
		want.Valid, want.Ended = true, true
	default:
		e.checks--
		l := m.failures[pair(e.ask)]
		if l == nil || !l.locked.IsZero() { // a lock that is over counts as none
			l = &lock{}
			m.failures[pair(e.ask)] = l
		}
		if l.count++; l.count >= m.policy.MaxFailures {
			l.locked = m.now()
		}
		if e.checks == 0 {
			m.finish(e, Exhausted)
			want.Ended = true
		}
	}
	if got.Valid != want.Valid || got.Ended != want.Ended || got.Locked != want.Locked {
		rt.Fatalf("a check: valid %v, ended %v, locked %v; want %+v", got.Valid, got.Ended, got.Locked, want)
	}
}

func (m *model) cancel(rt *rapid.T) {
	id, e := m.one(rt)
	if !m.live(e) {
		return
	}
	m.do(m, func(tx storage.Tx) error {
		rec, err := m.Get(tx, id)
		if err == nil {
			_, err = m.End(tx, id, rec, Canceled)
		}
		return err
	})
	m.finish(e, Canceled)
}

func (m *model) sweepAll(rt *rapid.T) {
	gone := m.sweep(m, m.policy)
	for id, e := range m.all {
		if e.state == Pending && !m.live(e) {
			m.finish(e, Expired)
		}
		// Nobody looks before the end of its life.
		over := e.state != "" && e.state != Pending && !m.now().Before(e.expires) &&
			!m.now().Before(e.ended.Add(m.policy.Retention))
		if over != slices.Contains(gone, id) {
			rt.Fatalf("deleted: %v, in state %s since %v", !over, e.state, m.now().Sub(e.ended))
		}
		if over {
			e.state = ""
		}
	}
}

// compare holds every record against the model.
func (m *model) compare(rt *rapid.T) {
	must(rt, m.store.View(m.Context(), func(tx storage.Tx) error {
		for _, id := range m.order {
			e := m.all[id]
			rec, err := m.Get(tx, id)
			if e.state == "" {
				if !errors.Is(err, ErrNotFound) {
					rt.Fatalf("a deleted verification: %v", err)
				}
				continue
			}
			must(rt, err)
			if rec.State != e.state || rec.ChecksLeft != e.checks || len(rec.Messages) != e.sends ||
				!rec.Resend.Time().Equal(e.resend) || !rec.Expires.Time().Equal(e.expires) || !rec.Ended.Time().Equal(e.ended) {
				rt.Fatalf("the book says %s, %d checks, %d messages, resend at %v; want %s, %d, %d, %v",
					rec.State, rec.ChecksLeft, len(rec.Messages), rec.Resend.Time(), e.state, e.checks, e.sends, e.resend)
			}
			if (rec.Code != nil) != (e.state == Pending) {
				rt.Fatalf("state %s, sealed code kept: %v", rec.State, rec.Code != nil)
			}
			to, err := m.To(id, rec)
			if err != nil || to != e.ask.To {
				rt.Fatalf("the number is another one: %v", err)
			}
			if rec.StateAt(m.now()) == Pending != m.live(e) {
				rt.Fatalf("told as %s", rec.StateAt(m.now()))
			}
		}
		return nil
	}))
}
