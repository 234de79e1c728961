package main

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/gateway"
	"smsotpd/gateway/guard"
	"smsotpd/gateway/keyring"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/modem/sim"
	"smsotpd/modem/wire"
	"smsotpd/storage/bolt"
)

var (
	chaosSeed     = flag.Uint64("chaos.seed", 0, "seed of the chaos run; 0 takes a new one")
	chaosMessages = flag.Int("chaos.messages", 400, "messages of the chaos run")
	chaosTime     = flag.Duration("chaos.time", 2*time.Minute, "how long faults strike in the chaos run")
	chaosLog      = flag.Bool("chaos.log", false, "show what the gateway logs in the chaos run")
)

const (
	chaosModems = 8
	// chaosLife is the life of a code: the longest that there is, so that
	// modems have time to come back.
	chaosLife = 10 * time.Minute
)

// TestChaos lets eight modems suffer from faults of every kind while messages
// go out, in virtual time. In the end every message is in the state that the
// simulator's own log says is true, nobody got another's code, nobody got one
// twice unless it was in doubt and says so, and nothing is left over.
func TestChaos(t *testing.T) {
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("go test ./cmd/smsotpd -run '^TestChaos$' -chaos.seed %d -chaos.messages %d -chaos.time %v", seed, *chaosMessages, *chaosTime)
	descriptors := openDescriptors(t)
	synctest.Test(t, func(t *testing.T) { newChaos(t, seed).run() }) // fails on goroutines that are left
	if left := openDescriptors(t); left > descriptors {
		t.Errorf("%d descriptors are left over", left-descriptors)
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

// chaos is the whole gateway in virtual time, over simulated modems in memory.
type chaos struct {
	t       *testing.T
	dice    *rand.Rand
	network *sim.Network
	ports   *bus
	gw      *gateway.Gateway

	mu       sync.Mutex
	started  map[string]gateway.Verification // by number; guarded by mu
	arrived  map[string][]string             // codes, by number; guarded by mu
	reported map[string][]sim.Receipt        // by number; guarded by mu
	approved map[string]bool                 // numbers; guarded by mu
	checks   sync.WaitGroup
}

func newChaos(t *testing.T, seed uint64) *chaos {
	c := &chaos{
		t: t, dice: rand.New(rand.NewPCG(seed, 1)), ports: &bus{modems: map[string]*sim.Modem{}},
		started: map[string]gateway.Verification{}, arrived: map[string][]string{}, reported: map[string][]sim.Receipt{}, approved: map[string]bool{},
	}
	c.network = sim.NewNetwork(sim.NetworkConfig{
		Seed: seed, Keep: 1 << 20, OnDeliver: c.deliver, OnReport: c.report,
		Air: sim.LogNormal(time.Second, 4*time.Second), Report: sim.LogNormal(400*time.Millisecond, 2*time.Second),
	})
	return c
}

func (c *chaos) run() {
	t := c.t
	defer c.network.Close()
	stop := c.start()
	var asking sync.WaitGroup
	asking.Go(c.ask)
	c.strike()
	asking.Wait()
	c.calm()
	time.Sleep(chaosLife + 10*time.Minute) // virtual; all is over by then
	synctest.Wait()
	c.checks.Wait()
	c.judge()
	for _, m := range c.network.Modems() {
		for _, v := range m.Violations() {
			// One that stands still is tried again while it is at work, for
			// want of another way to learn whether it lives.
			// An acknowledgement too many is answered by an error alone.
			if v.Kind != sim.ViolationBusy && v.Kind != sim.ViolationAck {
				t.Errorf("modem %d was told what no modem should be, at %v: %s", m.Index(), v.At, v.Kind)
			}
		}
	}
	runtime.GC()
	stop()
}

// start sets the modems and the gateway going; what it returns ends them.
func (c *chaos) start() (stop func()) {
	t := c.t
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range chaosModems {
		m, err := c.network.NewModem(sim.ModemConfig{FirstMR: byte(c.dice.IntN(256))})
		must(err)
		must(m.Plug(""))
		c.ports.plug(fmt.Sprintf("/dev/ttyUSB%d", i), m)
	}
	dir := t.TempDir()
	must(keyring.Init(filepath.Join(dir, "master.key")))
	master, err := keyring.ReadMaster(filepath.Join(dir, "master.key"))
	must(err)
	keys, err := keyring.Open(dir, master)
	must(err)
	store, err := bolt.Open(bolt.Options{Path: filepath.Join(dir, "smsotpd.db"), Daemon: true})
	must(err)
	log := slog.New(slog.DiscardHandler)
	if *chaosLog {
		log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	service := gateway.DefaultService()
	service.Verification.TTL = chaosLife
	fleet := new(fleet)
	c.gw, err = gateway.New(gateway.Options{
		Store: store, Keys: keys, Services: []gateway.Service{service}, Fleet: fleet, Logger: log,
		Guard: guard.Policy{AllowRegions: []string{"FR"}},
	})
	must(err)
	fleet.Pool, err = modem.NewPool(modem.PoolConfig{
		Ports: []string{"/dev/ttyUSB*"}, Opener: c.ports, Logger: log,
		OnReport:  func(r modem.Report) error { return c.gw.Report(context.Background(), r) },
		OnInbound: func(m modem.Inbound) error { return c.gw.Received(context.Background(), m) },
	})
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	driving, drive := context.WithCancel(context.Background())
	var gateway, modems sync.WaitGroup
	gateway.Go(func() { must(c.gw.Run(ctx)) })
	modems.Go(func() { must(fleet.Run(driving)) })
	return func() {
		cancel()
		gateway.Wait()
		drive()
		modems.Wait()
		must(store.Close())
	}
}

// ask starts the verifications, spread over the time of the faults.
func (c *chaos) ask() {
	pause := *chaosTime / time.Duration(*chaosMessages)
	for i := range *chaosMessages {
		to := mobile(i)
		v, err := c.gw.Start(context.Background(), gateway.Call{Caller: "chaos"}, gateway.StartRequest{To: to})
		if err != nil {
			c.t.Errorf("a start was refused: %v", err)
			continue
		}
		c.mu.Lock()
		c.started[to] = v
		c.mu.Unlock()
		time.Sleep(pause)
	}
}

var chaosCode = regexp.MustCompile(`^\d+`)

// deliver is a phone that got a message. Every second person types the code.
func (c *chaos) deliver(m sim.Message) {
	code := chaosCode.FindString(m.Text)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arrived[m.To] = append(c.arrived[m.To], code)
	if m.To[len(m.To)-1]%2 == 0 || len(c.arrived[m.To]) > 1 {
		return
	}
	c.checks.Go(func() {
		time.Sleep(time.Second) // typing; also the start has returned by then
		c.mu.Lock()
		v := c.started[m.To]
		c.mu.Unlock()
		verdict, err := c.gw.Check(context.Background(), gateway.Call{Caller: "chaos"}, v.ID, code)
		if err != nil || !verdict.Valid && time.Now().Before(v.ExpiresAt) {
			c.t.Errorf("the code that a phone got is not right: %+v, %v", verdict, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.approved[m.To] = verdict.Valid
	})
}

// report is the service centre that sends a delivery report.
func (c *chaos) report(r sim.Receipt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reported[r.Message.To] = append(c.reported[r.Message.To], r)
}

// strike lets something go wrong, again and again, until the time is over.
func (c *chaos) strike() {
	for end := time.Now().Add(*chaosTime); time.Now().Before(end); {
		time.Sleep(time.Duration(c.dice.Int64N(int64(3 * time.Second))))
		m := c.network.Modems()[c.dice.IntN(chaosModems)]
		if c.dice.IntN(4) == 0 {
			c.happen(m)
			continue
		}
		f := chaosFaults(c.dice)
		f.Count = 1 + c.dice.IntN(2)
		if *chaosLog {
			c.t.Logf("%v modem %d: %+v", time.Now().UTC(), m.Index(), f)
		}
		if err := m.AddFault(f); err != nil {
			c.t.Errorf("%+v: %v", f, err)
		}
	}
}

// happen does to a modem what people and power do.
func (c *chaos) happen(m *sim.Modem) {
	switch c.dice.IntN(6) {
	case 0: // out, and in elsewhere
		c.ports.unplug(m)
		go func() {
			time.Sleep(time.Duration(rand.Int64N(int64(20 * time.Second))))
			c.ports.replug(m)
		}()
	case 1:
		_ = m.Reboot() // one that is unplugged can't
	case 2:
		m.SetRegistration(2)
		time.AfterFunc(30*time.Second, func() { m.SetRegistration(1) })
	case 3:
		m.SetSIMPresent(false)
		time.AfterFunc(20*time.Second, func() { m.SetSIMPresent(true) })
	case 4:
		m.Receive("+33698765432", "What is this?")
	case 5: // two change places
		c.ports.swap(m, c.network.Modems()[c.dice.IntN(chaosModems)])
	}
}

// chaosFaults draws one fault. What the network has, the modem may deny only by
// errors that prove nothing: no real one refuses for the network what the
// network took.
func chaosFaults(dice *rand.Rand) sim.Fault {
	proofless := []int{300, 332, 350, 500, 513}
	refusals := []int{27, 38, 41, 42, 47, 17, 22, 111, 192, 194, 314, 331, 8, 21, 50, 310, 313}
	pick := func(of []int) int { return of[dice.IntN(len(of))] }
	span := func(most time.Duration) time.Duration { return time.Duration(1 + dice.Int64N(int64(most))) }
	faults := []sim.Fault{
		{On: sim.OnPayload, Do: sim.ReplyCMS, Code: pick(refusals)},
		{On: sim.OnPayload, Do: sim.ReplyCMS, Code: pick(proofless)},
		{On: sim.OnAccepted, Do: sim.ReplyCMS, Code: pick(proofless)},
		{On: sim.OnPayload, Do: sim.ReplyError},
		{On: sim.OnCMGS, Do: sim.ReplyError},
		{On: sim.OnCMGS, Do: sim.ReplyCME, Code: 14},
		{On: sim.OnAccepted, Do: sim.BareOK},
		{On: sim.OnAccepted, Do: sim.Mute},
		{On: sim.OnPayload, Do: sim.Mute},
		{On: sim.OnCommand, Do: sim.Mute},
		{On: sim.OnPayload, Do: sim.Slow, After: span(170 * time.Second)},
		{On: sim.OnAccepted, Do: sim.Slow, After: span(230 * time.Second)},
		{On: sim.OnPayload, Do: sim.Hang, For: span(250 * time.Second)},
		{On: sim.OnAccepted, Do: sim.Hang, For: span(250 * time.Second)},
		{On: sim.OnPrompt, Do: sim.NoPrompt},
		// A prompt later than the driver waits could fall into the next
		// message, where nobody can tell it by its octets.
		{On: sim.OnPrompt, Do: sim.LatePrompt, After: span(9 * time.Second)},
		{On: sim.OnPrompt, Do: sim.PromptNoLF},
		{On: sim.OnPrompt, Do: sim.PromptNoSpace},
		{On: sim.OnPayload, Do: sim.SecondPrompt},
		{On: sim.OnReport, Do: sim.DropReport},
		{On: sim.OnReport, Do: sim.EarlyReport},
		{On: sim.OnReport, Do: sim.DoubleReport},
		{On: sim.OnReport, Do: sim.DelayReport, After: span(3 * time.Minute)},
		{On: sim.OnReport, Do: sim.ReportStatus, Codes: []byte{48, 0}},
		{On: sim.OnReport, Do: sim.ReportStatus, Codes: []byte{70}},
		{On: sim.OnReport, Do: sim.ReportStatus, Codes: []byte{99}},
		{On: sim.OnReport, Do: sim.ShuffleReports, Size: 3},
		{On: sim.OnCommand, Do: sim.URC, Text: `^RSSI:26`},
		{On: sim.OnAccepted, Do: sim.URC, Text: `+CREG: 1`},
		{On: sim.OnCommand, Do: sim.Noise, Size: 200},
		{On: sim.OnCommand, Do: sim.NULFlood, Size: 70_000},
		{On: sim.OnCommand, Do: sim.NMEA},
		{On: sim.OnCommand, Do: sim.SplitBytes, For: span(time.Minute), Interval: time.Millisecond},
		{On: sim.OnCommand, Do: sim.EchoOn},
		{On: sim.OnBoot, Do: sim.TextModeOn},
	}
	for _, on := range []sim.Point{sim.OnCommand, sim.OnCMGS, sim.OnPrompt, sim.OnPayload, sim.OnAccepted} {
		faults = append(faults,
			sim.Fault{On: on, Do: sim.Reboot},
			sim.Fault{On: on, Do: sim.Forget},
			sim.Fault{On: on, Do: sim.NotRegistered, For: span(time.Minute)},
			sim.Fault{On: on, Do: sim.RemoveSIM, For: span(time.Minute)},
			sim.Fault{On: on, Do: sim.BlockWrites, For: span(20 * time.Second)},
			sim.Fault{On: on, Do: sim.Unplug, Back: span(20 * time.Second)},
		)
	}
	return faults[dice.IntN(len(faults))]
}

// calm ends all that goes wrong.
func (c *chaos) calm() {
	time.Sleep(30 * time.Second) // virtual; what comes back by itself is back
	for _, m := range c.network.Modems() {
		m.ClearFaults()
		m.SetRegistration(1)
		m.SetSIMPresent(true)
		c.ports.replug(m)
	}
}

// judge compares what the gateway says with what the network did.
func (c *chaos) judge() {
	taken := map[string][]sim.Message{}
	for _, m := range c.network.Messages() {
		taken[m.To] = append(taken[m.To], m)
	}
	tally := map[queue.State]int{}
	twice := 0
	for to, v := range c.started {
		m, err := c.gw.Message(context.Background(), v.MessageID)
		if err != nil {
			c.t.Fatal(err)
		}
		tally[m.Status]++
		if wrong := c.untrue(to, m, taken[to]); wrong != "" {
			c.t.Errorf("%s: %s, taken %d times, delivered %d times, attempts %+v", wrong, m.Status, len(taken[to]), len(c.arrived[to]), m.Attempts)
		}
		if len(taken[to]) > 1 {
			twice++
		}
		delete(taken, to)
	}
	if len(taken) > 0 {
		c.t.Errorf("%d numbers got a message that nobody asked for", len(taken))
	}
	c.t.Logf("%v; %d were sent twice, and say so", tally, twice)
	if n := tally[queue.Delivered]; n < len(c.started)/2 {
		c.t.Errorf("only %d of %d messages arrived", n, len(c.started))
	}
}

// untrue says what is wrong with what the gateway tells of a message, "" if
// nothing is.
func (c *chaos) untrue(to string, m gateway.Message, taken []sim.Message) string {
	codes := slices.Compact(slices.Clone(c.arrived[to]))
	inDoubt := slices.ContainsFunc(m.Attempts, func(a gateway.Attempt) bool { return a.Result == modem.Ambiguous })
	delivered, known, final := c.approved[to], c.approved[to], false
	for _, r := range c.reported[to] {
		delivered = delivered || r.Status < 32
		known = known || r.Status < 32 && c.ports.heard(c.network.Modems()[r.Message.Modem], r.At)
		final = final || r.Status < 32 || r.Status >= 64
	}
	switch {
	case len(codes) > 1:
		return "a number got two codes"
	case len(taken) > 2:
		return "sent more than twice"
	case len(c.arrived[to]) > 1 && !m.PossibleDuplicate:
		return "sent twice and not marked"
	case m.Status == queue.Delivered && !delivered:
		return "said to be delivered"
	case known && m.Status != queue.Delivered && !inDoubt:
		return "not said to be delivered"
	}
	switch m.Status {
	case queue.Delivered:
	case queue.Undelivered:
		if !final {
			return "said to be undelivered"
		}
	case queue.Unconfirmed:
		if len(taken) == 0 && !inDoubt {
			return "said to be sent"
		}
	case queue.Failed, queue.Expired, queue.Canceled:
		if len(taken) > 0 && !inDoubt {
			return "said not to be sent"
		}
	default:
		return "not ended"
	}
	return ""
}

// bus opens simulated modems in memory under paths that change.
type bus struct {
	mu       sync.Mutex
	sessions []*session            // guarded by mu
	modems   map[string]*sim.Modem // by path; guarded by mu
	marks    map[string]int        // guarded by mu
	mark     int                   // guarded by mu
}

var _ modem.Opener = (*bus)(nil)

// Open implements modem.Opener.
func (b *bus) Open(path string) (wire.Port, error) {
	b.mu.Lock()
	m := b.modems[path]
	b.mu.Unlock()
	if m == nil {
		return nil, fs.ErrNotExist
	}
	port, err := m.Dial()
	if err != nil {
		return nil, err
	}
	s := &session{Port: port, modem: m, opened: time.Now()}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sessions = append(b.sessions, s)
	return s, nil
}

// session is the time that a modem's port was open.
type session struct {
	wire.Port
	modem          *sim.Modem
	opened, closed time.Time // closed is guarded by mu
	mu             sync.Mutex
}

// Close implements io.Closer.
func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.IsZero() {
		s.closed = time.Now()
	}
	return s.Port.Close()
}

// heard tells whether what the modem said at the given time was heard for sure:
// a report is lost that it says to a port that nobody has open.
func (b *bus) heard(m *sim.Modem, at time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.sessions, func(s *session) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.modem == m && s.opened.Before(at) && (s.closed.IsZero() || s.closed.After(at.Add(time.Second)))
	})
}

// Lookup implements modem.Opener.
func (b *bus) Lookup(path string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.modems[path] == nil {
		return ""
	}
	return fmt.Sprint(b.marks[path])
}

// Glob implements modem.Opener.
func (b *bus) Glob(pattern string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []string
	for path := range b.modems {
		if ok, _ := filepath.Match(pattern, path); ok {
			found = append(found, path)
		}
	}
	slices.Sort(found)
	return found
}

func (b *bus) plug(path string, m *sim.Modem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.marks == nil {
		b.marks = map[string]int{}
	}
	b.mark++
	b.modems[path], b.marks[path] = m, b.mark
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

// replug brings a modem back under the first path that is free.
func (b *bus) replug(m *sim.Modem) {
	b.mu.Lock()
	for _, at := range b.modems {
		if at == m {
			b.mu.Unlock()
			_ = m.Plug("") // it may have lost its power alone
			return
		}
	}
	path := ""
	for i := 0; path == "" || b.modems[path] != nil; i++ {
		path = fmt.Sprintf("/dev/ttyUSB%d", i)
	}
	b.mu.Unlock()
	_ = m.Plug("")
	b.plug(path, m)
}

func (b *bus) swap(one, other *sim.Modem) {
	b.unplug(one)
	b.unplug(other)
	b.replug(other)
	b.replug(one)
}
