package gateway

import (
	"context"
	"errors"
	"time"

	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/number"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
)

// space is room for one message in what the SIMs may send, or the refusal of it,
// which only counts where a message is queued.
type space struct {
	cancel  func()
	refusal error
}

// space asks for room for the message, which lives that long.
func (g *Gateway) space(ctx context.Context, m queue.Draft, to number.Number, life time.Duration) (*space, error) {
	cancel, err := g.dispatch.Admit(ctx, dispatch.Admission{
		ID: m.ID, Region: to.Region(), Number: to.E164(), Recipient: g.queue.Number(to.E164()),
		Lane: queue.LaneCode, Life: max(0, life-g.queue.MinLife()),
	})
	if full, ok := errors.AsType[*dispatch.NoCapacityError](err); ok {
		return &space{refusal: &Error{
			Kind: Unavailable, Code: CodeNoCapacity, RetryAfter: full.After, cause: err,
			Message: "Nothing can be sent now: the budgets of all SIMs are spent.",
		}}, nil
	}
	return &space{cancel: cancel}, failure(err)
}

// settle gives the room back unless the message was queued: the dispatcher, which
// hears of it, then knows of it as of all that wait. err is what the transaction
// answered; where that is the refusal, it is counted.
func (g *Gateway) settle(s *space, queued bool, err error) {
	if s.cancel != nil && (err != nil || !queued) {
		s.cancel()
	}
	if s.refusal != nil && errors.Is(err, s.refusal) {
		g.metrics.full()
	}
}

// observer is told by the dispatcher of what happens.
type observer struct {
	*metrics
	gateway *Gateway
}

// Happened implements dispatch.Observer.
func (o observer) Happened(e modem.Event) {
	o.gateway.log.Warn("something happened to a SIM", "modem", e.Modem, "event", e.Kind, "detail", e.Detail)
	if e.Kind == dispatch.EventBreakerOpen {
		o.gateway.canaries.distrusted(e.Modem)
	}
	o.gateway.Happened(e)
}
