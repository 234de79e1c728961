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

// dropOld deletes what is kept for a while only. It writes nothing where there
// is nothing to delete.
func (g *Gateway) dropOld(ctx context.Context) error {
	var messages, contacts, replies, received, acted, canaries bool
	err := g.store.View(ctx, func(tx storage.Tx) (err error) {
		if messages, err = g.queue.Dated(tx); err != nil {
			return err
		}
		if contacts, err = g.budgets.Dated(tx); err != nil {
			return err
		}
		if received, err = g.inbound.Dated(tx, g.retention); err != nil {
			return err
		}
		if acted, err = g.trail.Dated(tx, g.trailRetention); err != nil {
			return err
		}
		if canaries, err = g.canaries.dated(tx); err != nil {
			return err
		}
		replies, err = g.replies.dated(tx)
		return err
	})
	if err != nil {
		return err
	}
	if messages {
		unmatched, err := g.drop(ctx, g.queue.DropHeld)
		if err != nil {
			return err
		}
		g.metrics.unmatched.Add(float64(unmatched))
	}
	if contacts {
		if _, err := g.drop(ctx, g.budgets.Drop); err != nil {
			return err
		}
	}
	if received {
		oldest := func(tx storage.Tx, limit int) (int, error) { return g.inbound.Drop(tx, g.retention, limit) }
		if _, err := g.drop(ctx, oldest); err != nil {
			return err
		}
	}
	if acted {
		oldest := func(tx storage.Tx, limit int) (int, error) { return g.trail.Drop(tx, g.trailRetention, limit) }
		if _, err := g.drop(ctx, oldest); err != nil {
			return err
		}
	}
	if canaries {
		if _, err := g.drop(ctx, g.canaries.drop); err != nil {
			return err
		}
	}
	if replies {
		_, err = g.drop(ctx, g.replies.drop)
	}
	return err
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
