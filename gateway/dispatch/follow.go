package dispatch

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/storage"
)

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

// want is what the message asks of the SIM that is to send it.
func (d *Dispatcher) want(tx storage.Tx, id queue.ID, m queue.Message) (want, error) {
	if m.To == nil {
		return want{way: wayKey{noRule, m.Region}}, nil
	}
	w := want{avoid: slices.Compact(slices.Sorted(slices.Values(m.Avoid()))), by: m.By}
	for _, imsi := range m.Unmoved() {
		w.away = append(w.away, operatorOf(imsi))
	}
	number := ""
	if d.index.needsNumber() {
		to, _, err := d.o.Queue.Unseal(id, m)
		if err != nil { // what begins it will find the same, and say so
			d.o.Logger.Error("a message can't be unsealed", "message", id, "error", err)
		}
		number = to
	}
	w.way = wayKey{d.index.ruleOf(m.Region, number, m.Lane), m.Region}
	// One that is being sent counts as waiting until its line is told.
	if len(m.Number) == 0 || m.State != queue.Queued && m.State != queue.Sending {
		return w, nil
	}
	known, err := d.o.Ledger.Contact(tx, m.Number)
	if storage.Ended(err) {
		return w, err
	}
	if err != nil { // as above
		d.o.Logger.Error("what a recipient knows can't be read", "message", id, "error", err)
	}
	slices.Reverse(known.SIMs)
	if w.known, w.served = known.SIMs, known.SIMs; len(w.known) == 0 && known.SIM != "" {
		w.known = []string{known.SIM}
	}
	return w, nil
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
