package budget

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"smsotpd/storage"
)

func (b *bench) replaceType(t rapid.TB, recipient []byte, flow uint64) (pid byte, wrote int) {
	t.Helper()
	wrote = b.do(t, func(tx storage.Tx) (err error) {
		pid, err = b.ReplaceType(tx, recipient, flow)
		return err
	})
	return pid, wrote
}

func (b *bench) drop(t rapid.TB, limit int) (n int) {
	t.Helper()
	b.do(t, func(tx storage.Tx) error {
		dated, err := b.Dated(tx)
		if err != nil {
			return err
		}
		n, err = b.Drop(tx, limit)
		if dated != (n > 0) {
			t.Errorf("Dated says %t, and Drop dropped %d", dated, n)
		}
		return err
	})
	return n
}

func TestContactKnowsTheNewestSIM(t *testing.T) {
	b := newBench(nil, Limits{})
	who := token(1)
	if c := b.contactOf(t, who); c.SIM != "" || c.SIMs != nil || !c.At.IsZero() || c.Type != 0 {
		t.Errorf("a stranger is %+v", c)
	}
	b.send(t, Charge{SIM: paris, Recipient: who})
	b.send(t, Charge{SIM: lisbon, Recipient: who})
	b.pass(time.Hour)
	back := b.clock
	b.send(t, Charge{SIM: paris, Recipient: who})
	c := b.contactOf(t, who)
	if c.SIM != paris || !slices.Equal(c.SIMs, []string{lisbon, paris}) || !c.At.Equal(back) {
		t.Errorf("%+v", c)
	}
	// The next month still knows the newest, but counts nobody.
	b.at(2026, time.April, 30, 0, 0)
	if c := b.contactOf(t, who); c.SIM != paris || c.SIMs != nil || !c.At.Equal(back) {
		t.Errorf("%+v", c)
	}
	b.at(2026, time.May, 1, 0, 0)
	if c := b.contactOf(t, who); c.SIM != "" {
		t.Errorf("%+v", c)
	}
}

func TestRefusedMakesNoContact(t *testing.T) {
	b := newBench(nil, Limits{})
	c := Charge{SIM: paris, Recipient: token(1)}
	for _, result := range []Result{Refused, Unsent} {
		if spent := b.charge(t, c); spent != nil {
			t.Fatal(spent)
		}
		b.settle(t, c, Settlement{Result: result})
	}
	if c := b.contactOf(t, token(1)); c.SIM != "" {
		t.Errorf("%+v", c)
	}
}

func TestContactIsWrittenWhenSomethingChanged(t *testing.T) {
	b := newBench(nil, Limits{})
	c := Charge{SIM: paris, Recipient: token(1)}
	taken := func(after time.Duration, want int) {
		t.Helper()
		b.pass(after)
		if spent := b.charge(t, c); spent != nil {
			t.Fatal(spent)
		}
		if wrote := b.settle(t, c, Settlement{Result: Taken}); wrote != want {
			t.Errorf("%d keys written, want %d", wrote, want)
		}
	}
	taken(0, 2)
	taken(time.Minute, 1)
	taken(24*time.Hour-time.Minute, 1)
	taken(time.Microsecond, 2)
	c.SIM = lisbon
	taken(0, 2)
	taken(0, 1)
}

func TestReplaceTypesGoInTurn(t *testing.T) {
	b := newBench(nil, Limits{})
	who := token(1)
	for i, want := range []byte{0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x41, 0x42} {
		if pid, _ := b.replaceType(t, who, uint64(100+i)); pid != want {
			t.Errorf("flow %d has type %#x, want %#x", i, pid, want)
		}
	}
	pid, wrote := b.replaceType(t, who, 108)
	if pid != 0x42 || wrote != 0 {
		t.Errorf("the same flow has type %#x, with %d keys written", pid, wrote)
	}
	if pid, _ := b.replaceType(t, who, 104); pid != 0x45 {
		t.Errorf("an earlier flow has type %#x", pid)
	}
	if c := b.contactOf(t, who); c.Flow != 104 || c.Type != 0x45 || c.SIM != "" || c.SIMs != nil {
		t.Errorf("%+v", c)
	}
	if pid, _ := b.replaceType(t, token(2), 104); pid != 0x41 {
		t.Errorf("another recipient's flow has type %#x", pid)
	}
	// A message of the flow makes it the SIM's recipient, a type alone does not.
	b.lim = Limits{RecipientsPerMonth: 1}
	b.send(t, Charge{SIM: paris, Recipient: who})
	if s := b.standing(t, paris); s.Recipients.Used != 1 {
		t.Errorf("%+v", s.Recipients)
	}
}

// The seven flows used last never share a type, and none changes its own while
// it is among them, whatever months end in between.
func TestReplaceTypesOfTheLastSevenFlows(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(nil, Limits{})
		var last []uint64 // the newest at the end
		types := map[uint64]byte{}
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			flow := uint64(rapid.IntRange(1, 12).Draw(rt, "flow"))
			pid, _ := b.replaceType(rt, token(1), flow)
			if pid < 0x41 || pid > 0x47 {
				rt.Fatalf("%#x is no replace type", pid)
			}
			i := slices.Index(last, flow)
			if i >= 0 {
				if types[flow] != pid {
					rt.Fatalf("flow %d had type %#x, now %#x", flow, types[flow], pid)
				}
				last = slices.Delete(last, i, i+1)
			}
			last = append(last, flow)
			last = last[max(0, len(last)-7):]
			types[flow] = pid
			for _, other := range last {
				if other != flow && types[other] == pid {
					rt.Fatalf("flows %d and %d share type %#x", flow, other, pid)
				}
			}
			switch rapid.IntRange(0, 9).Draw(rt, "then") {
			case 0:
				b.send(rt, Charge{SIM: paris, Recipient: token(1)})
			case 1:
				b.at(b.clock.Year(), b.clock.Month()+1, 1, 0, 0)
				b.replaceType(rt, token(1), flow)
				b.send(rt, Charge{SIM: paris, Recipient: token(1)})
			}
		}
	})
}

func TestDropKeepsThisMonthAndTheLast(t *testing.T) {
	b := newBench(nil, Limits{})
	b.at(2025, time.November, 5, 0, 0)
	for range 3 {
		for n := range byte(50) {
			b.send(t, Charge{SIM: paris, Recipient: token(n)})
		}
		b.pass(31 * 24 * time.Hour)
	}
	b.at(2026, time.January, 31, 23, 59)
	if n := b.drop(t, 1000); n != 50 {
		t.Errorf("%d of November were dropped", n)
	}
	if n := b.drop(t, 1000); n != 0 {
		t.Errorf("%d more were dropped", n)
	}
	b.pass(time.Minute)
	for _, want := range []int{30, 20, 0} {
		if n := b.drop(t, 30); n != want {
			t.Errorf("%d of December were dropped, want %d", n, want)
		}
	}
	if c := b.contactOf(t, token(7)); c.SIM != paris {
		t.Errorf("January's is gone: %+v", c)
	}
	for n := range 150 {
		b.send(t, Charge{SIM: paris, Recipient: slices.Concat(token(1), []byte{byte(n)})})
	}
	b.pass(90 * 24 * time.Hour)
	for _, want := range []int{90, 90, 20, 0} { // within the bounds of a transaction
		if n := b.drop(t, 1000); n != want {
			t.Errorf("%d were dropped, want %d", n, want)
		}
	}
}
