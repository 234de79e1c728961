package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/storage"
)

// A message that was accepted and whose report doesn't come in the usual time speaks
// against its SIM, and goes out once more by another operator, where one is there.

// begin notes when the dispatcher has begun.
func (d *Dispatcher) begin(ctx context.Context) error {
	d.reading.Lock()
	defer d.reading.Unlock()
	return d.o.Store.View(ctx, func(tx storage.Tx) error {
		d.began = tx.Now()
		return nil
	})
}

// watch is when a report on the message should have come; zero for none. What came
// while the daemon was down has the usual time to be read.
func (d *Dispatcher) watch(m queue.Message) time.Time {
	if m.State != queue.Accepted || len(m.Attempts) == 0 {
		return time.Time{}
	}
	a := m.Attempts[len(m.Attempts)-1]
	if a.Result != queue.ResultAccepted || a.Fate != "" {
		return time.Time{}
	}
	usual := d.usual(a, m.Region)
	if at := a.Settled.Time(); at.After(d.began) {
		return at.Add(usual)
	}
	return d.began.Add(usual)
}

// usual is how long after an attempt its report should have come.
func (d *Dispatcher) usual(a queue.Attempt, region string) time.Duration {
	usual, known := d.health.Usual(time.Now(), a.IMSI, region)
	if !known {
		return d.o.Policy.Health.MaxWait
	}
	return usual
}

// unreported deals with messages whose report should have come: the SIM is
// judged by it, and the message goes out once more by another operator, where
// reports are to be expected and there is one.
func (d *Dispatcher) unreported(ctx context.Context, ids []queue.ID) error {
	var move []queue.ID
	for _, id := range ids {
		var m queue.Message
		err := d.o.Store.View(ctx, func(tx storage.Tx) (err error) {
			m, err = d.o.Queue.Get(tx, id)
			return err
		})
		if errors.Is(err, queue.ErrNotFound) || err == nil && d.watch(m).IsZero() {
			continue
		}
		if storage.Ended(err) {
			return fmt.Errorf("a message without its report: %w", err)
		}
		if err != nil {
			d.o.Logger.Error("a message without its report can't be read", "message", id, "error", err)
			continue
		}
		a := m.Attempts[len(m.Attempts)-1]
		_, expected := d.health.Usual(time.Now(), a.IMSI, m.Region)
		if due := a.Settled.Time().Add(d.usual(a, m.Region)); due.After(d.began) { // or else it was judged, or nobody looked
			d.health.Missing(time.Now(), a.IMSI, m.Region)
		}
		if expected && d.o.Queue.Movable(m) && d.index.elsewhere(id, operatorOf(a.IMSI)) {
			move = append(move, id)
		}
	}
	_, err := d.each(ctx, move, d.o.Queue.Move)
	return err
}

// wasMissed says whether the report that the outcome is of was told to be missing.
func (d *Dispatcher) wasMissed(o queue.Outcome) bool {
	m := o.Message
	return o.Attempt < m.Moved || o.Attempt == len(m.Attempts)-1 && d.index.wasMissed(o.ID)
}

// wasMissed says whether the report on the message was told to be missing.
func (x *index) wasMissed(id queue.ID) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.entries[id]
	return e != nil && e.missed
}

// strandedFor is how often another operator is looked for.
const strandedFor = 5 * time.Second

// elsewhere says whether the message may go by a line of another operator, and one is
// there. If none is, one is looked for again from time to time; see rescue.
func (x *index) elsewhere(id queue.ID, operator string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.entries[id]
	if e == nil || !x.policy.Failover {
		return false
	}
	if x.otherThan(operator, e) {
		return true
	}
	if len(x.stranded) == 0 {
		x.rescueAt = time.Now().Add(strandedFor)
		x.hurry()
	}
	x.stranded[e] = operator
	return false
}

func (x *index) otherThan(operator string, e *entry) bool {
	for l := range x.way(e.want.way).seats {
		if l.usable(e.lane) && l.card.operator != operator {
			return true
		}
	}
	return false
}

// rescue returns the messages that another operator may have by now. What is the
// same for many is looked at once.
func (x *index) rescue(now time.Time) (found []queue.ID) {
	if !x.policy.Failover {
		clear(x.stranded)
	}
	if len(x.stranded) == 0 || x.rescueAt.After(now) {
		return nil
	}
	type kind struct {
		way      wayKey
		lane     queue.Lane
		operator string
	}
	known := map[kind]bool{}
	for e, operator := range x.stranded {
		k := kind{e.want.way, e.lane, operator}
		may, looked := known[k]
		if !looked {
			may = x.otherThan(operator, e)
			known[k] = may
		}
		if may {
			delete(x.stranded, e)
			found = append(found, e.id)
		}
	}
	x.rescueAt = now.Add(strandedFor)
	return found
}
