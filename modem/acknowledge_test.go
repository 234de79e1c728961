package modem_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// TestRoutingIsWatched: a modem that turns reports off by itself is told again
// to hand them over, and the operator is told of it.
func TestRoutingIsWatched(t *testing.T) {
	inVirtualTime(t, []sim.ModemConfig{{}}, func(t *testing.T, b *bench, ports *memory) {
		b.accepts("modem0")
		b.within(15*time.Minute, "report", func() bool { n, _ := b.counts(); return n == 1 })
		time.Sleep(time.Minute)
		b.fault(0, on(`^AT\+CNMI\?`, sim.Fault{Do: sim.ReplyText, Text: "+CNMI: 2,0,0,0,0\r\n\r\nOK", Count: 1}))
		time.Sleep(3 * time.Minute)
		b.accepts("modem0")
		b.within(15*time.Minute, "report", func() bool { n, _ := b.counts(); return n >= 2 })
		if n := b.told(modem.EventRouting); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// TestAcknowledgements: a modem that insists on them gets them between
// commands, and once the network has run out of patience the routing is put
// right again.
func TestAcknowledgements(t *testing.T) {
	forced := sim.Generic()
	forced.CSMS, forced.CSMSStart = "1", 1
	for _, c := range []struct {
		name   string
		air    time.Duration
		refuse string // commands
		late   bool
	}{
		{"in time", time.Second, "", false},
		{"too late", 40 * time.Second, "", true},
		{"by number only", time.Second, `^AT\+CNMA$`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := forced
			if c.refuse != "" {
				p.Faults = []sim.Fault{on(c.refuse, sim.Fault{Do: sim.ReplyError})}
			}
			inVirtualTime(t, []sim.ModemConfig{{Profile: p}}, func(t *testing.T, b *bench, _ *memory) {
				m := b.net.Modems()[0]
				for i := range 6 {
					b.fault(0, sim.Fault{On: sim.OnAccepted, Do: sim.Slow, After: c.air, Count: 1})
					b.accepts("modem0")
					m.Receive("+33698765432", fmt.Sprint("message ", i))
				}
				b.within(30*time.Minute, "all", func() bool { r, n := b.counts(); return r >= 6 && n >= 6 })
				if told := b.told(modem.EventRouting) > 0; told != c.late {
					t.Errorf("told: %v", told)
				}
				b.unviolated()
			})
		})
	}
}

// TestRefusedAcknowledgement: a modem that refuses one acknowledgement by ERROR,
// as some do when it is too late, gets the next ones in the form that it took
// before.
func TestRefusedAcknowledgement(t *testing.T) {
	forced := sim.Generic()
	forced.CSMS, forced.CSMSStart = "1", 1
	inVirtualTime(t, []sim.ModemConfig{{Profile: forced}}, func(t *testing.T, b *bench, _ *memory) {
		for i := range 8 {
			if i == 2 {
				b.fault(0, on(`^AT\+CNMA$`, sim.Fault{Do: sim.ReplyError, Count: 1}))
				b.fault(0, on(`^AT\+CNMA=`, sim.Fault{Do: sim.ReplyError}))
			}
			b.accepts("modem0")
			b.within(time.Minute, "report", func() bool { n, _ := b.counts(); return n > i })
			time.Sleep(time.Minute) // an acknowledgement that is missing shows by then
		}
		if n := b.told(modem.EventRouting); n > 1 {
			t.Errorf("routing was lost %d times", n)
		}
	})
}

// TestAcknowledgedWhenKept: what a modem hands over and the daemon could not
// keep is not lost with it: the network has not been told that it was taken.
func TestAcknowledgedWhenKept(t *testing.T) {
	forced := sim.Generic()
	forced.CSMS, forced.CSMSStart = "1", 1
	forced.CNMI[1] = "0,2"
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, at0())
		var pc modem.PoolConfig
		b.inMemory([]sim.ModemConfig{{Profile: forced}}, &pc)
		b.patience = time.Hour
		failing := errors.New("the disk is full")
		b.keep = func() error { return failing }
		b.run(pc)
		b.accepts("modem0")
		time.Sleep(6 * time.Second) // the report is here, and offered again and again
		b.net.Modems()[0].Receive("+33698765432", "a message")
		time.Sleep(6 * time.Second)
		b.halt()
		if r, n := b.counts(); r+n > 0 {
			t.Fatalf("%d reports, %d messages", r, n)
		}
		failing = nil
		b.run(pc)
		defer b.stop()
		b.within(15*time.Minute, "report and message", func() bool { r, n := b.counts(); return r == 1 && n == 1 })
		b.unviolated()
	})
}

// TestKeptSlowly: a handler that takes long is waited for before a report is
// acknowledged; one that takes too long gets the report again.
func TestKeptSlowly(t *testing.T) {
	forced := sim.Generic()
	forced.CSMS, forced.CSMSStart = "1", 1
	for _, c := range []struct {
		takes time.Duration
		again bool
	}{{8 * time.Second, false}, {20 * time.Second, true}} {
		t.Run(c.takes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, at0())
				var pc modem.PoolConfig
				b.inMemory([]sim.ModemConfig{{Profile: forced}}, &pc)
				b.patience = time.Hour
				b.held = sync.OnceFunc(func() { <-time.After(c.takes) })
				b.run(pc)
				defer b.stop()
				b.accepts("modem0")
				time.Sleep(3 * time.Minute)
				if r, _ := b.counts(); r > 1 != c.again || r == 0 {
					t.Errorf("%d times", r)
				}
				b.accepts("modem0")
				b.within(15*time.Minute, "the next report", func() bool { r, _ := b.counts(); return r > 1 })
				if told := b.told(modem.EventRouting) > 0; told != c.again {
					t.Errorf("told: %v", told)
				}
				b.unviolated()
			})
		})
	}
}
