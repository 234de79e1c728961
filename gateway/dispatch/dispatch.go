// Package dispatch decides which modem sends what and when, and writes down
// what became of it.
//
// It knows the queue, storage and the modems' value types; the modems
// themselves it sees through Fleet, and what a settlement means to others is a
// hook that the gateway hands in.
//
// What always holds:
//
//   - A message is marked as being sent, durably, before its modem is asked.
//   - One transaction settles a modem's previous message, begins its next and
//     leases the one after: between two messages lies one commit.
//   - A modem that is slow, mute or gone holds up only the message that it has.
//   - What was in the air when the process died is in doubt after the restart,
//     and nothing else is.
package dispatch

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/dispatch/health"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

// Line is one session with a modem that can send.
type Line interface {
	// Info says which modem and SIM it is; its IMSI is what else tells the SIM
	// from all others where the modem does not say.
	Info() modem.Info
	// Submit sends one message and returns what became of it. Once it is
	// committed it waits for the answer, whatever ctx says.
	Submit(ctx context.Context, s modem.Submission) modem.Result
	// Park takes the modem out of service for a while.
	Park(reason string, d time.Duration)
	// Closed is closed when the session is over.
	Closed() <-chan struct{}
}

// Fleet is all modems.
type Fleet interface {
	// Next waits for the next session that can send; each comes once. It
	// returns an error when ctx ends or there will be none any more.
	Next(ctx context.Context) (Line, error)
	// Statuses are all modems, sorted by name.
	Statuses() []modem.Status
}

// Observer is told of what is durable, and of the fleet; it must not block.
type Observer interface {
	// Sent: an attempt ended. The message is as its settlement left it.
	Sent(m queue.Message, modemName string, r modem.Result)
	// Moved: a message changed its state.
	Moved(o queue.Outcome)
	// Doubled: a recipient is known to have a message twice.
	Doubled(o queue.Outcome)
	// Happened: something that an operator is told of; see the Event constants.
	Happened(e modem.Event)
}

// Options of a Dispatcher; all but Can and Logger are required.
type Options struct {
	Store  storage.Store
	Queue  *queue.Queue
	Ledger *budget.Ledger
	Fleet  Fleet
	Policy Policy
	// Can says what a modem with a SIM was seen to do; nil: nothing was seen.
	Can func(imei, imsi string) modem.Capability
	// Settled runs in the transaction that changed a message.
	Settled  func(storage.Tx, queue.Outcome) error
	Observer Observer
	Logger   *slog.Logger
}

// Dispatcher moves messages from the queue to the modems.
type Dispatcher struct {
	o     Options
	index *index
	tally *tally
	lates chan lateAnswer
	// health is what is known of the SIMs' work, records where it is kept over
	// a restart; changes are the breakers that have changed.
	health  *health.Book
	records storage.Table[healthRecord]
	changes chan health.Change
	// unheeded: a change found no room among those.
	unheeded atomic.Bool
	// saved is what was written last of each SIM. Owned by keepHealth.
	saved map[string][]byte
	// reading makes what the index is told as new as what it was told before.
	reading sync.Mutex
	// began is when Run did, by the store's clock; guarded by reading.
	began time.Time
}

const (
	// leaseFor is how long a lease outlives the commit that wrote it: the
	// longest that the message before it can take.
	leaseFor = 4 * time.Minute
	// retryStore is the pause before a transaction is tried again that the
	// store was too busy or too full for.
	retryStore = 250 * time.Millisecond
	// page is how many messages one View looks at.
	page = 256
	// atOnce is how many messages time changes at once.
	atOnce = 64
)

// New makes a Dispatcher; Run sets it going.
func New(o Options) *Dispatcher {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Can == nil {
		o.Can = func(string, string) modem.Capability { return modem.Capability{} }
	}
	d := &Dispatcher{
		o: o, index: newIndex(o.Policy), tally: newTally(), lates: make(chan lateAnswer, manyLate),
		records: storage.NewTable[healthRecord]("health", 1), changes: make(chan health.Change, manyChanges),
		saved: map[string][]byte{},
	}
	d.health = health.New(o.Policy.Health, d.changed)
	d.index.breaker, d.index.probe = d.Distrusted, d.Probe
	return d
}

// Run dispatches until ctx ends. It then begins nothing more and returns when
// every attempt in the air is settled, which takes as long as the modems take
// to answer or to be closed.
func (d *Dispatcher) Run(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	g, ctx := errgroup.WithContext(ctx)
	// The watch begins before the load, so that nothing falls between.
	wakes := d.o.Store.Watch(ctx, d.o.Queue.Prefix())
	if err := d.begin(ctx); err != nil {
		return err
	}
	if err := d.loadHealth(ctx); err != nil {
		return err
	}
	if err := d.load(ctx); err != nil {
		return err
	}
	g.Go(func() error { return d.follow(ctx, wakes) })
	g.Go(func() error { return d.keepTime(ctx) })
	g.Go(func() error { return d.settleLate(ctx) })
	g.Go(func() error { return d.man(ctx) })
	g.Go(func() error { return d.heed(ctx) })
	g.Go(func() error { return d.keepHealth(ctx) })
	err := g.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	d.saveHealth(last) // what came home last counts too
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// man gives every modem session that becomes ready a worker, and returns when
// all of them have ended.
func (d *Dispatcher) man(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	for {
		l, err := d.o.Fleet.Next(ctx)
		if err != nil {
			return err
		}
		workers.Go(func() { d.work(ctx, l) })
	}
}

// load fills the index with the open messages. One that a dead session was
// sending is in doubt from now on.
func (d *Dispatcher) load(ctx context.Context) error {
	load := d.index.loading()
	for after := (queue.ID{}); ; {
		var ids []queue.ID
		err := d.o.Store.View(ctx, func(tx storage.Tx) (err error) {
			ids, err = d.o.Queue.Open(tx, after, page)
			return err
		})
		if err != nil || len(ids) == 0 {
			if err == nil {
				d.index.keep(load)
			}
			return err
		}
		if err := d.refresh(ctx, ids); err != nil {
			return err
		}
		after = ids[len(ids)-1]
	}
}

// refresh makes the index say what the store does of these messages.
func (d *Dispatcher) refresh(ctx context.Context, ids []queue.ID) error {
	for some := range slices.Chunk(ids, page) {
		orphans, err := d.read(ctx, some)
		if err != nil {
			return err
		}
		if _, err := d.each(ctx, orphans, d.recover); err != nil {
			return err
		}
	}
	return nil
}

// read tells the index of the messages and returns those that another session
// was sending.
func (d *Dispatcher) read(ctx context.Context, ids []queue.ID) (orphans []queue.ID, err error) {
	d.reading.Lock()
	defer d.reading.Unlock()
	err = d.o.Store.View(ctx, func(tx storage.Tx) error {
		orphans = orphans[:0]
		now := tx.Now()
		for _, id := range ids {
			m, err := d.o.Queue.Get(tx, id)
			if errors.Is(err, queue.ErrNotFound) {
				d.index.remove(id)
				continue
			}
			if err != nil {
				// One record that can't be read holds up no other.
				d.o.Logger.Error("a message can't be read and is left alone", "message", id, "error", err)
				d.index.remove(id)
				continue
			}
			if m.State == queue.Sending && m.Lease.Session != d.o.Store.Session() {
				orphans = append(orphans, id)
			}
			n := news{message: m, now: now, watch: d.watch(m)}
			n.send, n.advance = d.o.Queue.Next(m, now)
			if n.send, err = d.afterLease(tx, m, n.send); err != nil {
				return err
			}
			if n.want, err = d.want(tx, id, m); err != nil {
				return err
			}
			d.index.put(id, n)
		}
		return nil
	})
	return orphans, err
}

// afterLease is when a message that may be sent at the given time can be begun
// here: not before the end of another living process's lease.
func (d *Dispatcher) afterLease(tx storage.Tx, m queue.Message, send time.Time) (time.Time, error) {
	if send.IsZero() || m.Lease == nil || m.Lease.Session == d.o.Store.Session() || !send.Before(m.Lease.Until.Time()) {
		return send, nil
	}
	alive, err := storage.Alive(tx, m.Lease.Session)
	if alive {
		send = m.Lease.Until.Time()
	}
	return send, err
}

// follow keeps the index up to date with the store.
func (d *Dispatcher) follow(ctx context.Context, wakes <-chan storage.Wake) error {
	for wake := range wakes {
		if wake.Lost {
			if err := d.load(ctx); err != nil {
				return err
			}
			continue
		}
		ids := make([]queue.ID, 0, len(wake.Keys))
		for _, key := range wake.Keys {
			if id, ok := d.o.Queue.KeyID(key); ok {
				ids = append(ids, id)
			}
		}
		if err := d.refresh(ctx, ids); err != nil {
			return err
		}
	}
	return cmp.Or(ctx.Err(), storage.ErrClosed) // nobody would hear of what comes
}

// keepTime lets time do its work on the messages.
func (d *Dispatcher) keepTime(ctx context.Context) error {
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-alarm.C:
		case <-d.index.sooner:
		}
		due := d.index.mature()
		moved, err := d.each(ctx, due.advance, d.o.Queue.Advance)
		if err != nil {
			return err
		}
		// The store's clock decides; it may have found it too early.
		if err := d.refresh(ctx, moved); err != nil {
			return err
		}
		if err := d.unreported(ctx, due.unreported); err != nil {
			return err
		}
		if _, err := d.each(ctx, due.rescued, d.o.Queue.Move); err != nil {
			return err
		}
		for _, imsi := range due.outdated {
			d.restandAnyway(ctx, imsi)
		}
		alarm.Reset(time.Until(due.next))
	}
}

// each applies a transition to every message, in a transaction of its own, and
// returns those that it took.
func (d *Dispatcher) each(ctx context.Context, ids []queue.ID, do func(storage.Tx, queue.ID) (queue.Outcome, error)) ([]queue.ID, error) {
	failed := make([]bool, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, id := range ids {
		g.Go(func() error {
			_, err := d.move(ctx, func(tx storage.Tx) (queue.Outcome, error) { return do(tx, id) })
			switch {
			case errors.Is(err, queue.ErrNotFound):
			case storage.Ended(err):
				return err
			case err != nil:
				// One message that can't be moved holds up no other.
				d.o.Logger.Error("a message can't be moved on", "message", id, "error", err)
				d.index.postpone(id)
				failed[i] = true
			}
			return nil
		})
	}
	err := g.Wait()
	moved := make([]queue.ID, 0, len(ids))
	for i, id := range ids {
		if !failed[i] {
			moved = append(moved, id)
		}
	}
	return moved, err
}

// move runs a transition with its hook, and tells of it once it is durable. It
// tries again while the store is busy or full, since what was begun must end.
func (d *Dispatcher) move(ctx context.Context, do func(storage.Tx) (queue.Outcome, error)) (queue.Outcome, error) {
	var out queue.Outcome
	err := d.insist(ctx, func() error {
		return d.o.Store.Update(storage.WithReserve(ctx), func(tx storage.Tx) (err error) {
			if out, err = do(tx); err != nil || !out.Changed() {
				return err
			}
			return d.o.Settled(tx, out)
		})
	})
	if err == nil && out.Changed() {
		d.o.Observer.Moved(out)
	}
	if err == nil && out.Duplicate {
		d.o.Observer.Doubled(out)
	}
	return out, err
}

// insist repeats do until the store takes it, ctx ends or it fails otherwise.
func (d *Dispatcher) insist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if !storage.Refused(err) {
			return err
		}
		d.o.Logger.Warn("store refuses a transition, trying again", "error", err)
		if !pause(ctx, retryStore) {
			return ctx.Err()
		}
	}
}

// pause waits, and says whether ctx lived through it.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Report takes in a delivery report. It returns when the report is durable.
func (d *Dispatcher) Report(ctx context.Context, r modem.Report) error {
	hold := queue.NewID()
	matched := false
	report := queue.Report{
		IMSI: r.IMSI, Alias: r.Alias, MR: r.MR, Recipient: r.Recipient, SCTS: r.SCTS,
		Status: r.Status, Fate: queue.Fate(r.Outcome()),
	}
	if report.IMSI == "" {
		if err := d.o.Store.View(ctx, func(tx storage.Tx) (err error) {
			report.IMSI, err = d.whose(tx, report)
			return err
		}); err != nil {
			return err
		}
	}
	var at storage.Time
	missed := false // as told before the report; afterwards the index may know no more
	out, err := d.move(storage.WithPatience(ctx), func(tx storage.Tx) (out queue.Outcome, err error) {
		at = storage.TimeOf(tx.Now())
		out, matched, err = d.o.Queue.Reported(tx, report, hold)
		missed = matched && d.wasMissed(out)
		return out, err
	})
	if err == nil && matched {
		d.judgeReport(out, at, missed)
	}
	if err == nil && !matched {
		d.o.Logger.Debug("delivery report held: no attempt matches it yet", "mr", r.MR, "status", r.Status)
	}
	return err
}

// whose says which SIM a report is of that doesn't tell.
func (d *Dispatcher) whose(tx storage.Tx, r queue.Report) (string, error) {
	var all []string
	for after := ""; ; {
		some, err := d.o.Ledger.SIMs(tx, after, page)
		if err != nil {
			return "", err
		}
		if all = append(all, some...); len(some) < page {
			return d.o.Queue.Whose(tx, r, all)
		}
		after = some[len(some)-1]
	}
}

// Depth is how many messages wait to be sent by lane, and the age of the
// oldest.
func (d *Dispatcher) Depth() (waiting map[queue.Lane]int, oldest map[queue.Lane]time.Time) {
	return d.index.depth()
}
