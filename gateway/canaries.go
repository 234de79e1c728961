package gateway

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

// What becomes of test messages; the words are labels of metrics.
const (
	canaryArrived = "arrived"
	canaryLate    = "late" // it had been taken for lost
	canaryLost    = "lost"
	canaryRefused = "refused" // it never left, or was refused
)

const (
	// canaryKept is how long a test message is known, and kept in the queue.
	canaryKept = 24 * time.Hour
	// canaryPage is how many of them one transaction drops within
	// storage.MaxKeys.
	canaryPage = 12
	// probeAfter is when a SIM whose breaker has opened is tried at the earliest,
	// and tried again while it isn't there; probeFor is for how long.
	probeAfter = time.Minute
	probeFor   = time.Hour
	// canaryIdle is how long the canaries sleep at most.
	canaryIdle = 15 * time.Minute
)

// canaries sends test messages from SIM to SIM and knows them when they come.
type canaries struct {
	gateway *Gateway
	log     *slog.Logger
	policy  CanaryPolicy
	routes  []canaryRoute // run alone touches them
	// table has all test messages in the queue, which belong to nothing that
	// would end them, by time and id.
	table storage.Table[struct{}]
	// sooner tells run that there is a new probe.
	sooner chan struct{}

	mu     sync.Mutex
	sent   map[string]*canary // by token
	probes map[string]probe   // by modem
	// reached is when a test message last came to a SIM, by its name.
	reached map[string]time.Time
}

// canary is one test message. It is in memory alone: one that comes after a
// restart is known by its form.
type canary struct {
	id queue.ID
	// from is the sender; sim and modem are those that it was in. to is the name
	// of the receiver, toModem the one that it was in.
	from        CanarySIM
	sim, modem  string
	to, toModem string
	queued      time.Time
	// judge is when it is to be asked what became of it; zero once that is known.
	judge         time.Time
	arrived, lost bool
}

// probe is a test message that a SIM whose breaker has opened is to send at a
// time, and not after until.
type probe struct{ at, until time.Time }

func newCanaries(g *Gateway, p CanaryPolicy) *canaries {
	c := &canaries{
		gateway: g, log: g.log.With("component", "canary"), policy: p,
		table:  storage.NewTable[struct{}]("canary", 1),
		sooner: make(chan struct{}, 1), sent: map[string]*canary{}, probes: map[string]probe{},
		reached: map[string]time.Time{},
	}
	if p.Every > 0 {
		c.routes = p.routes()
	}
	return c
}

// run sends test messages when it is time for them, until ctx ends.
func (c *canaries) run(ctx context.Context) error {
	if len(c.routes) == 0 {
		return nil
	}
	for i := range c.routes {
		c.routes[i].next = c.policy.slot(time.Now(), i, len(c.routes))
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-c.sooner:
		}
		err := c.step(ctx)
		if storage.Ended(err) {
			return err
		}
		if err != nil {
			c.log.Warn("the test messages were held up", "error", err)
		}
		timer.Reset(c.wait())
	}
}

// step does all that is due.
func (c *canaries) step(ctx context.Context) error {
	now := time.Now()
	var errs []error
	for i := range c.routes {
		if r := &c.routes[i]; !r.next.After(now) {
			r.next = c.policy.slot(now, i, len(c.routes))
			errs = append(errs, c.send(ctx, r, false))
		}
	}
	for _, name := range c.dueProbes(now) {
		errs = append(errs, c.probe(ctx, name))
	}
	for _, token := range c.due(now) {
		errs = append(errs, c.judge(ctx, token))
	}
	return errors.Join(errs...)
}

// wait is how long nothing is due.
func (c *canaries) wait() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	wait := canaryIdle
	soonest := func(t time.Time) { wait = min(wait, max(0, t.Sub(now))) }
	for _, r := range c.routes {
		soonest(r.next)
	}
	for _, p := range c.probes {
		soonest(p.at)
	}
	for _, k := range c.sent {
		if !k.judge.IsZero() {
			soonest(k.judge)
		}
	}
	return wait
}

// send queues a test message on the route, if its SIMs are there and there is
// room for it. A probe also needs leave.
func (c *canaries) send(ctx context.Context, r *canaryRoute, probe bool) error {
	g, region := c.gateway, r.number.Region()
	statuses := g.fleet.Statuses()
	from, ok := inFleet(statuses, r.from.Name, r.from.IMSI)
	to, there := inFleet(statuses, r.to.Name, r.to.IMSI)
	if !ok || !there || g.dispatch.Held(from.Name) {
		c.log.Debug("no test message is sent: a SIM is not there", "from", r.from.Name, "to", r.to.Name)
		return nil
	}
	life := c.policy.timeout()
	draft := g.queue.Draft(queue.Address{To: r.number.E164(), Region: region, Lane: queue.LaneNotice, By: from.SIM()})
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	token := hex.EncodeToString(random[:])
	g.queue.Write(&draft, nil, canaryText(token))
	cancel, err := g.dispatch.Admit(ctx, dispatch.Admission{
		ID: draft.ID, Region: region, Number: r.number.E164(), Recipient: g.queue.Number(r.number.E164()),
		Lane: queue.LaneNotice, Life: max(0, life-g.queue.MinLife()), By: from.SIM(),
	})
	if _, full := errors.AsType[*dispatch.NoCapacityError](err); full {
		c.log.Debug("no test message is sent: there is no room for it", "from", r.from.Name)
		return nil
	}
	if err != nil {
		return err
	}
	if probe && !g.dispatch.Probe(from.SIM(), region) {
		cancel() // another message is the probe
		return nil
	}
	now := time.Now()
	c.remember(token, &canary{
		id: draft.ID, from: r.from, sim: from.SIM(), modem: from.Name,
		to: r.to.Name, toModem: to.Name, queued: now, judge: now.Add(life),
	})
	err = g.store.Update(ctx, func(tx storage.Tx) error {
		if err := c.table.Put(tx, append(canaryKey(tx.Now()), draft.ID[:]...), struct{}{}); err != nil {
			return err
		}
		_, err := g.queue.Enqueue(tx, draft, tx.Now().Add(life))
		return err
	})
	if err != nil {
		cancel()
		c.forget(token)
	}
	return err
}

// remember knows a message from now on, and those of the day before no more.
func (c *canaries) remember(token string, k *canary) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for old, o := range c.sent {
		if k.queued.Sub(o.queued) > canaryKept {
			delete(c.sent, old)
		}
	}
	c.sent[token] = k
}

func (c *canaries) forget(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sent, token)
}

// distrusted takes in that a breaker of the SIM in the modem has opened.
func (c *canaries) distrusted(modemName string) {
	if len(c.routes) == 0 {
		return
	}
	now := time.Now()
	c.mu.Lock()
	c.probes[modemName] = probe{at: now.Add(probeAfter), until: now.Add(probeFor)}
	c.mu.Unlock()
	select {
	case c.sooner <- struct{}{}:
	default:
	}
}

func (c *canaries) dueProbes(now time.Time) (modems []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, p := range c.probes {
		if !p.at.After(now) {
			modems = append(modems, name)
		}
	}
	return modems
}

// probe lets the SIM that was in the modem show that it works again: a message
// of ours is lost at less cost than a code.
func (c *canaries) probe(ctx context.Context, modemName string) error {
	now := time.Now()
	again := time.Time{}
	defer func() { c.probeAgain(modemName, again) }()
	for _, v := range c.gateway.dispatch.SIMs() {
		if v.Modem != modemName {
			continue
		}
		for i := range c.routes {
			r := &c.routes[i]
			if !r.from.is(v.Name, v.IMSI) {
				continue
			}
			open, at := c.gateway.dispatch.Distrusted(v.IMSI, r.number.Region())
			switch {
			case !open:
			case at.After(now):
				again = at
			case !v.Here: // as while it rests
				again = now.Add(probeAfter)
			default:
				again = time.Time{}
				return c.send(ctx, r, true)
			}
		}
	}
	return nil
}

// probeAgain puts a probe off; zero: to no other time.
func (c *canaries) probeAgain(modemName string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.probes[modemName]
	if delete(c.probes, modemName); !at.IsZero() && at.Before(p.until) {
		c.probes[modemName] = probe{at: at, until: p.until}
	}
}

// is says whether the SIM with that name and IMSI is meant.
func (s CanarySIM) is(name, imsi string) bool { return isCard(s.Name, s.IMSI, name, imsi) }

// isCard says whether a SIM is the one that is configured under a name, and by
// its IMSI where that is known.
func isCard(name, imsi, card, cardIMSI string) bool {
	if imsi != "" {
		return imsi == cardIMSI
	}
	return name != "" && name == card
}

// inFleet finds the configured SIM among the modems that can send.
func inFleet(statuses []modem.Status, name, imsi string) (modem.Status, bool) {
	for _, s := range statuses {
		if (s.State == modem.Ready || s.State == modem.Sending) && isCard(name, imsi, s.Card, s.IMSI) {
			return s, true
		}
	}
	return modem.Status{}, false
}

// dated says whether drop has something to do.
func (c *canaries) dated(tx storage.Tx) (bool, error) {
	rows, err := c.table.Scan(tx, nil, canariesUntil(tx), 1)
	return len(rows) > 0, err
}

// drop deletes up to limit test messages that are too old, and returns how many.
func (c *canaries) drop(tx storage.Tx, limit int) (int, error) {
	rows, err := c.table.Scan(tx, nil, canariesUntil(tx), min(limit, canaryPage))
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		if len(row.Key) != canaryKeyTime+len(queue.ID{}) {
			return 0, fmt.Errorf("%w: test message key of %d bytes", storage.ErrForeign, len(row.Key))
		}
		id := queue.ID(row.Key[canaryKeyTime:])
		if err := errors.Join(c.gateway.queue.Forget(tx, id), c.table.Delete(tx, row.Key)); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

// canaryKeyTime is how many bytes of a key are the time.
const canaryKeyTime = 8

// canaryKey is what the key of a message that was queued then begins with.
func canaryKey(at time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(storage.TimeOf(at))) //nolint:gosec // not negative
}

func canariesUntil(tx storage.Tx) []byte { return canaryKey(tx.Now().Add(-canaryKept)) }
