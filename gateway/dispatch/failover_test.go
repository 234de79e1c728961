package dispatch

import (
	"testing"
	"time"

	"smsotpd/gateway/dispatch/route"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

// unreportedFor is longer than reports usually take.
const unreportedFor = 50 * time.Second

// failing is a hall with SIMs of which reports are expected, where a code that A has
// sent is not reported on.
func failing(t *testing.T, change func(*Policy), b func(*hall) *scripted, test func(t *testing.T, h *hall, id queue.ID)) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(change)
		h.run()
		h.sim(simA, time.Second)
		h.pass(time.Second)
		h.usual(simA)
		id := h.code(alice)
		h.pass(2 * time.Second)
		h.wentBy(id, simA)
		if b != nil {
			b(h)
		}
		test(t, h, id)
		h.pass(10 * time.Minute)
		if n := len(h.by(id)); n > 2 {
			t.Errorf("sent %d times", n)
		}
		if m := h.message(id); m.State.Open() || m.Text != nil {
			t.Errorf("at the end: %s, wiped: %v", m.State, m.Text == nil)
		}
		h.stop()
	})
}

func asEver(*Policy) {}

func other(h *hall) *scripted { return h.sim(simB, time.Second) }

func TestUnreportedGoesByAnotherOperator(t *testing.T) {
	failing(t, asEver, other, func(t *testing.T, h *hall, id queue.ID) {
		h.pass(unreportedFor)
		h.wentBy(id, simA, simB)
		h.why(id, 1, whyMoved)
		if m := h.want(id, queue.Accepted); !m.PossibleDuplicate {
			t.Error("not marked as a possible duplicate")
		}
		h.reports(id, 0, alice, 0)
		h.want(id, queue.Delivered)
		if h.duplicates() != 0 {
			t.Error("known as a duplicate by one report")
		}
		h.reports(id, 1, alice, 0)
		if h.duplicates() != 1 {
			t.Error("not known as a duplicate")
		}
	})
}

// A report that comes late corrects what was held against the SIM, and counts once.
func TestLateReportCountsOnce(t *testing.T) {
	for name, b := range map[string]func(*hall) *scripted{"moved": other, "not moved": nil} {
		t.Run(name, func(t *testing.T) {
			failing(t, asEver, b, func(t *testing.T, h *hall, id queue.ID) {
				h.pass(unreportedFor)
				before := h.d.health.Rates(time.Now(), simA).Delivery
				h.reports(id, 0, alice, 0)
				h.want(id, queue.Delivered)
				after := h.d.health.Rates(time.Now(), simA).Delivery
				if before.Value > 0.9 || after.Value < 0.99 || after.Samples > before.Samples+0.1 {
					t.Errorf("reports were %+v, are %+v", before, after)
				}
			})
		})
	}
}

func TestPhoneOffIsNotMoved(t *testing.T) {
	failing(t, asEver, other, func(_ *testing.T, h *hall, id queue.ID) {
		h.reports(id, 0, alice, 48)
		h.pass(3 * time.Minute)
		h.wentBy(id, simA)
		h.want(id, queue.Accepted)
		h.reports(id, 0, alice, 0)
		h.want(id, queue.Delivered)
	})
}

// hanging keeps a SIM busy until it is told to go on.
func hanging(h *hall, goOn chan struct{}) *scripted {
	var l *scripted
	takes := h.takes(time.Second)
	l = h.answers(simB, func(s modem.Submission) modem.Result {
		<-goOn
		return takes(s)
	})
	h.queued(queue.Address{To: bob, Region: "FR", By: simB})
	h.pass(0)
	return l
}

// What waits for another operator is not sent if the phone turns out to be off, if it
// arrived, or if its code was entered; nor when it is no longer worth it.
func TestWhatStopsAMove(t *testing.T) {
	for name, c := range map[string]struct {
		stop func(h *hall, id queue.ID)
		want queue.State
	}{
		"the phone is off": {func(h *hall, id queue.ID) { h.reports(id, 0, alice, 48) }, queue.Accepted},
		"it arrived":       {func(h *hall, id queue.ID) { h.reports(id, 0, alice, 0) }, queue.Delivered},
		"the code was entered": {func(h *hall, id queue.ID) {
			h.must(h.store.Store.Update(h.t.Context(), func(tx storage.Tx) error {
				_, err := h.queue.Proven(tx, id, true)
				return err
			}))
		}, queue.Delivered},
		"its life is over": {func(h *hall, _ queue.ID) { h.pass(5 * time.Minute) }, queue.Unconfirmed},
	} {
		t.Run(name, func(t *testing.T) {
			var goOn chan struct{}
			failing(t, asEver, func(h *hall) *scripted {
				goOn = make(chan struct{})
				return hanging(h, goOn)
			}, func(_ *testing.T, h *hall, id queue.ID) {
				h.pass(unreportedFor)
				h.want(id, queue.Queued)
				c.stop(h, id)
				close(goOn)
				h.pass(5 * time.Second)
				h.wentBy(id, simA)
				h.want(id, c.want)
			})
		})
	}
}

func TestSecondOperatorFails(t *testing.T) {
	committed := func(class modem.Class, cause string, cms int) modem.Result {
		return modem.Result{Class: class, Cause: cause, CMS: cms, CME: -1, Committed: true, CommittedAt: time.Now()}
	}
	for name, c := range map[string]struct {
		answer func() modem.Result
		want   queue.State
	}{
		"refused":  {func() modem.Result { return committed(modem.Destination, "cms-1", 1) }, queue.Accepted},
		"in doubt": {func() modem.Result { return committed(modem.Ambiguous, "timeout", -1) }, queue.Ambiguous},
	} {
		t.Run(name, func(t *testing.T) {
			failing(t, asEver, func(h *hall) *scripted {
				return h.answers(simB, func(modem.Submission) modem.Result { return c.answer() })
			}, func(_ *testing.T, h *hall, id queue.ID) {
				h.sim(simC, time.Second)
				h.d.Hold("m"+simC[:6], true) // so that B has it
				h.pass(unreportedFor)
				h.d.Hold("m"+simC[:6], false)
				h.wentBy(id, simA, simB)
				h.want(id, c.want)
				h.pass(2 * time.Minute)
				h.wentBy(id, simA, simB)
			})
		})
	}
}

// Nobody moves what no other operator may have.
func TestNoOtherOperator(t *testing.T) {
	only := func(p *Policy) {
		rules, _ := route.New([]route.Rule{{Name: "blue", Prefixes: []string{"+336"}, Operators: []string{"20801"}}})
		p.Routes = rules
	}
	for name, c := range map[string]struct {
		change func(*Policy)
		b      func(*hall) *scripted
	}{
		"there is none":        {asEver, nil},
		"the same operator's":  {asEver, func(h *hall) *scripted { return h.sim("208019999999999", time.Second) }},
		"the rule names one":   {only, other},
		"the policy is not to": {func(p *Policy) { p.Failover = false }, other},
		"it is held": {asEver, func(h *hall) *scripted {
			l := other(h)
			h.d.Hold(l.name, true)
			return l
		}},
		"its budget is spent": {func(p *Policy) { p.Limits.RecipientsPerMonth = 5 }, func(h *hall) *scripted {
			l := other(h)
			h.usual(simB)
			for _, to := range []string{bob, carol} {
				h.enqueueTo(to, time.Minute)
				h.pass(5 * time.Second)
			}
			return l
		}},
	} {
		t.Run(name, func(t *testing.T) {
			failing(t, c.change, c.b, func(_ *testing.T, h *hall, id queue.ID) {
				h.pass(2 * time.Minute)
				h.wentBy(id, simA)
				h.want(id, queue.Accepted)
			})
		})
	}
}

// What no other operator may have when its report is missed is moved once one may,
// unless its report has come by then, its life is over or nobody wants it moved.
func TestOtherOperatorComesLater(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(h *hall, id queue.ID)
		moved     bool
	}{
		"nothing happens": {func(*hall, queue.ID) {}, true},
		"it is reported":  {func(h *hall, id queue.ID) { h.reports(id, 0, alice, 0) }, false},
		"its life ends":   {func(h *hall, _ queue.ID) { h.pass(5 * time.Minute) }, false},
		"another policy": {func(h *hall, _ queue.ID) {
			p := DefaultPolicy()
			p.Failover = false
			h.must(h.d.Reload(h.t.Context(), p))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			failing(t, asEver, nil, func(t *testing.T, h *hall, id queue.ID) {
				before := h.d.health.Rates(time.Now(), simA).Delivery
				h.pass(unreportedFor)
				b := "m" + simB[:6]
				h.d.Hold(b, true)
				other(h)
				c.meanwhile(h, id)
				h.pass(time.Minute)
				h.wentBy(id, simA)
				h.d.Hold(b, false)
				h.pass(10 * time.Second)
				if after := h.d.health.Rates(time.Now(), simA).Delivery; c.moved && after.Samples > before.Samples+1 {
					t.Errorf("reports were %+v, are %+v", before, after)
				}
				if c.moved {
					h.wentBy(id, simA, simB)
				} else {
					h.wentBy(id, simA)
				}
			})
		})
	}
}

// Where reports are not usual, one that is missing says nothing.
func TestReportsThatNeverComeMoveNothing(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		h.sim(simA, time.Second)
		h.pass(0)
		id := h.code(alice)
		h.pass(2 * time.Second)
		h.sim(simB, time.Second)
		h.pass(3 * time.Minute)
		h.wentBy(id, simA)
		h.stop()
	})
}

// The daemon was down when the report should have come: it has the usual time to be
// read, and then the code goes by another operator.
func TestUnreportedOverARestart(t *testing.T) {
	for _, down := range []time.Duration{0, 2 * time.Minute} {
		failing(t, asEver, nil, func(_ *testing.T, h *hall, id queue.ID) {
			h.pass(10 * time.Second)
			h.stop()
			h.must(h.store.Close())
			h.pass(down)
			h.open(nil)
			h.run()
			h.sim(simA, time.Second)
			h.sim(simB, time.Second)
			h.pass(30 * time.Second)
			h.wentBy(id, simA)
			h.pass(30 * time.Second)
			h.wentBy(id, simA, simB)
		})
	}
}

// Many that are not reported on are moved at once.
func TestManyUnreported(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		h.sim(simA, 0)
		h.pass(time.Second)
		for range 15 {
			h.usual(simA)
		}
		var ids []queue.ID
		for range 25 {
			ids = append(ids, h.code(alice))
		}
		h.pass(5 * time.Second)
		h.sim(simB, 0)
		h.pass(unreportedFor)
		for _, id := range ids {
			h.wentBy(id, simA, simB)
		}
		h.stop()
	})
}
