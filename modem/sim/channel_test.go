package sim

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func dialPort(t testing.TB, m *Modem, index int) *client {
	t.Helper()
	conn, err := m.DialPort(index)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, line: conn}
}

// composite is a device with all kinds of ports.
func composite() []PortRole { return []PortRole{RoleDiag, RoleNMEA, RoleAT, RoleAT2, RoleMute} }

func TestPorts(t *testing.T) {
	nc := NetworkConfig{Air: Fixed(10 * time.Second), Report: Fixed(0)}
	virtual(t, nc, ModemConfig{Ports: composite()}, func(t *testing.T, m *Modem, c *client) {
		at2, nmea, diag, mute := dialPort(t, m, 3), dialPort(t, m, 1), dialPort(t, m, 0), dialPort(t, m, 4)
		c.prepare()
		at2.write("AT+CMGF?\r")
		if got := at2.rest(time.Second); got != "AT+CMGF?\r\r\n+CMGF: 0\r\n\r\nOK\r\n" {
			t.Errorf("an echo of its own, settings in common: %q", got)
		}
		at2.do("ATE0")
		c.write("AT+CMGS=19\r")
		c.until(time.Second, "> ")
		at2.want("AT+CNMI?", "+CNMI: 2,2,0,1,0 / OK")
		c.write(hello + "\x1a")
		at2.want("AT+CSQ", "+CSQ: 23,99 / OK")
		if got := strings.Join(c.lines(), " "); got != "+CMGS: 0 OK" {
			t.Errorf("%q", got)
		}
		c.until(time.Second, "+CDS: 25\r\n")
		if got := at2.rest(time.Minute); got != "" {
			t.Errorf("unsolicited at the second port: %q", got)
		}
		if got := strings.Count(nmea.rest(10*time.Second), "$GPGGA"); got < 60 {
			t.Errorf("%d sentences", got)
		}
		diag.rest(1500 * time.Millisecond) // between two frames of its own
		diag.write("AT\r~")
		frame := diag.until(400*time.Millisecond, "~")
		if want := string(hdlcFrame([]byte("\x13AT\r"))); frame != want {
			t.Errorf("%q, want %q", frame, want)
		}
		if got := diag.rest(3 * time.Second); strings.Count(got, "~") < 2 || strings.Contains(got, "}~") {
			t.Errorf("%q", got)
		}
		mute.write("AT\r")
		if got := mute.rest(time.Minute); got != "" {
			t.Errorf("%q", got)
		}
		wantViolations(t, m)
		for _, other := range []*client{at2, nmea, diag, mute} {
			other.line.Close()
		}
	})
}

// TestPortsHang: what a port was given while the modem stood still is answered
// there.
func TestPortsHang(t *testing.T) {
	virtual(t, at0(), ModemConfig{Ports: composite()}, func(t *testing.T, m *Modem, c *client) {
		at2 := dialPort(t, m, 3)
		at2.do("ATE0")
		c.prepare()
		if err := m.AddFault(Fault{On: OnCommand, Do: Hang, For: 30 * time.Second, Count: 1}); err != nil {
			t.Fatal(err)
		}
		c.write("AT+CSQ\r")
		c.rest(time.Second)
		at2.write("AT+CMGF?\r")
		c.until(time.Minute, "OK\r\n")
		if got := strings.Join(at2.lines(), " "); got != "+CMGF: 0 OK" {
			t.Errorf("%q", got)
		}
		at2.line.Close()
	})
}

// TestURCsElsewhere: what a profile tells of at another port.
func TestURCsElsewhere(t *testing.T) {
	p, err := ProfileNamed("e173")
	if err != nil {
		t.Fatal(err)
	}
	virtual(t, at0(), ModemConfig{Profile: p, Ports: p.Ports}, func(t *testing.T, m *Modem, c *client) {
		other := dialPort(t, m, 0)
		c.prepare()
		m.Receive("+33600000000", "x")
		other.until(time.Second, "+CMT: ")
		if got := c.rest(time.Second); got != "" {
			t.Errorf("%q", got)
		}
		c.want("AT^PORTSEL=1", "OK")
		m.Receive("+33600000000", "x")
		c.until(time.Second, "+CMT: ")
		other.line.Close()
	})
}

func TestRoles(t *testing.T) {
	for _, names := range []string{"nmea", "at at", "at usb"} {
		if _, err := ParseRoles(strings.Fields(names)); err == nil {
			t.Errorf("%s is taken", names)
		}
	}
	n := NewNetwork(at0())
	defer n.Close()
	if _, err := n.NewModem(ModemConfig{Ports: []PortRole{RoleMute}}); err == nil {
		t.Error("a modem without a port for commands")
	}
	m, err := n.NewModem(ModemConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.DialPort(1); !errors.Is(err, ErrUnplugged) {
		t.Errorf("a port that is not there: %v", err)
	}
	for _, p := range profiles() {
		if err := checkRoles(p.Ports); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
}

// TestPortsPTY: the ports of a composite device come and go together.
func TestPortsPTY(t *testing.T) {
	m, link := plugged(t, at0(), ModemConfig{Ports: composite()})
	names, err := filepath.Glob(link + "*")
	if err != nil || len(names) != 5 || names[2] != link+".if02" {
		t.Fatalf("%q, %v", names, err)
	}
	at, nmea := open(t, link+".if02"), open(t, link+".if01")
	at.prepare()
	at.submit()
	nmea.until(5*time.Second, "$GPGGA")
	m.Unplug()
	for _, c := range []*client{at, nmea} {
		c.line.SetReadDeadline(time.Now().Add(5 * time.Second))
		for err = nil; err == nil; {
			_, err = c.line.Read(make([]byte, 100))
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a port outlives its modem")
		}
	}
	if left, _ := filepath.Glob(link + "*"); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	if err := os.WriteFile(link+".if03", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.Plug(link); err == nil {
		t.Fatal("a file was replaced")
	}
	if _, err := os.Lstat(link + ".if02"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a device: %v", err)
	}
	if err := m.Plug(link + "-new"); err != nil {
		t.Fatal(err)
	}
	open(t, m.Links()[2]).until(5*time.Second, "SMS Ready\r\n")
}

func TestHDLC(t *testing.T) {
	// X.25's check value of "123456789" is 0x906e.
	if got := crc16([]byte("123456789")); got != 0x906e {
		t.Errorf("%#x", got)
	}
	if got := hdlcFrame([]byte{0x7e, 0x7d}); string(got[:4]) != "\x7d\x5e\x7d\x5d" || got[len(got)-1] != 0x7e {
		t.Errorf("%x", got)
	}
}
