package verification

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"smsotpd/storage"
)

func TestCooldownsBySubject(t *testing.T) {
	p := DefaultPolicy()
	p.TTL = 10 * time.Minute
	o := newOffice(t)
	waits := func(a Ask) (all []time.Duration) {
		for range 6 {
			d := o.Draft(a, p)
			var rec Record
			o.do(t, func(tx storage.Tx) (err error) {
				rec, err = o.Create(tx, d, p, nil)
				return err
			})
			wait := rec.Resend.Time().Sub(o.now())
			all = append(all, wait/time.Second)
			o.pass(wait)
		}
		return all
	}
	a := ask(t, alice, "u1")
	if got := waits(a); !slices.Equal(got, []time.Duration{30, 60, 120, 300, 300, 300}) {
		t.Errorf("one subject waits %v", got)
	}
	if got := waits(ask(t, alice, "")); !slices.Equal(got, []time.Duration{30, 30, 30, 30, 30, 30}) {
		t.Errorf("without a subject each stands alone, but waits %v", got)
	}
	// Its last message was sent 5 minutes before the others', which took 3.
	o.pass(p.Calm - 8*time.Minute)
	if got := waits(a)[0]; got != 30 {
		t.Errorf("after the calm the first wait is %v", got)
	}
}

func TestSuccessForgetsALockThatIsOver(t *testing.T) {
	p := DefaultPolicy()
	p.MaxFailures = 2
	o := newOffice(t)
	a := ask(t, alice, "")
	id, code := o.create(t, a, p)
	for range 2 {
		o.check(t, id, wrong(code), p)
	}
	if v := o.check(t, id, code, p); !v.Locked {
		t.Fatal("not locked")
	}
	o.pass(p.LockFor)
	id, code = o.create(t, a, p)
	if v := o.check(t, id, code, p); !v.Valid {
		t.Fatal("the lock is not over")
	}
	p.LockFor = 0 // a stricter policy from now on
	id, code = o.create(t, a, p)
	if v := o.check(t, id, code, p); !v.Valid {
		t.Error("a lock from before the last success is back")
	}
}

// What stays of a number when all is over is the count of its failures, under a
// keyed token.
func TestDeletionLeavesOnlyFailures(t *testing.T) {
	p := DefaultPolicy()
	o := newOffice(t)
	failed, _ := o.create(t, ask(t, alice, "u1"), p)
	o.check(t, failed, "x", p)
	proven, code := o.create(t, ask(t, bob, "u2"), p)
	o.check(t, proven, wrong(code), p)
	o.check(t, proven, code, p)
	o.create(t, ask(t, bob, ""), p) // expires
	o.pass(p.TTL)
	o.sweep(t, p)
	o.pass(p.Retention - time.Microsecond)
	o.sweep(t, p)
	if err := o.store.View(t.Context(), func(tx storage.Tx) error { _, err := o.Get(tx, failed); return err }); err != nil {
		t.Errorf("deleted before its time: %v", err)
	}
	o.pass(time.Microsecond)
	if gone := o.sweep(t, p); len(gone) != 2 {
		t.Errorf("%d were deleted at the end, want 2", len(gone))
	}
	left := o.dump(t)
	if len(left) != 1 || !bytes.HasPrefix(left[0].Key, []byte("failures/")) {
		t.Errorf("%d records are left", len(left))
	}
	for _, e := range left {
		if bytes.Contains(append(e.Key, e.Value...), []byte(alice[1:])) {
			t.Error("a number is left")
		}
	}
}

// The budget of design: a start touches 8 keys of verifications at most. At its
// worst it replaces a pending one of the same subject.
func TestKeyBudget(t *testing.T) {
	p := DefaultPolicy()
	o := newOffice(t)
	a := ask(t, alice, "u1")
	id, code := o.create(t, a, p)
	o.check(t, id, wrong(code), p)
	d := o.Draft(a, p)
	o.pass(4*time.Minute + 30*time.Second)
	if n := o.keysOf(t, func(tx storage.Tx) error {
		adm, err := o.Admit(tx, d, p)
		if err != nil {
			return err
		}
		if adm.Decision != Replace {
			t.Errorf("decided %d", adm.Decision)
		}
		if _, err := o.End(tx, adm.ID, adm.Record, Canceled); err != nil {
			return err
		}
		_, err = o.Create(tx, d, p, []byte("message"))
		return err
	}); n > 8 {
		t.Errorf("a start takes %d keys", n)
	}
	if n := o.keysOf(t, func(tx storage.Tx) error { _, err := o.Check(tx, d.ID, d.Code, p); return err }); n > 8 {
		t.Errorf("a check takes %d keys", n)
	}
}

func TestPolicyValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(p *Policy)
		ok     bool
	}{
		{"default", func(*Policy) {}, true},
		{"length 3", func(p *Policy) { p.Length = 3; p.AllowWeak = true }, false},
		{"length 4", func(p *Policy) { p.Length = 4 }, false},
		{"length 4, allowed", func(p *Policy) { p.Length = 4; p.AllowWeak = true }, true},
		{"length 5", func(p *Policy) { p.Length = 5 }, false},
		{"length 10", func(p *Policy) { p.Length = 10 }, true},
		{"length 11", func(p *Policy) { p.Length = 11 }, false},
		{"life 29 s", func(p *Policy) { p.TTL = 29 * time.Second }, false},
		{"life 30 s", func(p *Policy) { p.TTL = 30 * time.Second }, true},
		{"life 10 min", func(p *Policy) { p.TTL = 10 * time.Minute }, true},
		{"life over 10 min", func(p *Policy) { p.TTL = 10*time.Minute + 1 }, false},
		{"no checks", func(p *Policy) { p.Checks = 0 }, false},
		{"one check", func(p *Policy) { p.Checks = 1 }, true},
		{"10 checks", func(p *Policy) { p.Checks = 10 }, true},
		{"11 checks", func(p *Policy) { p.Checks = 11 }, false},
		{"no failures", func(p *Policy) { p.MaxFailures = 0 }, false},
		{"101 failures", func(p *Policy) { p.MaxFailures = 101 }, false},
		{"lock until lifted", func(p *Policy) { p.LockFor = 0 }, true},
		{"lock of the past", func(p *Policy) { p.LockFor = -1 }, false},
		{"lock of eleven years", func(p *Policy) { p.LockFor = 11 * 365 * 24 * time.Hour }, false},
		{"no cooldowns", func(p *Policy) { p.Cooldowns = nil }, false},
		{"11 cooldowns", func(p *Policy) { p.Cooldowns = slices.Repeat([]time.Duration{time.Minute}, 11) }, false},
		{"cooldown of nothing", func(p *Policy) { p.Cooldowns = []time.Duration{time.Minute, 0} }, false},
		{"cooldown of 25 h", func(p *Policy) { p.Cooldowns = []time.Duration{25 * time.Hour} }, false},
		{"retention 59 min", func(p *Policy) { p.Retention = 59 * time.Minute }, false},
		{"retention 91 days", func(p *Policy) { p.Retention = 91 * 24 * time.Hour }, false},
	} {
		p := DefaultPolicy()
		c.change(&p)
		if err := p.Validate(); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestLockThatIsOverCountsAnew(t *testing.T) {
	p := DefaultPolicy()
	p.MaxFailures = 3
	o := newOffice(t)
	a := ask(t, alice, "")
	id, code := o.create(t, a, p)
	for range p.MaxFailures {
		o.check(t, id, wrong(code), p)
	}
	o.pass(p.LockFor - time.Microsecond)
	id, code = o.create(t, a, p)
	if v := o.check(t, id, wrong(code), p); !v.Locked || v.Record.ChecksLeft != p.Checks {
		t.Errorf("a moment before its end: locked %v, %d checks left", v.Locked, v.Record.ChecksLeft)
	}
	o.pass(time.Microsecond)
	for range p.MaxFailures - 1 {
		if v := o.check(t, id, wrong(code), p); v.Locked {
			t.Fatal("locked by failures from before the lock")
		}
	}
	if v := o.check(t, id, code, p); !v.Valid {
		t.Error("the right code failed")
	}
}

// With MinLeft a repeated start sends the code again, with less it begins anew.
func TestLittleLifeLeft(t *testing.T) {
	p := DefaultPolicy()
	for left, want := range map[time.Duration]Decision{
		p.MinLeft + time.Second:      SendAgain,
		p.MinLeft:                    SendAgain,
		p.MinLeft - time.Microsecond: Replace,
		time.Microsecond:             Replace,
		0:                            Begin,
	} {
		o := newOffice(t)
		a := ask(t, alice, "u1")
		o.create(t, a, p)
		o.pass(p.TTL - left)
		d := o.Draft(a, p)
		o.do(t, func(tx storage.Tx) error {
			got, err := o.Admit(tx, d, p)
			if got.Decision != want {
				t.Errorf("with %v left a start was decided as %d, want %d", left, got.Decision, want)
			}
			return err
		})
	}
}

func TestMessagesOfOneVerificationAreBounded(t *testing.T) {
	p := DefaultPolicy()
	p.Cooldowns = []time.Duration{time.Second}
	o := newOffice(t)
	id, _ := o.create(t, ask(t, alice, ""), p)
	for i := 2; i <= maxSends+1; i++ {
		o.pass(time.Second)
		err := o.store.Update(t.Context(), func(tx storage.Tx) error {
			_, _, err := o.Resend(tx, id, p, NewSend([]byte("again"), p))
			return err
		})
		soon, refused := errors.AsType[*TooSoonError](err)
		if refused != (i > maxSends) {
			t.Fatalf("message %d: %v", i, err)
		}
		if refused && soon.Wait != p.TTL-maxSends*time.Second {
			t.Errorf("refused for %v", soon.Wait)
		}
	}
}
