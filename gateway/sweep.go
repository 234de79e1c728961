package gateway

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"smsotpd/gateway/queue"
	"smsotpd/gateway/verification"
	"smsotpd/storage"
)

const (
	// sweepEvery is how often the sweeper looks at least. No verification
	// lives shorter, so none expires much later than it should; reads tell
	// the truth in between.
	sweepEvery = 15 * time.Second
	// sweepPage is how many records one step of the sweeper touches.
	sweepPage = 64
)

// sweep ends the verifications whose life is over, and deletes records whose
// time is over, in bounded steps.
func (g *Gateway) sweep(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		wait := sweepEvery
		next, err := g.mature(ctx)
		if err == nil {
			wait = min(next, sweepEvery)
			err = g.dropOld(ctx)
		}
		if storage.Ended(err) {
			return err
		}
		if err != nil {
			g.log.Warn("the sweeper was held up", "error", err)
		}
		timer.Reset(max(wait, 100*time.Millisecond))
	}
}

// mature acts on all deadlines that are due, and returns how long it is to the
// next.
func (g *Gateway) mature(ctx context.Context) (time.Duration, error) {
	for {
		var due []verification.Deadline
		wait := sweepEvery
		err := g.store.View(ctx, func(tx storage.Tx) error {
			found, err := g.book.Deadlines(tx, sweepPage)
			due = found[:0]
			for _, d := range found {
				if left := d.At.Sub(tx.Now()); left > 0 {
					wait = min(wait, left)
					break
				}
				due = append(due, d)
			}
			return err
		})
		if err != nil || len(due) == 0 {
			return wait, err
		}
		group, ctx := errgroup.WithContext(ctx)
		for _, d := range due {
			group.Go(func() error { return g.matureOne(ctx, d) })
		}
		if err := group.Wait(); err != nil {
			return 0, err
		}
	}
}

func (g *Gateway) matureOne(ctx context.Context, d verification.Deadline) error {
	var rec verification.Record
	var lapsed []queue.Message
	expired := false
	err := g.store.Update(storage.WithReserve(ctx), func(tx storage.Tx) error {
		known, err := g.book.Get(tx, d.ID)
		if err != nil && !errors.Is(err, verification.ErrNotFound) {
			return err
		}
		var gone bool
		if rec, gone, err = g.book.Mature(tx, d, g.policy(known.Service)); err != nil {
			return err
		}
		expired = known.State == verification.Pending && rec.State == verification.Expired
		if !gone {
			lapsed, err = g.withdraw(tx, rec.Messages, queue.Expired)
			return err
		}
		for _, id := range rec.Messages {
			if err := g.queue.Forget(tx, queue.ID(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && expired {
		g.dispatch.Lapsed(lapsed)
		g.metrics.failed(string(verification.Expired), rec.Region)
	}
	if err == nil || storage.Refused(err) || storage.Ended(err) {
		return err
	}
	// One record that can't be read holds up no other: it is left as it is.
	g.log.Error("a verification can't be moved on", "verification", d.ID, "error", err)
	return g.store.Update(storage.WithReserve(ctx), func(tx storage.Tx) error { return g.book.Pass(tx, d) })
}

// shortLived is one kind of record that is kept for a while only.
type shortLived struct {
	// dated says whether drop has something to do.
	dated func(storage.Tx) (bool, error)
	// drop deletes up to limit records, and returns how many.
	drop func(tx storage.Tx, limit int) (int, error)
	// dropped, unless nil, is told how many were.
	dropped func(n int)
}

func (g *Gateway) shortLived() []shortLived {
	return []shortLived{
		{g.queue.Dated, g.queue.DropHeld, func(n int) { g.metrics.unmatched.Add(float64(n)) }},
		{g.budgets.Dated, g.budgets.Drop, nil},
		{
			func(tx storage.Tx) (bool, error) { return g.inbound.Dated(tx, g.retention) },
			func(tx storage.Tx, limit int) (int, error) { return g.inbound.Drop(tx, g.retention, limit) }, nil,
		},
		{
			func(tx storage.Tx) (bool, error) { return g.trail.Dated(tx, g.trailRetention) },
			func(tx storage.Tx, limit int) (int, error) { return g.trail.Drop(tx, g.trailRetention, limit) }, nil,
		},
		{g.canaries.dated, g.canaries.drop, nil},
		{g.replies.dated, g.replies.drop, nil},
	}
}

// dropOld deletes what is kept for a while only. It writes nothing where there
// is nothing to delete.
func (g *Gateway) dropOld(ctx context.Context) error {
	var due []shortLived
	err := g.store.View(ctx, func(tx storage.Tx) error {
		due = nil
		for _, kind := range g.shortLived() {
			dated, err := kind.dated(tx)
			if err != nil {
				return err
			}
			if dated {
				due = append(due, kind)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, kind := range due {
		n, err := g.drop(ctx, kind.drop)
		if err != nil {
			return err
		}
		if kind.dropped != nil {
			kind.dropped(n)
		}
	}
	return nil
}

// drop repeats a bounded deletion until nothing is left, and returns how much
// it deleted.
func (g *Gateway) drop(ctx context.Context, some func(storage.Tx, int) (int, error)) (int, error) {
	for total := 0; ; {
		n := 0
		err := g.store.Update(storage.WithReserve(ctx), func(tx storage.Tx) (err error) {
			n, err = some(tx, sweepPage)
			return err
		})
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}
