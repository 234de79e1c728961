package sim

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// open opens a port as a driver does.
func open(t testing.TB, link string) *client {
	t.Helper()
	f, err := os.OpenFile(link, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &client{t: t, line: f}
}

// plugged is a modem on a pty.
func plugged(t testing.TB, nc NetworkConfig, mc ModemConfig) (*Modem, string) {
	t.Helper()
	link := filepath.Join(t.TempDir(), "modem0") // first, so that it is removed last
	n := NewNetwork(nc)
	t.Cleanup(n.Close)
	m, err := n.NewModem(mc)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Open(link); err != nil {
		t.Fatal(err)
	}
	return m, link
}

// until waits for a condition that another goroutine brings about.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func TestPTY(t *testing.T) {
	m, link := plugged(t, at0(), ModemConfig{})
	c := open(t, link)
	c.write("AT\r")
	if got := c.until(5*time.Second, "OK\r\n"); got != "AT\r\r\nOK\r\n" { // raw: no CR to LF, no echo of its own
		t.Errorf("%q", got)
	}
	c.prepare()
	for range 300 { // more than eight bits of references
		if got := c.submit(); got[len(got)-1] != "OK" {
			t.Fatalf("%q", got)
		}
	}
	until(t, "300 messages on the phone", func() bool { return len(m.network.Handset(helloTo).Messages()) == 300 })
	wantViolations(t, m)
}

// TestNextClient: what one client leaves behind the next one does not find.
func TestNextClient(t *testing.T) {
	m, link := plugged(t, at0(), ModemConfig{})
	first, err := os.Readlink(link)
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, link)
	c.write("AT\r")
	c.until(5*time.Second, "OK\r\n")
	f := c.line.(*os.File)
	if err := control(f, func(fd int) error { return unix.IoctlSetInt(fd, unix.TIOCEXCL, 0) }); err != nil {
		t.Fatal(err)
	}
	m.Receive("12", "never read")
	c.write("AT+CNMI=2,2\rAT+CGMI\rAT+C")
	c.line.Close()
	until(t, "another pty behind the link", func() bool {
		now, err := os.Readlink(link)
		return err == nil && now != first
	})
	next := open(t, link)
	next.write("\rAT+CNMI?\r") // ends the half line
	got := next.until(5*time.Second, "+CNMI: 2,2,0,0,0\r\n\r\nOK\r\n")
	if strings.Contains(got, "+CMT") || strings.Contains(got, "smsotpd") {
		t.Errorf("stale: %q", got)
	}
}

// TestNobodyListens: what is written without a client is lost.
func TestNobodyListens(t *testing.T) {
	link := filepath.Join(t.TempDir(), "p")
	p, err := OpenPTY(link)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, word := range []string{"stale", "stale as well"} {
		if n, err := p.Write([]byte(word)); n != len(word) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	c := open(t, link)
	c.write("x")
	buf := make([]byte, 10)
	if n, err := p.Read(buf); err != nil || string(buf[:n]) != "x" {
		t.Errorf("%q, %v", buf[:n], err)
	}
	if _, err := p.Write([]byte("fresh\r\n")); err != nil {
		t.Error(err)
	}
	if got := c.until(5*time.Second, "\r\n"); got != "fresh\r\n" {
		t.Errorf("%q", got)
	}
}

// TestCameAndWent: a client that opened the port, took it for itself and went
// at once leaves another terminal to the next.
func TestCameAndWent(t *testing.T) {
	_, link := plugged(t, at0(), ModemConfig{})
	for range 20 {
		first, err := os.Readlink(link)
		if err != nil {
			t.Fatal(err)
		}
		f := open(t, link).line.(*os.File)
		if err := control(f, func(fd int) error { return unix.IoctlSetInt(fd, unix.TIOCEXCL, 0) }); err != nil {
			t.Fatal(err)
		}
		f.Close()
		until(t, "another pty behind the link", func() bool {
			now, err := os.Readlink(link)
			return err == nil && now != first
		})
	}
	open(t, link).do("AT")
}

// TestClientDoesNotRead: it holds up neither another modem nor Close.
func TestClientDoesNotRead(t *testing.T) {
	m, link := plugged(t, at0(), ModemConfig{})
	c := open(t, link)
	c.prepare()
	flood := Fault{On: OnTime, Do: NULFlood, Size: maxPending}
	for range 3 {
		if err := m.AddFault(flood); err != nil {
			t.Fatal(err)
		}
	}
	other, err := m.network.NewModem(ModemConfig{})
	if err != nil {
		t.Fatal(err)
	}
	link2 := link + "x"
	if err := other.Open(link2); err != nil {
		t.Fatal(err)
	}
	c2 := open(t, link2)
	c2.prepare()
	c2.submit()
	m.Unplug()
	if err := m.Plug(link); err != nil {
		t.Fatal(err)
	}
	c3 := open(t, link)
	c3.until(5*time.Second, "SMS Ready\r\n")
	c3.do("AT")
}

// TestUnplugPTY: the client sees the end, the link goes, and the modem may
// come back under another name.
func TestUnplugPTY(t *testing.T) {
	m, link := plugged(t, at0(), ModemConfig{})
	c := open(t, link)
	c.prepare()
	m.Unplug()
	c.line.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := c.line.Read(make([]byte, 10)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client read %d bytes, %v", n, err)
	}
	if _, err := os.Lstat(link); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the link: %v", err)
	}
	back := Fault{On: OnTime, Do: Unplug, Back: time.Millisecond, As: link + "-elsewhere", Count: 1}
	if err := m.Plug(link); err != nil {
		t.Fatal(err)
	}
	if err := m.Plug(link); !errors.Is(err, ErrInUse) {
		t.Errorf("plugged twice: %v", err)
	}
	if err := m.AddFault(back); err != nil {
		t.Fatal(err)
	}
	until(t, "the new name", func() bool { return m.Link() == back.As })
	c2 := open(t, back.As)
	c2.until(5*time.Second, "SMS Ready\r\n")
	c2.do("AT")
	m.Close()
	if _, err := os.Lstat(back.As); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the new link: %v", err)
	}
	if err := m.Plug(link); !errors.Is(err, ErrUnplugged) {
		t.Errorf("plugged after Close: %v", err)
	}
}

// TestVanishes: AT+CFUN=1,1 takes a USB modem's port away for a while.
func TestVanishes(t *testing.T) {
	_, link := plugged(t, at0(), ModemConfig{Profile: Quectel()})
	c := open(t, link)
	c.do("ATE0")
	c.write("AT+CFUN=1,1\r")
	c.line.SetReadDeadline(time.Now().Add(5 * time.Second))
	if got, err := io.ReadAll(c.line); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("still there: %q", got)
	}
	until(t, "the port", func() bool { _, err := os.Stat(link); return err == nil })
	open(t, link).until(5*time.Second, "+QIND: PB DONE\r\n")
}

// TestBlockedPTY: the client's write blocks at once, not after a full buffer.
func TestBlockedPTY(t *testing.T) {
	m, link := plugged(t, at0(), ModemConfig{})
	c := open(t, link)
	c.do("ATE0")
	if err := m.AddFault(Fault{On: OnTime, Do: BlockWrites, For: 300 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	f := c.line.(*os.File)
	until(t, "a write that blocks", func() bool { // the kernel takes a moment to act on XOFF
		f.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		_, err := f.Write([]byte("AT\r"))
		return errors.Is(err, os.ErrDeadlineExceeded)
	})
	f.SetWriteDeadline(time.Time{})
	c.write("AT+CGMM\r")
	c.until(5*time.Second, "Simulated modem\r\n\r\nOK\r\n")
}

func TestLinkIsNoLink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPTY(path); err == nil {
		t.Error("a file was replaced")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := OpenPTY(filepath.Join(path, "x")); err == nil {
		t.Error("a link inside a file")
	}
	stale := path + "-stale"
	if err := os.Symlink("/dev/pts/99999", stale); err != nil {
		t.Fatal(err)
	}
	p, err := OpenPTY(stale)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); err != nil || p.Link() != stale {
		t.Errorf("%v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read after close: %v", err)
	}
}

// TestNoLeak: modems that come and go, and clients that do, leave no file open.
func TestNoLeak(t *testing.T) {
	files := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	round := func() {
		n := NewNetwork(at0())
		m, err := n.NewModem(ModemConfig{})
		if err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(t.TempDir(), "m")
		for range 5 {
			if err := m.Plug(link); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				c := open(t, link)
				c.write("AT\r")
				c.line.Close()
			}
			m.Unplug()
		}
		n.Close()
	}
	round() // the poller's own files
	before := files()
	round()
	if after := files(); after != before {
		t.Errorf("%d files open, %d before", after, before)
	}
}

// BenchmarkCMGS is one message at air time 0, from AT+CMGS to its final
// result.
func BenchmarkCMGS(b *testing.B) {
	silent := Fault{On: OnReport, Do: DropReport}
	b.Run("pty", func(b *testing.B) {
		_, link := plugged(b, at0(), ModemConfig{Faults: []Fault{silent}})
		benchmarkCMGS(b, open(b, link))
	})
	b.Run("memory", func(b *testing.B) {
		_, c := bench(b, at0(), ModemConfig{Faults: []Fault{silent}})
		benchmarkCMGS(b, c)
	})
}

func benchmarkCMGS(b *testing.B, c *client) {
	c.prepare()
	buf := make([]byte, 4096)
	exchange := func(out []byte, end byte) {
		if _, err := c.line.Write(out); err != nil {
			b.Fatal(err)
		}
		for {
			n, err := c.line.Read(buf)
			if err != nil {
				b.Fatal(err)
			}
			if strings.IndexByte(string(buf[:n]), end) >= 0 {
				return
			}
		}
	}
	command, message := []byte("AT+CMGS=19\r"), []byte(hello+"\x1a")
	c.line.SetReadDeadline(time.Time{})
	b.ReportAllocs()
	for b.Loop() {
		exchange(command, '>')
		exchange(message, 'K')
	}
}

// TestFleet: more modems than a user may have inotify instances, each told from
// the others when its port is opened.
func TestFleet(t *testing.T) {
	const modems = 300
	dir := t.TempDir() // it goes after all that is in it
	n := NewNetwork(NetworkConfig{Air: Fixed(0)})
	t.Cleanup(n.Close)
	for i := range modems {
		m, err := n.NewModem(ModemConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Open(filepath.Join(dir, strconv.Itoa(i))); err != nil {
			t.Fatalf("modem %d: %v", i, err)
		}
	}
	for i := range modems {
		c := open(t, filepath.Join(dir, strconv.Itoa(i)))
		c.write("AT+CGSN\r")
		if got := c.until(5*time.Second, "OK\r\n"); !strings.Contains(got, n.Modems()[i].IMEI()) {
			t.Fatalf("modem %d: %q", i, got)
		}
	}
}
