package modem_test

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
	"smsotpd/modem/wire"
)

// unreadable is a port whose reads fail at once. It counts those that are open.
type unreadable struct {
	open *atomic.Int64
	once sync.Once
}

func (f *unreadable) Read([]byte) (int, error)         { return 0, syscall.EIO }
func (f *unreadable) Write(p []byte) (int, error)      { return len(p), nil }
func (f *unreadable) SetWriteDeadline(time.Time) error { return nil }
func (f *unreadable) Close() error {
	f.once.Do(func() { f.open.Add(-1) })
	return nil
}

// TestEndlessEIO: a port that opens and can't be read costs no descriptor and
// no goroutine however often it is tried, and comes back by itself.
func TestEndlessEIO(t *testing.T) {
	supervise(t, func(t *testing.T, s *supervised) {
		var open atomic.Int64
		s.bay.put("/dev/ttyUSB0", func() (wire.Port, error) {
			open.Add(1)
			return &unreadable{open: &open}, nil
		}, quectel)
		s.begin("/dev/ttyUSB0")
		time.Sleep(time.Minute)
		before, tries := runtime.NumGoroutine(), s.bay.opens("/dev/ttyUSB0")
		time.Sleep(10 * time.Hour)
		if n := s.bay.opens("/dev/ttyUSB0") - tries; n < 100 || n > 100_000 {
			t.Errorf("tried %d times in 10 hours", n)
		}
		if n := runtime.NumGoroutine(); n > before+2 {
			t.Errorf("%d goroutines, then %d", before, n)
		}
		if n := open.Load(); n > 1 {
			t.Errorf("%d are open", n)
		}
		s.bay.put("/dev/ttyUSB0", dial(s.modem(sim.ModemConfig{}), 0), quectel)
		s.within(10*time.Second, "ready modem", s.isReady("ttyUSB0"))
	})
}

// TestHungOpen: a driver that does not return from open is called once, holds
// up no other port, and what it returns in the end is closed.
func TestHungOpen(t *testing.T) {
	supervise(t, func(t *testing.T, s *supervised) {
		free := make(chan struct{})
		var open atomic.Int64
		s.bay.put("/dev/ttyUSB0", func() (wire.Port, error) {
			<-free
			open.Add(1)
			return &unreadable{open: &open}, nil
		}, quectel)
		s.bay.put("/dev/ttyUSB9", dial(s.modem(sim.ModemConfig{}), 0), modem.USBPort{})
		s.begin("/dev/ttyUSB0", "/dev/ttyUSB9")
		s.within(5*time.Second, "the other modem", s.isReady("ttyUSB9"))
		time.Sleep(time.Minute)
		before := runtime.NumGoroutine()
		time.Sleep(time.Hour)
		if n := s.bay.opens("/dev/ttyUSB0"); n != 1 {
			t.Errorf("opened %d times", n)
		}
		if n := runtime.NumGoroutine(); n > before+2 {
			t.Errorf("%d goroutines, then %d", before, n)
		}
		if st := s.status("ttyUSB0"); st.State != modem.Down || !strings.Contains(st.Reason, "driver hangs") {
			t.Errorf("%+v", st)
		}
		s.bay.put("/dev/ttyUSB0", dial(s.modem(sim.ModemConfig{}), 0), quectel)
		close(free)
		s.within(15*time.Second, "the modem itself", s.isReady("ttyUSB0"))
		if open.Load() != 0 {
			t.Error("what was opened in the end is open still")
		}
	})
}

// hangsUp is a port whose Close does not return before it is let go.
type hangsUp struct {
	wire.Port
	free chan struct{}
}

func (h hangsUp) Close() error {
	<-h.free
	return h.Port.Close()
}

// TestHungClose: a driver that does not return from close holds up no other
// port, and its own is not opened again before it does.
func TestHungClose(t *testing.T) {
	supervise(t, func(t *testing.T, s *supervised) {
		free := make(chan struct{})
		m := &dead{Modem: s.modem(sim.ModemConfig{})}
		s.bay.put("/dev/ttyUSB0", func() (wire.Port, error) {
			port, err := m.DialPort(0)
			return hangsUp{port, free}, err
		}, quectel)
		s.bay.put("/dev/ttyUSB9", dial(s.modem(sim.ModemConfig{}), 0), modem.USBPort{})
		s.begin("/dev/ttyUSB0", "/dev/ttyUSB9")
		s.line("ttyUSB0")
		hang(t, m.Modem, 10*time.Minute)
		s.until("told", func() bool { return strings.Contains(s.status("ttyUSB0").Reason, "driver hangs") })
		before := runtime.NumGoroutine()
		time.Sleep(time.Hour)
		if n := s.bay.opens("/dev/ttyUSB0"); n != 1 {
			t.Errorf("opened %d times", n)
		}
		if n := runtime.NumGoroutine(); n > before+2 {
			t.Errorf("%d goroutines, then %d", before, n)
		}
		if r := send(s.line("ttyUSB9")); r.Class != modem.Accepted {
			t.Errorf("the other modem: %+v", r)
		}
		close(free)
		s.within(15*time.Second, "the modem itself", s.isReady("ttyUSB0"))
	})
}

// TestSick: a modem that answers, while the network does not, is told to start
// anew, and left alone in the end.
func TestSick(t *testing.T) {
	supervise(t, func(t *testing.T, s *supervised) {
		s.patience = 2 * time.Hour
		m := s.modem(sim.ModemConfig{Faults: []sim.Fault{{On: sim.OnPayload, Do: sim.ReplyCMS, Code: 500}}})
		s.bay.put("/dev/ttyUSB0", dial(m, 0), quectel)
		s.begin("/dev/ttyUSB0")
		for s.events.count(modem.EventParked) == 0 {
			send(s.line("ttyUSB0"))
			synctest.Wait()
		}
		if s.events.count(modem.EventSick) != 3 || s.events.count(modem.EventReset) != 1 || s.events.count(modem.EventUSBReset) != 1 {
			t.Errorf("%v", s.events.kinds(""))
		}
		s.within(time.Minute, "words", func() bool {
			st := s.status("ttyUSB0")
			return st.State == modem.Parked && strings.Contains(st.Reason, "three messages") && strings.Contains(st.Reason, "tried again at")
		})
		m.ClearFaults()
		// After a rest it takes three messages again.
		if err := m.AddFault(sim.Fault{On: sim.OnPayload, Do: sim.ReplyCMS, Code: 500, Count: 2}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []modem.Class{modem.Ambiguous, modem.Ambiguous, modem.Accepted} {
			if r := send(s.line("ttyUSB0")); r.Class != want {
				t.Errorf("%+v, not %s", r, want)
			}
		}
		if n := s.events.count(modem.EventSick); n != 3 {
			t.Errorf("sick %d times", n)
		}
	})
}

// TestRestEndsEarly: what could be seen to be wrong with a parked modem is
// over, or it has started anew: it is worked with at once. A rest for what
// can't be seen lasts.
func TestRestEndsEarly(t *testing.T) {
	for _, c := range []struct {
		name   string
		do     func(*sim.Modem)
		within time.Duration
		least  time.Duration
	}{
		{"SIM back", func(m *sim.Modem) {
			m.SetSIMPresent(false)
			time.Sleep(8 * time.Second)
			m.SetSIMPresent(true)
		}, 20 * time.Second, 8 * time.Second},
		{"registration back", func(m *sim.Modem) {
			m.SetRegistration(2)
			time.Sleep(8 * time.Second)
			m.SetRegistration(1)
		}, 20 * time.Second, 8 * time.Second},
		{"started anew", func(m *sim.Modem) {
			time.Sleep(8 * time.Second)
			_ = m.Reboot()
		}, 20 * time.Second, 8 * time.Second},
		{"nothing to be seen", func(*sim.Modem) {}, 65 * time.Second, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			supervise(t, func(t *testing.T, s *supervised) {
				m := s.modem(sim.ModemConfig{Profile: sim.Generic()})
				s.bay.put("/dev/ttyUSB0", dial(m, 0), quectel)
				s.begin("/dev/ttyUSB0")
				line := s.line("ttyUSB0")
				begin := time.Now()
				line.Park("the SIM can't send", time.Minute)
				<-line.Closed()
				c.do(m)
				s.line("ttyUSB0")
				if d := time.Since(begin); d < c.least || d > c.within {
					t.Errorf("it rested for %v", d)
				}
			})
		})
	}
}
