package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"smsotpd/gateway"
	"smsotpd/gateway/guard"
	"smsotpd/gateway/keyring"
	"smsotpd/modem"
	"smsotpd/modem/sim"
	"smsotpd/storage/bolt"
)

var (
	monthSeed     = flag.Uint64("month.seed", 0, "seed of the simulated month; 0 takes a new one")
	monthMessages = flag.Int("month.messages", monthDefaultMessages, "codes that are asked for in the simulated month")
	monthDays     = flag.Int("month.days", monthDefaultDays, "days of the simulated month: 21 at least, for everything to happen")
	monthLog      = flag.Bool("month.log", false, "write to stderr what the gateway logs in the simulated month")
)

// TestMonth is a month of twenty SIMs of three operators, in virtual time. Each
// has a budget; one SIM is banned for three days, one swallows what it is given
// for two, one operator is away for an hour, one modem comes and goes for a day,
// one never reports though all that it sends arrives, and the gateway is killed
// twice. The simulator's own log is the judge: no code is lost that a SIM could
// have carried, no budget is ever exceeded, nobody gets another's code or a
// third one, and each event is told. The report is in the test's output.
func TestMonth(t *testing.T) {
	// In virtual time one goroutine waits for the other: a second processor only
	// lets them meet, and the race detector lose count.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(300)) // about as serve does
	synctest.Test(t, func(t *testing.T) { newMonth(t).run() })
}

// month is gateways, one after the other, over the SIMs of one host.
type month struct {
	t       *testing.T
	seed    uint64
	days    int
	zone    *time.Location
	began   time.Time // the midnight that its first day begins with
	config  Config
	sims    []*monthSIM
	byIMSI  map[string]*monthSIM
	network *sim.Network
	state   string // directory
	keys    *keyring.Keyring
	books   int                           // databases that there were
	daemon  atomic.Pointer[monthGateway]  // nil while there is none
	killed  []time.Time                   // when
	others  sync.WaitGroup                // people, and what happens
	totals  map[string]map[string]float64 // of the metrics, by name and by modem and event

	mu     sync.Mutex
	starts []*monthStart           // in the order of their time; guarded by mu
	newest map[string]*monthStart  // by number; guarded by mu
	taken  []sim.Message           // what the networks took; guarded by mu
	events []modem.Event           // what was told; guarded by mu
	wrong  map[string]int          // faults found while it runs; guarded by mu
	ports  map[string]*monthSocket // by path; guarded by mu
	open   map[*monthConn]bool     // guarded by mu
}

// monthGateway is one gateway with its driver.
type monthGateway struct {
	gw       *gateway.Gateway
	database string
	registry *prometheus.Registry
	cut      func()
	stop     func()
}

func newMonth(t *testing.T) *month {
	t.Helper()
	if *monthDays < 21 {
		t.Fatal("-month.days must be 21 at least")
	}
	m := &month{
		t: t, seed: *monthSeed, days: *monthDays, byIMSI: map[string]*monthSIM{}, newest: map[string]*monthStart{},
		totals: map[string]map[string]float64{}, wrong: map[string]int{}, ports: map[string]*monthSocket{}, open: map[*monthConn]bool{},
	}
	if m.seed == 0 {
		m.seed = rand.Uint64()
	}
	t.Logf("seed: -month.seed %d, %d messages in %d days", m.seed, *monthMessages, m.days)
	m.state = m.directory()
	m.network = sim.NewNetwork(sim.NetworkConfig{
		Seed: m.seed, OnMessage: m.took, OnDeliver: m.arrived,
		Report: sim.LogNormal(2*time.Second, 8*time.Second),
		// As real networks are: some reports never come, or late, or twice.
		Reports: sim.ReportChaos{Drop: 0.01, Double: 0.01, Late: 0.01},
	})
	m.configure()
	return m
}

// directory is in memory where the host has one there: nothing is to be learnt
// from the fsyncs of a month.
func (m *month) directory() string {
	const shared = "/dev/shm"
	if _, err := os.Stat(shared); err != nil {
		return m.t.TempDir()
	}
	dir, err := os.MkdirTemp(shared, "smsotpd-month")
	m.must(err)
	m.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (m *month) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *month) run() {
	defer m.network.Close()
	// The month of the calendar ends within the simulated one: what counts by
	// the month begins anew.
	const firstDay = 11
	now := time.Now().In(m.zone)
	m.began = time.Date(now.Year(), now.Month(), firstDay, 0, 0, 0, 0, m.zone)
	pause(time.Until(m.began) - time.Minute)
	m.plug()
	m.serve(m.database())
	pause(time.Until(m.began))
	m.others.Go(m.ask)
	m.happen()
	for day := range m.days {
		pause(time.Until(m.day(day+2, 0)))
		if *monthLog {
			fmt.Fprintf(os.Stderr, "the end of day %d\n", day+1)
		}
	}
	m.others.Wait()
	m.gather(m.daemon.Load())
	m.daemon.Swap(nil).stop()
	m.judge()
}

// quiet says whether so little is asked for that a SIM proves nothing within days.
func (m *month) quiet() bool { return *monthMessages < 10*m.days*len(m.sims) }

// day is a time of the n-th day, the first being 1.
func (m *month) day(n int, hour float64) time.Time {
	midnight := time.Date(m.began.Year(), m.began.Month(), m.began.Day()+n-1, 0, 0, 0, 0, m.zone)
	return midnight.Add(time.Duration(hour * float64(time.Hour)))
}

// plug makes the modems.
func (m *month) plug() {
	dice := rand.New(rand.NewPCG(m.seed, 3))
	for i, s := range m.sims {
		kind := sim.Generic()
		kind.NoReports = s.silent
		var err error
		s.modem, err = m.network.NewModem(sim.ModemConfig{
			Profile: kind, IMSI: s.imsi, Operator: s.operator, FirstMR: byte(dice.IntN(256)),
		})
		m.must(err)
		s.path = monthPath(i)
		m.mu.Lock()
		m.ports[s.path] = &monthSocket{modem: s.modem}
		m.mu.Unlock()
	}
}

// database is the path of a new store.
func (m *month) database() string {
	m.books++
	return filepath.Join(m.state, string(rune('a'+m.books))+".db")
}

// serve sets a gateway going over a database, with the daemon's own
// configuration.
func (m *month) serve(database string) {
	if m.keys == nil {
		key := filepath.Join(m.state, "master.key")
		m.must(keyring.Init(key))
		master, err := keyring.ReadMaster(key)
		m.must(err)
		m.keys, err = keyring.Open(m.state, master)
		m.must(err)
	}
	store, err := bolt.Open(bolt.Options{Path: database, Daemon: true})
	m.must(err)
	log := slog.New(slog.DiscardHandler)
	if *monthLog {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	log = slog.New(monthHears{log.Handler(), m})
	policy, err := m.config.policy()
	m.must(err)
	d, fleet := &monthGateway{database: database, registry: prometheus.NewRegistry()}, new(fleet)
	d.gw, err = gateway.New(gateway.Options{
		Store: store, Keys: m.keys, Services: []gateway.Service{gateway.DefaultService()}, Fleet: fleet, Logger: log,
		Guard: guard.Policy{AllowRegions: m.config.AllowRegions}, Dispatch: &policy, BudgetZone: m.zone, Metrics: d.registry,
	})
	m.must(err)
	opener := &monthHost{month: m}
	var ports []string
	for _, s := range m.sims {
		ports = append(ports, s.name+"="+s.path)
	}
	fleet.Pool, err = modem.NewPool(modem.PoolConfig{
		Ports: ports, Opener: opener, USB: monthUSB{}, Logger: slog.New(slog.DiscardHandler), Cards: m.config.cards(),
		Timeouts:  modem.Timeouts{Health: monthHealth, Tidy: monthHealth, Appear: 2 * time.Second},
		OnReport:  func(r modem.Report) error { return d.gw.Report(context.Background(), r) },
		OnInbound: func(in modem.Inbound) error { return d.gw.Received(context.Background(), in) },
		OnEvent: func(e modem.Event) {
			m.told(e)
			d.gw.Happened(e)
		},
	})
	m.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	driving, drive := context.WithCancel(context.Background())
	var serving, modems sync.WaitGroup
	serving.Go(func() { m.must(d.gw.Run(ctx)) })
	modems.Go(func() { m.must(fleet.Run(driving)) })
	d.cut = opener.cut
	d.stop = func() {
		cancel()
		serving.Wait()
		drive()
		modems.Wait()
		m.must(store.Close())
	}
	m.daemon.Store(d)
}

// monthHealth is how often an idle modem is looked after: a month of the usual
// 30 s is nothing that a test can wait for.
const monthHealth = 60 * time.Minute

// kill ends the gateway as SIGKILL does: what is not on disk is lost, and its
// ports close at once. Another one goes on from what is there.
func (m *month) kill() {
	old := m.daemon.Swap(nil)
	synctest.Wait() // whoever asked has an answer, and nothing is being written
	raw, err := os.ReadFile(old.database)
	m.must(err)
	database := m.database()
	m.must(os.WriteFile(database, raw, 0o600))
	m.gather(old)
	m.killed = append(m.killed, time.Now())
	old.cut()
	m.mu.Lock()
	events := len(m.events)
	m.mu.Unlock()
	old.stop() // into the old database
	m.mu.Lock()
	m.events = m.events[:events] // nobody hears the dead
	m.mu.Unlock()
	m.must(os.Remove(old.database))
	pause(time.Second)
	m.serve(database)
}

// up waits for the gateway that is there now.
func (m *month) up() *monthGateway {
	for {
		if d := m.daemon.Load(); d != nil {
			return d
		}
		pause(100 * time.Millisecond)
	}
}

// gather adds up the metrics of a gateway that ends.
func (m *month) gather(d *monthGateway) {
	families, err := d.registry.Gather()
	m.must(err)
	for _, f := range families {
		name := f.GetName()
		if m.totals[name] == nil {
			m.totals[name] = map[string]float64{}
		}
		for _, metric := range f.GetMetric() {
			labels := ""
			for _, l := range metric.GetLabel() {
				labels += l.GetValue() + " "
			}
			m.totals[name][labels] += metric.GetCounter().GetValue()
		}
	}
}

// monthHears hears in the log what is told of SIMs.
type monthHears struct {
	slog.Handler
	month *month
}

// Enabled implements slog.Handler.
func (monthHears) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

// Handle implements slog.Handler.
func (h monthHears) Handle(ctx context.Context, r slog.Record) error {
	e := modem.Event{At: time.Now()}
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "modem":
			e.Modem = a.Value.String()
		case "event":
			e.Kind = modem.EventKind(a.Value.String())
		case "detail":
			e.Detail = a.Value.String()
		}
		return true
	})
	if e.Kind != "" {
		h.month.told(e)
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h monthHears) WithAttrs(attrs []slog.Attr) slog.Handler {
	return monthHears{h.Handler.WithAttrs(attrs), h.month}
}

// told is something that the operator is told of.
func (m *month) told(e modem.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, e)
}
