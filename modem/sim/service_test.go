package sim

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// wants submits hello and holds the answer against want.
func (c *client) wants(want string) {
	c.t.Helper()
	if got := strings.Join(c.submit(), " "); got != want {
		c.t.Errorf("%s, want %s", got, want)
	}
}

// TestBan: what the network refuses reaches nobody, until that is lifted.
func TestBan(t *testing.T) {
	virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		for _, cause := range []int{21, 50, 193} {
			if err := m.Ban(cause); err != nil {
				t.Fatal(err)
			}
			if got := c.submit(); got[0] != "+CMS ERROR: "+map[int]string{21: "21", 50: "50", 193: "193"}[cause] {
				t.Errorf("%q", got)
			}
		}
		if m.network.Total() != 0 {
			t.Error("something was taken")
		}
		for _, none := range []int{-1, 256} {
			if err := m.Ban(none); err == nil {
				t.Errorf("%d is a cause", none)
			}
		}
		if err := m.Ban(0); err != nil {
			t.Fatal(err)
		}
		c.wants("+CMGS: 0 OK")
		c.until(time.Second, "+CDS: 25\r\n")
	})
}

// TestSwallow: what is swallowed is taken, and nothing comes of it.
func TestSwallow(t *testing.T) {
	virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		m.Swallow(true)
		c.wants("+CMGS: 0 OK")
		if got := c.rest(72 * time.Hour); got != "" {
			t.Errorf("%q", got)
		}
		if _, any := m.network.Handset(helloTo).Latest(); any {
			t.Error("the phone got it")
		}
		if msgs := m.network.Messages(); len(msgs) != 1 || len(msgs[0].Reports) != 0 {
			t.Errorf("%d taken", len(msgs))
		}
		m.Swallow(false)
		c.wants("+CMGS: 1 OK")
		c.until(time.Second, "+CDS: 25\r\n")
		if msgs := m.network.Handset(helloTo).Messages(); len(msgs) != 1 || msgs[0].MR != 1 {
			t.Errorf("%d on the phone", len(msgs))
		}
	})
}

// TestOutage: an operator's modems lose their network and come back, what is in
// the air is not taken, and another operator's notice nothing.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := bench(t, NetworkConfig{Air: Fixed(10 * time.Second), Report: Fixed(0)}, ModemConfig{Operator: "20801"})
		n := m.network
		other, err := n.NewModem(ModemConfig{Operator: "310260"})
		if err != nil {
			t.Fatal(err)
		}
		d := dial(t, other)
		defer n.Close()
		defer c.line.Close()
		defer d.line.Close()
		c.prepare()
		d.prepare()
		c.want("AT+CREG=1", "OK")
		c.want("AT+COPS?", `+COPS: 0,0,"Simulated 20801",7 / OK`)
		if m.IMSI() != "208010000000001" || other.IMSI() != "310260000000002" || m.Operator() != "20801" {
			t.Errorf("%s and %s", m.IMSI(), other.IMSI())
		}
		c.write("AT+CMGS=19\r")
		c.until(time.Second, "> ")
		c.write(hello + "\x1a")
		time.Sleep(time.Second)
		n.Outage("20801", true)
		if got := strings.Join(c.lines(), " "); got != "+CREG: 2 +CMS ERROR: 332" {
			t.Errorf("in the air: %s", got)
		}
		c.want("AT+CREG?", "+CREG: 1,2 / OK")
		c.want("AT+CSQ", "+CSQ: 99,99 / OK")
		c.want("AT+COPS?", "+COPS: 0 / OK")
		c.wants("+CMS ERROR: 331")
		d.wants("+CMGS: 0 OK")
		late, err := n.NewModem(ModemConfig{Operator: "20801"})
		if err != nil || late.registered() {
			t.Errorf("one that comes during the outage is registered: %v", err)
		}
		m.SetRegistration(5)
		c.until(time.Second, "+CREG: 2\r\n")
		c.want("AT+CREG?", "+CREG: 1,2 / OK")
		n.Outage("20801", false)
		c.until(time.Second, "+CREG: 5\r\n")
		c.wants("+CMGS: 0 OK")
		if !late.registered() {
			t.Error("the other one is not back")
		}
		if n.Total() != 2 {
			t.Errorf("%d taken", n.Total())
		}
	})
}

// TestServiceByScript: the same by faults, for a time, and of one operator.
func TestServiceByScript(t *testing.T) {
	for _, c := range []struct {
		fault        string
		during, then string
	}{
		{`do = "ban", code = 50`, "+CMS ERROR: 50", "+CMGS: 0 OK"},
		{`do = "swallow"`, "+CMGS: 0 OK", "+CMGS: 1 OK"},
		{`do = "outage"`, "+CMS ERROR: 331", "+CMGS: 0 OK"},
		{`do = "outage", operator = "00101"`, "+CMS ERROR: 331", "+CMGS: 0 OK"},
		{`do = "outage", operator = "20801"`, "+CMGS: 0 OK", "+CMGS: 1 OK"},
	} {
		f, err := ParseFault(`on = "time", after = "1h", for = "2h", ` + c.fault)
		if err != nil {
			t.Fatal(err)
		}
		virtual(t, at0(), ModemConfig{Faults: []Fault{f}}, func(t *testing.T, m *Modem, cl *client) {
			cl.prepare()
			time.Sleep(2 * time.Hour)
			if got := strings.Join(cl.submit(), " "); got != c.during {
				t.Errorf("%s: %s", c.fault, got)
			}
			time.Sleep(2 * time.Hour)
			cl.rest(time.Second)
			if got := strings.Join(cl.submit(), " "); got != c.then {
				t.Errorf("%s, and then: %s", c.fault, got)
			}
		})
	}
}

func TestOperatorRefused(t *testing.T) {
	n := NewNetwork(at0())
	defer n.Close()
	for _, c := range []ModemConfig{{Operator: "2080"}, {Operator: "2080112"}, {Operator: "2080a"}, {Operator: "20801", IMSI: "208100000000001"}} {
		if _, err := n.NewModem(c); err == nil {
			t.Errorf("%q with IMSI %q is taken", c.Operator, c.IMSI)
		}
	}
	if m, err := n.NewModem(ModemConfig{IMSI: "208100000000001"}); err != nil || m.Operator() != "20810" {
		t.Errorf("%v", err)
	}
}
