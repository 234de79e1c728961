package dispatch

import (
	"context"

	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

// lateAnswer is what a modem said of a message in doubt when its session had
// given up waiting.
type lateAnswer struct {
	worker *worker
	flight *flight
	result modem.Result
}

// manyLate bounds the late answers that wait to be written down; each modem has
// one at most.
const manyLate = 256

// late takes in a late answer. It runs in the modem's reading goroutine.
func (w *worker) late(f *flight, r modem.Result) {
	select {
	case w.lates <- lateAnswer{worker: w, flight: f, result: r}:
	default:
		w.log.Warn("a late answer was dropped: its message stays in doubt", "message", f.begun.ID)
	}
}

// settleLate writes down late answers, until ctx ends and none waits.
func (d *Dispatcher) settleLate(ctx context.Context) error {
	for {
		select {
		case l := <-d.lates:
			l.settle(ctx)
			continue
		default:
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case l := <-d.lates:
			l.settle(ctx)
		}
	}
}

// settle waits for the settlement of the doubt, which may be on its way, and
// corrects it.
func (l lateAnswer) settle(ctx context.Context) {
	w, b := l.worker, l.flight.begun
	select {
	case <-l.flight.settled:
	case <-ctx.Done():
		return // it stays in doubt
	}
	w.tally.judge(w.line.IMSI, b.Message, &l.result, true)
	s := settlement(l.result)
	out, err := w.move(context.WithoutCancel(ctx), func(tx storage.Tx) (queue.Outcome, error) {
		return w.o.Queue.Late(tx, b.ID, b.Attempt, s)
	})
	log := w.log.With("message", b.ID, "attempt", b.Attempt+1, "result", l.result.Class, "cause", l.result.Cause)
	if err != nil {
		log.Error("a late answer was not written down: its message stays in doubt", "error", err)
		return
	}
	log.Info("the answer to a message in doubt came late", "status", out.Message.State)
}
