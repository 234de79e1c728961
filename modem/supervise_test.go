package modem_test

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
	"smsotpd/modem/wire"
)

// bay is a host's serial and USB ports in memory, and what was done to them.
type bay struct {
	mu     sync.Mutex
	ports  map[string]*bayPort // guarded by mu
	opened map[string]int      // how often; guarded by mu
	resets []string            // USB devices; guarded by mu
	count  int                 // of pluggings; guarded by mu
	deny   bool                // USB resets are not permitted; guarded by mu
}

type bayPort struct {
	id   string
	open func() (wire.Port, error)
	usb  modem.USBPort
}

func newBay() *bay { return &bay{ports: make(map[string]*bayPort), opened: make(map[string]int)} }

func (b *bay) Open(path string) (wire.Port, error) {
	b.mu.Lock()
	p := b.ports[path]
	b.opened[path]++
	b.mu.Unlock()
	if p == nil {
		return nil, fs.ErrNotExist
	}
	return p.open()
}

func (b *bay) Lookup(path string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.ports[path]; p != nil {
		return p.id
	}
	return ""
}

func (b *bay) Glob(pattern string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []string
	for path := range b.ports {
		if ok, _ := filepath.Match(pattern, path); ok {
			found = append(found, path)
		}
	}
	slices.Sort(found)
	return found
}

func (b *bay) Ports() []modem.USBPort {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []modem.USBPort
	for _, p := range b.ports {
		if p.usb.Device != "" {
			found = append(found, p.usb)
		}
	}
	slices.SortFunc(found, func(x, y modem.USBPort) int { return strings.Compare(x.Path, y.Path) })
	return found
}

func (b *bay) Reset(p modem.USBPort) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.deny {
		return fs.ErrPermission
	}
	b.resets = append(b.resets, p.Device)
	return nil
}

// put plugs something in at the path; usb is what else is known of it.
func (b *bay) put(path string, open func() (wire.Port, error), usb modem.USBPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count++
	usb.Path = path
	b.ports[path] = &bayPort{id: fmt.Sprint(b.count), open: open, usb: usb}
}

func (b *bay) take(path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.ports, path)
}

func (b *bay) opens(path string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.opened[path]
}

// dial opens a port of a simulated modem.
func dial(m *sim.Modem, port int) func() (wire.Port, error) {
	return func() (wire.Port, error) { return m.DialPort(port) }
}

// stick plugs a modem with several ports in, as ttyUSB<first> and up.
func (b *bay) stick(m *sim.Modem, ports, first int, usb modem.USBPort) {
	for i := range ports {
		usb.Interface = i
		b.put(fmt.Sprintf("/dev/ttyUSB%d", first+i), dial(m, i), usb)
	}
}

// occasions counts the events of a bench.
type occasions struct{ *bench }

// kinds are the events of the modem in their order, or of all where name is
// "".
func (o occasions) kinds(name string) []modem.EventKind {
	o.mu.Lock()
	defer o.mu.Unlock()
	var kinds []modem.EventKind
	for _, e := range o.events {
		if name == "" || e.Modem == name {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}

func (o occasions) count(kind modem.EventKind) int {
	n := 0
	for _, k := range o.kinds("") {
		if k == kind {
			n++
		}
	}
	return n
}

// supervised is a bench in virtual time over a bay.
type supervised struct {
	*bench
	bay    *bay
	events occasions
	sims   modem.SIMMemory
}

func supervise(t *testing.T, test func(*testing.T, *supervised)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &supervised{bench: newBench(t, at0()), bay: newBay()}
		s.events = occasions{s.bench}
		s.patience = time.Hour
		defer func() {
			if s.stop != nil {
				s.stop()
			}
		}()
		test(t, s)
	})
}

func (s *supervised) begin(ports ...string) {
	s.run(modem.PoolConfig{
		Opener: s.bay, USB: s.bay, Ports: ports, SIMs: s.sims,
		Timeouts: modem.Timeouts{Quiet: 300 * time.Millisecond},
	})
}

func (s *supervised) modem(mc sim.ModemConfig) *sim.Modem {
	s.t.Helper()
	if mc.Profile.Name == "" {
		mc.Profile = sim.Generic()
		mc.Profile.Boot = []sim.BootStep{{Listens: true}}
	}
	m, err := s.net.NewModem(mc)
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// within waits for a condition in virtual time.
func (s *supervised) within(d time.Duration, what string, holds func() bool) {
	s.t.Helper()
	was := s.patience
	s.patience = d
	s.until(what, holds)
	s.patience = was
}

func (s *supervised) isReady(name string) func() bool {
	return func() bool { return s.status(name).State == modem.Ready }
}

var quectel = modem.USBPort{Device: "1-1", ID: "ffff:0125", Driver: "option", Bus: 1, Number: 7}

// TestStick: of a stick's ports the one that takes commands is found, whatever
// is configured, and the others are left alone after that.
func TestStick(t *testing.T) {
	roles := []sim.PortRole{sim.RoleDiag, sim.RoleNMEA, sim.RoleAT, sim.RoleAT2}
	for _, c := range []struct{ name, port string }{
		{"auto", modem.Auto},
		{"glob", "/dev/ttyUSB*"},
		{"diagnostics", "/dev/ttyUSB0"},
		{"NMEA", "/dev/ttyUSB1"},
		{"right", "/dev/ttyUSB2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			supervise(t, func(t *testing.T, s *supervised) {
				s.bay.stick(s.modem(sim.ModemConfig{Ports: roles}), 4, 0, quectel)
				s.begin("stick=" + c.port)
				s.within(10*time.Second, "ready modem", s.isReady("stick"))
				if st := s.status("stick"); st.Port != "/dev/ttyUSB2" || st.USB != "1-1" {
					t.Errorf("%+v", st)
				}
				if r := send(s.line("stick")); r.Class != modem.Accepted {
					t.Errorf("%+v", r)
				}
				before := []int{s.bay.opens("/dev/ttyUSB0"), s.bay.opens("/dev/ttyUSB1"), s.bay.opens("/dev/ttyUSB3")}
				time.Sleep(time.Hour)
				after := []int{s.bay.opens("/dev/ttyUSB0"), s.bay.opens("/dev/ttyUSB1"), s.bay.opens("/dev/ttyUSB3")}
				if !slices.Equal(before, after) || after[2] != 0 {
					t.Errorf("other ports were opened: %v, then %v", before, after)
				}
				if n := len(s.pool.Statuses()); n != 1 {
					t.Errorf("%d statuses", n)
				}
				s.unviolated()
			})
		})
	}
}

// TestStickByProfile: where a profile knows the interface, no other is opened.
func TestStickByProfile(t *testing.T) {
	supervise(t, func(t *testing.T, s *supervised) {
		known := quectel
		known.ID = "2c7c:0125"
		s.bay.stick(s.modem(sim.ModemConfig{Ports: []sim.PortRole{sim.RoleDiag, sim.RoleNMEA, sim.RoleAT, sim.RoleAT2}}), 4, 0, known)
		s.begin(modem.Auto)
		s.line("ttyUSB2")
		for _, path := range []string{"/dev/ttyUSB0", "/dev/ttyUSB1", "/dev/ttyUSB3"} {
			if s.bay.opens(path) > 0 {
				t.Error(path, "was opened")
			}
		}
	})
}

// TestStickWithoutCommands: a stick none of whose ports answers is told of
// with what each seems to be, and tried again.
func TestStickWithoutCommands(t *testing.T) {
	supervise(t, func(t *testing.T, s *supervised) {
		m := s.modem(sim.ModemConfig{Ports: []sim.PortRole{sim.RoleDiag, sim.RoleNMEA, sim.RoleMute, sim.RoleAT}})
		s.bay.stick(m, 3, 0, quectel)
		s.begin("stick=/dev/ttyUSB2")
		s.until("all told", func() bool {
			st := s.status("stick")
			return st.State == modem.Down && strings.Contains(st.Reason, "/dev/ttyUSB2 is silent") &&
				strings.Contains(st.Reason, "/dev/ttyUSB1 sends positions") && strings.Contains(st.Reason, "/dev/ttyUSB0 sends binary")
		})
		last := quectel
		last.Interface = 3
		s.bay.put("/dev/ttyUSB3", dial(m, 3), last)
		s.within(15*time.Second, "ready modem", s.isReady("stick"))
	})
}

// TestStickReplugged: a stick comes back under other names of all its ports,
// in another socket.
func TestStickReplugged(t *testing.T) {
	for _, port := range []string{modem.Auto, "/dev/ttyUSB*", "/dev/ttyUSB2"} {
		t.Run(port, func(t *testing.T) {
			supervise(t, func(t *testing.T, s *supervised) {
				m := s.modem(sim.ModemConfig{Ports: []sim.PortRole{sim.RoleDiag, sim.RoleNMEA, sim.RoleAT, sim.RoleAT2}})
				s.bay.stick(m, 4, 0, quectel)
				s.begin("stick=" + port)
				line := s.line("stick")
				m.Unplug()
				for i := range 4 {
					s.bay.take(fmt.Sprint("/dev/ttyUSB", i))
				}
				<-line.Closed()
				time.Sleep(time.Minute)
				st := s.status("stick")
				if st.State != modem.Down || !strings.Contains(st.Reason, "plugged in") || st.Operator != "" || st.SignalDBm != 0 {
					t.Errorf("%+v", st)
				}
				if err := m.Plug(""); err != nil {
					t.Fatal(err)
				}
				elsewhere := quectel
				elsewhere.Device, elsewhere.Number = "1-2", 8
				s.bay.stick(m, 4, 5, elsewhere)
				s.within(10*time.Second, "ready modem", s.isReady("stick"))
				if st := s.status("stick"); st.Port != "/dev/ttyUSB7" || st.USB != "1-2" {
					t.Errorf("%+v", st)
				}
				if s.events.count(modem.EventMoved) != 1 {
					t.Errorf("%v", s.events.kinds(""))
				}
				s.unviolated()
			})
		})
	}
}

// TestAutoLeavesBridgesAlone: chips that give any serial device a USB plug are
// opened only where the operator names them.
func TestAutoLeavesBridgesAlone(t *testing.T) {
	supervise(t, func(t *testing.T, s *supervised) {
		behind := s.modem(sim.ModemConfig{})
		s.bay.put("/dev/ttyUSB0", dial(behind, 0), modem.USBPort{Device: "1-1", ID: "0403:6001", Driver: "ftdi_sio"})
		s.bay.put("/dev/ttyUSB1", dial(behind, 0), modem.USBPort{Device: "1-2", ID: "1a86:7523", Driver: "ch341"})
		s.bay.put("/dev/ttyACM0", dial(behind, 0), modem.USBPort{Device: "1-3", ID: "2341:0043", Driver: "cdc_acm"})
		stick := quectel
		stick.Device = "1-4"
		s.bay.put("/dev/ttyUSB2", dial(s.modem(sim.ModemConfig{}), 0), stick)
		s.begin(modem.Auto)
		s.line("ttyUSB2")
		time.Sleep(time.Minute)
		if n := s.bay.opens("/dev/ttyUSB0") + s.bay.opens("/dev/ttyUSB1") + s.bay.opens("/dev/ttyACM0"); n > 0 {
			t.Errorf("opened %d times", n)
		}
	})
}

// TestBridgeWithManyPorts: each port of a chip with several has a modem of its
// own.
func TestBridgeWithManyPorts(t *testing.T) {
	supervise(t, func(t *testing.T, s *supervised) {
		for i := range 4 {
			s.bay.put(fmt.Sprint("/dev/ttyUSB", i), dial(s.modem(sim.ModemConfig{}), 0),
				modem.USBPort{Device: "1-1", ID: "0403:6011", Driver: "ftdi_sio", Interface: i})
		}
		s.begin("/dev/ttyUSB*")
		for i := range 4 {
			s.line(fmt.Sprint("ttyUSB", i))
		}
	})
}

// TestAlikeSticks: two sticks of one make, one serial number and one IMEI are
// both used, and keep their names when they come back in another order.
func TestAlikeSticks(t *testing.T) {
	for _, imei := range []string{"490154203237518", "000000000000000"} {
		for _, usb := range []bool{true, false} {
			t.Run(fmt.Sprint(imei, usb), func(t *testing.T) {
				supervise(t, func(t *testing.T, s *supervised) {
					sticks := []*sim.Modem{s.modem(sim.ModemConfig{IMEI: imei}), s.modem(sim.ModemConfig{IMEI: imei})}
					plug := func(path string, m *sim.Modem, device string) {
						at := modem.USBPort{}
						if usb {
							at = modem.USBPort{Device: device, ID: "12d1:1001", Serial: "0123456789ABCDEF", Driver: "option"}
						}
						s.bay.put(path, dial(m, 0), at)
					}
					plug("/dev/ttyUSB0", sticks[0], "1-1")
					plug("/dev/ttyUSB1", sticks[1], "1-2")
					s.begin("/dev/ttyUSB0", "/dev/ttyUSB1")
					imsi := map[string]string{}
					for _, name := range []string{"ttyUSB0", "ttyUSB1"} {
						imsi[name] = s.line(name).IMSI()
					}
					for i, m := range sticks {
						s.bay.take(fmt.Sprint("/dev/ttyUSB", i))
						m.Unplug()
					}
					time.Sleep(5 * time.Second)
					for i, m := range sticks {
						if err := m.Plug(""); err != nil {
							t.Fatal(err)
						}
						plug(fmt.Sprint("/dev/ttyUSB", 1-i), m, fmt.Sprint("1-", 2-i))
					}
					s.within(10*time.Second, "both", func() bool { return s.isReady("ttyUSB0")() && s.isReady("ttyUSB1")() })
					for name, was := range imsi {
						if got := s.line(name).IMSI(); got != was {
							t.Errorf("%s has another SIM than before", name)
						}
					}
					if n := s.events.count(modem.EventSIMChanged) + s.events.count(modem.EventSIMMoved); n != 0 {
						t.Errorf("%v", s.events.kinds(""))
					}
				})
			})
		}
	}
}

// TestSIMChanged: another SIM in the same modem is told of, in the status too.
func TestSIMChanged(t *testing.T) {
	supervise(t, func(t *testing.T, s *supervised) {
		const imei = "490154203237518"
		s.bay.put("/dev/ttyUSB0", dial(s.modem(sim.ModemConfig{IMEI: imei, IMSI: "001010000000001"}), 0), quectel)
		s.begin("/dev/ttyUSB0")
		line := s.line("ttyUSB0")
		s.bay.take("/dev/ttyUSB0")
		s.net.Modems()[0].Unplug()
		<-line.Closed()
		s.bay.put("/dev/ttyUSB0", dial(s.modem(sim.ModemConfig{IMEI: imei, IMSI: "001010000000002"}), 0), quectel)
		s.within(10*time.Second, "other SIM", func() bool { return s.status("ttyUSB0").IMSI == "001010000000002" })
		s.within(10*time.Second, "ready modem", s.isReady("ttyUSB0"))
		if s.events.count(modem.EventSIMChanged) != 1 || !strings.Contains(s.status("ttyUSB0").Notice, "another SIM") {
			t.Errorf("%v, %+v", s.events.kinds(""), s.status("ttyUSB0"))
		}
		// The first SIM now comes in another modem.
		s.bay.take("/dev/ttyUSB0")
		s.net.Modems()[1].Unplug()
		s.bay.put("/dev/ttyUSB0", dial(s.modem(sim.ModemConfig{IMSI: "001010000000001"}), 0), quectel)
		s.within(10*time.Second, "moved SIM", func() bool { return s.events.count(modem.EventSIMMoved) == 1 })
	})
}

// simMemory is a SIMMemory that outlives pools.
type simMemory struct {
	mu   sync.Mutex
	sims map[string]string
}

func (m *simMemory) Seen(imei, imsi string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, known := m.sims[imei]
	m.sims[imei] = imsi
	return known && before != imsi, nil
}

func (m *simMemory) Forget(imei string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sims, imei)
	return nil
}

// TestSIMChangedMeanwhile: a SIM that was exchanged while the daemon was down is
// told of too, once; two modems with one IMEI are no exchange.
func TestSIMChangedMeanwhile(t *testing.T) {
	memory := &simMemory{sims: map[string]string{}}
	const imei = "490154203237518"
	for i, c := range []struct {
		imsi []string // of modems with the IMEI
		told int      // -1: it depends on which comes first
	}{
		{[]string{"001010000000001"}, 0},
		{[]string{"001010000000001"}, 0},
		{[]string{"001010000000002"}, 1},
		{[]string{"001010000000002"}, 0},
		{[]string{"001010000000002", "001010000000003"}, -1},
		{[]string{"001010000000003", "001010000000002"}, 0},
	} {
		supervise(t, func(t *testing.T, s *supervised) {
			s.sims = memory
			var ports []string
			for n, imsi := range c.imsi {
				port := fmt.Sprint("/dev/ttyUSB", n)
				s.bay.put(port, dial(s.modem(sim.ModemConfig{IMEI: imei, IMSI: imsi}), 0), modem.USBPort{})
				ports = append(ports, port)
			}
			s.begin(ports...)
			for n := range c.imsi {
				s.line(fmt.Sprint("ttyUSB", n))
			}
			if c.told < 0 {
				return
			}
			if n := s.events.count(modem.EventSIMChanged); n != c.told {
				t.Errorf("start %d: %v", i, s.events.kinds(""))
			}
			if strings.Contains(s.status("ttyUSB0").Notice, "another SIM") != (c.told > 0) {
				t.Errorf("start %d: %+v", i, s.status("ttyUSB0"))
			}
		})
	}
}

// TestWeakModemRests: a modem that starts anew at each message rests in the end,
// with the true reason, and its start does not end that.
func TestWeakModemRests(t *testing.T) {
	supervise(t, func(t *testing.T, s *supervised) {
		m := s.modem(sim.ModemConfig{Profile: sim.Generic(), Faults: []sim.Fault{{On: sim.OnPayload, Do: sim.Reboot}}})
		s.bay.put("/dev/ttyUSB0", dial(m, 0), modem.USBPort{})
		s.begin("/dev/ttyUSB0")
		rests := func() bool {
			st := s.status("ttyUSB0")
			return st.State == modem.Parked && strings.Contains(st.Reason, "power supply") && strings.Contains(st.Reason, "tried again at")
		}
		for tries := 0; !rests(); tries++ {
			if tries == 20 {
				t.Fatalf("%+v", s.status("ttyUSB0"))
			}
			send(s.line("ttyUSB0"))
			time.Sleep(10 * time.Second)
		}
		time.Sleep(30 * time.Second)
		if !rests() {
			t.Errorf("%+v", s.status("ttyUSB0"))
		}
	})
}

// TestRestartsAreTold: a modem that starts anew again and again is named, with
// what that mostly comes from; one that was told to is not.
func TestRestartsAreTold(t *testing.T) {
	supervise(t, func(t *testing.T, s *supervised) {
		m := s.modem(sim.ModemConfig{})
		s.bay.put("/dev/ttyUSB0", dial(m, 0), modem.USBPort{})
		s.begin("/dev/ttyUSB0")
		for range 3 {
			line := s.line("ttyUSB0")
			if notice := s.status("ttyUSB0").Notice; notice != "" {
				t.Errorf("told already: %q", notice)
			}
			if err := m.Reboot(); err != nil {
				t.Fatal(err)
			}
			<-line.Closed()
			time.Sleep(time.Minute)
		}
		s.within(time.Minute, "notice", func() bool { return strings.Contains(s.status("ttyUSB0").Notice, "3 times") })
		if n := s.events.count(modem.EventRestarted); n != 3 {
			t.Errorf("%d restarts were told", n)
		}
		s.within(20*time.Minute, "end of the notice", func() bool { return s.status("ttyUSB0").Notice == "" })
	})
}

// dead is a modem that answers until the test kills it, and never again.
type dead struct {
	*sim.Modem
	killed atomic.Bool
}

func (d *dead) open() (wire.Port, error) {
	if d.killed.Load() {
		near, _ := sim.Pipe()
		return near, nil
	}
	return d.DialPort(0)
}

func (d *dead) kill(t *testing.T) {
	t.Helper()
	d.killed.Store(true)
	hang(t, d.Modem, 1000*time.Hour)
}

// hang makes the modem hang from its next command on.
func hang(t *testing.T, m *sim.Modem, d time.Duration) {
	t.Helper()
	if err := m.AddFault(on("^AT", sim.Fault{Do: sim.Hang, For: d, Count: 1})); err != nil {
		t.Fatal(err)
	}
}

// TestLadder: a modem that answers no more is brought back by each means in
// its turn, then left alone for a while, and all of that again for ever.
func TestLadder(t *testing.T) {
	climb := []modem.EventKind{
		modem.EventUp, modem.EventResync, modem.EventReopen, modem.EventReset, modem.EventUSBReset, modem.EventParked,
		modem.EventReopen, modem.EventReset, modem.EventUSBReset, modem.EventParked,
	}
	for _, c := range []struct {
		name string
		deny bool
		want []modem.EventKind
	}{
		{"all of it", false, climb},
		{"without USB reset", true, slices.DeleteFunc(slices.Clone(climb), func(k modem.EventKind) bool { return k == modem.EventUSBReset })},
	} {
		t.Run(c.name, func(t *testing.T) {
			supervise(t, func(t *testing.T, s *supervised) {
				s.bay.deny = c.deny
				m := &dead{Modem: s.modem(sim.ModemConfig{})}
				s.bay.put("/dev/ttyUSB0", m.open, quectel)
				s.begin("/dev/ttyUSB0")
				s.line("ttyUSB0")
				m.kill(t)
				s.until("second rest", func() bool { return s.events.count(modem.EventParked) == 2 })
				got := slices.DeleteFunc(s.events.kinds("ttyUSB0"), func(k modem.EventKind) bool { return k == modem.EventDown })
				if !slices.Equal(got, c.want) {
					t.Errorf("%v", got)
				}
				time.Sleep(time.Second)
				if st := s.status("ttyUSB0"); st.State != modem.Parked || !strings.Contains(st.Reason, "tried again at") || st.Recoveries == 0 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// TestLadderIsNotShared: the USB device of two modems is not reset.
func TestLadderIsNotShared(t *testing.T) {
	supervise(t, func(t *testing.T, s *supervised) {
		m := &dead{Modem: s.modem(sim.ModemConfig{})}
		s.bay.put("/dev/ttyUSB0", m.open, quectel)
		other := quectel
		other.Interface = 1
		s.bay.put("/dev/ttyUSB1", dial(s.modem(sim.ModemConfig{}), 0), other)
		s.begin("/dev/ttyUSB0", "/dev/ttyUSB1")
		s.line("ttyUSB0")
		m.kill(t)
		s.until("rest", func() bool { return s.events.count(modem.EventParked) == 1 })
		if len(s.bay.resets) > 0 {
			t.Error("the other modem was reset too")
		}
	})
}

// deafened is a port that lets nothing through to the modem while it is deaf.
type deafened struct {
	wire.Port
	deaf *atomic.Bool
}

func (d deafened) Write(b []byte) (int, error) {
	if d.deaf.Load() {
		return len(b), nil
	}
	return d.Port.Write(b)
}

// TestDiesAgainAndAgain: a modem that opening its port brings back for two
// minutes climbs the ladder all the same; one that has worked long begins
// below.
func TestDiesAgainAndAgain(t *testing.T) {
	for _, c := range []struct {
		works  time.Duration
		climbs bool
	}{{2 * time.Minute, true}, {time.Hour, false}} {
		t.Run(c.works.String(), func(t *testing.T) {
			supervise(t, func(t *testing.T, s *supervised) {
				m := s.modem(sim.ModemConfig{})
				var deaf atomic.Bool
				s.bay.put("/dev/ttyUSB0", func() (wire.Port, error) {
					deaf.Store(false)
					port, err := m.DialPort(0)
					return deafened{port, &deaf}, err
				}, quectel)
				s.begin("/dev/ttyUSB0")
				for range 3 {
					line := s.line("ttyUSB0")
					time.Sleep(c.works)
					deaf.Store(true)
					<-line.Closed()
				}
				s.line("ttyUSB0")
				if climbed := s.events.count(modem.EventReset) > 0; climbed != c.climbs {
					t.Errorf("%v", s.events.kinds(""))
				}
			})
		})
	}
}
