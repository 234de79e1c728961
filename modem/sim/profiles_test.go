package sim

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestProfiles: a simple driver sends, receives and is told of delivery with
// every profile, as far as what the profile stands for allows.
func TestProfiles(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range profiles() {
		if seen[p.Name] {
			t.Errorf("%s twice", p.Name)
		}
		seen[p.Name] = true
		t.Run(p.Name, func(t *testing.T) {
			virtual(t, at0(), ModemConfig{Profile: p}, func(t *testing.T, m *Modem, c *client) {
				if err := m.Reboot(); err != nil {
					t.Fatal(err)
				}
				c.rest(2 * time.Second)
				c.do("ATE0+CMEE=1")
				c.do("AT+CFUN=1")
				c.do("AT+CREG?")
				c.do("AT+CREG?")
				for range p.SIMBusy {
					c.do("AT+CIMI")
				}
				c.do("AT+CMGF=0")
				c.do("AT+CSMS=0")
				if p.URCsAfter != "" {
					c.want(p.URCsAfter, "OK")
				}
				route(c)
				answer := strings.Join(c.submit(), " ")
				if !strings.Contains(strings.ReplaceAll(answer, " ", ""), "+CMGS:0") || m.network.Total() != 1 {
					t.Fatalf("sending: %q", answer)
				}
				said := c.rest(3 * time.Second)
				if strings.Contains(said, "+CDS: ") && p.CSMS == "1" {
					c.want("AT+CNMA", "OK")
				}
				reports := len(statuses(t, said+" "+storedOn(c, p)))
				if want := !p.NoReports && !p.CNMIIgnored; (reports == 1) != want {
					t.Errorf("%d reports; the modem said %q", reports, said)
				}
				m.Receive("+33600000000", "hellohello")
				said = c.rest(3*time.Second) + storedOn(c, p)
				if got := strings.Contains(said, "E8329BFD4697D9EC37"); got != (len(p.Memories) > 0) {
					t.Errorf("received: %v; the modem said %q", got, said)
				}
				wantViolations(t, m)
			})
		})
	}
	for _, name := range strings.Fields("k3715 n79 m26 ec25 bg96 trm240 sim800 sim7600 sim7000 e3531 e3276 e173 e1750 mu509 mf180 mf626 mc35i qualcomm") {
		if !seen[name] {
			t.Errorf("no %s", name)
		}
	}
}

// route tries the settings of AT+CNMI that drivers try, best first.
func route(c *client) {
	for _, set := range []string{"2,1,0,1,0", "2,1,0,1,1", "2,1,2,1,0", "2,1,0,1", "2,1,0,2,0"} {
		if lines := c.do("AT+CNMI=" + set); lines[0] == "OK" {
			return
		}
	}
}

// storedOn is all that lies in the memories, which it empties.
func storedOn(c *client, p Profile) string {
	var all []string
	for _, mem := range p.Memories {
		if mem.SameAs != "" {
			continue
		}
		c.do(fmt.Sprintf(`AT+CPMS="%s"`, mem.Name))
		for i := range mem.Slots {
			lines := c.do(fmt.Sprintf("AT+CMGR=%d", i+p.FirstIndex))
			if len(lines) == 3 && !strings.HasPrefix(lines[1], "0006000081") {
				all = append(all, lines[1])
				c.do(fmt.Sprintf("AT+CMGD=%d", i+p.FirstIndex))
			}
		}
	}
	return strings.Join(all, " ")
}

// TestQuirks holds what the fields of Profile do, each alone.
func TestQuirks(t *testing.T) {
	type exchange struct{ command, answer string }
	for _, c := range []struct {
		name   string
		change func(*Profile)
		pin    string
		talk   []exchange
	}{
		{"no space", func(p *Profile) { p.NoSpace = true }, "", []exchange{
			{"AT+CPIN?", "+CPIN:READY / OK"}, {"AT+CMEE=1", "OK"}, {"AT+NEVER", "+CME ERROR:100"}, {"AT+CMGR=1", "+CMS ERROR:321"},
		}},
		{"no OK", func(p *Profile) { p.NoOK = []string{"AT+CPIN?"} }, "", []exchange{{"AT+CPIN?;+CMEE?", "+CPIN: READY / +CMEE: 0 / OK"}}},
		{"lines in front", func(p *Profile) { p.Inserts = map[string][]string{"AT+CSQ": {"^RSSI:26", "^MODE:5"}} }, "", []exchange{
			{"AT+CSQ", "^RSSI:26 / ^MODE:5 / +CSQ: 23,99 / OK"},
		}},
		{"unknown", func(p *Profile) { p.Unknown, p.UnknownAnswer = []string{"+CIMI"}, "COMMAND NOT SUPPORT ERROR" }, "", []exchange{
			{"AT+CIMI", "COMMAND NOT SUPPORT ERROR"}, {"AT^X", "COMMAND NOT SUPPORT ERROR"}, {"AT+C5GREG?", "COMMAND NOT SUPPORT ERROR"},
		}},
		{"SIM busy", func(p *Profile) { p.SIMBusy = 2 }, "1234", []exchange{
			{"AT+CMEE=1", "OK"},
			{"AT+CPIN?", "+CME ERROR: 14"},
			{"AT+CMGF=0", "+CMS ERROR: 314"},
			{"AT+CPIN?", "+CPIN: SIM PIN / OK"},
			{"AT+CPIN=1234", "OK"},
			{"AT+CIMI", "+CME ERROR: 14"},
			{"AT+CPIN?", "+CME ERROR: 14"},
			{"AT+CPIN?", "+CPIN: READY / OK"},
		}},
		{"busy after CFUN", func(p *Profile) { p.FunctionBusy, p.BootCFUN = 2, 4 }, "", []exchange{
			{"AT+CMEE=1", "OK"},
			{"AT+CFUN?", "+CFUN: 4 / OK"},
			{"AT+CREG?", "+CREG: 0,0 / OK"},
			{"AT+CFUN=1", "OK"},
			{"AT+CREG?", "+CME ERROR: 515"},
			{"AT+CMGF=0", "+CME ERROR: 515"},
			{"AT+CREG?", "+CREG: 0,1 / OK"},
		}},
		{"off at the start", func(p *Profile) { p.BootCFUN = -1 }, "", []exchange{{"AT+CFUN?", "+CFUN: 0 / OK"}}},
		{"PIN required", func(p *Profile) { p.PINRequired = "+CME ERROR: 11" }, "1234", []exchange{{"AT+CMGF=0", "+CME ERROR: 11"}}},
		{"tries +CPINR", func(*Profile) {}, "1234", []exchange{
			{"AT+CPIN=1", "ERROR"},
			{`AT+CPINR="SIM PIN"`, "+CPINR: SIM PIN,2,3 / OK"},
			{"AT+CPINR", "+CPINR: SIM PIN,2,3 / +CPINR: SIM PUK,10,10 / +CPINR: SIM PIN2,3,3 / +CPINR: SIM PUK2,10,10 / OK"},
			{"AT^CPIN?", "ERROR"},
		}},
		{"tries ^CPIN", func(p *Profile) { p.PINTries = "^CPIN" }, "1234", []exchange{{"AT^CPIN?", "^CPIN: SIM PIN,3,10,3,10,3 / OK"}, {"AT+CPINR", "ERROR"}}},
		{"tries +QPINC", func(p *Profile) { p.PINTries = "+QPINC" }, "", []exchange{
			{`AT+QPINC="SC"`, `+QPINC: "SC",3,10 / OK`}, {"AT+QPINC?", `+QPINC: "SC",3,10 / +QPINC: "P2",3,10 / OK`},
		}},
		{"tries +SPIC", func(p *Profile) { p.PINTries = "+SPIC" }, "", []exchange{{"AT+SPIC", "+SPIC: 3,10,3,10 / OK"}}},
		{"tries #PCT", func(p *Profile) { p.PINTries = "#PCT" }, "", []exchange{{"AT#PCT", "#PCT: 3 / OK"}}},
		{"tries ^SPIC", func(p *Profile) { p.PINTries = "^SPIC" }, "", []exchange{{"AT^SPIC", "^SPIC: 3 / OK"}}},
		{"tries +CPINC", func(p *Profile) { p.PINTries = "+CPINC" }, "", []exchange{{"AT+CPINC?", "+CPINC: 3,3,10,10 / OK"}}},
		{"tries +UPINCNT", func(p *Profile) { p.PINTries = "+UPINCNT" }, "", []exchange{{"AT+UPINCNT", "+UPINCNT: 3,3,10,10 / OK"}}},
		{"registration with cause and saving", func(p *Profile) {
			p.RegistrationModes = [len(domains)]string{"0-3", "0-2", "0-5", "0-3"}
			p.Registration = [len(domains)]int{3, 1, 1, 1}
		}, "", []exchange{
			{"AT+CREG=3;+CREG?", "+CREG: 3,3,,,,0,15 / OK"},
			{"AT+CGREG=2;+CGREG?", `+CGREG: 2,1,"0001","00000001",7,"01" / OK`},
			{"AT+CEREG=4;+CEREG?", `+CEREG: 4,1,"0001","00000001",7,,,"00100010","00011111" / OK`},
			{"AT+C5GREG=2;+C5GREG?", `+C5GREG: 2,1,"000001","000000001",11,4,"01.D143A5" / OK`},
			{"AT+CREG=4", "ERROR"},
			{"AT+CREG=?", "+CREG: (0-3) / OK"},
		}},
		{"registration without quotes", func(p *Profile) { p.RegistrationBare = true }, "", []exchange{{"AT+CREG=2;+CREG?", "+CREG: 2,1,0001,00000001,7 / OK"}}},
		{"signal", func(p *Profile) { p.Signal = 99 }, "", []exchange{{"AT+CSQ", "+CSQ: 99,99 / OK"}}},
		{"CNMI ignored", func(p *Profile) { p.CNMIIgnored = true }, "", []exchange{{"AT+CNMI=2,1,0,1,0;+CNMI?", "+CNMI: 0,0,0,0,0 / OK"}}},
		{"CNMI with four", func(p *Profile) { p.CNMICount = 4 }, "", []exchange{{"AT+CNMI=2,1,0,1,0", "+CMS ERROR: 304"}, {"AT+CNMI=2,1,0,1", "OK"}}},
		{"CNMI at the start", func(p *Profile) { p.CNMIStart = [5]int{2, 1} }, "", []exchange{{"AT+CNMI?", "+CNMI: 2,1,0,0,0 / OK"}}},
		{"CSMS", func(p *Profile) { p.CSMS, p.CSMSStart = "1", 1 }, "", []exchange{{"AT+CSMS=0", "+CMS ERROR: 303"}, {"AT+CSMS?", "+CSMS: 1,1,1,1 / OK"}}},
		{"CSMP", func(p *Profile) { p.CSMPWipesSMSC, p.NoSMSC = true, `+CSCA: "",129` }, "", []exchange{
			{"AT+CSCA?", `+CSCA: "+447700899999",145 / OK`}, {"AT+CSMP=17,167,0,0", "OK"}, {"AT+CSCA?", `+CSCA: "",129 / OK`},
		}},
		{"two memories", func(p *Profile) { p.MemoriesCount = 2 }, "", []exchange{
			{`AT+CPMS="SM","SM","SM"`, "+CMS ERROR: 302"}, {`AT+CPMS="ME","SM"`, "+CPMS: 0,50,0,20,0,20 / OK"},
		}},
		{"third memory", func(p *Profile) { p.ReceiveMemories, p.MemoriesStart = []string{"SM"}, [3]string{"ME", "SM", "SM"} }, "", []exchange{
			{"AT+CPMS?", `+CPMS: "ME",0,50,"SM",0,20,"SM",0,20 / OK`},
			{"AT+CPMS=?", `+CPMS: ("SM","ME","SR"),("SM","ME","SR"),("SM") / OK`},
			{`AT+CPMS="SM","SM","ME"`, "+CMS ERROR: 302"},
		}},
		{"another name", func(p *Profile) { p.Memories = []Memory{{Name: "MT", SameAs: "SM"}, {Name: "SM", Slots: 3}} }, "", []exchange{
			{`AT+CPMS="MT","SM"`, "+CPMS: 0,3,0,3,0,3 / OK"},
		}},
		{"blank", func(p *Profile) { p.EmptyIsBlank = true }, "", []exchange{{"AT+CMGR=1", "+CMGR: 0,,19 / 0006000081000000000000000000000000000000"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Generic()
			c.change(&p)
			virtual(t, at0(), ModemConfig{Profile: p, PIN: c.pin}, func(t *testing.T, m *Modem, cl *client) {
				cl.do("ATE0")
				for _, e := range c.talk {
					if strings.HasSuffix(e.answer, "OK") || strings.Contains(e.answer, "ERROR") {
						cl.want(e.command, e.answer)
						continue
					}
					cl.write(e.command + "\r")
					lines := slices.DeleteFunc(strings.Split(cl.rest(time.Second), "\r\n"), func(s string) bool { return s == "" || s == "OK" })
					if got := strings.Join(lines, " / "); got != e.answer {
						t.Errorf("%s: %s, want %s", e.command, got, e.answer)
					}
				}
				wantViolations(t, m)
			})
		})
	}
}

// TestNoOKAtEnd: the last command of a line gives no final result at all.
func TestNoOKAtEnd(t *testing.T) {
	p := Generic()
	p.NoOK = []string{"AT+CPIN?"}
	virtual(t, at0(), ModemConfig{Profile: p}, func(t *testing.T, _ *Modem, c *client) {
		c.do("ATE0")
		c.write("AT+CPIN?\r")
		if got := c.rest(time.Minute); got != "\r\n+CPIN: READY\r\n" {
			t.Errorf("%q", got)
		}
		c.want("AT", "OK")
	})
}

func TestChatter(t *testing.T) {
	p := Generic()
	p.Chatter = []Chatter{{Line: "^RSSI:22", Every: 10 * time.Second, Off: "AT^CURC=0"}, {Line: "+CSQ: 1,99", Every: 40 * time.Second}}
	p.Answers = map[string][]string{"AT^CURC=0": {"OK"}}
	virtual(t, at0(), ModemConfig{Profile: p}, func(t *testing.T, m *Modem, c *client) {
		c.do("ATE0")
		if got := strings.Count(c.rest(35*time.Second), "^RSSI:22\r\n"); got != 3 {
			t.Errorf("%d lines", got)
		}
		c.want("AT^CURC=0", "OK")
		if got := c.rest(30 * time.Second); got != "\r\n+CSQ: 1,99\r\n" {
			t.Errorf("%q", got)
		}
		if err := m.Reboot(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(c.rest(35*time.Second), "^RSSI:22\r\n"); got != 3 {
			t.Errorf("%d lines after a start", got)
		}
	})
}

func TestReferences(t *testing.T) {
	for kind, want := range map[References]string{
		ReferencesCount: "5 6 7 8", ReferencesZero: "0 0 0 0", ReferencesSkip: "5 8 11 14", ReferencesRestart: "5 6 5 6",
	} {
		p := Generic()
		p.References = kind
		virtual(t, at0(), ModemConfig{Profile: p, FirstMR: 5}, func(t *testing.T, m *Modem, c *client) {
			for i := range 4 {
				if i == 2 {
					if err := m.Reboot(); err != nil {
						t.Fatal(err)
					}
					c.rest(time.Second)
				}
				c.prepare()
				c.submit()
				c.rest(time.Second)
			}
			var got []string
			for _, msg := range m.network.Messages() {
				got = append(got, fmt.Sprint(msg.MR))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s: %s, want %s", kind, strings.Join(got, " "), want)
			}
		})
	}
}

func TestSubmitTime(t *testing.T) {
	p := Generic()
	p.SubmitTime = true
	virtual(t, at0(), ModemConfig{Profile: p}, func(t *testing.T, _ *Modem, c *client) {
		c.prepare()
		if got := c.submit()[0]; !regexp.MustCompile(`^\+CMGS: 0,"\d\d/\d\d/\d\d,\d\d:\d\d:\d\d\+00"$`).MatchString(got) {
			t.Errorf("%q", got)
		}
	})
}

// TestTraps: a report is stored elsewhere than it is said to be.
func TestTraps(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*Profile)
		announced string
		memory    string
	}{
		"another index":  {func(p *Profile) { p.ReportAnnouncement = `"SR",8` }, "\r\n+CDSI: \"SR\",8\r\n", "SR"},
		"another memory": {func(p *Profile) { p.ReportMemory, p.ReportAnnouncement = "ME", `"SM",0` }, "\r\n+CDSI: \"SM\",0\r\n", "ME"},
		"nowhere":        {func(p *Profile) { p.ReportAnnouncement = ",-1" }, "\r\n+CDSI: ,-1\r\n", "SR"},
		"not a word":     {func(p *Profile) { p.ReportAnnouncement = NoAnnouncement }, "", "SR"},
		"until a command": {func(p *Profile) {
			p.URCsAfter = "AT^PORTSEL=1"
		}, "", "SR"},
	} {
		t.Run(name, func(t *testing.T) {
			p := Generic()
			c.change(&p)
			virtual(t, at0(), ModemConfig{Profile: p}, func(t *testing.T, _ *Modem, cl *client) {
				cl.prepare()
				cl.want("AT+CNMI=2,1,0,2,0", "OK")
				cl.submit()
				if got := cl.rest(time.Second); got != c.announced {
					t.Errorf("%q", got)
				}
				cl.do(`AT+CPMS="` + c.memory + `"`)
				if lines := cl.do("AT+CMGR=1"); len(lines) != 3 || len(statuses(t, lines[1])) != 1 {
					t.Errorf("%q", lines)
				}
			})
		})
	}
}

// TestListHangs: AT+CMGL=4 stands still, and asking for it is told off.
func TestListHangs(t *testing.T) {
	p := Generic()
	p.CMGLHangs = 500 * time.Second
	virtual(t, at0(), ModemConfig{Profile: p}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		c.want("AT+CMGL=0", "OK")
		c.write("AT+CMGL=4\r")
		if got := c.rest(499 * time.Second); got != "" {
			t.Errorf("%q", got)
		}
		c.until(2*time.Second, "OK\r\n")
		wantViolations(t, m, ViolationHangs)
	})
}

// TestLinesWithin: a line inside an echo, and one between answer and OK.
func TestLinesWithin(t *testing.T) {
	faults := []Fault{
		{On: OnCommand, Match: regexp.MustCompile("CSQ"), Do: URCInEcho, Text: "^RSSI:1"},
		{On: OnCommand, Match: regexp.MustCompile("CSQ"), Do: URCInAnswer, Text: "^RSSI:2"},
	}
	virtual(t, at0(), ModemConfig{Faults: faults}, func(t *testing.T, _ *Modem, c *client) {
		c.write("AT+CSQ\r")
		if got, want := c.rest(time.Second), "AT+\r\n^RSSI:1\r\nCSQ\r\r\n+CSQ: 23,99\r\n\r\n^RSSI:2\r\n\r\nOK\r\n"; got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		c.do("ATE0")
		c.write("AT+CSQ\r")
		if got, want := c.rest(time.Second), "\r\n^RSSI:1\r\n\r\n+CSQ: 23,99\r\n\r\n^RSSI:2\r\n\r\nOK\r\n"; got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

// TestLosesCommands: some modems lose what comes right behind their answers, or
// wakes them.
func TestLosesCommands(t *testing.T) {
	const while = 100 * time.Millisecond
	for _, c := range []struct {
		name        string
		deaf        time.Duration
		sleeps      time.Duration
		pause       time.Duration
		heard, next bool // the command behind the pause, and the one behind that
	}{
		{"deaf", while, 0, while - time.Millisecond, false, true},
		{"deaf no more", while, 0, while, true, true},
		{"awake", 0, 5 * time.Second, 4 * time.Second, true, true},
		{"asleep", 0, 5 * time.Second, 5 * time.Second, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Generic()
			p.Boot, p.EchoOff, p.Deaf, p.Sleeps = nil, true, c.deaf, c.sleeps
			virtual(t, at0(), ModemConfig{Profile: p}, func(t *testing.T, _ *Modem, cl *client) {
				cl.gap = 0
				cl.write("AT\r")
				cl.until(time.Second, "OK\r\n")
				for _, want := range []bool{c.heard, c.next} {
					time.Sleep(c.pause)
					cl.write("AT\r")
					if got := strings.Contains(cl.rest(time.Second), "OK"); got != want {
						t.Errorf("heard: %v", got)
					}
					c.pause = time.Second
				}
			})
		})
	}
}
