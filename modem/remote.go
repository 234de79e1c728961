package modem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"smsotpd/modem/wire"
)

// The schemes of remote ports.
const (
	// schemeTCP is a port as ser2net and its like serve it: raw octets, or
	// telnet with RFC 2217 where the server begins with a telnet command.
	schemeTCP = "tcp://"
	// schemeRFC2217 is refused where the server does not speak RFC 2217.
	schemeRFC2217 = "rfc2217://"
)

// IsRemote tells whether path names a port of another host.
func IsRemote(path string) bool {
	return strings.HasPrefix(path, schemeTCP) || strings.HasPrefix(path, schemeRFC2217)
}

// RemoteAddress is the HOST:PORT of a remote port, in its one normal form. The
// error says what is wrong with the path.
func RemoteAddress(path string) (string, error) {
	rest, ok := strings.CutPrefix(path, schemeTCP)
	if !ok {
		rest, ok = strings.CutPrefix(path, schemeRFC2217)
	}
	host, port, err := net.SplitHostPort(strings.TrimSuffix(rest, "/"))
	if !ok || err != nil || host == "" || strings.ContainsAny(host, "/@?# ") {
		return "", errors.New("a remote port is tcp://HOST:PORT or rfc2217://HOST:PORT")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", errors.New("the port number of a remote port is 1 to 65535")
	}
	if ip := net.ParseIP(host); ip != nil {
		host = ip.String()
	}
	return net.JoinHostPort(strings.TrimSuffix(strings.ToLower(host), "."), strconv.FormatUint(n, 10)), nil
}

// Ports are the serial devices of this host and those that other hosts serve
// over TCP, by the path's scheme.
type Ports struct {
	Devices Devices
	Remote  Remote
}

var _ Opener = Ports{}

// Open implements Opener.
func (p Ports) Open(path string) (wire.Port, error) {
	if IsRemote(path) {
		return p.Remote.Open(path)
	}
	return p.Devices.Open(path)
}

// Lookup implements Opener.
func (p Ports) Lookup(path string) string {
	if IsRemote(path) {
		return p.Remote.Lookup(path)
	}
	return p.Devices.Lookup(path)
}

// Glob implements Opener.
func (p Ports) Glob(pattern string) []string {
	if IsRemote(pattern) {
		return p.Remote.Glob(pattern)
	}
	return p.Devices.Glob(pattern)
}

// Remote are the serial ports that other hosts serve over TCP: raw or by
// telnet with RFC 2217. The zero value is ready for use.
//
// A connection whose other end has died ends within 30 s, idle or not; one
// that is lost is lost like a port that is unplugged.
type Remote struct {
	// Connect bounds the search for the host's address and the connection
	// together (5 s), Greeting the wait for what the server says first (500 ms),
	// Settings that for its confirmation of the line settings (2 s).
	Connect, Greeting, Settings time.Duration
}

var _ Opener = Remote{}

const (
	remoteConnect  = 5 * time.Second
	remoteGreeting = 500 * time.Millisecond
	remoteSettings = 2 * time.Second
	// remoteReply bounds the write of telnet replies.
	remoteReply = 2 * time.Second
	// remoteDead is how long data may stay unacknowledged.
	remoteDead = 20 * time.Second
)

// keepAlive finds a dead peer of an idle connection within 25 s.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}
}

// Lookup implements Opener: whether a remote port is there shows only when it
// is opened.
func (Remote) Lookup(path string) string { return path }

// Glob implements Opener: remote ports are named one by one.
func (Remote) Glob(string) []string { return nil }

// Open implements Opener.
func (r Remote) Open(path string) (wire.Port, error) {
	address, err := RemoteAddress(path)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: orDefault(r.Connect, remoteConnect), KeepAliveConfig: keepAlive(), Control: boundUnacknowledged}
	conn, err := dialer.DialContext(context.Background(), "tcp", address)
	if err != nil {
		return nil, explainDial(address, err)
	}
	port := &remotePort{conn: conn}
	insist := strings.HasPrefix(path, schemeRFC2217)
	if err := port.greet(r, address, insist); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return port, nil
}

func orDefault(d, value time.Duration) time.Duration {
	if d == 0 {
		return value
	}
	return d
}

// boundUnacknowledged ends the connection once data has waited remoteDead for
// its acknowledgement; without it the kernel would go on for many minutes.
func boundUnacknowledged(_, _ string, conn syscall.RawConn) error {
	var inner error
	err := conn.Control(func(fd uintptr) {
		inner = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(remoteDead.Milliseconds()))
	})
	return errors.Join(err, inner)
}

// remotePort is a connection to a serial port server. One goroutine reads and
// one writes at a time, as of a Port; the reading one also writes the replies
// of the telnet negotiation.
type remotePort struct {
	conn net.Conn

	// Owned by whoever reads.
	telnet telnet
	early  []byte // came while the port was opened

	mu       sync.Mutex
	escapes  bool      // telnet framing: what is written is escaped; guarded by mu
	deadline time.Time // for Write; guarded by mu

	writing sync.Mutex // held while octets go out
}

// greet hears what the server says first, and brings telnet and the line
// settings into force where it speaks telnet.
func (p *remotePort) greet(r Remote, address string, insist bool) error {
	wait := orDefault(r.Greeting, remoteGreeting)
	if insist {
		p.telnet.offer()
		wait = orDefault(r.Settings, remoteSettings)
		if err := p.answer(); err != nil {
			return explainEnd(address, nil)
		}
	}
	end, telnetSeen, heard := time.Now().Add(wait), insist, false
	buf := make([]byte, 1024)
	for !p.telnet.settled() && len(p.early) < maxBanner {
		if err := p.conn.SetReadDeadline(end); err != nil {
			return explainEnd(address, p.early)
		}
		n, err := p.conn.Read(buf)
		heard = heard || n > 0
		p.early = append(p.early, p.telnet.decode(buf[:n])...)
		if err == nil {
			err = p.answer()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return explainEnd(address, p.early)
		}
		if !telnetSeen && p.telnet.framing == telnetFraming {
			telnetSeen, end = true, time.Now().Add(orDefault(r.Settings, remoteSettings))
		}
	}
	switch {
	case insist && !heard:
		return fmt.Errorf("%s takes the connection and says nothing: it hangs, or serves the port raw; restart ser2net there, or name the port tcp://%s", address, address)
	case insist && !p.telnet.spoken: // a modem behind a raw port may echo all that we offer
		return fmt.Errorf("%s does not speak RFC 2217: serve the port with it (ser2net: accepter: telnet(rfc2217),tcp,…), or name it tcp://%s", address, address)
	}
	return p.conn.SetReadDeadline(time.Time{})
}

// Read implements wire.Port.
func (p *remotePort) Read(b []byte) (int, error) {
	if len(p.early) > 0 {
		n := copy(b, p.early)
		p.early = p.early[n:]
		return n, nil
	}
	for {
		n, err := p.conn.Read(b)
		n = len(p.telnet.decode(b[:n]))
		if err == nil {
			err = p.answer()
		}
		if n > 0 || err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// answer sends the replies that negotiation has left.
func (p *remotePort) answer() error {
	t := &p.telnet
	if t.hostileReply {
		return errors.New("modem: the server negotiates telnet options without end")
	}
	p.mu.Lock()
	p.escapes = t.framing == telnetFraming
	p.mu.Unlock()
	if len(t.reply) == 0 {
		return nil
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	if err := p.conn.SetWriteDeadline(time.Now().Add(remoteReply)); err != nil {
		return err
	}
	_, err := p.conn.Write(t.reply)
	t.reply = t.reply[:0]
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(err, p.conn.SetWriteDeadline(p.deadline))
}

// Write implements wire.Port.
func (p *remotePort) Write(b []byte) (int, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	escapes := p.escapes
	p.mu.Unlock()
	if !escapes {
		return p.conn.Write(b)
	}
	escaped := escapeIAC(b)
	n, err := p.conn.Write(escaped)
	if n == len(escaped) {
		return len(b), err
	}
	return min(n, len(b)-1), err
}

// SetWriteDeadline implements wire.Port.
func (p *remotePort) SetWriteDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	return p.conn.SetWriteDeadline(t)
}

// Close implements io.Closer. It waits for nobody, and ends a Read and a Write
// under way.
func (p *remotePort) Close() error { return p.conn.Close() }

// explainDial says what an error of the connection means and what helps.
func explainDial(address string, err error) error {
	host, port, _ := net.SplitHostPort(address)
	var unknown *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &unknown) && unknown.IsNotFound:
		return fmt.Errorf("there is no host %s: check the name, or give its IP address (%w)", host, err)
	case errors.As(err, &unknown):
		return fmt.Errorf("the address of %s can't be looked up now: check the name server, or give its IP address (%w)", host, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s takes no connection on port %s: is ser2net running there, and on this port? (%w)", host, port, err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s does not answer on port %s: is it on, and does a firewall stand between? (%w)", host, port, err)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Errorf("%s can't be reached: is it on, and in the same network? (%w)", host, err)
	}
	return fmt.Errorf("can't connect to %s: %w", address, err)
}

// explainEnd says what it means that the server has ended the connection at
// once, with what it said before, if anything.
func explainEnd(address string, said []byte) error {
	words := printable(said)
	lower := strings.ToLower(words)
	if strings.Contains(lower, "in use") || strings.Contains(lower, "busy") || strings.Contains(lower, "already") {
		return fmt.Errorf("%s is in use by another client, or by a connection of ours that broke off (ser2net: kickolduser: true); the server says %q (%w)",
			address, words, syscall.EBUSY)
	}
	if words != "" {
		return fmt.Errorf("%s ended the connection and said %q: is the modem plugged in there? (%w)", address, words, io.EOF)
	}
	return fmt.Errorf("%s ended the connection at once: is the modem plugged in there, and its port free? (%w)", address, io.EOF)
}

// printable is a server's remark fit for a line of the log. What the modem
// said may stand in it, so words with longer numbers are left out.
func printable(said []byte) string {
	const most, longest = 120, 4
	words := strings.FieldsFunc(string(said), func(r rune) bool { return r <= ' ' || r > '~' })
	for i, word := range words {
		digits := 0
		for _, r := range word {
			if '0' <= r && r <= '9' {
				digits++
			}
		}
		if digits > longest {
			words[i] = "..."
		}
	}
	text := strings.Join(words, " ")
	return text[:min(len(text), most)]
}
