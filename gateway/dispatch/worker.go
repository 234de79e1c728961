package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

// worker sends with one modem session, one message after the other.
type worker struct {
	*Dispatcher
	modem Line
	line  *line
	log   *slog.Logger
}

// flight is an attempt that has ended in the modem and not yet in the store.
type flight struct {
	begun  queue.Begun
	result modem.Result
}

// work serves one modem session until it or ctx ends.
func (d *Dispatcher) work(ctx context.Context, l Line) {
	w := &worker{
		Dispatcher: d, modem: l, log: d.o.Logger.With("modem", l.Name()),
		line: newLine(queue.Carrier{Session: d.o.Store.Session(), Modem: l.Name(), IMSI: l.IMSI()}),
	}
	d.index.add(w.line)
	defer d.index.gone(w.line)
	// What is in the air is brought home whatever ends the session or ctx.
	air := context.WithoutCancel(ctx)
	var landed *flight
	for {
		e := w.next(ctx, landed)
		if e == nil && landed == nil {
			return
		}
		begun, err := w.gap(air, landed, e)
		if err != nil {
			w.log.Error("a transition was not written; what is in the air will be in doubt", "error", err)
			return
		}
		if w.rest(landed) {
			return
		}
		if landed = nil; begun != nil {
			landed = w.fly(ctx, begun)
		}
	}
}

// next is what to send next: at once if something has landed and waits to be
// settled, or else when there is something. nil means nothing.
func (w *worker) next(ctx context.Context, landed *flight) *entry {
	if landed == nil {
		return w.index.take(ctx, w.line, w.modem.Closed())
	}
	over := ctx.Err() != nil || landed.result.Class == modem.SIM
	select {
	case <-w.modem.Closed():
		over = true
	default:
	}
	if over {
		return nil
	}
	return w.index.tryTake(w.line)
}

// rest parks the modem if the failure that landed is its own.
func (w *worker) rest(landed *flight) bool {
	if landed == nil || landed.result.Class != modem.SIM {
		return false
	}
	w.log.Warn("the modem can't send; it rests", "cause", landed.result.Cause, "for", parkFor)
	w.modem.Park("the network or the SIM refuses to send: "+landed.result.Cause, parkFor)
	return true
}

// gap is the one commit between two messages: it settles what landed, begins
// e and leases what comes after it. begun is nil if e can't be sent now.
func (w *worker) gap(ctx context.Context, landed *flight, e *entry) (begun *queue.Begun, err error) {
	var ahead *entry
	if e != nil {
		ahead = w.index.choose(w.line)
	}
	var settled queue.Outcome
	run := func(tx storage.Tx) error {
		begun = nil
		if landed != nil {
			if settled, err = w.settle(tx, landed); err != nil {
				return err
			}
		}
		if e == nil {
			return nil
		}
		b, err := w.o.Queue.Begin(tx, e.id, w.line.Carrier)
		switch {
		case err == nil:
			begun = &b
		case errors.Is(err, queue.ErrNotSendable) || errors.Is(err, queue.ErrNotFound):
		default:
			return err
		}
		if ahead == nil {
			return nil
		}
		return w.o.Queue.Lease(tx, ahead.id, w.line.Carrier, leaseFor)
	}
	err = w.o.Store.Update(ctx, run)
	if errors.Is(err, storage.ErrFull) || errors.Is(err, storage.ErrBusy) {
		// There is no room for a new send; the one that landed must still be
		// settled.
		w.log.Warn("store refuses to begin a send", "error", err)
		if e != nil {
			w.index.release(e)
		}
		e, ahead = nil, nil
		err = w.insist(ctx, func() error { return w.o.Store.Update(storage.WithReserve(ctx), run) })
		pause(ctx, retryStore)
	}
	switch {
	case e == nil:
	case err != nil:
		w.index.release(e)
	case begun == nil:
		w.index.begun(e)
		err = w.refresh(ctx, []queue.ID{e.id})
	default:
		w.index.begun(e)
	}
	if err == nil && landed != nil {
		w.o.Observer.Sent(settled.Message, w.line.Modem, landed.result)
		if settled.Changed() {
			w.o.Observer.Moved(settled)
		}
	}
	return begun, err
}

func (w *worker) settle(tx storage.Tx, f *flight) (queue.Outcome, error) {
	// The modem's times are of the wall clock, which may be behind the store's.
	committed := f.result.CommittedAt
	if !committed.IsZero() {
		committed = tx.Now().Add(-max(0, f.result.Ended.Sub(committed)))
	}
	out, err := w.o.Queue.Settle(tx, f.begun.ID, f.begun.Attempt, queue.Settlement{
		Result: queue.Result(f.result.Class), Cause: f.result.Cause, MR: f.result.MR,
		Committed: committed, Soon: f.result.Soon, OtherSIM: f.result.OtherSIM,
	})
	if err != nil || !out.Changed() {
		return out, err
	}
	return out, w.o.Settled(tx, out)
}

// fly sends what was begun.
func (w *worker) fly(ctx context.Context, b *queue.Begun) *flight {
	to, text, err := w.o.Queue.Unseal(b.ID, b.Message)
	if err != nil {
		// A sealed value that doesn't open is a fault of ours; another try
		// would find the same.
		w.log.Error("a message can't be unsealed", "message", b.ID, "error", err)
		return &flight{begun: *b, result: modem.Result{Class: modem.Ours, Cause: "sealed", CMS: -1, CME: -1}}
	}
	result := w.modem.Submit(ctx, modem.Submission{
		To: strings.TrimPrefix(to, "+"), Text: text, Validity: b.Validity, Report: true,
	})
	log := w.log.With("message", b.ID, "attempt", b.Attempt+1, "result", result.Class, "cause", result.Cause)
	switch result.Class {
	case modem.Accepted:
		log.Debug("the network took a message")
	case modem.Ours:
		log.Error("a message can't be sent by any modem: a fault of ours or of the configuration")
	default:
		log.Warn("a message was not accepted")
	}
	return &flight{begun: *b, result: result}
}
