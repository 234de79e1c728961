package sim

import (
	"strings"
	"testing"
	"time"
)

// TestLine holds the bytes that come back to V.250.
func TestLine(t *testing.T) {
	for _, c := range []struct{ name, in, out string }{
		{"echo", "AT\r", "AT\r\r\nOK\r\n"},
		{"small letters", "at\r", "at\r\r\nOK\r\n"},
		{"no AT, no answer", "hello\r", "hello\r"},
		{"LF is ignored", "AT\r\n", "AT\r\r\nOK\r\n\n"},
		{"junk before AT", "xy\x1bAT\r", "xyAT\r\r\nOK\r\n"},
		{"backspace", "ATX\bE0\r", "ATX\bE0\r\r\nOK\r\n"},
		{"repeat", "ATE0+CMEE?\rA/", "ATE0+CMEE?\r\r\n+CMEE: 0\r\n\r\nOK\r\n\r\n+CMEE: 0\r\n\r\nOK\r\n"},
		{"no echo from the next line on", "ATE0\rAT\r", "ATE0\r\r\nOK\r\n\r\nOK\r\n"},
		{"numeric results", "ATE0V0\rAT\rAT+X\r", "ATE0V0\r0\r0\r4\r"},
		{"no results", "ATE0Q1\rAT\r", "ATE0Q1\r"},
		{"one result for a line", "ATE0+CMEE=1;+CMEE?;+CSQ\r", "ATE0+CMEE=1;+CMEE?;+CSQ\r\r\n+CMEE: 1\r\n\r\n+CSQ: 23,99\r\n\r\nOK\r\n"},
		{"the first failure ends the line", "ATE0+X;+CSQ\r", "ATE0+X;+CSQ\r\r\nERROR\r\n"},
		{"a quoted semicolon", "ATE0+CSCS=\"a;b\"\r", "ATE0+CSCS=\"a;b\"\r\r\nERROR\r\n"},
		{"an open quote", "ATE0+CSCS=\"GSM\r", "ATE0+CSCS=\"GSM\r\r\nERROR\r\n"},
		{"S registers", "ATE0S3?S4?\r", "ATE0S3?S4?\r\r\n013\r\n\r\n010\r\n\r\nOK\r\n"},
		{"setting one", "ATE0S0=0\r", "ATE0S0=0\r\r\nOK\r\n"},
		{"unknown basic command", "ATE0Y\r", "ATE0Y\r\r\nERROR\r\n"},
		{"dialling", "ATE0D123;\r", "ATE0D123;\r\r\nNO CARRIER\r\n"},
		{"an endless line", "AT+" + strings.Repeat("x", 5000) + "\r", "AT+" + strings.Repeat("x", 5000) + "\r\r\nERROR\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, cl *client) {
				cl.write(c.in)
				if got := cl.rest(time.Second); got != c.out {
					t.Errorf("got  %q\nwant %q", got, c.out)
				}
				wantViolations(t, m)
			})
		})
	}
}

func TestProfileLines(t *testing.T) {
	p := Generic()
	p.EOL = "\r\r\n"
	p.EchoOff = true
	p.Answers = map[string][]string{"AT+CGMM": {"A", "B", "OK"}}
	virtual(t, at0(), ModemConfig{Profile: p}, func(t *testing.T, _ *Modem, c *client) {
		c.write("AT+CGMM\r")
		if got, want := c.rest(time.Second), "\r\r\nA\r\r\nB\r\r\n\r\r\nOK\r\r\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestCommands holds single commands of a modem that has just started.
func TestCommands(t *testing.T) {
	for command, want := range map[string]string{
		"AT+CGMI":                     "smsotpd / OK",
		"AT+CGSN":                     "001017000000011 / OK",
		"AT+CIMI":                     "001010000000001 / OK",
		"AT+CCID":                     "+CCID: 8944000000000000019 / OK",
		"AT+CNUM":                     `+CNUM: "","+447700900000",145 / OK`,
		"AT+GCAP":                     "+GCAP: +CGSM / OK",
		"ATI":                         "smsotpd / Simulated modem / Revision: 1 / OK",
		"AT+CPIN?":                    "+CPIN: READY / OK",
		`AT+CPIN="1234"`:              "ERROR",
		"AT+CFUN?":                    "+CFUN: 1 / OK",
		"AT+CFUN=4;+CFUN?":            "+CFUN: 4 / OK",
		"AT+CFUN=7":                   "ERROR",
		"AT+CMEE=2;+CFUN=7":           "+CME ERROR: operation not allowed",
		"AT+CMEE=1;+CFUN=7":           "+CME ERROR: 3",
		"AT+CMEE=3":                   "ERROR",
		"AT+CREG?":                    "+CREG: 0,1 / OK",
		"AT+CEREG=2;+CEREG?":          `+CEREG: 2,1,"0001","00000001",7 / OK`,
		"AT+CREG=?":                   "+CREG: (0-2) / OK",
		"AT+C5GREG?":                  "ERROR",
		"AT+CFUN=0;+CREG?":            "+CREG: 0,0 / OK",
		"AT+COPS?":                    `+COPS: 0,0,"Simulated",7 / OK`,
		"AT+CSQ=?":                    "+CSQ: (0-31,99),(0-7,99) / OK",
		`AT+CSCS="UCS2";+CSCS?`:       `+CSCS: "UCS2" / OK`,
		"AT+CSMS?":                    "+CSMS: 0,1,1,1 / OK",
		"AT+CSMS=1":                   "+CSMS: 1,1,1 / OK",
		"AT+CSMS=2":                   "+CMS ERROR: 303",
		"AT+CMGF?":                    "+CMGF: 0 / OK",
		"AT+CMGF=2":                   "+CMS ERROR: 303",
		"AT+CSCA?":                    `+CSCA: "+447700899999",145 / OK`,
		`AT+CSCA="+33609";+CSCA?`:     `+CSCA: "+33609",145 / OK`,
		"AT+CPMS=?":                   `+CPMS: ("SM","ME","SR"),("SM","ME","SR"),("SM","ME","SR") / OK`,
		`AT+CPMS="ME","ME","SR"`:      "+CPMS: 0,50,0,50,0,20 / OK",
		`AT+CPMS="MT"`:                "+CMS ERROR: 302",
		"AT+CPMS?":                    `+CPMS: "SM",0,20,"SM",0,20,"SM",0,20 / OK`,
		"AT+CNMI=?":                   "+CNMI: (0-2),(0-3),(0,2),(0-2),(0,1) / OK",
		"AT+CNMI?":                    "+CNMI: 0,0,0,0,0 / OK",
		"AT+CNMI=2,1,0,1,0;+CNMI?":    "+CNMI: 2,1,0,1,0 / OK",
		"AT+CNMI=2,1;+CNMI=,,,2":      "OK",
		"AT+CNMI=2,,,2;+CNMI?":        "+CNMI: 2,0,0,2,0 / OK",
		"AT+CNMI=3":                   "+CMS ERROR: 303",
		"AT+CNMI=2,1,1,0,0":           "+CMS ERROR: 303",
		"AT+CNMI=2,1,0,0,0,0":         "+CMS ERROR: 304",
		"AT+CNMI=x":                   "+CMS ERROR: 304",
		"AT+CMGR=0":                   "+CMS ERROR: 321",
		"AT+CMGR=1":                   "+CMS ERROR: 321",
		"AT+CMGL=5":                   "+CMS ERROR: 304",
		"AT+CMGL=4":                   "OK",
		"AT+CMGD=21":                  "+CMS ERROR: 321",
		"AT+CMGD=1":                   "OK",
		"AT+CNMA":                     "+CMS ERROR: 340",
		"AT+CMMS=2;+CMMS?":            "+CMMS: 2 / OK",
		"AT+CMGF=1;+CSMP=,0;+CSMP?":   "+CSMP: 17,0,0,0 / OK",
		"AT+CSMP=300":                 "+CMS ERROR: 305",
		"AT^CURC=0":                   "ERROR",
		"AT+CMEE=1;+NEVER":            "+CME ERROR: 100",
		"AT+CMGS":                     "+CMS ERROR: 304",
		"AT+CMEE=2;+CMGS=\"+331234\"": "+CMS ERROR: invalid PDU mode parameter",
	} {
		t.Run(command, func(t *testing.T) {
			virtual(t, at0(), ModemConfig{}, func(t *testing.T, _ *Modem, c *client) {
				c.do("ATE0")
				c.want(command, want)
			})
		})
	}
}

func TestPIN(t *testing.T) {
	virtual(t, at0(), ModemConfig{PIN: "4321"}, func(t *testing.T, m *Modem, c *client) {
		c.do("ATE0+CMEE=1")
		c.want("AT+CPIN?", "+CPIN: SIM PIN / OK")
		c.want("AT+CIMI", "+CME ERROR: 11")
		c.want("AT+CMGF=0", "+CMS ERROR: 311")
		c.want("AT+CCID", "+CCID: 8944000000000000019 / OK") // which no PIN guards
		c.want("AT+CREG?", "+CREG: 0,0 / OK")
		c.want(`AT+CPIN="1111"`, "+CME ERROR: 16")
		if m.PINTries() != 2 {
			t.Errorf("%d tries left", m.PINTries())
		}
		c.want("AT+CREG=1", "OK")
		c.write("AT+CPIN=4321\r")
		if got := strings.Fields(c.rest(time.Second)); strings.Join(got, " ") != "+CREG: 1 OK" {
			t.Errorf("with the right one: %q", got)
		}
		c.want("AT+CMGF=0", "OK")
		c.want("AT+CFUN=1,1", "OK")
		c.rest(5 * time.Second)
		c.do("ATE0+CMEE=1")
		c.want("AT+CPIN?", "+CPIN: SIM PIN / OK")
		for range 3 {
			c.want(`AT+CPIN="1111"`, "+CME ERROR: 16")
		}
		c.want("AT+CPIN?", "+CPIN: SIM PUK / OK")
		c.want(`AT+CPIN="4321"`, "+CME ERROR: 12")
		c.want(`AT+CPIN="00000000","9999"`, "+CME ERROR: 16")
		c.want(`AT+CPIN="12345678","9999"`, "OK")
		c.want("AT+CPIN?", "+CPIN: READY / OK")
	})
}

func TestNoSIM(t *testing.T) {
	virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
		c.do("ATE0+CMEE=1")
		m.SetSIMPresent(false)
		c.until(time.Second, "+CPIN: NOT INSERTED\r\n")
		c.want("AT+CPIN?", "+CME ERROR: 10")
		c.want("AT+CMGS=19", "+CMS ERROR: 310")
		m.SetSIMPresent(true)
		c.until(time.Second, "+CPIN: READY\r\n")
		c.prepare()
		c.submit()
		if n := m.network.Total(); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
}

// TestReboot: settings are gone, the echo is back, and the start is told of.
func TestReboot(t *testing.T) {
	p := Generic()
	p.TextMode = true
	virtual(t, at0(), ModemConfig{Profile: p}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		c.want("AT+CMEE=1", "OK")
		c.write("AT+CFUN=1,1\r")
		if got := c.until(time.Second, "OK\r\n"); got != "\r\nOK\r\n" {
			t.Errorf("%q", got)
		}
		c.write("AT\r") // lost: nobody listens
		if got, want := c.rest(10*time.Second), "\r\nRDY\r\n\r\n+CFUN: 1\r\n\r\n+CPIN: READY\r\n\r\nSMS Ready\r\n"; got != want {
			t.Errorf("start says %q, want %q", got, want)
		}
		c.write("AT+CMGF?;+CNMI?;+CMEE?\r")
		want := "AT+CMGF?;+CNMI?;+CMEE?\r\r\n+CMGF: 1\r\n\r\n+CNMI: 0,0,0,0,0\r\n\r\n+CMEE: 0\r\n\r\nOK\r\n"
		if got := c.rest(time.Second); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		wantViolations(t, m)
	})
}

// TestNotReadyYet: what a start has not reached yet is refused.
func TestNotReadyYet(t *testing.T) {
	virtual(t, at0(), ModemConfig{Profile: SIM800()}, func(t *testing.T, m *Modem, c *client) {
		if err := m.Reboot(); err != nil {
			t.Fatal(err)
		}
		c.until(time.Second, "RDY\r\n")
		c.do("ATE0")
		c.want("AT+CMGF=0", "ERROR")
		c.want("AT+CREG?", "+CREG: 0,0 / OK")
		c.until(10*time.Second, "SMS Ready\r\n")
		c.want("AT+CMGF=0", "OK")
		c.want("AT+CREG?", "+CREG: 0,1 / OK")
	})
}

func TestRegistrationAnnounced(t *testing.T) {
	virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		c.want("AT+CREG=1;+CEREG=2", "OK")
		m.SetRegistration(2)
		if got, want := c.rest(time.Second), "\r\n+CREG: 2\r\n\r\n+CEREG: 2\r\n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		c.write("AT+CMGS=19\r")
		c.until(time.Second, "> ")
		c.write(hello + "\x1a")
		if got := c.lines(); got[0] != "+CMS ERROR: 331" {
			t.Errorf("%q", got)
		}
		m.SetRegistration(6) // messages only, roaming or not
		c.rest(time.Second)
		if got := c.submit(); got[0] != "+CMGS: 0" {
			t.Errorf("%q", got)
		}
	})
}
