package sim

import (
	"fmt"
	"testing"
	"time"
)

// ussdNetwork is what the network of these tests answers.
func ussdNetwork() []USSD {
	return []USSD{
		{Code: "*100#", Text: "Balance: £12.34", After: 2 * time.Second},
		{Code: "*102#", Text: "Ж\nOK", DCS: 72},
		{Code: "*103#", Text: "one\r\nOK\n> two", Early: true},
		{Code: "*104#", Silent: true},
		{Code: "*105#", M: 2},
		{Code: "*101#", Text: "1 A", Menu: []USSD{{Code: "1", Text: "A it is"}}},
	}
}

func TestUSSD(t *testing.T) {
	packed := Generic()
	packed.USSDPacked = true
	for _, c := range []struct {
		name, cscs, command string
		profile             Profile
		final, later        string
	}{
		{name: "default alphabet", cscs: "GSM", command: `AT+CUSD=1,"*100#",15`, final: "OK", later: "+CUSD: 0,\"Balance: \x0112.34\",15"},
		{name: "IRA", cscs: "IRA", command: `AT+CUSD=1,"*100#"`, final: "OK", later: "+CUSD: 0,\"Balance: £12.34\",15"},
		{name: "as UCS-2", cscs: "UCS2", command: `AT+CUSD=1,"002A0031003000350023",15`, final: "OK", later: "+CUSD: 2"},
		{name: "as HEX", cscs: "HEX", command: `AT+CUSD=1,"2A31303523",15`, final: "OK", later: "+CUSD: 2"},
		{name: "not the set's form", cscs: "UCS2", command: `AT+CUSD=1,"*100#",15`, final: "+CME ERROR: 50"},
		{name: "UCS-2 answer", cscs: "GSM", command: `AT+CUSD=1,"*102#",15`, final: "OK", later: `+CUSD: 0,"0416000A004F004B",72`},
		{name: "before OK, lines within", cscs: "IRA", command: `AT+CUSD=1,"*103#",15`, final: "+CUSD: 0,\"one\r\nOK\n> two\",15\r\n\r\nOK"},
		{name: "silent", cscs: "GSM", command: `AT+CUSD=1,"*104#",15`, final: "OK"},
		{name: "ended by the network", cscs: "GSM", command: `AT+CUSD=1,"*105#",15`, final: "OK", later: "+CUSD: 2"},
		{name: "unknown", cscs: "GSM", command: `AT+CUSD=1,"*1#",15`, final: "OK", later: "+CUSD: 4"},
		{name: "not shown", cscs: "GSM", command: `AT+CUSD=0,"*100#",15`, final: "OK"},
		{name: "bad mode", cscs: "GSM", command: `AT+CUSD=3,"*100#",15`, final: "+CME ERROR: 50"},
		{name: "packed", cscs: "GSM", command: `AT+CUSD=1,"AA180C3602",15`, profile: packed, final: "OK", later: `+CUSD: 0,"` + fmt.Sprintf("%X", pack7(mustSeptets("Balance: £12.34\r"))) + `",15`},
		{name: "plain where packed is wanted", cscs: "GSM", command: `AT+CUSD=1,"*100#",15`, profile: packed, final: "+CME ERROR: 50"},
		{name: "packed where plain is wanted", cscs: "GSM", command: `AT+CUSD=1,"AA180C3602",15`, final: "OK", later: "+CUSD: 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			virtual(t, at0(), ModemConfig{Profile: c.profile, USSD: ussdNetwork()}, func(t *testing.T, _ *Modem, cl *client) {
				cl.do("ATE0+CMEE=1")
				cl.want(`AT+CSCS="`+c.cscs+`"`, "OK")
				cl.write(c.command + "\r")
				want := "\r\n" + c.final + "\r\n"
				if c.later != "" {
					want += "\r\n" + c.later + "\r\n"
				}
				if got := cl.rest(time.Minute); got != want {
					t.Errorf("got  %q\nwant %q", got, want)
				}
			})
		})
	}
}

func mustSeptets(text string) []byte {
	septets, ok := gsm7Septets(text)
	if !ok {
		panic("test: not in the default alphabet")
	}
	return septets
}

func TestUSSDSession(t *testing.T) {
	virtual(t, at0(), ModemConfig{USSD: ussdNetwork()}, func(t *testing.T, m *Modem, c *client) {
		c.do("ATE0+CMEE=1")
		ask := func(code, want string) {
			t.Helper()
			c.want(`AT+CUSD=1,"`+code+`",15`, "OK")
			if got := c.rest(5 * time.Second); got != "\r\n"+want+"\r\n" {
				t.Errorf("%s: %q, want %q", code, got, want)
			}
		}
		c.want("AT+CUSD=?", "+CUSD: (0-2) / OK")
		ask("*101#", `+CUSD: 1,"1 A",15`)
		ask("1", `+CUSD: 0,"A it is",15`)
		ask("1", "+CUSD: 4") // the dialogue is over
		ask("*101#", `+CUSD: 1,"1 A",15`)
		ask("7", "+CUSD: 4")
		ask("*101#", `+CUSD: 1,"1 A",15`)
		c.want("AT+CUSD=2", "OK")
		ask("1", "+CUSD: 4")

		c.want(`AT+CUSD=1,"*100#",15`, "OK")
		c.want(`AT+CUSD=1,"*100#",15`, "+CME ERROR: 3") // one at a time
		c.want("AT+CUSD=2", "OK")
		if got := c.rest(time.Minute); got != "" {
			t.Errorf("an answer after the end: %q", got)
		}
		if err := m.AddUSSD(USSD{Code: "*100#", Text: "none"}); err != nil {
			t.Fatal(err)
		}
		ask("*100#", `+CUSD: 0,"none",15`)
		if _, err := m.network.Command(`ussd 0 text = "news", m = 1`); err != nil {
			t.Fatal(err)
		}
		if got := c.rest(time.Second); got != "\r\n+CUSD: 1,\"news\",15\r\n" {
			t.Errorf("pushed: %q", got)
		}
		for _, line := range []string{`ussd 0 code = "*9#", text = "nine"`, `ussd 0 m = 9`, `ussd 0 x`} {
			_, err := m.network.Command(line)
			if (err == nil) != (line == `ussd 0 code = "*9#", text = "nine"`) {
				t.Errorf("%s: %v", line, err)
			}
		}
		ask("*9#", `+CUSD: 0,"nine",15`)
		m.SetRegistration(2)
		c.want(`AT+CUSD=1,"*100#",15`, "+CME ERROR: 30")
		m.SetSIMPresent(false)
		c.rest(time.Second)
		c.want(`AT+CUSD=1,"*100#",15`, "+CME ERROR: 10")
	})
}
