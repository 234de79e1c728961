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
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/gateway"
	"smsotpd/gateway/guard"
	"smsotpd/gateway/keyring"
	"smsotpd/modem"
	"smsotpd/modem/sim"
	"smsotpd/storage/bolt"
)

var (
	chaosSeed     = flag.Uint64("chaos.seed", 0, "seed of the chaos runs; 0 takes a new one")
	chaosMessages = flag.Int("chaos.messages", 400, "messages of the chaos runs in virtual time")
	chaosTime     = flag.Duration("chaos.time", 2*time.Minute, "how long faults strike in the chaos runs in virtual time")
	chaosPTYs     = flag.Int("chaos.pty.messages", 200, "messages of the chaos run over pseudo-terminals")
	chaosPTYTime  = flag.Duration("chaos.pty.time", 20*time.Second, "how long faults strike in the chaos run over pseudo-terminals")
	chaosLog      = flag.Bool("chaos.log", false, "write to stderr what the chaos runs do, every octet on the wires included")
)

const (
	chaosModems = 8
	// chaosLife is the life of a code: the longest that there is, so that
	// modems have time to come back.
	chaosLife = 10 * time.Minute
	// chaosHeap is how many octets of the heap a run may leave behind.
	chaosHeap = 16 << 20
)

// chaosPlan is what a chaos run is made of.
type chaosPlan struct {
	messages int
	time     time.Duration // how long faults strike
	// sound is how many of the modems nothing happens to.
	sound int
	// odd: the modems are of different kinds.
	odd bool
	// kills is how often the gateway is killed.
	kills int
	// dir is where the ports are; "" has them in memory, and time is virtual.
	dir string
	// quick divides all times: those that faults take, and the driver's.
	quick       time.Duration
	air, report sim.Delay
	// operators are those of the SIMs, in turn; nil: all are of one.
	operators []string
	// reports is how the service centre treats its delivery reports.
	reports sim.ReportChaos
	// adapt changes how the gateway is set up; nil: nothing.
	adapt func(*gateway.Options)
}

// TestChaos lets eight modems suffer from faults of every kind while messages
// go out and come in and the gateway is killed, in virtual time. In the end
// every message is in the state that the simulator's own log says is true,
// nobody got another's code, nobody got one twice unless it was in doubt and
// says so, what came in is there once, and nothing is left over.
func TestChaos(t *testing.T) {
	virtualChaos(t, chaosPlan{
		messages: *chaosMessages, time: *chaosTime, odd: true, kills: 3, quick: 1,
		air: sim.LogNormal(time.Second, 4*time.Second), report: sim.LogNormal(400*time.Millisecond, 2*time.Second),
	})
}

// TestChaosHalf lets only half of the modems suffer: no message may wait for
// those while the others could send it.
func TestChaosHalf(t *testing.T) {
	virtualChaos(t, chaosPlan{
		messages: *chaosMessages / 2, time: *chaosTime, sound: chaosModems / 2, quick: 1,
		air: sim.LogNormal(time.Second, 4*time.Second), report: sim.LogNormal(400*time.Millisecond, 2*time.Second),
	})
}

// TestChaosPTY is chaos in real time, over pseudo-terminals.
func TestChaosPTY(t *testing.T) {
	t.Parallel()
	newChaos(t, chaosPlan{
		messages: *chaosPTYs, time: *chaosPTYTime, odd: true, dir: t.TempDir(), quick: 20,
		air: sim.LogNormal(100*time.Millisecond, 400*time.Millisecond), report: sim.LogNormal(50*time.Millisecond, 200*time.Millisecond),
	}).run()
}

func virtualChaos(t *testing.T, plan chaosPlan) {
	t.Helper()
	descriptors, heap := openDescriptors(t), heapInUse()
	synctest.Test(t, func(t *testing.T) { newChaos(t, plan).run() }) // fails on goroutines that are left
	if left := openDescriptors(t); left > descriptors {
		t.Errorf("%d descriptors are left over", left-descriptors)
	}
	if left := heapInUse(); left > heap+chaosHeap {
		t.Errorf("%d octets are left over", left-heap)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

func heapInUse() uint64 {
	for range 2 { // what has a finalizer goes with the second
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// chaos is gateways, one after the other, over simulated modems.
type chaos struct {
	t       *testing.T
	plan    chaosPlan
	seed    uint64
	dice    *rand.Rand // of whoever strikes
	network *sim.Network
	ports   *bus
	state   string // directory
	keys    *keyring.Keyring
	daemon  atomic.Pointer[daemonUnderTest] // nil while there is none
	books   int                             // databases that there were

	mu       sync.Mutex
	started  map[string]gateway.Verification // by number; guarded by mu
	arrived  map[string][]string             // codes, by number; guarded by mu
	reported map[string][]reported           // by number; guarded by mu
	approved map[string]bool                 // numbers; guarded by mu
	written  map[string]string               // texts to the SIMs, by sender; guarded by mu
	over     bool                            // guarded by mu
	others   sync.WaitGroup                  // people at work
	typing   sync.WaitGroup
}

// reported is a delivery report that a modem was handed.
type reported struct {
	sim.Receipt
	at time.Time
}

func newChaos(t *testing.T, plan chaosPlan) *chaos {
	t.Helper()
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed: -chaos.seed %d, %d messages, %v", seed, plan.messages, plan.time)
	c := &chaos{
		t: t, plan: plan, seed: seed, dice: rand.New(rand.NewPCG(seed, 1)), state: t.TempDir(),
		started: map[string]gateway.Verification{}, arrived: map[string][]string{}, reported: map[string][]reported{},
		approved: map[string]bool{}, written: map[string]string{},
	}
	c.ports = newBus(plan.dir, c.note)
	c.network = sim.NewNetwork(sim.NetworkConfig{
		Seed: seed, Keep: 1 << 20, OnDeliver: c.deliver, OnReport: c.report, Air: plan.air, Report: plan.report,
		Reports: plan.reports,
	})
	return c
}

// note writes a line to stderr, where that is asked for.
func (c *chaos) note(format string, args ...any) {
	if *chaosLog {
		fmt.Fprintf(os.Stderr, time.Now().UTC().Format("15:04:05.000000 ")+format+"\n", args...)
	}
}

// pause is a sleep, mostly in virtual time.
func pause(d time.Duration) { <-time.After(d) }

func (c *chaos) run() {
	defer c.network.Close()
	c.plug()
	c.daemon.Store(c.serve(c.database()))
	c.others.Go(c.ask)
	c.others.Go(c.write)
	c.others.Go(c.inquire)
	c.strike()
	c.others.Wait()
	c.calm()
	c.settle()
	c.mu.Lock()
	c.over = true
	c.mu.Unlock()
	c.typing.Wait()
	c.judge()
	c.judgeViolations()
	c.daemon.Load().stop()
}

// plug makes the modems, of kinds that seed and plan choose.
func (c *chaos) plug() {
	kinds := []sim.Profile{sim.Generic()}
	for _, name := range sim.ProfileNames() {
		if p, err := sim.ProfileNamed(name); err == nil && c.plan.odd && suits(p) {
			kinds = append(kinds, p)
		}
	}
	for i := range chaosModems {
		kind := kinds[c.dice.IntN(len(kinds))]
		kind.Boot = c.quickBoot(kind.Boot)
		config := sim.ModemConfig{Profile: kind, FirstMR: byte(c.dice.IntN(256))}
		if n := len(c.plan.operators); n > 0 {
			config.Operator = c.plan.operators[i%n]
		}
		m, err := c.network.NewModem(config)
		if err != nil {
			c.t.Fatal(err)
		}
		c.note("modem %d is %s", m.Index(), kind.Name)
		m.Unplug()
		c.ports.replug(m)
	}
}

// suits tells the kinds whose messages can be judged. Nobody can tell where one
// without IMEI and IMSI is plugged in next, and one that never reports says
// nothing of what arrived.
func suits(p sim.Profile) bool {
	return p.Name != "nameless" && !p.NoReports && !p.CNMIIgnored
}

func (c *chaos) quickBoot(steps []sim.BootStep) []sim.BootStep {
	quick := make([]sim.BootStep, len(steps))
	for i, s := range steps {
		s.After /= c.plan.quick
		quick[i] = s
	}
	return quick
}

// daemonUnderTest is a gateway and its driver, as the daemon has them.
type daemonUnderTest struct {
	gw       *gateway.Gateway
	fleet    *fleet
	host     *host
	database string
	stop     func()
}

// database is the path of a new store.
func (c *chaos) database() string {
	c.books++
	return filepath.Join(c.state, fmt.Sprintf("%d.db", c.books))
}

// serve sets a gateway going over a database.
func (c *chaos) serve(database string) *daemonUnderTest {
	t := c.t
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if c.keys == nil {
		must(keyring.Init(filepath.Join(c.state, "master.key")))
		master, err := keyring.ReadMaster(filepath.Join(c.state, "master.key"))
		must(err)
		c.keys, err = keyring.Open(c.state, master)
		must(err)
	}
	store, err := bolt.Open(bolt.Options{Path: database, Daemon: true})
	must(err)
	log := slog.New(slog.DiscardHandler)
	if *chaosLog {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	service := gateway.DefaultService()
	service.Verification.TTL = chaosLife
	d := &daemonUnderTest{fleet: new(fleet), host: c.ports.host(), database: database}
	options := gateway.Options{
		Store: store, Keys: c.keys, Services: []gateway.Service{service}, Fleet: d.fleet, Logger: log,
		Guard: guard.Policy{AllowRegions: []string{"FR"}},
	}
	if c.plan.adapt != nil {
		c.plan.adapt(&options)
	}
	d.gw, err = gateway.New(options)
	must(err)
	d.fleet.Pool, err = modem.NewPool(modem.PoolConfig{
		Ports: []string{c.ports.pattern()}, Opener: d.host, Logger: log, Timeouts: c.timeouts(),
		OnReport: func(r modem.Report) error {
			c.note("a report of %d to %s: status %d, of the SIM %q in %q", r.MR, r.Recipient, r.Status, r.IMSI, r.Alias)
			return d.gw.Report(context.Background(), r)
		},
		OnInbound: func(m modem.Inbound) error { return d.gw.Received(context.Background(), m) },
	})
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	driving, drive := context.WithCancel(context.Background())
	var gateway, modems sync.WaitGroup
	gateway.Go(func() { must(d.gw.Run(ctx)) })
	modems.Go(func() { must(d.fleet.Run(driving)) })
	d.stop = func() {
		cancel()
		gateway.Wait()
		drive()
		modems.Wait()
		must(store.Close())
	}
	return d
}

// timeouts of the driver: its own where time is virtual.
func (c *chaos) timeouts() modem.Timeouts {
	if c.plan.quick == 1 {
		return modem.Timeouts{}
	}
	return modem.Timeouts{
		Prompt: time.Second, Final: 180 * time.Second / c.plan.quick, Settled: time.Second, Write: time.Second,
		Wake: 300 * time.Millisecond, Quiet: 50 * time.Millisecond, Poll: 200 * time.Millisecond,
		Health: 3 * time.Second, Owed: 3 * time.Second, Appear: 50 * time.Millisecond, Retry: time.Second,
	}
}

// kill ends the gateway as SIGKILL does, in virtual time: what is not on disk
// is lost, and its ports close at once. Another one goes on from what is there.
func (c *chaos) kill() {
	c.note("the gateway is killed")
	old := c.daemon.Swap(nil)
	synctest.Wait() // whoever asked has an answer, and nothing is being written
	raw, err := os.ReadFile(old.database)
	if err != nil {
		c.t.Fatal(err)
	}
	database := c.database()
	if err := os.WriteFile(database, raw, 0o600); err != nil {
		c.t.Fatal(err)
	}
	old.host.cut()
	old.stop() // into the old database
	pause(time.Second)
	c.daemon.Store(c.serve(database))
}

// up waits for the gateway that is there now.
func (c *chaos) up() *daemonUnderTest {
	for {
		if d := c.daemon.Load(); d != nil {
			return d
		}
		pause(100 * time.Millisecond)
	}
}
