package dispatch

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/queue"
	"smsotpd/storage"
)

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
		if err := d.refresh(ctx, append(moved, due.met...)); err != nil {
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

// recover puts a message in doubt whose session died while it was being sent; it
// counts in its SIM's budget.
func (d *Dispatcher) recover(tx storage.Tx, id queue.ID) (queue.Outcome, error) {
	out, err := d.o.Queue.Recover(tx, id)
	if err != nil || !out.Changed() || out.Attempt < 0 {
		return out, err
	}
	imsi := out.Message.Attempts[out.Attempt].IMSI
	_, err = d.o.Ledger.Settle(tx, d.index.limitsOf(imsi), charge(imsi, out.Message), budget.Settlement{Result: budget.Taken})
	return out, err
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
	if err == nil {
		d.announce(out)
	}
	return out, err
}

// announce tells of what a transition, which is durable, has changed.
func (d *Dispatcher) announce(out queue.Outcome) {
	if out.Changed() {
		d.o.Observer.Moved(out)
	}
	if out.Duplicate {
		d.o.Observer.Doubled(out)
	}
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
