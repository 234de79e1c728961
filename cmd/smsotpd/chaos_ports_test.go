package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
	"smsotpd/modem/wire"
)

// bus has simulated modems at paths that change: pseudo-terminals, or in
// memory.
type bus struct {
	dir  string // "" for those in memory
	note func(format string, args ...any)

	mu       sync.Mutex
	sessions []*portSession        // guarded by mu
	modems   map[string]*sim.Modem // by path; guarded by mu
	marks    map[string]int        // guarded by mu
	mark     int                   // guarded by mu
}

func newBus(dir string, note func(string, ...any)) *bus {
	return &bus{dir: dir, note: note, modems: map[string]*sim.Modem{}, marks: map[string]int{}}
}

// pattern fits all paths.
func (b *bus) pattern() string { return b.path("*") }

func (b *bus) path(which any) string {
	if b.dir == "" {
		return fmt.Sprint("/dev/ttyUSB", which)
	}
	return filepath.Join(b.dir, fmt.Sprint("modem", which))
}

// host is the bus as one process sees it.
func (b *bus) host() *host { return &host{bus: b} }

type host struct {
	*bus
	dead bool // guarded by mu
}

var _ modem.Opener = (*host)(nil)

// Open implements modem.Opener.
func (h *host) Open(path string) (wire.Port, error) {
	h.mu.Lock()
	m, dead := h.modems[path], h.dead
	h.mu.Unlock()
	if m == nil || dead {
		return nil, fs.ErrNotExist
	}
	var port wire.Port
	var err error
	if h.dir == "" {
		port, err = m.Dial()
	} else {
		port, err = modem.Devices{}.Open(path)
	}
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	moved := h.modems[path] != m
	h.mu.Unlock()
	if moved { // meanwhile; no path leads to what is elsewhere
		return nil, errors.Join(fs.ErrNotExist, port.Close())
	}
	s := &portSession{Port: port, bus: h.bus, host: h, modem: m, opened: time.Now()}
	h.note("modem %d: open", m.Index())
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions = append(h.sessions, s)
	return s, nil
}

// cut closes all ports of a process that has ended.
func (h *host) cut() {
	h.mu.Lock()
	h.dead = true
	sessions := slices.Clone(h.sessions)
	h.mu.Unlock()
	for _, s := range sessions {
		if s.host == h {
			_ = s.Close()
		}
	}
}

// Lookup implements modem.Opener.
func (h *host) Lookup(path string) string {
	if h.dir != "" {
		return modem.Devices{}.Lookup(path)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.modems[path] == nil {
		return ""
	}
	return fmt.Sprint(h.marks[path])
}

// Glob implements modem.Opener.
func (h *host) Glob(pattern string) []string {
	if h.dir != "" {
		return modem.Devices{}.Glob(pattern)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []string
	for path := range h.modems {
		if ok, _ := filepath.Match(pattern, path); ok {
			found = append(found, path)
		}
	}
	slices.Sort(found)
	return found
}

// portSession is the time that a modem's port was open.
type portSession struct {
	wire.Port
	bus    *bus
	host   *host
	modem  *sim.Modem
	opened time.Time
	closed time.Time    // guarded by the bus's mu
	heard  bytes.Buffer // what was read, but for NULs; guarded by the bus's mu
}

// Read implements io.Reader.
func (s *portSession) Read(b []byte) (int, error) {
	n, err := s.Port.Read(b)
	s.bus.note("modem %d < %.400q %v", s.modem.Index(), b[:n], err)
	s.bus.mu.Lock()
	s.heard.Write(bytes.ReplaceAll(b[:n], []byte{0}, nil))
	s.bus.mu.Unlock()
	return n, err
}

// Write implements io.Writer.
func (s *portSession) Write(b []byte) (int, error) {
	n, err := s.Port.Write(b)
	s.bus.note("modem %d > %.400q %v", s.modem.Index(), b[:n], err)
	return n, err
}

// Close implements io.Closer.
func (s *portSession) Close() error {
	s.bus.mu.Lock()
	if s.closed.IsZero() {
		s.closed = time.Now()
	}
	s.bus.mu.Unlock()
	s.bus.note("modem %d: close", s.modem.Index())
	return s.Port.Close()
}

// heard tells whether a delivery report was heard for sure: what a modem says to
// a port that nobody has open or reads is lost, and so may be what a process
// that is killed has just read.
func (b *bus) heard(r reported) bool {
	said := fmt.Appendf(nil, "%02X0B91%X", r.Message.MR, semiOctets(strings.TrimPrefix(r.Message.To, "+"))) // TP-MR and TP-RA
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.sessions, func(s *portSession) bool {
		return s.modem.Index() == r.Message.Modem && s.opened.Before(r.at) &&
			(s.closed.IsZero() || s.closed.After(r.at.Add(time.Second))) && bytes.Contains(s.heard.Bytes(), said)
	})
}

func (b *bus) unplug(m *sim.Modem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for path, at := range b.modems {
		if at == m {
			delete(b.modems, path)
		}
	}
	m.Unplug()
}

// replug brings a modem back: in memory under the first path that is free, as
// the kernel names them, and else under one that was never used, since a modem
// that lost its power may come back at its own.
func (b *bus) replug(m *sim.Modem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for path, at := range b.modems {
		if at == m {
			b.power(m, path) // it may have lost its power alone
			return
		}
	}
	b.mark++
	path := b.path(b.mark)
	if b.dir == "" {
		for i := 0; i == 0 || b.modems[path] != nil; i++ {
			path = b.path(i)
		}
	}
	b.modems[path], b.marks[path] = m, b.mark
	b.note("modem %d is at %s", m.Index(), path)
	b.power(m, path)
}

func (b *bus) power(m *sim.Modem, path string) {
	link := path
	if b.dir == "" {
		link = ""
	}
	if err := m.Plug(link); err != nil && !errors.Is(err, sim.ErrInUse) {
		b.note("modem %d can't be plugged in: %v", m.Index(), err)
	}
}

func (b *bus) swap(one, other *sim.Modem) {
	b.unplug(one)
	b.unplug(other)
	b.replug(other)
	b.replug(one)
}
