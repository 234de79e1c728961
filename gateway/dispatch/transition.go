package dispatch

import (
	"errors"
	"hash/fnv"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

// transition is the transaction of a gap.
type transition struct {
	*worker
	landed      *flight
	take, ahead *entry
	// way and why are those of take; the entry itself may change meanwhile.
	way wayKey
	why []string
	// limits are the SIM's.
	limits budget.Limits

	// What its last run came to, at a time of the store: stands says that the
	// SIM's standing is another one, full that it may not have the message's
	// recipient.
	at           time.Time
	settled      *queue.Outcome
	begun        *launch
	stands, full bool
	standing     budget.Standing
}

func (t *transition) run(tx storage.Tx) error {
	t.settled, t.begun, t.stands, t.full, t.at = nil, nil, false, false, tx.Now()
	if t.landed != nil {
		settled, err := t.settle(tx, t.landed)
		if err != nil {
			return err
		}
		t.settled = &settled
	}
	if t.take == nil {
		return nil
	}
	if err := t.begin(tx); err != nil {
		return err
	}
	if t.ahead == nil || t.begun != nil && t.standing.Codes.After(t.at.Add(soon)) {
		return nil
	}
	return t.o.Queue.Lease(tx, t.ahead.id, t.line.Carrier, leaseFor)
}

// begin begins the message that is to be sent, if it may be: it counts in the
// SIM's budget from then on.
func (t *transition) begin(tx storage.Tx) error {
	begun, err := t.o.Queue.Begin(tx, t.take.id, t.line.Carrier, queue.Choice{
		Why: t.why,
		Allow: func(m queue.Message) (err error) {
			if t.index.isHeld(t.line.Modem) {
				return queue.ErrNotSendable
			}
			t.standing, err = t.o.Ledger.Charge(tx, t.limits, charge(t.line.IMSI, m))
			return err
		},
	})
	_, spent := errors.AsType[*budget.SpentError](err)
	switch {
	case spent:
		t.stands = true
		t.full = t.standing.RecipientsFull
		return nil
	case errors.Is(err, queue.ErrNotSendable), errors.Is(err, queue.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	t.begun, t.stands = &launch{Begun: begun, way: t.way}, true
	if t.replaces && begun.Message.Lane == queue.LaneCode {
		t.begun.replace, err = t.o.Ledger.ReplaceType(tx, begun.Message.Number, flow(begun.Message))
	}
	return err
}

// flow tells the messages of one verification from those of others.
func flow(m queue.Message) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(m.Owner) // can't fail
	return h.Sum64()
}

// charge is a message as the SIM's ledger counts it.
func charge(imsi string, m queue.Message) budget.Charge {
	return budget.Charge{SIM: imsi, Notice: m.Lane == queue.LaneNotice, Segments: 1, Recipient: m.Number}
}

func (t *transition) settle(tx storage.Tx, f *flight) (queue.Outcome, error) {
	w := t.worker
	s := settlement(f.result)
	// The modem's times are of the wall clock, which may be behind the store's.
	if at := f.result.CommittedAt; !at.IsZero() {
		s.Committed = tx.Now().Add(-max(0, f.result.Ended.Sub(at)))
	}
	s.OtherSIM = (s.OtherSIM || s.Result == queue.ResultSIM) && f.untried
	out, err := w.o.Queue.Settle(tx, f.begun.ID, f.begun.Attempt, s)
	if err != nil || out.Before != queue.Sending {
		return out, err
	}
	t.stands = true
	t.standing, err = w.o.Ledger.Settle(tx, t.limits, charge(t.line.IMSI, f.begun.Message), settled(s))
	if err != nil || !out.Changed() {
		return out, err
	}
	return out, w.o.Settled(tx, out)
}

// settled is a settlement as the SIM's ledger counts it.
func settled(s queue.Settlement) budget.Settlement {
	switch s.Result {
	case queue.ResultUnsent:
		return budget.Settlement{Result: budget.Unsent}
	case queue.ResultAccepted, queue.ResultAmbiguous:
		return budget.Settlement{Result: budget.Taken}
	}
	return budget.Settlement{Result: budget.Refused, Cause: s.Cause}
}

// settlement is a modem's result in the queue's words, without its times.
func settlement(r modem.Result) queue.Settlement {
	s := queue.Settlement{
		Result: queue.Result(r.Class), Cause: r.Cause, MR: int(r.MR), Soon: r.Soon, OtherSIM: r.OtherSIM,
	}
	if r.NoMR {
		s.MR = -1
	}
	if r.GivenBack() {
		s.Result = queue.ResultUnsent
	}
	return s
}
