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
	"context"
	"errors"
	"log/slog"
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

// Depth is how many messages wait to be sent by lane, and the age of the
// oldest.
func (d *Dispatcher) Depth() (waiting map[queue.Lane]int, oldest map[queue.Lane]time.Time) {
	return d.index.depth()
}
