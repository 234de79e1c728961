package sim

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hello is an SMS-SUBMIT of "hello" to +33612345678 that asks for a report,
// with a relative validity of 5 minutes.
const (
	hello       = "0031000B913316325476F800000005E8329BFD06"
	helloLength = 19
	helloTo     = "+33612345678"
)

// line is what the client and the modem are connected by.
type line interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
}

// client is a driver of few words on a modem's port.
type client struct {
	t    testing.TB
	line line
	buf  string        // read and not yet asked for
	gap  time.Duration // before what is written, which the modem would else lose
}

// bench is one modem of one network, in memory.
func bench(t testing.TB, nc NetworkConfig, mc ModemConfig) (*Modem, *client) {
	t.Helper()
	n := NewNetwork(nc)
	t.Cleanup(n.Close)
	m, err := n.NewModem(mc)
	if err != nil {
		t.Fatal(err)
	}
	return m, dial(t, m)
}

func dial(t testing.TB, m *Modem) *client {
	t.Helper()
	conn, err := m.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, line: conn, gap: m.config.Profile.Deaf}
}

// virtual runs a test in a bubble of virtual time.
func virtual(t *testing.T, nc NetworkConfig, mc ModemConfig, test func(t *testing.T, m *Modem, c *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m, c := bench(t, nc, mc)
		test(t, m, c)
		c.line.Close()
		m.network.Close()
	})
}

func at0() NetworkConfig { return NetworkConfig{Air: Fixed(0), Report: Fixed(0)} }

func (c *client) write(s string) {
	c.t.Helper()
	time.Sleep(c.gap) // virtual
	if _, err := io.WriteString(c.line, s); err != nil {
		c.t.Fatalf("write %q: %v", s, err)
	}
}

// until reads up to the end of the first of the given texts, or fails after d.
func (c *client) until(d time.Duration, ends ...string) string {
	c.t.Helper()
	c.line.SetReadDeadline(time.Now().Add(d))
	chunk := make([]byte, 4096)
	for {
		for _, end := range ends {
			if i := strings.Index(c.buf, end); i >= 0 {
				got := c.buf[:i+len(end)]
				c.buf = c.buf[i+len(end):]
				return got
			}
		}
		n, err := c.line.Read(chunk)
		c.buf += string(chunk[:n])
		if err != nil {
			c.t.Fatalf("waiting for %q after %q: %v", ends, c.buf, err)
		}
	}
}

// rest is all that comes within d.
func (c *client) rest(d time.Duration) string {
	c.line.SetReadDeadline(time.Now().Add(d))
	chunk := make([]byte, 4096)
	for {
		n, err := c.line.Read(chunk)
		c.buf += string(chunk[:n])
		if err != nil {
			got := c.buf
			c.buf = ""
			return got
		}
	}
}

// do writes a command line and returns the answer's lines, the final result
// last. Echo must be off, or is among them.
func (c *client) do(command string) []string {
	c.t.Helper()
	c.write(command + "\r")
	return c.lines()
}

// lines are those up to the next final result.
func (c *client) lines() []string {
	c.t.Helper()
	var lines []string
	for {
		text := strings.TrimSpace(c.until(200*time.Second, "\r\n"))
		if text == "" {
			continue
		}
		lines = append(lines, text)
		if text == "OK" || text == "NO CARRIER" || strings.Contains(text, "ERROR") {
			return lines
		}
	}
}

// want is do, held against lines with " / " between them.
func (c *client) want(command, lines string) {
	c.t.Helper()
	if got := strings.Join(c.do(command), " / "); got != lines {
		c.t.Errorf("%s: %s, want %s", command, got, lines)
	}
}

// prepare is what a driver does first.
func (c *client) prepare() {
	c.t.Helper()
	c.do("ATE0")
	c.want("AT+CMGF=0", "OK")
	c.want("AT+CNMI=2,2,0,1,0", "OK")
}

// submit sends hello and returns the answer's lines.
func (c *client) submit() []string {
	c.t.Helper()
	c.write(fmt.Sprintf("AT+CMGS=%d\r", helloLength))
	c.until(200*time.Second, "> ")
	c.write(hello + "\x1a")
	return c.lines()
}

func kinds(m *Modem) []ViolationKind {
	var k []ViolationKind
	for _, v := range m.Violations() {
		k = append(k, v.Kind)
	}
	return k
}

func wantViolations(t testing.TB, m *Modem, want ...ViolationKind) {
	t.Helper()
	if got := kinds(m); !slices.Equal(got, want) {
		t.Errorf("violations %q, want %q", got, want)
	}
}
