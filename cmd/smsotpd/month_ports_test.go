package main

import (
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
	"smsotpd/modem/wire"
)

func monthPath(which any) string { return fmt.Sprint("/dev/ttyUSB", which) }

// monthSocket is the place of a modem, which it keeps.
type monthSocket struct {
	modem *sim.Modem
	out   bool
	mark  int // how often it was plugged in
}

// monthHost is the modems as one process sees them.
type monthHost struct {
	*month
	dead bool // guarded by mu
}

var _ modem.Opener = (*monthHost)(nil)

// monthConn is a port that a process has open.
type monthConn struct {
	wire.Port
	host *monthHost
}

// Close implements io.Closer.
func (c *monthConn) Close() error {
	c.host.mu.Lock()
	delete(c.host.open, c)
	c.host.mu.Unlock()
	return c.Port.Close()
}

// Open implements modem.Opener.
func (h *monthHost) Open(path string) (wire.Port, error) {
	h.mu.Lock()
	s, dead := h.ports[path], h.dead
	h.mu.Unlock()
	if s == nil || dead {
		return nil, fs.ErrNotExist
	}
	port, err := s.modem.Dial() // which fails while it is out
	if err != nil {
		return nil, err
	}
	c := &monthConn{port, h}
	h.mu.Lock()
	h.open[c] = true
	h.mu.Unlock()
	return c, nil
}

// Lookup implements modem.Opener.
func (h *monthHost) Lookup(path string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.ports[path]; s != nil && !s.out && !h.dead {
		return fmt.Sprint(path, s.mark)
	}
	return ""
}

// Glob implements modem.Opener.
func (h *monthHost) Glob(pattern string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(h.ports)), func(path string) bool {
		fits, _ := filepath.Match(pattern, path)
		return !fits || h.ports[path].out || h.dead
	})
}

// cut closes all ports of a process that has ended.
func (h *monthHost) cut() {
	h.mu.Lock()
	h.dead = true
	var mine []*monthConn
	for c := range h.open {
		if c.host == h {
			mine = append(mine, c)
		}
	}
	h.mu.Unlock()
	for _, c := range mine {
		_ = c.Close()
	}
}

// unplug takes a modem out for a while.
func (m *month) unplug(s *monthSIM, away time.Duration) {
	m.mu.Lock()
	socket := m.ports[s.path]
	socket.out = true
	m.mu.Unlock()
	s.modem.Unplug()
	pause(away)
	m.must(s.modem.Plug(""))
	m.mu.Lock()
	socket.out = false
	socket.mark++
	m.mu.Unlock()
}

// monthUSB is a host without USB devices.
type monthUSB struct{}

// Ports implements modem.USB.
func (monthUSB) Ports() []modem.USBPort { return nil }

// Reset implements modem.USB.
func (monthUSB) Reset(modem.USBPort) error { return fs.ErrNotExist }
