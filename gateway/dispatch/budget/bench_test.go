package budget

import (
	"testing"
	"time"

	"smsotpd/storage"
)

// busy is a SIM as it is after an hour of steady sending under limits of every
// kind, with one message in the air and a few kinds of failures.
func busy(t testing.TB) *bench {
	b := newBench(zoneOf(t, "Europe/Paris"), Limits{
		PerMinute: 15, PerHour: 800, PerDay: 5000, PerMonth: 100_000, RecipientsPerMonth: 50_000,
		SegmentsPerDay: 10_000, SegmentsPerMonth: 200_000, NoticesPerMinute: 5, NoticesPerDay: 500, Reserve: 20,
	})
	for i := range 700 {
		c := Charge{SIM: paris, Notice: i%5 == 0, Recipient: token(byte(i))}
		b.send(t, c)
		b.pass(6 * time.Second)
	}
	for _, cause := range []string{"cms 28", "cms 38", "cms 50", "cms 500"} {
		c := Charge{SIM: paris, Recipient: token(1)}
		if spent := b.charge(t, c); spent != nil {
			t.Fatal(spent)
		}
		b.settle(t, c, Settlement{Result: Refused, Cause: cause})
	}
	return b
}

func TestRecordsAreSmall(t *testing.T) {
	b := busy(t)
	if spent := b.charge(t, Charge{SIM: paris, Recipient: token(1)}); spent != nil {
		t.Fatal(spent)
	}
	for key, value := range b.data {
		if len(value) > 400 {
			t.Errorf("%q has %d bytes", key, len(value))
		}
	}
	t.Logf("the record of a busy SIM has %d bytes", len(b.data["simledger/"+paris]))
}

func BenchmarkCharge(b *testing.B) {
	l := busy(b)
	c := Charge{SIM: paris, Recipient: token(1)}
	for b.Loop() {
		tx := storage.NewWriteSet(l.data, func() time.Time { return l.clock }, nil)
		if _, err := l.Charge(tx, l.lim, c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSettle(b *testing.B) {
	l := busy(b)
	c := Charge{SIM: paris, Recipient: token(1)}
	if spent := l.charge(b, c); spent != nil {
		b.Fatal(spent)
	}
	for b.Loop() {
		tx := storage.NewWriteSet(l.data, func() time.Time { return l.clock }, nil)
		if _, err := l.Settle(tx, l.lim, c, Settlement{Result: Taken}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAllowance(b *testing.B) {
	l := busy(b)
	s := l.standing(b, paris)
	for b.Loop() {
		s.Allowance(l.clock, l.clock.Add(10*time.Minute), Demand{})
	}
}
