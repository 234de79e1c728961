package modem

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// PoolConfig says which modems there are.
type PoolConfig struct {
	// Ports are paths or globs (filepath.Match), each with an optional name
	// in front: "/dev/ttyUSB2", "front=/dev/ttyUSB2", "/dev/ttyUSB*"; or Auto
	// for all modems on USB. Of one stick's several ports one is used, and
	// where a path is the wrong one of a stick, another one of that stick.
	Ports []string
	// USB knows the USB devices; nil: those of this host.
	USB USB
	// Opener opens them; nil: the serial devices of this host.
	Opener Opener
	// Logger gets what an operator may want to know, never a number, text or
	// PIN; nil: slog.Default().
	Logger *slog.Logger
	// PINFile holds the PIN for SIMs that ask for one; "": none. Each PIN is
	// tried once a SIM.
	PINFile string
	// Timeouts that are 0 take their defaults.
	Timeouts Timeouts
	// Cards are the operator's settings for single SIMs.
	Cards []Card
	// Profiles are the operator's own; they go over the driver's.
	Profiles []Profile
	// PINs remembers over a restart which PINs were tried; nil: nothing does.
	PINs PINMemory
	// SIMs remembers over a restart which SIM is in which modem; nil: nothing
	// does.
	SIMs SIMMemory
	// OnReport and OnInbound are given delivery reports and messages: those
	// of one modem in order and one at a time, those of different modems at
	// the same time. They may block, and return nil when what they were given
	// is durable: only then is it deleted where a modem has stored it.
	OnReport  func(Report) error
	OnInbound func(Inbound) error
	// OnEvent is told what happens to the modems; it must not block.
	OnEvent func(Event)
	// Trace is given what passes between host and modems, line by line and
	// with the modem's name, without numbers, texts, codes and PINs; nil:
	// nobody is. It may be called at once for different modems.
	Trace func(modem, line string)
}

// Timeouts of the driver. Zero values take the default in parentheses.
type Timeouts struct {
	// Prompt bounds the wait for the prompt of AT+CMGS (10 s), Final that for
	// its answer (180 s), Settled the same after a sign of a restart (10 s),
	// Write each write to the port (5 s).
	Prompt, Final, Settled, Write time.Duration
	// Wake bounds the answer to AT while a modem is synchronised (1.5 s),
	// Quiet is how long it must be quiet for that (300 ms; ten times that at
	// most).
	Wake, Quiet time.Duration
	// Poll is the pause between two looks at what is waited for (1.5 s).
	Poll time.Duration
	// Health is how often an idle modem is looked after (30 s), Tidy how often
	// its memory and routing are looked at (1 min at least).
	Health, Tidy time.Duration
	// Owed is how long the answer of a message that timed out is waited for
	// before the next message (60 s).
	Owed time.Duration
	// Appear is how often a port that isn't there is looked for (250 ms).
	Appear time.Duration
	// Retry is the longest pause between two attempts on a port that is no
	// modem, or busy, or dead (10 s).
	Retry time.Duration
}

func (t Timeouts) withDefaults() Timeouts {
	for _, d := range [...]struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Prompt, 10 * time.Second},
		{&t.Final, 180 * time.Second},
		{&t.Settled, 10 * time.Second},
		{&t.Write, 5 * time.Second},
		{&t.Wake, 1500 * time.Millisecond},
		{&t.Quiet, 300 * time.Millisecond},
		{&t.Poll, 1500 * time.Millisecond},
		{&t.Health, 30 * time.Second},
		{&t.Tidy, tidyEvery},
		{&t.Owed, 60 * time.Second},
		{&t.Appear, 250 * time.Millisecond},
		{&t.Retry, 10 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return t
}

// globEvery is how many times rarer directories are read than ports looked
// for: reading /dev costs more than all else that an idle daemon does.
const globEvery = 4

// Pool supervises many modems: each port has a worker of its own, so that one
// that hangs holds up no other.
type Pool struct {
	cfg      PoolConfig
	registry *registry
	cards    *cards
	profiles []Profile
	ready    chan *Line

	mu sync.Mutex
	// Guarded by mu.
	workers map[string]*worker // by path, or "usb " and the place of a device
	open    map[*worker]candidate
	usb     []USBPort // as of usbAt
	usbAt   time.Time
}

// Auto, for a port's path, is every modem on USB: what a profile knows by its
// vendor and product, has a modem's driver, or has several serial ports. Chips
// that give any serial device a USB plug are never looked at.
const Auto = "auto"

// NewPool checks the configuration. Run starts the work.
func NewPool(cfg PoolConfig) (*Pool, error) {
	if cfg.Opener == nil {
		cfg.Opener = Ports{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	cfg.Timeouts = cfg.Timeouts.withDefaults()
	if cfg.USB == nil {
		cfg.USB = HostUSB{cache: newUSBCache()}
	}
	profiles, err := allProfiles(cfg.Profiles)
	if err != nil {
		return nil, err
	}
	p := &Pool{
		cfg:      cfg,
		registry: newRegistry(),
		cards:    newCards(cfg),
		profiles: profiles,
		open:     make(map[*worker]candidate),
		ready:    make(chan *Line),
		workers:  make(map[string]*worker),
	}
	for _, entry := range cfg.Ports {
		name, path := splitPort(entry)
		if path == "" {
			return nil, errors.New("modem: a port has no path")
		}
		if path == Auto {
			continue
		}
		if isGlob(path) {
			if _, err := filepath.Match(path, ""); err != nil {
				return nil, errors.New("modem: the pattern of a port is malformed")
			}
			continue
		}
		if p.workers[path] != nil {
			return nil, errors.New("modem: a port is configured twice")
		}
		p.workers[path] = newWorker(p, path, name)
		p.workers[path].explicit = true
	}
	return p, nil
}

// happened tells whoever listens of an event.
func (p *Pool) happened(modem string, kind EventKind, detail string) {
	if p.cfg.OnEvent != nil {
		p.cfg.OnEvent(Event{Modem: modem, Kind: kind, Detail: detail, At: time.Now()})
	}
}

// splitPort takes "name=path" apart.
func splitPort(entry string) (name, path string) {
	if name, path, ok := strings.Cut(entry, "="); ok && name != "" && !strings.Contains(name, "/") {
		return name, path
	}
	return "", entry
}

func isGlob(path string) bool { return !IsRemote(path) && strings.ContainsAny(path, "*?[") }

// Ready gives each line once, when it has just been prepared.
func (p *Pool) Ready() <-chan *Line { return p.ready }

// Statuses is what the operator sees, sorted by name.
func (p *Pool) Statuses() []Status {
	p.mu.Lock()
	workers := make([]*worker, 0, len(p.workers))
	for _, w := range p.workers {
		workers = append(workers, w)
	}
	p.mu.Unlock()
	all := make([]Status, 0, len(workers))
	for _, w := range workers {
		st := w.snapshot()
		if p.registry.elsewhere(st.Name, w) {
			continue // its modem has moved to another port, which tells of it
		}
		all = append(all, st)
	}
	slices.SortFunc(all, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Port, b.Port))
	})
	return all
}

// Run supervises the modems until ctx ends, and returns nil when all ports are
// closed and all that was received is handed on. It may be called once.
func (p *Pool) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	p.mu.Lock()
	for _, w := range p.workers {
		running.Go(func() { w.run(ctx) })
	}
	p.mu.Unlock()

	var patterns []string
	for _, entry := range p.cfg.Ports {
		if _, path := splitPort(entry); path == Auto || isGlob(path) {
			patterns = append(patterns, entry)
		}
	}
	if len(patterns) == 0 {
		<-ctx.Done()
		return nil
	}
	look := time.NewTicker(globEvery * p.cfg.Timeouts.Appear)
	defer look.Stop()
	for {
		for _, entry := range patterns {
			for _, w := range p.found(entry) {
				running.Go(func() {
					w.run(ctx)
					p.forget(w)
				})
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
	}
}
