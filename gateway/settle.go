package gateway

import (
	"errors"
	"time"

	"smsotpd/gateway/guard"
	"smsotpd/gateway/queue"
	"smsotpd/gateway/verification"
	"smsotpd/storage"
)

// end makes a pending verification final and withdraws its messages.
func (g *Gateway) end(tx storage.Tx, id verification.ID, rec verification.Record, state verification.State) error {
	rec, err := g.book.End(tx, id, rec, state)
	if err != nil {
		return err
	}
	_, err = g.ended(tx, rec)
	return err
}

// ended does to the messages what the end of their verification means to them,
// and returns them.
func (g *Gateway) ended(tx storage.Tx, rec verification.Record) ([]queue.Message, error) {
	switch rec.State {
	case verification.Approved:
		return g.proven(tx, rec.Messages)
	case verification.Expired:
		return g.withdraw(tx, rec.Messages, queue.Expired)
	default:
		return g.withdraw(tx, rec.Messages, queue.Canceled)
	}
}

// proven: the code came back, so one of the messages that carried it arrived.
func (g *Gateway) proven(tx storage.Tx, ids [][]byte) ([]queue.Message, error) {
	sent := 0
	for _, id := range ids {
		m, err := g.queue.Get(tx, queue.ID(id))
		if err != nil {
			return nil, err
		}
		if m.MayHaveArrived() {
			sent++
		}
	}
	messages := make([]queue.Message, 0, len(ids))
	for _, id := range ids {
		out, err := g.queue.Proven(tx, queue.ID(id), sent == 1)
		if err != nil {
			return nil, err
		}
		messages = append(messages, out.Message)
	}
	return messages, nil
}

// withdraw says of messages that nobody waits for them any more, and returns
// them.
func (g *Gateway) withdraw(tx storage.Tx, ids [][]byte, state queue.State) ([]queue.Message, error) {
	messages := make([]queue.Message, 0, len(ids))
	for _, id := range ids {
		out, err := g.queue.Withdraw(tx, queue.ID(id), state)
		if err != nil {
			return nil, err
		}
		messages = append(messages, out.Message)
	}
	return messages, nil
}

// settled is dispatch's hook: what a message's new state means to its
// verification. It is undeliverable when every message failed for good and none
// may still arrive.
func (g *Gateway) settled(tx storage.Tx, o queue.Outcome) error {
	if o.Message.State != queue.Failed && o.Message.State != queue.Undelivered ||
		len(o.Message.Owner) != len(verification.ID{}) {
		return nil
	}
	id := verification.ID(o.Message.Owner)
	rec, err := g.book.Get(tx, id)
	if errors.Is(err, verification.ErrNotFound) || err == nil && !rec.Live(tx.Now()) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, other := range rec.Messages {
		m, err := g.queue.Get(tx, queue.ID(other))
		if err != nil {
			return err
		}
		if m.State.Open() || m.State == queue.Delivered || m.State == queue.Unconfirmed {
			return nil
		}
	}
	return g.end(tx, id, rec, verification.Undeliverable)
}

// failure is the one place where the errors of the rooms below become errors
// that may be shown; nil stays nil.
func failure(err error) error {
	if err == nil {
		return nil
	}
	if _, ours := errors.AsType[*Error](err); ours {
		return err
	}
	if soon, ok := errors.AsType[*verification.TooSoonError](err); ok {
		return &Error{
			Kind: RateLimited, Code: CodeCooldown, RetryAfter: soon.Wait, cause: err,
			Message: "A message was sent a short while ago; wait before the next one.",
		}
	}
	if locked, ok := errors.AsType[*verification.LockedError](err); ok {
		e := &Error{
			Kind: RateLimited, Code: CodeLocked, RetryAfter: locked.Wait, cause: err,
			Message: "Too many wrong codes were entered for this number.",
		}
		if locked.Wait == 0 { // no time to try again at
			e.Kind = Forbidden
		}
		return e
	}
	e := AsError(err)
	switch {
	case errors.Is(err, verification.ErrNotFound), errors.Is(err, queue.ErrNotFound):
		e = &Error{Kind: NotFound, Code: CodeNotFound, Message: "There is nothing with this id."}
	case errors.Is(err, verification.ErrNotPending):
		e = &Error{Kind: Conflict, Code: CodeNotPending, Message: "The verification has ended."}
	case errors.Is(err, storage.ErrFull):
		e = &Error{Kind: Full, Code: CodeStorageFull, Message: "There is no room for new work."}
	case errors.Is(err, storage.ErrBusy), errors.Is(err, storage.ErrClosed):
		e = &Error{Kind: Unavailable, Code: CodeOverloaded, RetryAfter: time.Second, Message: "Too much is waiting; try again in a moment."}
	}
	e.cause = err
	return e
}

// refused turns guard's refusals into errors that may be shown.
func refused(err error) error {
	refusal, ok := errors.AsType[*guard.Refusal](err)
	if !ok {
		return failure(err)
	}
	code := CodeRegionNotAllowed
	if refusal.Reason == guard.ClassRefused {
		code = CodeClassRefused
	}
	return &Error{Kind: Forbidden, Code: code, Field: "to", Message: refusal.Text, cause: err}
}
