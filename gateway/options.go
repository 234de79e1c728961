package gateway

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/guard"
	"smsotpd/gateway/inbound"
	"smsotpd/gateway/keyring"
	"smsotpd/gateway/ledger"
	"smsotpd/gateway/queue"
	"smsotpd/gateway/verification"
	"smsotpd/modem"
	"smsotpd/storage"
)

// Options of a Gateway. Store, Keys, Services and Fleet are required.
type Options struct {
	Store    storage.Store
	Keys     *keyring.Keyring
	Services []Service
	Guard    guard.Policy
	// Queue is queue.DefaultPolicy if it is zero.
	Queue queue.Policy
	Fleet dispatch.Fleet
	// Dispatch is dispatch.DefaultPolicy if it is nil, BudgetZone where days and
	// months of budgets begin; nil: UTC.
	Dispatch   *dispatch.Policy
	BudgetZone *time.Location
	// Can says what a modem with a SIM was seen to do; nil: nothing was seen.
	Can func(imei, imsi string) modem.Capability
	// USSD sends a code through the named modem; its errors are those of
	// modem.Pool.USSD. nil: no modem can.
	USSD func(ctx context.Context, modem, code string) (modem.USSDReply, error)
	// Reset restarts the named modem; its errors wrap modem.ErrNoSuchModem or
	// modem.ErrNotReady, or are faults. nil: no modem can be restarted.
	Reset func(ctx context.Context, modem string) error
	// Unpark ends the rest of the named modem, with the same errors. nil: only
	// time ends it.
	Unpark func(modem string) error
	Logger *slog.Logger
	// Metrics is where the gateway's metrics are registered; nil for nowhere.
	Metrics prometheus.Registerer
	// InboundRetention is how long received messages are kept;
	// DefaultInboundRetention if it is 0.
	InboundRetention time.Duration
	// TrailRetention is how long the trail of operators' actions is kept;
	// ledger.DefaultRetention if it is 0.
	TrailRetention time.Duration
	// NeedModem: without a modem that can send, the gateway is not ready.
	NeedModem bool
	// Canary lets SIMs send test messages to each other; its zero value does
	// not.
	Canary CanaryPolicy
	// Balances are the SIMs whose balance is asked for.
	Balances []BalancePolicy
}

// New makes a Gateway; Run sets its dispatcher going. An error is one of the
// configuration.
func New(o Options) (*Gateway, error) {
	if o.Queue == (queue.Policy{}) {
		o.Queue = queue.DefaultPolicy()
	}
	g := &Gateway{
		store: o.Store, keys: o.Keys, guard: o.Guard, fleet: o.Fleet, needModem: o.NeedModem,
		ussd: o.USSD, reset: o.Reset, unpark: o.Unpark, log: o.Logger,
		book: verification.NewBook(o.Keys), queue: queue.New(o.Keys, o.Queue), budgets: budget.New(o.BudgetZone),
		inbound: inbound.NewBook(o.Keys, readInbound), replies: newReplies(o.Keys),
		retention: cmp.Or(o.InboundRetention, DefaultInboundRetention),
		trail:     ledger.NewTrail(o.Keys), orders: newOrders(o.Keys), limits: storage.NewTable[budgetOrder]("budgetorder", 1),
		trailRetention: cmp.Or(o.TrailRetention, ledger.DefaultRetention),
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	policy := dispatch.DefaultPolicy()
	if o.Dispatch != nil {
		policy = *o.Dispatch
	}
	if err := cmp.Or(g.serve(o.Services), policy.Validate(), o.validateSIMs()); err != nil {
		return nil, err
	}
	g.canaries, g.balances = newCanaries(g, o.Canary), newBalances(g, o.Balances)
	g.metrics = newMetrics(o.Metrics, g)
	g.dispatch = dispatch.New(dispatch.Options{
		Store: o.Store, Queue: g.queue, Ledger: g.budgets, Fleet: o.Fleet, Policy: policy, Can: o.Can,
		Settled: g.settled, Observer: observer{g.metrics, g}, Logger: g.log.With("component", "dispatch"),
	})
	g.hands = g.dispatch
	return g, nil
}

// serve takes in the services, and the one for records of any other.
func (g *Gateway) serve(services []Service) error {
	g.services = make(map[string]Service, len(services))
	for _, s := range services {
		if err := s.prepare(); err != nil {
			return fmt.Errorf("service.%s: %w", s.Name, err)
		}
		if _, twice := g.services[s.Name]; twice {
			return fmt.Errorf("service.%s: declared twice", s.Name)
		}
		g.services[s.Name] = s
	}
	g.fallback = DefaultService()
	return g.fallback.prepare()
}

// validateSIMs says what is wrong with what the SIMs are to do by themselves.
func (o Options) validateSIMs() error {
	if err := o.Canary.Validate(); err != nil {
		return fmt.Errorf("canary: %w", err)
	}
	for _, b := range o.Balances {
		if err := b.Validate(); err != nil {
			return fmt.Errorf("sim.%s.balance: %w", b.Name, err)
		}
	}
	return nil
}
