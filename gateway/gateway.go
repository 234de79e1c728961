// Package gateway is the domain's front door: it verifies that a person holds
// a phone number by a code that travels by SMS.
//
// It puts the rooms below it together, one transaction a step: guard admits,
// the verification is created, its message is queued; dispatch sends it; the
// code comes back and is checked. Nothing here remembers in memory what the
// next step needs.
//
// What always holds:
//
//   - What a call acknowledged survives kill -9 and power loss.
//   - A message lives no longer than the verification that it belongs to: in
//     the transaction in which one ends, its messages are withdrawn.
//   - Every reply and every error is safe to show: no number, no code, no
//     submitted value.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/guard"
	"smsotpd/gateway/inbound"
	"smsotpd/gateway/keyring"
	"smsotpd/gateway/ledger"
	"smsotpd/gateway/number"
	"smsotpd/gateway/queue"
	"smsotpd/gateway/verification"
	"smsotpd/modem"
	"smsotpd/storage"
)

// Gateway is safe for use from many goroutines.
type Gateway struct {
	store     storage.Store
	keys      *keyring.Keyring
	services  map[string]Service
	guard     guard.Policy
	book      *verification.Book
	queue     *queue.Queue
	budgets   *budget.Ledger
	fleet     dispatch.Fleet
	ussd      func(ctx context.Context, modem, code string) (modem.USSDReply, error)
	reset     func(ctx context.Context, modem string) error
	unpark    func(modem string) error
	dispatch  *dispatch.Dispatcher
	inbound   *inbound.Book
	replies   *replies
	canaries  *canaries
	balances  *balances
	metrics   *metrics
	log       *slog.Logger
	needModem bool
	retention time.Duration // of received messages
	trail     *ledger.Trail
	orders    *orders
	limits    storage.Table[budgetOrder] // by SIM
	// hands carries out what operators order; nil: nobody does yet.
	hands hands
	// ordering is held while an order is made and the hands are told of it.
	ordering       sync.Mutex
	trailRetention time.Duration
	// fallback is the service of stored records whose own is configured no
	// more.
	fallback Service
}

// Run dispatches and sweeps, and tries and asks the SIMs, until ctx ends. It
// returns when every attempt in the air is settled, which takes as long as the
// modems take to answer or to be closed.
func (g *Gateway) Run(ctx context.Context) error {
	if err := g.recall(ctx); err != nil {
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return fmt.Errorf("the operators' orders: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return g.dispatch.Run(ctx) })
	group.Go(func() error { return g.sweep(ctx) })
	group.Go(func() error { return g.canaries.run(ctx) })
	group.Go(func() error { return g.balances.run(ctx) })
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Start asks for a code to be sent to a number, or goes on with the pending
// verification of the same subject.
func (g *Gateway) Start(ctx context.Context, call Call, req StartRequest) (Verification, error) {
	service, purpose, err := g.service(req)
	if err != nil {
		return Verification{}, err
	}
	to, err := number.Parse(req.To)
	if err != nil {
		return Verification{}, &Error{
			Kind: Invalid, Code: CodeInvalidNumber, Field: "to", cause: err,
			Message: "This is no valid phone number in E.164 form: a plus sign, the country code and the subscriber's number, digits only.",
		}
	}
	if err := g.guard.Screen(to); err != nil {
		err = refused(err)
		g.metrics.refused(to.Region(), err)
		return Verification{}, err
	}
	reply, err := g.replies.expect(call, "start", "")
	if err != nil {
		return Verification{}, err
	}

	// Everything random is made before the transaction.
	policy := service.Verification
	draft := g.book.Draft(verification.Ask{
		Service: service.Name, Purpose: purpose, To: to, Subject: req.Subject, Locale: req.Locale,
	}, policy)
	message := g.queue.Draft(queue.Address{To: to.E164(), Region: to.Region()})
	if err := g.write(&message, service, draft.ID, draft.Code, req.Locale, policy.TTL); err != nil {
		return Verification{}, err
	}
	again := verification.NewSend(message.ID[:], policy)
	space, err := g.space(ctx, message, to, policy.TTL)
	if err != nil {
		return Verification{}, err
	}

	var view Verification
	replayed := false
	err = g.update(ctx, func(tx storage.Tx) (err error) {
		if replayed, err = g.replies.replay(tx, reply, &view); replayed || err != nil {
			return err
		}
		admitted, err := g.book.Admit(tx, draft, policy)
		if err != nil {
			return err
		}
		switch admitted.Decision {
		case verification.Continue:
			view, err = g.goOn(tx, admitted, to)
		case verification.SendAgain:
			view, err = g.sendAgain(tx, service, admitted.ID, again, message, to, space)
			view.Continued = true
		case verification.Replace:
			if err = g.end(tx, admitted.ID, admitted.Record, verification.Canceled); err != nil {
				return err
			}
			view, err = g.begin(tx, service, draft, message, to, space)
		default:
			view, err = g.begin(tx, service, draft, message, to, space)
		}
		if err != nil {
			return err
		}
		return g.replies.keep(tx, reply, view)
	})
	g.settle(space, view.MessageID == message.ID.String(), err)
	if !replayed {
		g.metrics.start(to.Region(), view, err)
	}
	return view, err
}

// begin creates a verification and queues its first message.
func (g *Gateway) begin(tx storage.Tx, s Service, d verification.Draft, m queue.Draft, to number.Number, space *space) (Verification, error) {
	if space.refusal != nil {
		return Verification{}, space.refusal
	}
	rec, err := g.book.Create(tx, d, s.Verification, m.ID[:])
	if err != nil {
		return Verification{}, err
	}
	if _, err := g.queue.Enqueue(tx, m, rec.Expires.Time()); err != nil {
		return Verification{}, err
	}
	return g.view(d.ID, rec, to, queue.Queued, tx.Now()), nil
}

// goOn continues a pending verification as it is.
func (g *Gateway) goOn(tx storage.Tx, a verification.Admission, to number.Number) (Verification, error) {
	status, err := g.newest(tx, a.Record)
	view := g.view(a.ID, a.Record, to, status, tx.Now())
	view.Continued = true
	return view, err
}

// sendAgain queues another message for a pending verification; what is still
// queued of the older ones is superseded.
func (g *Gateway) sendAgain(tx storage.Tx, s Service, id verification.ID, again verification.Send, m queue.Draft, to number.Number, space *space) (Verification, error) {
	rec, code, err := g.book.Resend(tx, id, s.Verification, again)
	if err != nil {
		return Verification{}, err
	}
	if space.refusal != nil {
		return Verification{}, space.refusal
	}
	left := rec.Expires.Time().Sub(tx.Now())
	if err := g.write(&m, s, id, code, rec.Locale, left); err != nil {
		return Verification{}, err
	}
	if _, err := g.withdraw(tx, rec.Messages[:len(rec.Messages)-1], queue.Superseded); err != nil {
		return Verification{}, err
	}
	if _, err := g.queue.Enqueue(tx, m, rec.Expires.Time()); err != nil {
		return Verification{}, err
	}
	return g.view(id, rec, to, queue.Queued, tx.Now()), nil
}

// write puts the service's text with the code into a message draft.
func (g *Gateway) write(m *queue.Draft, s Service, owner verification.ID, code verification.Code, locale string, left time.Duration) error {
	text, err := s.text.Render(string(code), left, locale)
	if err != nil {
		return err
	}
	g.queue.Write(m, owner[:], text)
	return nil
}

// Check says whether the code is the right one. Each call but one with a known
// idempotency key is charged, and the verdict is told once that is durable.
func (g *Gateway) Check(ctx context.Context, call Call, id, entered string) (Verdict, error) {
	key, ok := verification.ParseID(id)
	if !ok {
		return Verdict{}, failure(verification.ErrNotFound)
	}
	reply, err := g.replies.expect(call, "check", id)
	if err != nil {
		return Verdict{}, err
	}
	code := verification.Typed(entered)
	var verdict Verdict
	var result verification.Verdict
	var carried []queue.Message
	replayed := false
	err = g.update(storage.WithReserve(ctx), func(tx storage.Tx) (err error) {
		if replayed, err = g.replies.replay(tx, reply, &verdict); replayed || err != nil {
			return err
		}
		rec, err := g.book.Get(tx, key)
		if err != nil {
			return err
		}
		if result, err = g.book.Check(tx, key, code, g.policy(rec.Service)); err != nil {
			return err
		}
		if result.Ended {
			if carried, err = g.ended(tx, result.Record); err != nil {
				return err
			}
		}
		verdict = Verdict{
			ID: id, Valid: result.Valid, ChecksLeft: result.Record.ChecksLeft,
			Status: result.Record.StateAt(tx.Now()),
		}
		return g.replies.keep(tx, reply, verdict)
	})
	if err == nil && !replayed {
		g.metrics.checked(result)
		if result.Valid {
			g.dispatch.Entered(carried)
		}
	}
	return verdict, err
}

// Resend sends the code of a pending verification again.
func (g *Gateway) Resend(ctx context.Context, call Call, id string) (Verification, error) {
	key, ok := verification.ParseID(id)
	if !ok {
		return Verification{}, failure(verification.ErrNotFound)
	}
	reply, err := g.replies.expect(call, "resend", id)
	if err != nil {
		return Verification{}, err
	}
	rec, to, err := g.find(ctx, key)
	if err != nil {
		return Verification{}, err
	}
	service := g.known(rec.Service)
	message := g.queue.Draft(queue.Address{To: to.E164(), Region: to.Region()})
	again := verification.NewSend(message.ID[:], service.Verification)
	space, err := g.space(ctx, message, to, time.Until(rec.Expires.Time()))
	if err != nil {
		return Verification{}, err
	}
	var view Verification
	err = g.update(ctx, func(tx storage.Tx) error {
		if known, err := g.replies.replay(tx, reply, &view); known || err != nil {
			return err
		}
		if view, err = g.sendAgain(tx, service, key, again, message, to, space); err != nil {
			return err
		}
		return g.replies.keep(tx, reply, view)
	})
	g.settle(space, view.MessageID == message.ID.String(), err)
	g.metrics.resend(to.Region(), err)
	return view, err
}

// Cancel ends a pending verification; one that was canceled before stays so.
func (g *Gateway) Cancel(ctx context.Context, id string) (Verification, error) {
	key, ok := verification.ParseID(id)
	if !ok {
		return Verification{}, failure(verification.ErrNotFound)
	}
	var rec verification.Record
	changed := false
	err := g.update(storage.WithReserve(ctx), func(tx storage.Tx) (err error) {
		changed = false
		rec, err = g.book.Get(tx, key)
		switch {
		case err != nil:
			return err
		case rec.State == verification.Canceled:
			return nil
		case !rec.Live(tx.Now()):
			return verification.ErrNotPending
		}
		changed = true
		return g.end(tx, key, rec, verification.Canceled)
	})
	if err != nil {
		return Verification{}, err
	}
	if changed {
		g.metrics.failed(string(verification.Canceled), rec.Region)
	}
	return g.Verification(ctx, id)
}

// Verification returns the present state of one.
func (g *Gateway) Verification(ctx context.Context, id string) (Verification, error) {
	key, ok := verification.ParseID(id)
	if !ok {
		return Verification{}, failure(verification.ErrNotFound)
	}
	var view Verification
	err := g.store.View(ctx, func(tx storage.Tx) error {
		rec, err := g.book.Get(tx, key)
		if err != nil {
			return err
		}
		to, err := g.book.To(key, rec)
		if err != nil {
			return err
		}
		status, err := g.newest(tx, rec)
		view = g.view(key, rec, to, status, tx.Now())
		return err
	})
	return view, failure(err)
}

// Message returns what is known of one message.
func (g *Gateway) Message(ctx context.Context, id string) (Message, error) {
	key, ok := queue.ParseID(id)
	if !ok {
		return Message{}, failure(queue.ErrNotFound)
	}
	var m queue.Message
	err := g.store.View(ctx, func(tx storage.Tx) (err error) {
		m, err = g.queue.Get(tx, key)
		return err
	})
	if err != nil {
		return Message{}, failure(err)
	}
	return describe(key, m), nil
}

// Report takes in a delivery report, durably.
func (g *Gateway) Report(ctx context.Context, r modem.Report) error { return g.dispatch.Report(ctx, r) }

// Happened takes in what the modems do and what is done to them.
func (g *Gateway) Happened(e modem.Event) {
	g.metrics.events.WithLabelValues(e.Modem, string(e.Kind)).Inc()
}

// update runs a transaction and turns its error into one that may be shown.
func (g *Gateway) update(ctx context.Context, fn func(storage.Tx) error) error {
	return failure(g.store.Update(ctx, fn))
}
