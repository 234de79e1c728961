package modem_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
	"smsotpd/modem/wire"
)

const samplePDU = "0006D60B911326880736F4111011719551401110117195714000"

// TestCaseReports: reports and messages by whatever way the modem hands them
// over.
func TestCaseReports(t *testing.T) {
	t.Parallel()
	runRaw(t, []rawCase{
		{
			name: "39 +CDS in two lines",
			check: func(t *testing.T, b *bench, m *rawModem) {
				b.line("raw")
				m.say("\r\n+CDS: 25\r\n" + samplePDU + "\r\n")
				sampleReport(t, b)
			},
		},
		{
			name: "40 +CDSI names the wrong memory",
			adjust: func(m *rawModem) {
				m.answers["AT+CNMI=*"] = errorRaw
				m.answers["AT+CNMI=2,1,0,2,0"] = okRaw
				m.answers["AT+CNMI?"] = "\r\n+CNMI: 2,1,0,2,0\r\n" + okRaw
				m.answers["AT+CNMI=?"] = "\r\n+CNMI: (2),(1),(0),(2),(0)\r\n" + okRaw
				m.answers["AT+CPMS=?"] = "\r\n+CPMS: (\"SM\",\"SR\"),(\"SM\",\"SR\"),(\"SM\",\"SR\")\r\n" + okRaw
			},
			check: func(t *testing.T, b *bench, m *rawModem) {
				b.line("raw")
				m.mu.Lock()
				m.answers["AT+CMGR=0"] = okRaw // of "SM"; "SR" is set by the command before
				m.turns["AT+CMGR=0"] = []string{okRaw, "\r\n+CMGR: 0,,25\r\n" + samplePDU + "\r\n" + okRaw}
				m.answers["AT+CNMI=2,1,0,1,0"] = okRaw
				m.mu.Unlock()
				m.say("\r\n+CDSI: \"SM\",0\r\n")
				sampleReport(t, b)
				if !slices.ContainsFunc(m.commands(), func(s string) bool { return strings.HasPrefix(s, `AT+CPMS="SR"`) }) {
					t.Errorf("SR was not looked into: %q", m.commands())
				}
				b.until("<ds>=1", func() bool { return m.asked("AT+CNMI=2,1,0,1,0") })
			},
		},
		{
			name: "42 +CMTI without a place",
			check: func(t *testing.T, b *bench, m *rawModem) {
				b.line("raw")
				m.say("\r\n+CMTI: ,-1\r\n")
				ready(t, b, m)
				if slices.ContainsFunc(m.commands(), func(s string) bool { return strings.HasPrefix(s, "AT+CMGR=-") }) {
					t.Error("a message was looked for at no place")
				}
			},
		},
		{
			name: "43 <ds>=2 is refused",
			adjust: func(m *rawModem) {
				m.answers["AT+CNMI=2,1,0,2*"] = errorRaw
				m.answers["AT+CNMI=2,2,0,2*"] = errorRaw
				m.answers["AT+CNMI=?"] = "\r\n+CNMI: (0-3),(0-3),(0,2),(0,1),(0,1)\r\n" + okRaw
			},
			check: func(t *testing.T, b *bench, m *rawModem) {
				ready(t, b, m)
				if !slices.ContainsFunc(m.commands(), func(s string) bool {
					return strings.HasPrefix(s, "AT+CNMI=2,") && strings.HasPrefix(s[len("AT+CNMI=2,1"):], ",0,1")
				}) {
					t.Errorf("%q", m.commands())
				}
			},
		},
		{
			name: "46 AT+CMGL hangs",
			adjust: func(m *rawModem) {
				m.answers["AT+CMGL*"] = ""
				m.answers["AT+CPMS?"] = "\r\n+CPMS: \"SM\",1,20,\"SM\",1,20,\"SM\",1,20\r\n" + okRaw
				m.turns["AT+CMGR=1"] = []string{"\r\n+CMGR: 0,,25\r\n" + samplePDU + "\r\n" + okRaw}
			},
			check: func(t *testing.T, b *bench, m *rawModem) {
				ready(t, b, m)
				sampleReport(t, b)
				b.until("deletion", func() bool { return m.asked("AT+CMGD=1") })
			},
		},
		{
			name: "47 a full memory",
			adjust: func(m *rawModem) {
				left := 20
				tell := func() {
					m.answers["AT+CPMS?"] = fmt.Sprintf("\r\n+CPMS: \"SM\",%d,20,\"SM\",%[1]d,20,\"SM\",%[1]d,20\r\n", left) + okRaw
				}
				tell()
				for i := range 20 {
					read := fmt.Sprint("AT+CMGR=", i+1)
					m.answers[read] = "\r\n+CMGR: 1,,25\r\n" + samplePDU + "\r\n" + okRaw
					m.hooks[fmt.Sprint("AT+CMGD=", i+1)] = func() {
						if _, there := m.answers[read]; there {
							delete(m.answers, read)
							left--
							tell()
						}
					}
				}
			},
			check: func(t *testing.T, b *bench, m *rawModem) {
				ready(t, b, m)
				m.say("\r\n^SMMEMFULL: \"SM\"\r\n")
				b.until("all places empty", func() bool {
					for i := range 20 {
						if !m.asked(fmt.Sprint("AT+CMGD=", i+1)) {
							return false
						}
					}
					return true
				})
			},
		},
	})
}

// TestCaseLife: modems that start, ask, forget and go.
func TestCaseLife(t *testing.T) {
	t.Parallel()
	times := func(n int, s string) []string { return slices.Repeat([]string{s}, n) }
	parked := func(t *testing.T, b *bench, m *rawModem) {
		t.Helper()
		b.until("parked", func() bool { return b.status("raw").State == modem.Parked })
		if reason := b.status("raw").Reason; !strings.Contains(reason, "PUK") {
			t.Errorf("reason %q", reason)
		}
		if slices.ContainsFunc(m.commands(), func(s string) bool { return strings.HasPrefix(s, "AT+CPIN=") }) {
			t.Error("a PIN was entered")
		}
	}
	runRaw(t, []rawCase{
		{
			name: "29 no service centre",
			adjust: func(m *rawModem) {
				m.accepted = func(n int, _ string) string {
					if n == 0 {
						return "\r\n+CMS ERROR: 330\r\n"
					}
					return "\r\n+CMGS: 7\r\n" + okRaw
				}
			},
			check: func(t *testing.T, b *bench, m *rawModem) {
				b.line("raw")
				m.mu.Lock()
				m.answers["AT+CSCA?"] = okRaw
				m.mu.Unlock()
				if r := b.submit("raw", number, text); r.Class != modem.Accepted || r.MR != 7 {
					t.Errorf("%+v", r)
				}
				if !slices.ContainsFunc(m.commands(), func(s string) bool { return strings.HasPrefix(s, `AT+CSCA="+33609001390"`) }) {
					t.Errorf("%q", m.commands())
				}
			},
		},
		{
			name:   "34 AT+CMMS is refused",
			config: modem.PoolConfig{Profiles: []modem.Profile{{Name: "raw", Manufacturer: []string{"acme"}, CMMS: new(true)}}},
			adjust: func(m *rawModem) { m.answers["AT+CMMS=2"] = "\r\n+CMS ERROR: 500\r\n" },
			check: func(t *testing.T, b *bench, m *rawModem) {
				ready(t, b, m)
				if !m.asked("AT+CMMS=2") {
					t.Error("it was not tried")
				}
			},
		},
		{
			name:   "52 the SIM is busy",
			adjust: func(m *rawModem) { m.turns["AT+CPIN?"] = times(5, "\r\n+CME ERROR: 14\r\n") },
			check:  ready,
		},
		{
			name: "52 busy behind AT+CFUN=1",
			adjust: func(m *rawModem) {
				on := m.answers["AT+CFUN?"]
				m.answers["AT+CFUN?"] = "\r\n+CFUN: 4\r\n" + okRaw
				m.hooks["AT+CFUN=1"] = func() { m.answers["AT+CFUN?"] = on }
				m.turns["AT+CPIN?"] = times(2, "\r\n+CME ERROR: 515\r\n")
			},
			check: ready,
		},
		{name: "54 PUK", adjust: func(m *rawModem) { m.answers["AT+CPIN?"] = "\r\n+CPIN: SIM PUK\r\n" + okRaw }, check: parked},
		{
			name: "55 radio off",
			adjust: func(m *rawModem) {
				on := m.answers["AT+CFUN?"]
				m.answers["AT+CFUN?"] = "\r\n+CFUN: 4\r\n" + okRaw
				m.hooks["AT+CFUN=1"] = func() { m.answers["AT+CFUN?"] = on }
			},
			check: func(t *testing.T, b *bench, m *rawModem) {
				ready(t, b, m)
				if !m.asked("AT+CFUN=1") {
					t.Errorf("the radio was not turned on: %q", m.commands())
				}
			},
		},
		{name: "62 GCAP", adjust: func(m *rawModem) { m.answers["AT+GCAP"] = errorRaw; m.answers["ATZ"] = errorRaw }, check: ready},
		{
			name:   "63 the service centre is in the configuration",
			config: modem.PoolConfig{Cards: []modem.Card{{Name: "one", IMSI: "208011234567890", SMSC: "+33609001399"}}},
			adjust: func(m *rawModem) { m.answers["AT+CSCA?"] = okRaw },
			check: func(t *testing.T, b *bench, m *rawModem) {
				ready(t, b, m)
				if !slices.ContainsFunc(m.commands(), func(s string) bool { return strings.HasPrefix(s, `AT+CSCA="+33609001399"`) }) {
					t.Errorf("%q", m.commands())
				}
			},
		},
	})
}

// TestCaseGone is case 57: what a port that vanishes leaves of a message.
func TestCaseGone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault sim.Fault
		class modem.Class
		sent  bool
	}{
		{"57 before Ctrl-Z", sim.Fault{On: sim.OnPrompt, Do: sim.Unplug, Back: 50 * time.Millisecond, Count: 1}, modem.Temporary, false},
		{"57 behind Ctrl-Z", sim.Fault{On: sim.OnPayload, Do: sim.Unplug, Back: 50 * time.Millisecond, Count: 1}, modem.Ambiguous, true},
		{"57 behind acceptance", sim.Fault{On: sim.OnAccepted, Do: sim.Unplug, Back: 50 * time.Millisecond, Count: 1}, modem.Ambiguous, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := start(t, at0(), modems(1), modem.PoolConfig{})
			b.line("modem0")
			b.fault(0, c.fault)
			if r := b.submit("modem0", number, text); r.Class != c.class || r.Committed != c.sent || r.Cause != "eof" && r.Cause != "write" {
				t.Errorf("%+v", r)
			}
			if r := b.submit("modem0", number, text); r.Class != modem.Accepted {
				t.Errorf("after its return: %+v", r)
			}
			b.unviolated()
		})
	}
}

// TestCaseReplug is case 58: modems come back under each other's names and are
// known by their IMEI.
func TestCaseReplug(t *testing.T) {
	t.Parallel()
	b := start(t, at0(), modems(2), modem.PoolConfig{Ports: []string{"left=DIR/modem0", "right=DIR/modem1"}})
	left, right := b.line("left").IMEI(), b.line("right").IMEI()
	m := b.net.Modems()
	m[0].Unplug()
	m[1].Unplug()
	for i := range 2 {
		if err := m[i].Plug(b.path(1 - i)); err != nil {
			t.Fatal(err)
		}
	}
	b.until("both at each other's ports", func() bool {
		return b.status("left").Port == b.path(1) && b.status("right").Port == b.path(0) &&
			b.status("left").State == modem.Ready && b.status("right").State == modem.Ready
	})
	if b.line("left").IMEI() != left || b.line("right").IMEI() != right {
		t.Error("the names are another modem's")
	}
}

// TestCaseBlocked is case 59: a modem that takes no octets holds up itself
// alone, and Run still ends.
func TestCaseBlocked(t *testing.T) {
	t.Parallel()
	b := start(t, at0(), modems(2), modem.PoolConfig{})
	b.line("modem0")
	b.fault(0, sim.Fault{On: sim.OnCMGS, Do: sim.BlockWrites})
	blocked := make(chan modem.Result)
	go func() { blocked <- b.submit("modem0", number, text) }()
	if r := b.submit("modem1", number, text); r.Class != modem.Accepted {
		t.Errorf("the other modem: %+v", r)
	}
	if r := <-blocked; r.Class == modem.Accepted {
		t.Errorf("%+v", r)
	}
}

// TestCaseUnacknowledged is case 45: a modem that got no AT+CNMA in time turns
// its routing off, and is told again.
func TestCaseUnacknowledged(t *testing.T) {
	inVirtualTime(t, []sim.ModemConfig{{Profile: named(t, "forced-ack")}}, func(t *testing.T, b *bench, _ *memory) {
		b.fault(0, sim.Fault{On: sim.OnCommand, Match: regexp.MustCompile(`^AT\+CNMA`), Do: sim.ReplyError, Count: 3})
		for range 2 {
			if r := send(b.line("modem0")); r.Class != modem.Accepted {
				t.Fatalf("%+v", r)
			}
			time.Sleep(3 * time.Minute) // virtual
		}
		if reports, _ := b.received(); reports < 2 {
			t.Errorf("%d of 2 reports came", reports)
		}
		if b.told(modem.EventRouting) == 0 {
			t.Error("nobody was told that the routing was lost")
		}
	})
}

// TestCaseReset is case 60: a mute modem is told AT+CFUN=1,1, gives no answer,
// takes its port away for 20 s, and is used again when that is back.
func TestCaseReset(t *testing.T) {
	supervise(t, func(t *testing.T, s *supervised) {
		m := s.modem(sim.ModemConfig{})
		var muted atomic.Bool
		var heard atomic.Value // what is written to it then
		heard.Store("")
		s.bay.put("/dev/ttyUSB0", func() (wire.Port, error) {
			if !muted.Load() {
				return m.DialPort(0)
			}
			near, far := sim.Pipe()
			go func() {
				buf := make([]byte, 256)
				for n, err := far.Read(buf); err == nil; n, err = far.Read(buf) {
					heard.Store(heard.Load().(string) + string(buf[:n]))
				}
			}()
			return near, nil
		}, modem.USBPort{})
		s.begin("/dev/ttyUSB0")
		s.line("ttyUSB0")
		muted.Store(true)
		hang(t, m, time.Hour)
		s.until("restart", func() bool { return strings.Contains(heard.Load().(string), "\x1bAT+CFUN=1,1\r") })
		s.bay.take("/dev/ttyUSB0")
		time.Sleep(20 * time.Second) // virtual
		if s.status("ttyUSB0").State != modem.Down || s.events.count(modem.EventReset) != 1 {
			t.Errorf("%+v, %v", s.status("ttyUSB0"), s.events.kinds(""))
		}
		s.bay.put("/dev/ttyUSB0", dial(s.modem(sim.ModemConfig{}), 0), modem.USBPort{})
		s.within(10*time.Second, "ready modem", s.isReady("ttyUSB0"))
	})
}

// TestCaseBusy is case 61: a port that somebody else has open says so.
func TestCaseBusy(t *testing.T) {
	b := newBench(t, at0())
	b.dir = t.TempDir()
	m, err := b.net.NewModem(sim.ModemConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Open(b.path(0)); err != nil {
		t.Fatal(err)
	}
	port, err := modem.Devices{}.Open(b.path(0))
	if err != nil {
		t.Fatal(err)
	}
	b.run(modem.PoolConfig{Ports: []string{b.path(0)}})
	t.Cleanup(b.stop)
	b.until("an explanation", func() bool { return strings.Contains(b.status("modem0").Reason, "in use by") })
	if err := port.Close(); err != nil {
		t.Fatal(err)
	}
	b.line("modem0")
}

// TestTextsInPDUMode: a modem that says that it is in PDU mode and shows stored
// messages as in text mode is prepared anew once, and not for ever.
func TestTextsInPDUMode(t *testing.T) {
	runRaw(t, []rawCase{{
		name: "texts",
		adjust: func(m *rawModem) {
			m.answers["AT+CPMS?"] = "\r\n+CPMS: \"SM\",1,20,\"SM\",1,20,\"SM\",1,20\r\n" + okRaw
			m.answers["AT+CPMS=*"] = "\r\n+CPMS: 1,20,1,20,1,20\r\n" + okRaw
			m.answers["AT+CMGR=1"] = "\r\n+CMGR: \"REC READ\",\"+336\",,\"26/11/09,15:21:27+04\"\r\nhello\r\n" + okRaw
		},
		check: func(t *testing.T, b *bench, m *rawModem) {
			count := func(command string) (n int) {
				for _, c := range m.commands() {
					if c == command {
						n++
					}
				}
				return n
			}
			b.until("another look", func() bool { return count("AT+CMGR=1") >= 2 })
			b.until("message", func() bool { return send(b.line("raw")).Class == modem.Accepted })
			if n := count("AT+CGMI"); n > 2 {
				t.Errorf("prepared %d times", n)
			}
		},
	}})
}
