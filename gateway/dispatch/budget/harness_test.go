package budget

import (
	"bytes"
	"errors"
	"maps"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"

	"smsotpd/storage"
	"smsotpd/storage/storagetest"
)

const paris, lisbon = "208010000000001", "268010000000002"

// token stands for a recipient.
func token(n byte) []byte { return bytes.Repeat([]byte{n}, 16) }

// bench is a ledger over a store in memory, whose clock the test sets.
type bench struct {
	*Ledger
	lim   Limits
	clock time.Time
	data  storagetest.Memory
}

func newBench(zone *time.Location, lim Limits) *bench {
	return &bench{
		Ledger: New(zone), lim: lim, data: storagetest.Memory{},
		clock: time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC),
	}
}

// fork is the same at this time, of which nothing comes back.
func (b *bench) fork() *bench {
	return &bench{Ledger: b.Ledger, lim: b.lim, clock: b.clock, data: maps.Clone(b.data)}
}

func (b *bench) pass(d time.Duration) { b.clock = b.clock.Add(d) }

// at sets the clock, in the ledger's zone.
func (b *bench) at(y int, m time.Month, d, hour, minute int) {
	b.clock = time.Date(y, m, d, hour, minute, 0, 0, b.zone).UTC()
}

// do runs one transaction, which is kept if fn succeeds, and says how many keys
// were written.
func (b *bench) do(t rapid.TB, fn func(tx storage.Tx) error) int {
	t.Helper()
	w := storage.NewWriteSet(b.data, func() time.Time { return b.clock }, nil)
	err := fn(w)
	if w.Err() != nil {
		t.Fatal(w.Err())
	}
	if err != nil {
		var spent *SpentError
		if !errors.As(err, &spent) {
			t.Fatal(err)
		}
	}
	wrote := b.data.Commit(w)
	if err != nil && wrote > 0 {
		t.Fatalf("a refused charge wrote %d keys", wrote)
	}
	return wrote
}

// charge begins a message, or says what is spent.
func (b *bench) charge(t rapid.TB, c Charge) (spent *SpentError) {
	t.Helper()
	b.do(t, func(tx storage.Tx) error {
		s, err := b.Charge(tx, b.lim, c)
		if err == nil || errors.As(err, &spent) {
			b.same(t, tx, c.SIM, s)
		}
		return err
	})
	return spent
}

func (b *bench) settle(t rapid.TB, c Charge, s Settlement) (wrote int) {
	t.Helper()
	return b.do(t, func(tx storage.Tx) error {
		standing, err := b.Settle(tx, b.lim, c, s)
		if err == nil {
			b.same(t, tx, c.SIM, standing)
		}
		return err
	})
}

// same fails the test unless the standing that was answered is the one that is
// stored.
func (b *bench) same(t rapid.TB, tx storage.Tx, sim string, got Standing) {
	t.Helper()
	want, err := b.Standing(tx, sim, b.lim)
	if err != nil {
		t.Fatal(err)
	}
	if got.Codes != want.Codes || got.Notices != want.Notices || got.Minute != want.Minute || got.Hour != want.Hour ||
		got.Day != want.Day || got.Month != want.Month || got.Recipients != want.Recipients || got.InAir != want.InAir {
		t.Fatalf("it answered\n%+v, and stored\n%+v", got, want)
	}
}

// send begins a message that is taken at once.
func (b *bench) send(t rapid.TB, c Charge) {
	t.Helper()
	if spent := b.charge(t, c); spent != nil {
		t.Fatal(spent)
	}
	b.settle(t, c, Settlement{Result: Taken})
}

// refused fails the test unless the message may not begin, for this window and
// until this time.
func (b *bench) refused(t rapid.TB, c Charge, window string, until time.Time) {
	t.Helper()
	spent := b.charge(t, c)
	if spent == nil {
		t.Fatalf("the message began, but %s is spent", window)
	}
	if spent.Window != window || !spent.Until.Equal(until) {
		t.Fatalf("%v; want %s until %s", spent, window, until)
	}
}

func (b *bench) standing(t rapid.TB, sim string) (s Standing) {
	t.Helper()
	view := storage.NewView(b.data, func() time.Time { return b.clock })
	s, err := b.Standing(view, sim, b.lim)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (b *bench) contactOf(t rapid.TB, recipient []byte) Contact {
	t.Helper()
	c, err := b.Contact(storage.NewView(b.data, func() time.Time { return b.clock }), recipient)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func zoneOf(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
