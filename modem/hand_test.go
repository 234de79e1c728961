package modem_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// inTheAir is a bench over one modem whose messages are in the air for a
// minute, with one under way.
func inTheAir(t *testing.T, test func(t *testing.T, b *bench, line *modem.Line, sent func() modem.Result)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sim.NetworkConfig{Air: sim.Fixed(time.Minute), Report: sim.Fixed(0)})
		var pc modem.PoolConfig
		b.inMemory([]sim.ModemConfig{{Profile: sim.Generic()}}, &pc)
		b.patience = time.Hour
		b.run(pc)
		defer b.stop()
		line := b.line("modem0")
		var sending sync.WaitGroup
		var r modem.Result
		sending.Go(func() { r = send(line) })
		time.Sleep(10 * time.Second)
		test(t, b, line, func() modem.Result { sending.Wait(); return r })
	})
}

func TestReset(t *testing.T) {
	inVirtualTime(t, []sim.ModemConfig{{Profile: sim.Generic()}}, func(t *testing.T, b *bench, _ *memory) {
		line := b.line("modem0")
		events := occasions{b}
		time.Sleep(time.Minute) // its first start has been told of
		before := events.count(modem.EventRestarted)
		if err := b.pool.Reset(t.Context(), "modem0"); err != nil {
			t.Fatal(err)
		}
		if b.open(line) {
			t.Error("the line is open")
		}
		if st := b.status("modem0"); st.State != modem.Starting || st.Reason != "it was told to start anew" {
			t.Errorf("%+v", st)
		}
		b.accepts("modem0")
		if events.count(modem.EventReset) != 1 || events.count(modem.EventRestarted) != before || events.count(modem.EventDown) != 0 {
			t.Errorf("%v", events.kinds(""))
		}
		b.unviolated()
	})
}

// TestResetWaits: a message in the air ends before the modem is started anew,
// and one restart is enough for two who want it.
func TestResetWaits(t *testing.T) {
	inTheAir(t, func(t *testing.T, b *bench, line *modem.Line, sent func() modem.Result) {
		began := time.Now()
		var resetting sync.WaitGroup
		for range 2 {
			resetting.Go(func() {
				if err := b.pool.Reset(t.Context(), "modem0"); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if b.open(line) {
			t.Error("the line takes messages")
		}
		resetting.Wait()
		if r := sent(); r.Class != modem.Accepted || b.net.Total() != 1 {
			t.Errorf("%+v", r)
		}
		if took := time.Since(began); took < 45*time.Second || took > time.Minute {
			t.Errorf("it took %v", took)
		}
		b.accepts("modem0")
		if events := (occasions{b}); events.count(modem.EventReset) != 1 {
			t.Errorf("%v", events.kinds(""))
		}
	})
}

// TestResetGivenUp: who waits no longer has not restarted anything.
func TestResetGivenUp(t *testing.T) {
	inTheAir(t, func(t *testing.T, b *bench, _ *modem.Line, sent func() modem.Result) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := b.pool.Reset(ctx, "modem0"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if r := sent(); r.Class != modem.Accepted {
			t.Errorf("%+v", r)
		}
		b.accepts("modem0")
		events := occasions{b}
		if n := events.count(modem.EventReset) + events.count(modem.EventResync); n != 0 {
			t.Errorf("%v", events.kinds(""))
		}
		if err := b.pool.Reset(ctx, "modem0"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("too late at once: %v", err)
		}
	})
}

// TestResetAtAnyTime: a modem that rests, or waits for its network, is started
// anew too.
func TestResetAtAnyTime(t *testing.T) {
	for name, c := range map[string]struct {
		begin func(b *bench)
		state modem.State
	}{
		"parked":  {func(b *bench) { b.line("modem0").Park("no credit", 24*time.Hour) }, modem.Parked},
		"waiting": {func(b *bench) { b.net.Modems()[0].SetRegistration(2) }, modem.Waiting},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, []sim.ModemConfig{{Profile: sim.Generic()}}, func(t *testing.T, b *bench, _ *memory) {
				b.line("modem0")
				c.begin(b)
				b.until("state", func() bool { return b.status("modem0").State == c.state })
				time.Sleep(time.Minute)
				if err := b.pool.Reset(t.Context(), "modem0"); err != nil {
					t.Fatal(err)
				}
				b.net.Modems()[0].SetRegistration(1)
				b.patience = time.Minute
				b.accepts("modem0")
				if events := (occasions{b}); events.count(modem.EventReset) != 1 {
					t.Errorf("%v", events.kinds(""))
				}
				b.unviolated()
			})
		})
	}
}

func TestResetRefused(t *testing.T) {
	inVirtualTime(t, []sim.ModemConfig{{Profile: sim.Generic()}}, func(t *testing.T, b *bench, ports *memory) {
		line := b.line("modem0")
		for name, call := range map[string]func() error{
			"Reset":  func() error { return b.pool.Reset(t.Context(), "modem7") },
			"Unpark": func() error { return b.pool.Unpark("modem7") },
		} {
			if err := call(); !errors.Is(err, modem.ErrNoSuchModem) {
				t.Errorf("%s of another name: %v", name, err)
			}
		}
		b.net.Modems()[0].Unplug()
		ports.put("modem0", nil)
		<-line.Closed()
		b.until("down", func() bool { return b.status("modem0").State == modem.Down })
		if err := b.pool.Reset(t.Context(), "modem0"); !errors.Is(err, modem.ErrNotReady) {
			t.Errorf("without a port: %v", err)
		}
		if err := b.pool.Unpark("modem0"); err != nil {
			t.Errorf("one that does not rest: %v", err)
		}
	})
}

// TestResetWhileGoing: a modem that goes while its restart is waited for leaves
// nobody waiting.
func TestResetWhileGoing(t *testing.T) {
	inTheAir(t, func(t *testing.T, b *bench, _ *modem.Line, sent func() modem.Result) {
		var resetting sync.WaitGroup
		resetting.Go(func() {
			if err := b.pool.Reset(t.Context(), "modem0"); !errors.Is(err, modem.ErrNotReady) {
				t.Errorf("%v", err)
			}
		})
		time.Sleep(10 * time.Second)
		b.net.Modems()[0].Unplug()
		began := time.Now()
		resetting.Wait()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		if r := sent(); r.Class != modem.Ambiguous {
			t.Errorf("%+v", r)
		}
	})
}

func TestUnpark(t *testing.T) {
	inVirtualTime(t, []sim.ModemConfig{{Profile: sim.Generic()}}, func(t *testing.T, b *bench, _ *memory) {
		b.line("modem0").Park("no credit", 24*time.Hour)
		b.until("rest", func() bool { return b.status("modem0").State == modem.Parked })
		time.Sleep(time.Hour + time.Second)
		if err := b.pool.Unpark("modem0"); err != nil {
			t.Fatal(err)
		}
		b.patience = 3 * time.Second
		b.accepts("modem0")
		b.unviolated()
	})
}

// TestUnparkMute: a modem that nothing helped is tried again at once, and rests
// again if that is of no use.
func TestUnparkMute(t *testing.T) {
	supervise(t, func(t *testing.T, s *supervised) {
		m := s.modem(sim.ModemConfig{})
		s.bay.put("/dev/ttyUSB0", dial(m, 0), modem.USBPort{})
		s.begin("/dev/ttyUSB0")
		s.line("ttyUSB0")
		hang(t, m, 24*time.Hour)
		rests := func(n int) func() bool {
			return func() bool { return s.events.count(modem.EventParked) == n }
		}
		s.until("a long rest", rests(6))
		time.Sleep(time.Second)
		opens := s.bay.opens("/dev/ttyUSB0")
		if err := s.pool.Unpark("ttyUSB0"); err != nil {
			t.Fatal(err)
		}
		s.within(15*time.Second, "try", func() bool { return s.bay.opens("/dev/ttyUSB0") > opens })
		s.until("another rest", rests(7))
		opens = s.bay.opens("/dev/ttyUSB0")
		time.Sleep(5 * time.Minute)
		if s.bay.opens("/dev/ttyUSB0") != opens {
			t.Error("the rest is none")
		}
	})
}
