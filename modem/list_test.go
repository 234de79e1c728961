package modem_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
	"smsotpd/modem/wire"
)

// tap hears the commands that modems in memory are given, and may have them give
// their lists slowly.
type tap struct {
	*memory
	first, each time.Duration // before a list, and before each of its entries

	mu    sync.Mutex
	heard []string
}

func (o *tap) Open(path string) (wire.Port, error) {
	port, err := o.memory.Open(path)
	if err != nil {
		return nil, err
	}
	return &tapped{Port: port, tap: o}, nil
}

// count is how many commands began so.
func (o *tap) count(prefix string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, command := range o.heard {
		if strings.HasPrefix(command, prefix) {
			n++
		}
	}
	return n
}

func (o *tap) lists() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.heard) > 0 && strings.HasPrefix(o.heard[len(o.heard)-1], "AT+CMGL")
}

type tapped struct {
	wire.Port
	tap     *tap
	partial []byte // of what is written
	said    []byte // and not read yet
}

func (p *tapped) Write(b []byte) (int, error) {
	p.tap.mu.Lock()
	for _, c := range b {
		if c != '\r' {
			p.partial = append(p.partial, c)
			continue
		}
		p.tap.heard = append(p.tap.heard, strings.Trim(string(p.partial), "\x1b"))
		p.partial = nil
	}
	p.tap.mu.Unlock()
	return p.Port.Write(b)
}

// Read gives a list one entry at a time.
func (p *tapped) Read(b []byte) (int, error) {
	if len(p.said) == 0 {
		more := make([]byte, 64<<10)
		n, err := p.Port.Read(more)
		if n == 0 {
			return 0, err
		}
		p.said = more[:n]
		if p.tap.lists() {
			time.Sleep(p.tap.first) // virtual
		}
	}
	end := len(p.said)
	if next := bytes.Index(p.said[1:], []byte("+CMGL")); next >= 0 {
		time.Sleep(p.tap.each) // virtual
		end = next + 1
	}
	n := copy(b, p.said[:end])
	p.said = p.said[n:]
	return n, nil
}

// tapping is inVirtualTime for one modem that is listened to.
func tapping(t *testing.T, o *tap, p sim.Profile, test func(*testing.T, *bench, *tap)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, at0())
		var pc modem.PoolConfig
		o.memory = b.inMemory([]sim.ModemConfig{{Profile: p}}, &pc)
		pc.Opener = o
		b.patience = time.Hour
		b.run(pc)
		defer b.stop()
		b.line("modem0")
		time.Sleep(30 * time.Second) // virtual: the first look is over
		test(t, b, o)
	})
}

// byListOnly is a modem with one memory, which AT+CMGR does not read.
func byListOnly(faults ...sim.Fault) sim.Profile {
	p := sim.Generic()
	p.Memories = []sim.Memory{{Name: "SM", Slots: 300}}
	p.Faults = slices.Concat(faults, []sim.Fault{on(`^AT\+CMGR`, sim.Fault{Do: sim.ReplyError})})
	return p
}

// texts are what the messages said that have come.
func (b *bench) texts() map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]bool)
	for _, in := range b.inbound {
		all[in.Text] = true
	}
	return all
}

// has waits for so many messages, and that they are deleted.
func (b *bench) has(d time.Duration, messages int, o *tap) {
	b.t.Helper()
	b.within(d, "messages", func() bool { _, n := b.counts(); return n >= messages })
	b.within(d, "deletions", func() bool { return o.count("AT+CMGD") >= messages })
	if _, n := b.counts(); n != messages {
		b.t.Errorf("%d messages", n)
	}
}

// TestListIsAskedAgain: a port that goes away during a list says nothing of it,
// and a list that hung is tried again some hours later.
func TestListIsAskedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		fault sim.Fault
		after time.Duration
	}{
		"unplugged": {sim.Fault{Do: sim.Unplug, Back: 5 * time.Second, Count: 1}, 5 * time.Minute},
		"hung":      {sim.Fault{Do: sim.Mute, Count: 1}, 7 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			tapping(t, &tap{}, byListOnly(on(`^AT\+CMGL`, c.fault)), func(t *testing.T, b *bench, o *tap) {
				b.net.Modems()[0].Receive("+33698765432", "hello")
				b.has(c.after, 1, o)
			})
		})
	}
}

// TestSlowList: a list that takes long to begin is waited for, and one that goes
// on and on is read as far as it comes.
func TestSlowList(t *testing.T) {
	for name, c := range map[string]struct {
		messages    int
		first, each time.Duration
	}{
		"begins late": {30, 40 * time.Second, 500 * time.Millisecond},
		"is long":     {100, 0, 500 * time.Millisecond},
		"is cut off":  {300, 0, 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			p := byListOnly()
			p.CNMI = [5]string{"0-2", "0", "0", "0", "0,1"} // all is stored, and nothing told
			tapping(t, &tap{first: c.first, each: c.each}, p, func(t *testing.T, b *bench, o *tap) {
				for i := range c.messages {
					b.net.Modems()[0].Receive("+33698765432", fmt.Sprint("message ", i))
				}
				b.within(30*time.Minute, "messages", func() bool { return len(b.texts()) == c.messages })
				b.within(30*time.Minute, "deletions", func() bool { return o.count("AT+CMGD") >= c.messages })
				if _, n := b.counts(); c.messages <= 100 && (n != c.messages || o.count("AT+CMGL") > 1) {
					t.Errorf("%d messages by %d lists", n, o.count("AT+CMGL"))
				}
			})
		})
	}
}

// TestListOnAnnouncement: where only a list shows what there is, what is
// announced is listed at once, and many are listed together.
func TestListOnAnnouncement(t *testing.T) {
	tapping(t, &tap{}, byListOnly(), func(t *testing.T, b *bench, o *tap) {
		m := b.net.Modems()[0]
		m.Receive("+33698765432", "the first")
		b.has(3*time.Minute, 1, o)
		time.Sleep(time.Minute) // virtual
		read, listed := o.count("AT+CMGR="), o.count("AT+CMGL")
		m.Receive("+33698765432", "the second")
		b.has(3*time.Second, 2, o)
		for i := range 20 {
			m.Receive("+33698765432", fmt.Sprint("message ", i))
			time.Sleep(100 * time.Millisecond)
		}
		b.has(time.Minute, 22, o)
		if n := o.count("AT+CMGR=") - read; n > 2 { // the places of deleted ones may be looked at
			t.Errorf("%d places read", n)
		}
		if n := o.count("AT+CMGL") - listed; n > 4 {
			t.Errorf("%d lists", n)
		}
	})
}

// TestNotFoundForLong: what can't be found is looked for now and then, and what
// comes meanwhile is found.
func TestNotFoundForLong(t *testing.T) {
	p := sim.Generic()
	p.Memories = []sim.Memory{{Name: "SM", Slots: 20}}
	p.CNMI = [5]string{"0-2", "0", "0", "0", "0,1"} // all is stored, and nothing told
	p.Faults = []sim.Fault{on(`^AT\+CMGR=[1-3]$`, sim.Fault{Do: sim.ReplyError}), on(`^AT\+CMGL`, sim.Fault{Do: sim.ReplyError})}
	tapping(t, &tap{}, p, func(t *testing.T, b *bench, o *tap) {
		m := b.net.Modems()[0]
		for i := range 3 {
			m.Receive("+33698765432", fmt.Sprint("lost ", i))
		}
		b.within(10*time.Minute, "word of it", func() bool { return b.told(modem.EventUnreadable) == 1 })
		read := o.count("AT+CMGR=")
		time.Sleep(2 * time.Hour) // virtual
		if n := o.count("AT+CMGR=") - read; n > 2*6*2*20 {
			t.Errorf("%d places read", n)
		}
		m.Receive("+33698765432", "hello")
		b.has(2*time.Minute, 1, o)
		if n := b.told(modem.EventUnreadable); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// TestPlacesThatMoveAreClearedSoon: a memory that closes its gaps is cleared up
// as soon as any, and no message in it is given up for unreadable.
func TestPlacesThatMoveAreClearedSoon(t *testing.T) {
	for _, c := range []struct{ moves, told bool }{{false, true}, {true, true}, {false, false}, {true, false}} {
		t.Run(fmt.Sprintf("moves %v, told %v", c.moves, c.told), func(t *testing.T) {
			p := sim.Generic()
			p.Memories = []sim.Memory{{Name: "SM", Slots: 50}}
			p.ClosesGaps = c.moves
			if !c.told {
				p.CNMI = [5]string{"0-2", "0", "0", "0", "0,1"}
			}
			p.Faults = []sim.Fault{on(`^AT\+CMGL`, sim.Fault{Do: sim.ReplyError})}
			tapping(t, &tap{}, p, func(t *testing.T, b *bench, o *tap) {
				const messages = 48
				for i := range messages {
					b.net.Modems()[0].Receive("+33698765432", fmt.Sprint("message ", i))
					if i == messages/2 {
						time.Sleep(300 * time.Millisecond)
					}
				}
				b.within(2*time.Minute, "deletions", func() bool { return o.count("AT+CMGD=") >= messages })
				time.Sleep(10 * time.Minute) // virtual
				b.unviolated()
				if n := b.told(modem.EventUnreadable); n > 0 {
					t.Errorf("%d times given up", n)
				}
				if _, n := b.counts(); len(b.texts()) != messages || n > messages+3 {
					t.Errorf("%d messages, %d times handed on", len(b.texts()), n)
				}
				if n := o.count("AT+CMGR="); n > messages+10 {
					t.Errorf("%d places read", n)
				}
			})
		})
	}
}
