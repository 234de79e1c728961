package budget

import (
	"testing"
	"time"
)

// A message whose settlement never comes, since it is gone from the queue, does
// not take the SIM's room for ever.
func TestStraysDoNotStay(t *testing.T) {
	b := newBench(nil, Limits{PerMinute: 1, RecipientsPerMonth: 1})
	lost := Charge{SIM: paris, Recipient: token(1)}
	if spent := b.charge(t, lost); spent != nil {
		t.Fatal(spent)
	}
	b.pass(24*time.Hour - time.Microsecond)
	if s := b.standing(t, paris); s.InAir != 1 || s.Codes != Never() {
		t.Errorf("it is in the air yet: %+v", s)
	}
	b.pass(time.Microsecond)
	if s := b.standing(t, paris); s.InAir != 0 || !s.Codes.IsZero() || s.Recipients.Used != 0 {
		t.Errorf("it is in the air for ever: %+v", s)
	}
	other := Charge{SIM: paris, Recipient: token(2)}
	b.send(t, other)
	// If it is settled after all, it counts.
	b.settle(t, lost, Settlement{Result: Taken})
	if s := b.standing(t, paris); s.Month.Used != 2 || s.Recipients.Used != 2 || s.InAir != 0 {
		t.Errorf("settled late: %+v", s)
	}
}

// Nor where it began by a clock that was set back since.
func TestStraysOfAnotherClock(t *testing.T) {
	b := newBench(nil, Limits{PerMinute: 2})
	b.at(2036, time.March, 10, 12, 0)
	if spent := b.charge(t, Charge{SIM: paris}); spent != nil {
		t.Fatal(spent)
	}
	b.at(2026, time.March, 10, 12, 0)
	b.send(t, Charge{SIM: paris, Notice: true})
	b.pass(24 * time.Hour)
	if s := b.standing(t, paris); s.InAir != 0 {
		t.Errorf("it is in the air for ten years: %+v", s)
	}
}
