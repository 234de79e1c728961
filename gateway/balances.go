package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"smsotpd/modem"
	"smsotpd/storage"
)

const (
	// balanceLook is how often it is looked which SIMs are there and due.
	balanceLook = 15 * time.Second
	// balanceJitter is how long at most a SIM is left alone once it can be
	// asked, so that not all are asked at once.
	balanceJitter = 3 * time.Minute
	// balanceRetry is the wait after the first failure; it doubles up to
	// balanceRetryMost, and to the SIM's Every.
	balanceRetry     = time.Minute
	balanceRetryMost = time.Hour
)

// balances asks SIMs for what is left on them.
type balances struct {
	gateway *Gateway
	log     *slog.Logger
	watched []*balanceWatch // run alone touches them
}

// balanceWatch is one SIM whose balance is asked for.
type balanceWatch struct {
	BalancePolicy
	// sim is what the ledger calls it, "" until it was first there; here: it
	// was, when it was looked last.
	sim      string
	here     bool
	due      time.Time
	asking   bool
	failures int
	// low and unreadable: the operator has been told.
	low, unreadable bool
}

// balanceAnswer is what came of asking the SIM in a modem.
type balanceAnswer struct {
	of         *balanceWatch
	modem, sim string
	text       string
	err        error
}

func newBalances(g *Gateway, policies []BalancePolicy) *balances {
	b := &balances{gateway: g, log: g.log.With("component", "balance")}
	for _, p := range policies {
		b.watched = append(b.watched, &balanceWatch{BalancePolicy: p})
	}
	return b
}

// run asks when it is time, until ctx ends.
func (b *balances) run(ctx context.Context) error {
	if len(b.watched) == 0 || b.gateway.ussd == nil {
		return nil
	}
	var asking sync.WaitGroup
	defer asking.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan balanceAnswer)
	tick := time.NewTicker(balanceLook)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			err = b.look(ctx, &asking, answers)
		case a := <-answers:
			err = b.heard(ctx, a)
		}
		if storage.Ended(err) {
			return err
		}
		if err != nil {
			b.log.Warn("the balances were held up", "error", err)
		}
	}
}

// look asks all SIMs that are there and due.
func (b *balances) look(ctx context.Context, asking *sync.WaitGroup, answers chan<- balanceAnswer) error {
	statuses := b.gateway.fleet.Statuses()
	for _, w := range b.watched {
		s, here := inFleet(statuses, w.Name, w.IMSI)
		if here && (!w.here || s.SIM() != w.sim) {
			if err := b.meet(ctx, w, s.SIM()); err != nil {
				return err
			}
		}
		if w.here = here; !here || w.asking || time.Now().Before(w.due) {
			continue
		}
		w.asking = true
		asking.Go(func() {
			reply, err := b.gateway.ussd(ctx, s.Name, w.Code)
			select {
			case answers <- balanceAnswer{of: w, modem: s.Name, sim: s.SIM(), text: reply.Text, err: err}:
			case <-ctx.Done():
			}
		})
	}
	return nil
}

// meet says when a SIM that has come is to be asked: soon, but not sooner than
// its time since it was asked last, even before a restart.
func (b *balances) meet(ctx context.Context, w *balanceWatch, sim string) error {
	now := time.Now()
	due := now.Add(rand.N(min(balanceJitter, w.Every))) //nolint:gosec // nobody gains by guessing it
	if w.sim == sim {
		if due.After(w.due) {
			w.due = due
		}
		return nil
	}
	low := false
	err := b.gateway.store.View(ctx, func(tx storage.Tx) error {
		s, err := b.gateway.budgets.Standing(tx, sim, b.gateway.dispatch.LimitsOf(sim))
		if err != nil || s.Balance == nil {
			return err
		}
		low = w.BalancePolicy.low(s.Balance.Amount)
		if again := now.Add(s.Balance.At.Add(w.Every).Sub(tx.Now())); again.After(due) {
			due = again
		}
		return nil
	})
	if err == nil {
		w.sim, w.due, w.low, w.unreadable, w.failures = sim, due, low, false, 0
	}
	return err
}

// heard takes in an answer. Its text is not logged: it may hold the number.
func (b *balances) heard(ctx context.Context, a balanceAnswer) error {
	w := a.of
	w.asking = false
	if s, here := inFleet(b.gateway.fleet.Statuses(), w.Name, w.IMSI); here && s.SIM() != a.sim || a.sim != w.sim {
		return nil // another SIM is there now
	}
	if a.err != nil {
		w.retry()
		b.log.Warn("the balance could not be asked for", "modem", a.modem, "error", a.err, "again_in", time.Until(w.due))
		return nil
	}
	amount, ok := w.read(a.text)
	if !ok {
		w.retry()
		if !w.unreadable {
			b.happened(a.modem, EventBalanceUnreadable, "the answer to "+w.Code+" has no amount where the pattern expects it")
		}
		w.unreadable = true
		return nil
	}
	err := b.gateway.store.Update(storage.WithReserve(ctx), func(tx storage.Tx) error {
		return b.gateway.budgets.SetBalance(tx, a.sim, amount)
	})
	if err == nil {
		err = b.gateway.dispatch.Restand(ctx, a.sim)
	}
	if err != nil {
		w.retry()
		return err
	}
	w.failures, w.unreadable, w.due = 0, false, time.Now().Add(w.Every)
	b.log.Debug("the balance was read", "modem", a.modem, "amount", amount)
	was := w.low
	if w.low = w.BalancePolicy.low(amount); w.low && !was {
		b.happened(a.modem, EventBalanceLow, fmt.Sprintf("%.2f is left on the SIM, less than %.2f", amount, *w.Low))
	}
	return nil
}

// retry asks again, later each time.
func (w *balanceWatch) retry() {
	w.due = time.Now().Add(min(balanceRetry<<min(w.failures, 10), balanceRetryMost, w.Every))
	w.failures++
}

func (b *balances) happened(name string, kind modem.EventKind, detail string) {
	observer{b.gateway.metrics, b.gateway}.Happened(modem.Event{Modem: name, Kind: kind, Detail: detail, At: time.Now()})
}
