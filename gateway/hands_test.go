package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"smsotpd/modem"
	"smsotpd/storage"
)

func TestPause(t *testing.T) {
	inShop(t, func(o *Options) { o.NeedModem = true }, func(t *testing.T, s *shop) {
		m, err := s.gw.Pause(t.Context(), ops, "a", "new antenna")
		s.must(err)
		if m.State != modem.Paused || m.Reason != "paused by ops: new antenna" || m.Name != "a" {
			t.Errorf("paused: %s, %q", m.State, m.Reason)
		}
		if m.Since.IsZero() || !s.crew.holds("a") || s.crew.holds("b") {
			t.Errorf("since %v, held: %v", m.Since, s.crew.held)
		}
		if got := s.modem("b"); got.State != modem.Ready || got.Reason != "" {
			t.Errorf("the other one: %s, %q", got.State, got.Reason)
		}
		s.trailIs("ops KEY1 modem.pause a reason=new antenna")

		// Again, by whomever, but with nothing new: nothing is done.
		for _, again := range []Call{ops, {Caller: "KEY2", Name: "rob"}} {
			m, err := s.gw.Pause(t.Context(), again, "a", "")
			s.must(err)
			if m.Reason != "paused by ops: new antenna" {
				t.Errorf("again: %q", m.Reason)
			}
		}
		_, err = s.gw.Pause(t.Context(), ops, "a", "new antenna")
		s.must(err)
		s.trailIs("ops KEY1 modem.pause a reason=new antenna")
		// Another reason is something new.
		m, err = s.gw.Pause(t.Context(), Call{Caller: "KEY2"}, "a", "lent")
		s.must(err)
		if m.Reason != "paused by KEY2: lent" {
			t.Errorf("anew: %q", m.Reason)
		}
		s.trailIs("ops KEY1 modem.pause a reason=new antenna", "KEY2 KEY2 modem.pause a reason=lent")

		// What no modem may send is not ready.
		if r := s.gw.Ready(t.Context()); !r.Ready {
			t.Errorf("with one of two: %v", r.Reasons)
		}
		m, err = s.gw.Pause(t.Context(), ops, "b", "")
		s.must(err)
		if m.Reason != "paused by ops" {
			t.Errorf("without a reason: %q", m.Reason)
		}
		if r := s.gw.Ready(t.Context()); r.Ready {
			t.Error("ready with no modem that may send")
		}
		if got := s.counts("smsotpd_operator_actions_total"); got["modem.pause "] != 3 {
			t.Errorf("counted: %v", got)
		}

		for name := range map[string]bool{"a": true, "b": true} {
			for range 2 {
				m, err := s.gw.Resume(t.Context(), ops, name, "")
				s.must(err)
				if m.State != modem.Ready || m.Reason != "" || s.crew.holds(name) {
					t.Errorf("resumed: %s, %q", m.State, m.Reason)
				}
			}
		}
		if got := s.trail(); len(got) != 5 || !strings.HasPrefix(got[4], "ops KEY1 modem.resume ") {
			t.Errorf("%q", got)
		}
	})
}

// A modem that an operator holds is shown so while it sends, and where it has a
// trouble of its own, that and who holds it.
func TestPausedInEveryState(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		_, err := s.gw.Pause(t.Context(), ops, "a", "x")
		s.must(err)
		for _, c := range []struct {
			state, want    modem.State
			reason, notice string
		}{
			{modem.Ready, modem.Paused, "paused by ops: x", "n"},
			{modem.Sending, modem.Paused, "paused by ops: x", "n"},
			{modem.Down, modem.Down, "r", "n; paused by ops: x"},
			{modem.Parked, modem.Parked, "r", "n; paused by ops: x"},
			{modem.Waiting, modem.Waiting, "r", "n; paused by ops: x"},
		} {
			s.panel.show("a", func(st *modem.Status) { st.State, st.Reason, st.Notice = c.state, "r", "n" })
			if m := s.modem("a"); m.State != c.want || m.Reason != c.reason || m.Notice != c.notice {
				t.Errorf("%s: %s, %q, %q", c.state, m.State, m.Reason, m.Notice)
			}
		}
		later := time.Now().Add(time.Hour)
		s.panel.show("a", func(st *modem.Status) { st.Since = later })
		if m := s.modem("a"); !m.Since.Equal(later) {
			t.Errorf("since %v, not %v", m.Since, later)
		}
	})
}

// What was ordered stands after a restart, and is told before anything is sent.
func TestOrdersSurviveARestart(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		_, err := s.gw.Pause(t.Context(), ops, "a", "new antenna")
		s.must(err)
		_, err = s.gw.Drain(t.Context(), ops, "b", "", time.Second)
		s.must(err)
		_, err = s.gw.SetBudget(t.Context(), ops, "a", Budget{PerDay: new(int)})
		s.must(err)
		before := s.trail()
		s.restart()
		if !s.crew.holds("a") || !s.crew.holds("b") {
			t.Errorf("told after the restart: %v", s.crew.held)
		}
		if b, told := s.crew.limits["imsi-a"]; !told || b.PerDay == nil || *b.PerDay != 0 || b.PerHour != nil {
			t.Errorf("told after the restart: %+v", s.crew.limits)
		}
		if m := s.modem("a"); m.State != modem.Paused || m.Reason != "paused by ops: new antenna" {
			t.Errorf("a: %s, %q", m.State, m.Reason)
		}
		if m := s.modem("b"); m.State != modem.Paused || m.Reason != "paused by ops (it can be unplugged)" {
			t.Errorf("b: %s, %q", m.State, m.Reason)
		}
		s.trailIs(before...)

		_, err = s.gw.Resume(t.Context(), ops, "a", "done")
		s.must(err)
		s.restart()
		if s.crew.holds("a") || !s.crew.holds("b") || s.modem("a").State != modem.Ready {
			t.Errorf("told after another: %v", s.crew.held)
		}
	})
}

// More orders than one page stand.
func TestManyOrders(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		for i := range 2*storage.EachPage + 5 {
			name := "m" + string(rune('0'+i%10)) + string(rune('0'+i/10%10)) + string(rune('0'+i/100))
			s.must(s.gw.command(t.Context(), ops, ActionPause, name, "", held(false)))
		}
		s.restart()
		if len(s.crew.held) != 2*storage.EachPage+5 {
			t.Errorf("%d were told", len(s.crew.held))
		}
	})
}

func TestNoSuchModem(t *testing.T) {
	inShop(t, func(o *Options) {
		o.Reset = func(context.Context, string) error { return nil }
	}, func(t *testing.T, s *shop) {
		ctx := t.Context()
		for name, do := range map[string]func() error{
			"pause":  func() error { _, err := s.gw.Pause(ctx, ops, "c", ""); return err },
			"resume": func() error { _, err := s.gw.Resume(ctx, ops, "c", ""); return err },
			"drain":  func() error { _, err := s.gw.Drain(ctx, ops, "c", "", 0); return err },
			"reset":  func() error { _, err := s.gw.ResetModem(ctx, ops, "c", ""); return err },
			"budget": func() error { _, err := s.gw.Budget(ctx, "c"); return err },
			"set":    func() error { _, err := s.gw.SetBudget(ctx, ops, "c", Budget{PerDay: new(int)}); return err },
			"clear":  func() error { _, err := s.gw.ClearBudget(ctx, ops, "c"); return err },
		} {
			if err := do(); AsError(err).Code != CodeNotFound || AsError(err).Kind != NotFound {
				t.Errorf("%s: %v", name, err)
			}
		}
		s.trailIs()
		if s.crew.told != 0 {
			t.Error("the crew was told of a modem that nobody knows")
		}
	})
}

// A reason that can't be is refused, and changes nothing.
func TestReasons(t *testing.T) {
	inShop(t, func(o *Options) {
		o.Reset = func(context.Context, string) error { t.Error("reset"); return nil }
	}, func(t *testing.T, s *shop) {
		for _, bad := range []string{strings.Repeat("é", maxReason+1), "a\nb", "\x1b[2J", "\xff", "a\u202eb"} {
			_, err := s.gw.Pause(t.Context(), ops, "a", bad)
			if e := s.refusedWith(err, CodeInvalidField); e.Field != "reason" {
				t.Errorf("%q: field %q", bad, e.Field)
			}
			_, err = s.gw.ResetModem(t.Context(), ops, "a", bad)
			s.refusedWith(err, CodeInvalidField)
		}
		s.trailIs()
		good := strings.Repeat("é", maxReason)
		if m, err := s.gw.Pause(t.Context(), ops, "a", good); err != nil || m.Reason != "paused by ops: "+good {
			t.Errorf("%v, %q", err, m.Reason)
		}
	})
}

// A drain returns when the message in the air has come down, and not before.
func TestDrain(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		s.crew.fly("a", true)
		began := time.Now()
		time.AfterFunc(20*time.Second, func() {
			if m := s.modem("a"); m.State != modem.Paused || m.Reason != "paused by ops: moves" {
				t.Errorf("while it waits: %s, %q", m.State, m.Reason)
			}
			s.crew.fly("a", false)
		})
		m, err := s.gw.Drain(t.Context(), ops, "a", "moves", time.Minute)
		s.must(err)
		if took := time.Since(began); took < 20*time.Second || took > 21*time.Second {
			t.Errorf("it took %v", took)
		}
		if m.State != modem.Paused || m.Reason != "paused by ops: moves (it can be unplugged)" || !s.crew.holds("a") {
			t.Errorf("drained: %s, %q", m.State, m.Reason)
		}
		// Again: at once, and nothing new is told.
		began = time.Now()
		_, err = s.gw.Drain(t.Context(), ops, "a", "", time.Minute)
		s.must(err)
		if time.Since(began) > landingPoll {
			t.Error("a modem that is drained is waited for")
		}
		s.trailIs("ops KEY1 modem.drain a reason=moves")
		// A pause does not make less of it.
		m, err = s.gw.Pause(t.Context(), ops, "a", "still")
		s.must(err)
		if m.Reason != "paused by ops: still (it can be unplugged)" {
			t.Errorf("paused after: %q", m.Reason)
		}
		if m, err = s.gw.Resume(t.Context(), ops, "a", ""); err != nil || m.State != modem.Ready {
			t.Errorf("resumed: %v, %s", err, m.State)
		}
	})
}

// A modem that an operator paused can be drained: who gave the reason stays.
func TestDrainOfAPausedModem(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		_, err := s.gw.Pause(t.Context(), ops, "a", "x")
		s.must(err)
		m, err := s.gw.Drain(t.Context(), Call{Caller: "KEY2", Name: "rob"}, "a", "", time.Second)
		s.must(err)
		if m.Reason != "paused by ops: x (it can be unplugged)" {
			t.Errorf("%q", m.Reason)
		}
		s.trailIs("ops KEY1 modem.pause a reason=x", "rob KEY2 modem.drain a")
	})
}

func TestDrainThatTakesTooLong(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		s.crew.fly("a", true)
		_, err := s.gw.Drain(t.Context(), ops, "a", "", 10*time.Second)
		if e := s.refusedWith(err, CodeStillInAir); e.Kind != NoAnswer {
			t.Errorf("kind %v", e.Kind)
		}
		if m := s.modem("a"); m.State != modem.Paused || m.Reason != "paused by ops" || !s.crew.holds("a") {
			t.Errorf("after it: %s, %q", m.State, m.Reason)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.gw.Drain(ctx, ops, "a", "", time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("its caller has gone: %v", err)
		}
		// Who resumes it meanwhile is not told that it can be unplugged.
		time.AfterFunc(time.Second, func() {
			_, err := s.gw.Resume(t.Context(), ops, "a", "")
			s.must(err)
			s.crew.fly("a", false)
		})
		_, err = s.gw.Drain(t.Context(), ops, "a", "", time.Minute)
		s.refusedWith(err, CodeResumed)
	})
}

// Resuming ends a park early, also of a modem that nobody paused.
func TestResumeEndsAPark(t *testing.T) {
	var freed []string
	var fails error
	inShop(t, func(o *Options) {
		o.Unpark = func(name string) error { freed = append(freed, name); return fails }
	}, func(t *testing.T, s *shop) {
		_, err := s.gw.Resume(t.Context(), ops, "a", "")
		s.must(err)
		if s.trailIs(); freed != nil {
			t.Errorf("not parked, and freed: %q", freed)
		}
		s.panel.show("a", func(st *modem.Status) { st.State = modem.Parked })
		_, err = s.gw.Resume(t.Context(), ops, "a", "topped up")
		s.must(err)
		s.trailIs("ops KEY1 modem.resume a reason=topped up")
		if !slices.Equal(freed, []string{"a"}) {
			t.Errorf("freed: %q", freed)
		}
		fails = modem.ErrNotReady
		_, err = s.gw.Resume(t.Context(), ops, "a", "")
		s.refusedWith(err, CodeModemNotReady)
	})
}

// A reset is in the trail before it happens, each time.
