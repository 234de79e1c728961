package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// status is TP-ST of each delivery report in what a client was sent.
func statuses(t *testing.T, text string) []byte {
	t.Helper()
	var all []byte
	for _, line := range strings.Fields(text) {
		if b := []byte(line); len(b) > 40 && isHex(line) {
			o := octets(t, line)
			all = append(all, o[len(o)-1])
		}
	}
	return all
}

func TestReportDirect(t *testing.T) {
	virtual(t, NetworkConfig{Air: Fixed(0), Report: Fixed(time.Second)}, ModemConfig{FirstMR: 7}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		c.submit()
		accepted := m.network.Messages()[0].Accepted
		got := c.rest(time.Minute)
		want := fmt.Sprintf("\r\n+CDS: 25\r\n079144770098999906070B913316325476F8%X%X00\r\n", semiTime(accepted), semiTime(accepted.Add(time.Second)))
		if got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

func TestReportInMemory(t *testing.T) {
	for _, c := range []struct {
		profile    Profile
		announced  string
		read, gone string
	}{
		{Generic(), `+CDSI: "SR",1`, "AT+CMGR=1", "AT+CMGD=1"},
		{Quectel(), `+CDSI: "SM",0`, "AT+CMGR=0", "AT+CMGD=0"},
		{Huawei(), `+CDSI: "SM",0`, "AT+CMGR=0", "AT+CMGD=0"},
	} {
		t.Run(c.profile.Name, func(t *testing.T) {
			virtual(t, at0(), ModemConfig{Profile: c.profile}, func(t *testing.T, _ *Modem, cl *client) {
				cl.prepare()
				cl.want("AT+CNMI=2,1,0,2,0", "OK")
				cl.submit()
				if got := cl.rest(time.Second); got != "\r\n"+c.announced+"\r\n" {
					t.Errorf("%q", got)
				}
				if c.profile.Name != "e3531" {
					if c.profile.EmptyIsOK { // announced in "SM", and not there
						cl.want(c.read, "OK")
					}
					cl.do(`AT+CPMS="SR"`)
				}
				lines := cl.do(c.read)
				if lines[0] != "+CMGR: 0,,25" || len(statuses(t, lines[1])) != 1 {
					t.Errorf("%q", lines)
				}
				cl.want(c.gone, "OK")
				if lines := cl.do(c.read); len(lines) != 1 {
					t.Errorf("after deletion: %q", lines)
				}
			})
		})
	}
}

// TestReportWaits: the service centre keeps what the modem can't take.
func TestReportWaits(t *testing.T) {
	virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		c.want("AT+CNMI=2,1,0,0,0", "OK")
		c.submit()
		if got := c.rest(time.Minute); got != "" {
			t.Errorf("without a route: %q", got)
		}
		m.Unplug()
		if err := m.Plug(""); err != nil {
			t.Fatal(err)
		}
		c2 := dial(t, m)
		c2.rest(time.Minute)
		c2.do("ATE0")
		c2.want("AT+CNMI=2,1,0,1,0", "OK")
		if got := c2.rest(time.Second); len(statuses(t, got)) != 1 {
			t.Errorf("with one, after a replug: %q", got)
		}
		c2.line.Close()
	})
}

func TestMessageIn(t *testing.T) {
	const from = "+33600000000"
	virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		m.Receive(from, "hellohello")
		got := strings.Fields(c.rest(time.Second))
		want := fmt.Sprintf("07914477009899990" + "40B913306000000F00000")
		if len(got) != 3 || got[1] != ",28" && got[1] != ",29" || !strings.HasPrefix(got[2], want) || !strings.HasSuffix(got[2], "0AE8329BFD4697D9EC37") {
			t.Errorf("+CMT: %q", got)
		}
		c.want("AT+CNMI=2,1,0,1,0", "OK")
		m.Receive(from, "two")
		c.until(time.Second, "+CMTI: \"SM\",1\r\n")
		c.want("AT+CNMI=0,1,0,1,0", "OK")
		m.Receive("Bank", "three")
		if got := c.rest(time.Second); got != "" {
			t.Errorf("AT+CNMI=0: %q", got)
		}
		c.want("AT+CPMS?", `+CPMS: "SM",2,20,"SM",2,20,"SM",2,20 / OK`)
		c.want("AT+CMGF=1", "OK")
		lines := c.do(`AT+CMGL="ALL"`)
		if len(lines) != 5 || !strings.HasPrefix(lines[0], `+CMGL: 1,"REC UNREAD","+33600000000",,"`) || lines[1] != "two" ||
			!strings.HasPrefix(lines[2], `+CMGL: 2,"REC UNREAD","Bank"`) {
			t.Errorf("%q", lines)
		}
		c.want(`AT+CMGL="REC UNREAD"`, "OK")
		c.want("AT+CMGD=1,1", "OK")
		c.want("AT+CMGL=\"ALL\"", "OK")
	})
}

// TestMemoryFull: a full memory stops reception until room is made.
func TestMemoryFull(t *testing.T) {
	p := Huawei()
	p.Memories = []Memory{{Name: "SM", Slots: 2}}
	virtual(t, at0(), ModemConfig{Profile: p}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		c.want("AT+CNMI=2,1,0,1,0", "OK")
		for range 3 {
			m.Receive("12", "x")
		}
		if got := c.rest(time.Second); !strings.HasSuffix(got, "+CMTI: \"SM\",1\r\n\r\n^SMMEMFULL: \"SM\"\r\n") {
			t.Errorf("%q", got)
		}
		c.want("AT+CMGD=0", "OK")
		c.until(time.Second, "+CMTI: \"SM\",0\r\n")
		c.want("AT+CMGD=0,4", "OK")
		c.want("AT+CPMS?", `+CPMS: "SM",0,2,"SM",0,2,"SM",0,2 / OK`)
	})
}

// TestAcknowledge: with AT+CSMS=1 each report waits for AT+CNMA; without it in
// time the modem routes no more, and the report comes again.
func TestAcknowledge(t *testing.T) {
	virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		c.want("AT+CSMS=1", "+CSMS: 1,1,1 / OK")
		c.submit()
		c.until(time.Second, "+CDS: 25\r\n")
		c.rest(time.Second)
		c.submit()
		if got := c.rest(time.Second); got != "" {
			t.Errorf("a second one before AT+CNMA: %q", got)
		}
		c.want("AT+CNMA", "OK")
		c.until(time.Second, "+CDS: 25\r\n")
		c.rest(time.Minute) // no AT+CNMA
		c.want("AT+CNMI?", "+CNMI: 2,0,0,0,0 / OK")
		c.want("AT+CNMA", "+CMS ERROR: 340")
		c.want("AT+CNMI=2,1,0,1,0", "OK")
		c.until(time.Second, "+CDS: 25\r\n")
		c.rest(time.Second)
		c.want("AT+CNMA", "OK")
		if got := c.rest(time.Minute); got != "" {
			t.Errorf("one report too many: %q", got)
		}
		c.want("AT+CNMI?", "+CNMI: 2,1,0,1,0 / OK")

		c.submit()
		c.until(time.Second, "+CDS: 25\r\n")
		if err := m.Reboot(); err != nil { // before AT+CNMA
			t.Fatal(err)
		}
		c.until(time.Minute, "SMS Ready\r\n")
		c.prepare()
		c.until(time.Second, "+CDS: 25\r\n")
	})
}

// TestModemToModem: a message to another modem's number arrives there.
func TestModemToModem(t *testing.T) {
	virtual(t, at0(), ModemConfig{Number: "+33600000000"}, func(t *testing.T, m *Modem, c *client) {
		other, err := m.network.NewModem(ModemConfig{Number: helloTo})
		if err != nil {
			t.Fatal(err)
		}
		oc := dial(t, other)
		oc.prepare()
		c.prepare()
		c.submit()
		got := oc.until(time.Second, "0A", "05E8329BFD06\r\n")
		if !strings.Contains(got, "+CMT: ,") || !strings.Contains(got, "0B913306000000F0") {
			t.Errorf("%q", got)
		}
		oc.line.Close()
	})
}

func TestReportTextMode(t *testing.T) {
	virtual(t, at0(), ModemConfig{FirstMR: 9}, func(t *testing.T, _ *Modem, c *client) {
		c.prepare()
		c.submit()
		c.rest(time.Second)
		c.want("AT+CMGF=1;+CSMP=49,0,0,0", "OK")
		c.write("AT+CMGS=\"" + helloTo + "\"\r")
		c.until(time.Second, "> ")
		c.write("hi\x1a")
		c.lines()
		if got := c.rest(time.Second); !strings.HasPrefix(got, "\r\n+CDS: 6,10,\"+33612345678\",145,\"") || !strings.HasSuffix(got, "\",0\r\n") {
			t.Errorf("%q", got)
		}
	})
}

func TestIdentities(t *testing.T) {
	if got := withCheckDigit("49015420323751"); got != "490154203237518" { // the example of many texts on IMEI
		t.Errorf("%s", got)
	}
	n := NewNetwork(at0())
	defer n.Close()
	seen := map[string]bool{}
	for range 50 {
		m, err := n.NewModem(ModemConfig{})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{m.IMEI(), m.IMSI(), m.Number(), m.config.ICCID} {
			if seen[id] {
				t.Errorf("%s twice", id)
			}
			seen[id] = true
		}
		if len(m.IMEI()) != 15 || len(m.IMSI()) != 15 || withCheckDigit(m.IMEI()[:14]) != m.IMEI() {
			t.Errorf("IMEI %s, IMSI %s", m.IMEI(), m.IMSI())
		}
	}
	if _, err := ProfileNamed("nokia"); err == nil {
		t.Error("an unknown profile is known")
	}
	for name, own := range map[string]string{"generic": "generic", "sim800": "sim800", "quectel": "ec25", "huawei": "e3531"} {
		if p, err := ProfileNamed(name); err != nil || p.Name != own {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAcknowledgeStrict: AT+CNMA that nothing waits for is told off, unless it
// only crossed the end of the window; one with 2 refuses.
func TestAcknowledgeStrict(t *testing.T) {
	p := Generic()
	p.AckWindow = 5 * time.Second
	virtual(t, at0(), ModemConfig{Profile: p}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		c.want("AT+CNMA", "+CMS ERROR: 340")
		wantViolations(t, m, ViolationAck)
		c.want("AT+CSMS=1", "+CSMS: 1,1,1 / OK")
		c.submit()
		c.rest(6 * time.Second)
		c.want("AT+CNMA", "+CMS ERROR: 340") // late
		wantViolations(t, m, ViolationAck)
		c.want("AT+CNMI=2,1,0,1,0", "OK")
		c.until(time.Second, "+CDS: 25\r\n")
		c.rest(time.Second)
		c.want("AT+CNMA=3", "+CMS ERROR: 303")
		c.want("AT+CNMA=2", "OK")
		if got := c.rest(20 * time.Second); got != "" {
			t.Errorf("refused, and here again: %q", got)
		}
		c.until(time.Minute, "+CDS: 25\r\n")
		c.rest(time.Second)
		c.want("AT+CNMA=1", "OK")
		c.want("AT+CNMA=1", "+CMS ERROR: 340")
		wantViolations(t, m, ViolationAck, ViolationAck)
	})
}
