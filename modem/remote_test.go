package modem

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestRemoteAddress(t *testing.T) {
	for path, want := range map[string]string{
		"tcp://host:4001":           "host:4001",
		"tcp://Host.Example.:04001": "host.example:4001",
		"rfc2217://10.0.0.7:1/":     "10.0.0.7:1",
		"tcp://[fe80::0:1]:4001":    "[fe80::1]:4001",
		"tcp://[::1%lo]:4001":       "[::1%lo]:4001",
		"tcp://host":                "",
		"tcp://:4001":               "",
		"tcp://host:0":              "",
		"tcp://host:70000":          "",
		"tcp://host:ssh":            "",
		"tcp://me@host:1":           "",
		"tcp://host:1?rfc2217":      "",
		"tcp://a/b:1":               "",
		"udp://host:1":              "",
		"/dev/ttyUSB0":              "",
		"":                          "",
	} {
		got, err := RemoteAddress(path)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	for path, remote := range map[string]bool{"tcp://h:1": true, "rfc2217://h:1": true, "/dev/tcp://": false, "tcp:/x": false} {
		if IsRemote(path) != remote {
			t.Errorf("%s: remote is %v", path, !remote)
		}
	}
}

func TestPortsBySchemes(t *testing.T) {
	if id := (Ports{}).Lookup("tcp://nowhere.invalid:1"); id == "" {
		t.Error("a remote port is always worth a try")
	}
	if got := (Ports{}).Glob("tcp://host:*"); got != nil {
		t.Errorf("remote ports by pattern: %v", got)
	}
	if isGlob("tcp://[::1]:4001") || !isGlob("/dev/ttyUSB*") {
		t.Error("what is a pattern")
	}
	if _, err := (Ports{}).Open(t.TempDir() + "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a local port: %v", err)
	}
}

// impatient waits for no more than a server on the same host needs.
func impatient() Remote {
	return Remote{Connect: 5 * time.Second, Greeting: 100 * time.Millisecond, Settings: 5 * time.Second}
}

// server serves each connection by fn until the test ends, and tells where.
func server(t *testing.T, fn func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fn(c)
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-stopped
	})
	return l.Addr().String()
}

// TestRemoteExplains: what went wrong is said in words that help.
func TestRemoteExplains(t *testing.T) {
	closed := server(t, func(net.Conn) {})
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	talk := func(words string) string {
		return server(t, func(c net.Conn) { _, _ = io.WriteString(c, words) })
	}
	deaf := server(t, func(c net.Conn) { _, _ = c.Write(option(telnetDont, optionComPort)); _, _ = io.Copy(io.Discard, c) })
	silent := server(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	echo := server(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
	for _, c := range []struct {
		path, says string
		is         error
	}{
		{"tcp://" + dead.Addr().String(), "is ser2net running there", syscall.ECONNREFUSED},
		{"tcp://" + closed, "ended the connection at once", io.EOF},
		{"tcp://" + talk("Port already in use\r\n"), "in use by another client", syscall.EBUSY},
		{"rfc2217://" + talk("Port already in use\r\n"), "in use by another client", syscall.EBUSY},
		{"tcp://" + talk("can't open /dev/ttyUSB0: no such 33612345678\r\n"), `said "can't open /dev/ttyUSB0: no such ..."`, io.EOF},
		{"rfc2217://" + deaf, "does not speak RFC 2217", nil},
		{"rfc2217://" + echo, "does not speak RFC 2217", nil},
		{"rfc2217://" + silent, "says nothing", nil},
		{"tcp://host", "HOST:PORT", nil},
	} {
		remote := impatient()
		remote.Settings = 300 * time.Millisecond
		port, err := remote.Open(c.path)
		if err == nil {
			port.Close()
			t.Errorf("%s was opened", c.path)
			continue
		}
		if !strings.Contains(err.Error(), c.says) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v", c.path, err)
		}
	}
	for _, c := range []struct {
		err  error
		says string
	}{
		{&net.DNSError{IsNotFound: true}, "there is no host far"},
		{&net.DNSError{IsTimeout: true}, "name server"},
		{os.ErrDeadlineExceeded, "does not answer on port 4001"},
		{syscall.ETIMEDOUT, "does not answer on port 4001"},
		{syscall.EHOSTUNREACH, "can't be reached"},
		{syscall.EMFILE, "can't connect to far:4001"},
	} {
		if got := explainDial("far:4001", &net.OpError{Op: "dial", Err: c.err}); !strings.Contains(got.Error(), c.says) {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}

// TestRemoteRaw: octets pass as they are, those that come while the port is
// opened included.
func TestRemoteRaw(t *testing.T) {
	address := server(t, func(c net.Conn) {
		_, _ = c.Write([]byte("\r\nRDY\r\n"))
		_, _ = io.Copy(c, c)
	})
	port, err := impatient().Open("tcp://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	const said = "AT\r\xff\xffend"
	if n, err := port.Write([]byte(said)); n != len(said) || err != nil {
		t.Fatal(n, err)
	}
	want := "\r\nRDY\r\n" + said
	got := make([]byte, len(want))
	if _, err := io.ReadFull(port, got); err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
}

// TestRemoteTelnet: behind a server that speaks telnet all octets arrive as
// they were written, both ways.
func TestRemoteTelnet(t *testing.T) {
	for _, scheme := range []string{schemeTCP, schemeRFC2217} {
		address := server(t, func(c net.Conn) {
			// The server's half of the protocol, by its own eyes: it agrees to all
			// options, confirms all settings and echoes data.
			_, _ = c.Write(option(telnetWill, optionBinary))
			client := telnet{framing: telnetFraming}
			buf := make([]byte, 512)
			var confirmed, agreed bool
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				if !agreed && bytes.Contains(buf[:n], option(telnetWill, optionComPort)) {
					agreed = true
					_, _ = c.Write(option(telnetDo, optionComPort))
				}
				if !confirmed && bytes.Contains(buf[:n], sub(44, comPurge, 3)) {
					confirmed = true
					for _, command := range []byte{101, 102, 103, 104, 105, 105, 105, 112} {
						_, _ = c.Write(sub(44, command, 1))
					}
				}
				_, _ = c.Write(escapeIAC(client.decode(buf[:n])))
			}
		})
		port, err := impatient().Open(scheme + address)
		if err != nil {
			t.Fatal(scheme, err)
		}
		said := []byte("AT\r\xff\xff\xffend\xff")
		if n, err := port.Write(said); n != len(said) || err != nil {
			t.Fatal(n, err)
		}
		got := make([]byte, len(said))
		if _, err := io.ReadFull(port, got); err != nil || !bytes.Equal(got, said) {
			t.Errorf("%s: %q, %v", scheme, got, err)
		}
		port.Close()
	}
}

// TestRemoteNeverHangs: Close ends a Read and a Write under way, a Write ends
// at its deadline, and a server that negotiates without end is left.
func TestRemoteNeverHangs(t *testing.T) {
	release := make(chan struct{})
	unread := server(t, func(net.Conn) { <-release })
	defer close(release)
	port, err := impatient().Open("tcp://" + unread)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() {
		_, err := port.Read(make([]byte, 10))
		ended <- err
	}()
	if err := port.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := port.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a write that nobody reads: %v", err)
	}
	if err := port.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := port.Write(make([]byte, 64<<20))
		ended <- err
	}()
	if err := port.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("it outlived Close")
		}
	}

	endless := server(t, func(c net.Conn) {
		toggle := bytes.Repeat(octets(option(telnetDo, optionBinary), option(telnetDont, optionBinary)), 100)
		for {
			if _, err := c.Write(toggle); err != nil {
				return
			}
		}
	})
	if port, err := impatient().Open("tcp://" + endless); err == nil {
		_, err = port.Read(make([]byte, 100))
		if err == nil {
			t.Error("a server that negotiates without end is heard")
		}
		port.Close()
	}
}

// TestRemoteNoticesTheDead: the kernel is told to give a dead peer up within
// 30 s, whether or not anything is said.
func TestRemoteNoticesTheDead(t *testing.T) {
	address := server(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	port, err := impatient().Open("tcp://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	raw, err := port.(*remotePort).conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	option := func(level, name int) (value int) {
		t.Helper()
		var inner error
		if err := raw.Control(func(fd uintptr) { value, inner = unix.GetsockoptInt(int(fd), level, name) }); err != nil || inner != nil {
			t.Fatal(err, inner)
		}
		return value
	}
	idle, interval, count := option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), option(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL), option(unix.IPPROTO_TCP, unix.TCP_KEEPCNT)
	if option(unix.SOL_SOCKET, unix.SO_KEEPALIVE) == 0 || idle+interval*count > 30 {
		t.Errorf("idle: %d s and %d times %d s", idle, count, interval)
	}
	if ms := option(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); ms == 0 || ms > 30_000 {
		t.Errorf("unacknowledged: %d ms", ms)
	}
}

// TestRemoteIsTriedAtAPace: a server that ends each connection at once is not
// asked without a pause.
func TestRemoteIsTriedAtAPace(t *testing.T) {
	t.Parallel()
	tried := make(chan time.Time, 100)
	address := server(t, func(net.Conn) { tried <- time.Now() })
	pool, err := NewPool(PoolConfig{
		Ports:    []string{"tcp://" + address},
		Logger:   slog.New(slog.DiscardHandler),
		Timeouts: Timeouts{Appear: 20 * time.Millisecond, Retry: 200 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- pool.Run(ctx) }()
	first := <-tried
	var last time.Time
	for range 6 {
		last = <-tried
	}
	if took := last.Sub(first); took < 500*time.Millisecond {
		t.Errorf("seven tries in %v", took)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestLossInWords: what is lost with a port depends on what it is.
func TestLossInWords(t *testing.T) {
	for path, want := range map[string]string{
		"tcp://127.0.0.1:4001": "the connection to tcp://127.0.0.1:4001 is lost",
		"/dev/ttyUSB0":         "the modem has gone from its port",
	} {
		pool, err := NewPool(PoolConfig{Ports: []string{path}, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		w := pool.workers[path]
		w.down(errGone, candidate{path: path})
		if got := w.snapshot(); got.State != Down || got.Reason != want {
			t.Errorf("%s: %+v", path, got)
		}
	}
}
