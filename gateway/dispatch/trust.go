package dispatch

import (
	"bytes"
	"context"
	"slices"
	"time"

	"smsotpd/gateway/dispatch/health"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

// What happens to SIMs, beside what the driver tells of modems. The words are
// stable: metrics have them as labels.
const (
	// EventBudgetLow: little of a SIM's budget is left. EventBudgetSpent: it
	// can send nothing more for an hour at least.
	EventBudgetLow   modem.EventKind = "budget_low"
	EventBudgetSpent modem.EventKind = "budget_spent"
	// EventBreakerOpen: a SIM is no longer trusted, altogether or for a region.
	// EventBreakerClosed: it is again.
	EventBreakerOpen   modem.EventKind = "breaker_open"
	EventBreakerClosed modem.EventKind = "breaker_closed"
)

const (
	// manyChanges is how many changes of breakers may wait to be heeded.
	manyChanges = 1024
	// saveHealth is how often what is known of the SIMs is written down.
	saveHealth = time.Minute
)

// healthRecord is a SIM's health as it is kept.
type healthRecord struct {
	Data []byte `cbor:"1,keyasint"`
}

// changed takes in that a breaker has changed; index.mu may be held.
func (d *Dispatcher) changed(c health.Change) {
	select {
	case d.changes <- c:
	default:
		d.unheeded.Store(true)
	}
}

// heed lets changed breakers have their effect.
func (d *Dispatcher) heed(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c := <-d.changes:
			if d.unheeded.Swap(false) { // too many changed at once: it may be any
				d.o.Logger.Warn("too many breakers change at once")
				for imsi := range d.index.names() {
					d.index.rethink(imsi)
				}
			}
			d.index.rethink(c.SIM)
			kind, about := EventBreakerClosed, ""
			if c.Open {
				kind = EventBreakerOpen
			}
			if c.Region != "" {
				about = "in " + c.Region + ": "
			}
			_, name := d.index.of(c.SIM)
			d.o.Observer.Happened(modem.Event{Modem: name, Kind: kind, Detail: about + c.Why, At: c.At})
		}
	}
}

// Distrusted says whether a SIM's breaker is open, altogether or for the region,
// and from when on it may have a message to show that it works again.
func (d *Dispatcher) Distrusted(sim, region string) (open bool, probeAt time.Time) {
	state, until := d.health.State(time.Now(), sim, region)
	return state != health.Closed, until
}

// Probe asks for leave to let a message show whether a distrusted SIM works
// again. It is given to one at a time.
func (d *Dispatcher) Probe(sim, region string) bool {
	return d.health.Probe(time.Now(), sim, region)
}

// loadHealth takes in what was known of the SIMs before the restart.
func (d *Dispatcher) loadHealth(ctx context.Context) error {
	return storage.Each(ctx, d.o.Store, d.records, func(sim []byte, kept healthRecord) {
		if err := d.health.Load(time.Now(), string(sim), kept.Data); err != nil {
			d.o.Logger.Warn("what was known of a SIM's work can't be read; it begins anew", "error", err)
		}
	})
}

// keepHealth writes down what is known of the SIMs from time to time.
func (d *Dispatcher) keepHealth(ctx context.Context) error {
	tick := time.NewTicker(saveHealth)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			d.health.Sweep(time.Now())
			d.saveHealth(ctx)
		}
	}
}

// saveHealth writes what has changed since it was written last, in steps of a few
// SIMs; what fails is made up for by the next time.
func (d *Dispatcher) saveHealth(ctx context.Context) {
	const step = 32
	all, err := d.health.Save(time.Now())
	if err != nil {
		d.o.Logger.Error("what is known of the SIMs' work can't be written down", "error", err)
		return
	}
	sims := make([]string, 0, len(all))
	for sim, data := range all {
		if !bytes.Equal(data, d.saved[sim]) {
			sims = append(sims, sim)
		}
	}
	for some := range slices.Chunk(sims, step) {
		err := d.o.Store.Update(storage.WithPatience(ctx), func(tx storage.Tx) error {
			for _, sim := range some {
				if err := d.records.Put(tx, []byte(sim), healthRecord{Data: all[sim]}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			d.o.Logger.Warn("what is known of the SIMs' work was not written down", "error", err)
			return
		}
		if err == nil {
			for _, sim := range some {
				d.saved[sim] = all[sim]
			}
		}
	}
}

// judgeResult tells health what the network said to an attempt.
func (d *Dispatcher) judgeResult(m queue.Message, attempt int, r modem.Result) {
	a, now := m.Attempts[attempt], time.Now()
	switch r.Class {
	case modem.Accepted:
		d.health.Accepted(now, a.IMSI, m.Region)
		if a.Fate == queue.FateDelivered { // the report came before the answer
			d.health.Reported(now, a.IMSI, m.Region, 0)
		}
	case modem.SIM:
		d.health.Refused(now, a.IMSI, m.Region)
	}
}

// judgeReport tells health of a report that came at the given time of the store;
// missed: it was told to be missing.
func (d *Dispatcher) judgeReport(o queue.Outcome, at storage.Time, missed bool) {
	if o.Attempt < 0 || o.Attempt >= len(o.Message.Attempts) {
		return
	}
	a, now := o.Message.Attempts[o.Attempt], time.Now()
	after := max(0, a.ReportAt.Time().Sub(a.Settled.Time()))
	switch {
	case a.ReportAt != at: // a report that changed nothing
	case a.Fate != queue.FateDelivered:
		d.health.Answered(now, a.IMSI, o.Message.Region)
	case missed:
		d.health.Late(now, a.IMSI, o.Message.Region, after)
	default:
		d.health.Reported(now, a.IMSI, o.Message.Region, after)
	}
}

// Entered takes in that the code of these messages was entered, which says that
// those of the SIMs that carried it arrive.
func (d *Dispatcher) Entered(messages []queue.Message) {
	for _, by := range carriers(messages) {
		d.health.Verified(time.Now(), by.imsi, by.region)
	}
}

// Lapsed takes in that their life went by without.
func (d *Dispatcher) Lapsed(messages []queue.Message) {
	for _, by := range carriers(messages) {
		d.health.Unverified(time.Now(), by.imsi, by.region)
	}
}

// carrier is a SIM that a message went by, to a region.
type carrier struct{ imsi, region string }

// carriers are the SIMs that what became of the code speaks of: those whose
// message is reported as delivered, or else the only one. Of several without a
// report nobody knows by which it came: one of them may swallow what it is given.
func carriers(messages []queue.Message) []carrier {
	var sent, delivered []carrier
	for _, m := range messages {
		for _, a := range m.Attempts {
			by := carrier{a.IMSI, m.Region}
			if a.Sent() && !slices.Contains(sent, by) {
				sent = append(sent, by)
			}
			if a.Sent() && a.Fate == queue.FateDelivered && !slices.Contains(delivered, by) {
				delivered = append(delivered, by)
			}
		}
	}
	if len(delivered) == 0 && len(sent) == 1 {
		return sent
	}
	return delivered
}
