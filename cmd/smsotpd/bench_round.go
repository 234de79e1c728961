package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/storage"
	"smsotpd/storage/bolt"
)

// benchRound is one measurement: a fresh gateway with so much to send, and then
// so many modems.
type benchRound struct {
	modems int
	air    string // as smsotpd sim has it
	time   time.Duration
	// waiting are the messages that wait when the modems come; refill starts
	// another one for each that was sent.
	waiting int
	refill  bool
}

// roundResult is what a round came to.
type roundResult struct {
	pace
	// cpu is the gateway's CPU time a message, in seconds; memory what it had in
	// memory at the end, and anonymous the part that is no pages of files, in MiB.
	cpu, memory, anonymous float64
	benchCheck
}

// benchCheck is what is known of the messages of a round, or of several.
type benchCheck struct {
	Started    int `json:"started"`
	Sent       int `json:"sent"`
	Waiting    int `json:"waiting"`
	Lost       int `json:"lost"`
	Doubled    int `json:"doubled"`
	Violations int `json:"violations"`
}

func (c *benchCheck) add(other benchCheck) {
	c.Started, c.Sent, c.Waiting = c.Started+other.Started, c.Sent+other.Sent, c.Waiting+other.Waiting
	c.Lost, c.Doubled, c.Violations = c.Lost+other.Lost, c.Doubled+other.Doubled, c.Violations+other.Violations
}

const (
	// benchConnections is over how many connections verifications are started.
	benchConnections = 64
	// benchWarm is how many messages each modem sends before anything is
	// measured.
	benchWarm = 3
	// benchLook is how often the simulator's log is looked at.
	benchLook = 20 * time.Millisecond
	// benchPatience is how long the modems may take to be ready.
	benchPatience = 2 * time.Minute
	// benchTail is how long what is in the air at the end may take.
	benchTail = time.Minute
)

// rig is what a round runs on.
type rig struct {
	dir     string
	round   benchRound
	config  Config
	gateway *child // nil: bare loops send
	url     string
	clients []*starter
	started int
	network *child
	log     *sentLog
}

// measure runs a round of the gateway in a directory of its own.
func (b *fleetBench) measure(ctx context.Context, r benchRound) (result roundResult, err error) {
	g, err := b.newRig(r)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	if err := g.startGateway(ctx); err != nil {
		return result, err
	}
	if err := g.fill(ctx, r.waiting); err != nil {
		return result, err
	}
	if err := g.startNetwork(ctx); err != nil {
		return result, err
	}
	if result, err = g.watch(ctx); err != nil {
		return result, err
	}
	if err := errors.Join(g.gateway.stop(), g.network.stop()); err != nil {
		return result, err
	}
	if _, err := g.log.read(); err != nil {
		return result, err
	}
	result.benchCheck, err = g.check(ctx)
	return result, err
}

// measureBare runs a round of bare loops on the same modems.
func (b *fleetBench) measureBare(ctx context.Context, r benchRound) (result roundResult, err error) {
	g, err := b.newRig(r)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	if err := g.startNetwork(ctx); err != nil {
		return result, err
	}
	sending, stop := context.WithCancel(ctx)
	var paths []string
	for i := range r.modems {
		paths = append(paths, g.prefix()+strconv.Itoa(i))
	}
	var loops sync.WaitGroup
	var failed error
	loops.Go(func() { failed = bareFleet(sending, paths) })
	result, err = g.watch(ctx)
	stop()
	loops.Wait()
	return result, errors.Join(err, failed, g.network.stop())
}

func (b *fleetBench) newRig(r benchRound) (*rig, error) {
	dir, err := os.MkdirTemp(b.dir, "round-")
	return &rig{dir: dir, round: r}, err
}

// close ends what still runs and removes the directory.
func (g *rig) close() error {
	for _, c := range g.clients {
		_ = c.conn.Close()
	}
	for _, c := range []*child{g.gateway, g.network} {
		if c != nil {
			c.kill()
		}
	}
	if g.log != nil {
		_ = g.log.file.Close()
	}
	return os.RemoveAll(g.dir)
}

// prefix begins the paths of the modems' ports.
func (g *rig) prefix() string { return filepath.Join(g.dir, "modem") }

// startGateway starts the gateway and connects to it.
func (g *rig) startGateway(ctx context.Context) (err error) {
	g.config, err = demoConfig(g.dir, "127.0.0.1:0", "FR", g.prefix())
	if err != nil {
		return err
	}
	s, err := openState(ctx, g.config, bolt.Options{})
	if err != nil {
		return err
	}
	key, err := demoKey(ctx, s)
	if err := errors.Join(err, s.store.Close()); err != nil {
		return err
	}
	g.gateway, err = startChild(ctx, g.dir, "gateway", "serve",
		"--state-dir", g.config.StateDir, "--key-file", g.config.KeyFile, "--listen", g.config.Listen,
		"--modem", g.prefix()+"*", "--allow-region", "FR", "--log-level", "warn", "--stop-timeout", "90s")
	if err != nil {
		return err
	}
	line, err := bufio.NewReader(g.gateway.said).ReadString('\n')
	if err != nil {
		return errors.Join(fmt.Errorf("the gateway did not start: %w", err), g.gateway.stop())
	}
	g.url = strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	for range benchConnections {
		c, err := dialStarter(ctx, g.url, key)
		if err != nil {
			return err
		}
		g.clients = append(g.clients, c)
	}
	return nil
}

// fill starts so many more verifications.
func (g *rig) fill(ctx context.Context, n int) error {
	err := startSome(ctx, g.clients, g.started, n)
	g.started += n
	return err
}

// startNetwork plugs in the modems.
func (g *rig) startNetwork(ctx context.Context) (err error) {
	path := filepath.Join(g.dir, "sent.json")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	g.network, err = startChild(ctx, g.dir, "network", "sim", "--modems", strconv.Itoa(g.round.modems),
		"--prefix", g.prefix(), "--air", g.round.air, "--log", path)
	if err != nil {
		return err
	}
	ready := bufio.NewReader(g.network.said)
	if _, err := ready.ReadString('\n'); err != nil { // it has opened all ports by then
		return errors.Join(fmt.Errorf("the simulator did not start: %w", err), g.network.stop())
	}
	go func() { _, _ = io.Copy(io.Discard, ready) }()
	g.log, err = followLog(path, g.round.modems)
	return err
}

// watch waits until all modems are at work, and measures from then on.
func (g *rig) watch(ctx context.Context) (result roundResult, err error) {
	if err := g.until(ctx, benchPatience, func() bool { return g.log.eachSent(benchWarm) }); err != nil {
		return result, fmt.Errorf("not all modems have come to send: %w", err)
	}
	from, before, err := g.spent()
	if err != nil {
		return result, err
	}
	already := len(g.log.all)
	end := time.After(g.round.time)
	over := func() bool {
		select {
		case <-end:
			return true
		default:
			return false
		}
	}
	if err := g.until(ctx, 2*g.round.time+benchPatience, over); err != nil {
		return result, err
	}
	to, after, err := g.spent()
	if err != nil {
		return result, err
	}
	sent := len(g.log.all) - already
	if g.gateway != nil {
		if result.memory, result.anonymous, err = residentMemory(g.gateway.cmd.Process.Pid); err != nil {
			return result, err
		}
	}
	// A modem that does not send again is idle; that is a result, too.
	_ = g.until(ctx, benchTail, func() bool { return g.log.eachAfter(to) })
	result.pace = g.log.pace(from, to)
	result.cpu = (after - before).Seconds() / float64(max(sent, 1))
	if g.gateway != nil && !g.round.refill && g.started <= len(g.log.all) {
		return result, errors.New("there was not enough to send for the time measured")
	}
	return result, ctx.Err()
}

// spent is the time and the gateway's CPU time so far.
func (g *rig) spent() (time.Time, time.Duration, error) {
	if g.gateway == nil {
		return time.Now(), 0, nil
	}
	cpu, err := processTime(g.gateway.cmd.Process.Pid)
	return time.Now(), cpu, err
}

// errTooLong: what was waited for did not come.
var errTooLong = errors.New("it takes too long")

// until follows the log, and refills what waits, until done or for that long.
func (g *rig) until(ctx context.Context, patience time.Duration, done func() bool) error {
	deadline := time.After(patience)
	var gone chan struct{}
	if g.gateway != nil {
		gone = g.gateway.done
	}
	look := time.NewTicker(benchLook)
	defer look.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-g.network.done:
			return errors.Join(errors.New("the simulator has ended"), g.network.ended())
		case <-gone:
			return errors.Join(errors.New("the gateway has ended"), g.gateway.ended())
		case <-deadline:
			return errTooLong
		case <-look.C:
		}
		fresh, err := g.log.read()
		if err != nil {
			return err
		}
		if g.round.refill && fresh > 0 {
			if err := g.fill(ctx, fresh); err != nil {
				return err
			}
		}
	}
	return nil
}

// check holds the database of a gateway that has stopped against what the
// network took: each message that was asked for either waits, or was sent once.
func (g *rig) check(ctx context.Context) (benchCheck, error) {
	c := benchCheck{Started: g.started, Violations: g.log.violations}
	times := make(map[string]int, g.started)
	for n := range g.started {
		times[benchNumber(n+1)] = 0
	}
	for _, m := range g.log.all {
		switch n, asked := times[m.To]; {
		case !asked, n > 0:
			c.Doubled++
		default:
			c.Sent++
		}
		times[m.To]++
	}
	waiting, err := g.waiting(ctx)
	if err != nil {
		return c, err
	}
	for to, inDoubt := range waiting {
		if c.Waiting++; times[to] > 0 && !inDoubt {
			c.Doubled++ // it would be sent once more
		}
		times[to]++
	}
	for _, n := range times {
		if n == 0 {
			c.Lost++
		}
	}
	return c, nil
}

// waiting are the recipients of the messages that the gateway has yet to send,
// and of those of which it does not know, inDoubt, whether it has.
func (g *rig) waiting(ctx context.Context) (inDoubt map[string]bool, err error) {
	s, err := openState(ctx, g.config, bolt.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.store.Close()) }()
	q := queue.New(s.keys, queue.DefaultPolicy())
	inDoubt = map[string]bool{}
	const page = 1000
	for after := (queue.ID{}); ; {
		var ids []queue.ID
		err := s.store.View(ctx, func(tx storage.Tx) (err error) {
			if ids, err = q.Open(tx, after, page); err != nil {
				return err
			}
			for _, id := range ids {
				m, err := q.Get(tx, id)
				if err != nil {
					return err
				}
				if m.State != queue.Queued && m.State != queue.Ambiguous {
					continue
				}
				number, _, err := q.Unseal(id, m)
				if err != nil {
					return err
				}
				inDoubt[number] = m.State == queue.Ambiguous
			}
			return nil
		})
		if err != nil || len(ids) == 0 {
			return inDoubt, err
		}
		after = ids[len(ids)-1]
	}
}
