package modem_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick are time-outs for tests in real time against a simulator that answers
// at once.
func quick() modem.Timeouts {
	return modem.Timeouts{
		Prompt:  500 * time.Millisecond,
		Final:   time.Second,
		Settled: 300 * time.Millisecond,
		Write:   300 * time.Millisecond,
		Wake:    300 * time.Millisecond,
		Quiet:   20 * time.Millisecond,
		Poll:    20 * time.Millisecond,
		Health:  time.Minute,
		Owed:    time.Second,
		Appear:  20 * time.Millisecond,
		Retry:   200 * time.Millisecond,
	}
}

// bench is a pool over simulated modems on real ptys, and what it hands out.
type bench struct {
	t    testing.TB
	net  *sim.Network
	dir  string
	pool *modem.Pool

	mu      sync.Mutex
	reports []modem.Report
	inbound []modem.Inbound
	events  []modem.Event
	lines   map[string]*modem.Line // the newest by name
	keep    func() error           // what the handlers say, nil: that they kept it
	held    func()                 // may hold the handlers up; nil: nothing does
	fresh   chan struct{}

	patience time.Duration
	halt     func() // ends the pool, and nothing else
	stop     func()
}

func newBench(t testing.TB, cfg sim.NetworkConfig) *bench {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &bench{
		t: t, net: sim.NewNetwork(cfg), patience: 10 * time.Second,
		lines: make(map[string]*modem.Line), fresh: make(chan struct{}, 1),
	}
}

// start plugs the modems in as modem0, modem1, … and runs a pool over ports,
// or over all of them by path where there are none.
func start(t testing.TB, cfg sim.NetworkConfig, modems []sim.ModemConfig, pc modem.PoolConfig) *bench {
	t.Helper()
	b := newBench(t, cfg)
	b.dir = t.TempDir()
	var paths []string
	for i, mc := range modems {
		link := b.path(i)
		m, err := b.net.NewModem(mc)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Open(link); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, link)
	}
	if pc.Ports == nil {
		pc.Ports = paths
	}
	for i, port := range pc.Ports { // "DIR" stands for the links' directory
		pc.Ports[i] = strings.ReplaceAll(port, "DIR", b.dir)
	}
	b.run(pc)
	t.Cleanup(b.stop)
	return b
}

func (b *bench) path(i int) string { return filepath.Join(b.dir, fmt.Sprintf("modem%d", i)) }

func (b *bench) run(pc modem.PoolConfig) {
	b.t.Helper()
	if pc.Logger == nil {
		pc.Logger = slog.New(slog.DiscardHandler)
		if os.Getenv("MODEM_LOG") != "" {
			pc.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
		}
	}
	if pc.Timeouts == (modem.Timeouts{}) {
		pc.Timeouts = quick()
	}
	pc.OnReport = func(r modem.Report) error {
		if b.held != nil {
			b.held()
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.keep != nil {
			if err := b.keep(); err != nil {
				return err
			}
		}
		b.reports = append(b.reports, r)
		b.wake()
		return nil
	}
	pc.OnInbound = func(i modem.Inbound) error {
		if b.held != nil {
			b.held()
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.keep != nil {
			if err := b.keep(); err != nil {
				return err
			}
		}
		b.inbound = append(b.inbound, i)
		b.wake()
		return nil
	}
	pc.OnEvent = func(e modem.Event) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.events = append(b.events, e)
	}
	pool, err := modem.NewPool(pc)
	if err != nil {
		b.t.Fatal(err)
	}
	b.pool = pool
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := pool.Run(ctx); err != nil {
			b.t.Errorf("Run: %v", err)
		}
	})
	running.Go(func() {
		for {
			select {
			case line := <-pool.Ready():
				b.mu.Lock()
				b.lines[line.Name()] = line
				b.wake()
				b.mu.Unlock()
			case <-ctx.Done():
				return
			}
		}
	})
	b.halt = func() {
		cancel()
		running.Wait()
	}
	b.stop = func() {
		b.halt()
		b.net.Close()
	}
}

func (b *bench) wake() {
	select {
	case b.fresh <- struct{}{}:
	default:
	}
}

// until waits for a condition that new lines, reports or time bring about.
func (b *bench) until(what string, holds func() bool) {
	b.t.Helper()
	deadline := time.After(b.patience)
	for !holds() {
		select {
		case <-b.fresh:
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			b.t.Fatalf("no %s; %+v", what, b.pool.Statuses())
		}
	}
}

// line waits for an open line of the modem.
func (b *bench) line(name string) *modem.Line {
	b.t.Helper()
	var found *modem.Line
	b.until("line "+name, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		found = b.lines[name]
		if found == nil {
			return false
		}
		select {
		case <-found.Closed():
			return false
		default:
			return true
		}
	})
	return found
}

func (b *bench) status(name string) modem.Status {
	for _, s := range b.pool.Statuses() {
		if s.Name == name {
			return s
		}
	}
	return modem.Status{}
}

func (b *bench) fault(i int, f sim.Fault) {
	b.t.Helper()
	if err := b.net.Modems()[i].AddFault(f); err != nil {
		b.t.Fatal(err)
	}
}

// submit sends by the modem's line, and by its next one where that was over
// before anything was written.
func (b *bench) submit(name, to, text string) modem.Result {
	b.t.Helper()
	for {
		r := b.line(name).Submit(context.Background(), modem.Submission{To: to, Text: text, Report: true})
		if r.Cause != "closed" {
			return r
		}
	}
}
