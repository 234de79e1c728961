package dispatch

import (
	"context"
	"time"

	"smsotpd/gateway/dispatch/budget"
)

// What the operator changes while messages go out: the policy, which modems take part,
// and the limits of single SIMs.

// Reload makes another policy hold, but for its Health; nothing that waits or is
// in the air is lost by it.
func (d *Dispatcher) Reload(ctx context.Context, p Policy) error {
	ctx = context.WithoutCancel(ctx) // what waits must be put again
	d.reading.Lock()
	d.index.reload(p)
	d.reading.Unlock()
	if err := d.load(ctx); err != nil {
		return err
	}
	return d.restand(ctx)
}

// reload makes another policy hold. All messages are to be put again.
func (x *index) reload(p Policy) {
	x.mu.Lock()
	defer x.mu.Unlock()
	p.Health = x.policy.Health
	x.policy, x.policyLimits = p, p.limited()
	for _, e := range x.entries {
		x.uncount(e)
		x.unsend(e, false)
		e.send = false
	}
	for l := range x.lines {
		x.stopSeats(l)
	}
	clear(x.ways)
	clear(x.plain)
	clear(x.pending)
	clear(x.capacity)
	for id, p := range x.admitted {
		p.rule = noRule // nobody knows which it is now, until the message comes
		x.admitted[id] = p
		x.pendingOf(p.rule)[p.lane]++
	}
	for _, c := range x.cards {
		x.rename(c, c.name)
	}
	x.era++
}

// Hold takes the modem out: it is given no more messages. Or it gives it back.
func (d *Dispatcher) Hold(modem string, held bool) { d.index.hold(modem, held) }

// Held says whether the operator has taken the modem out.
func (d *Dispatcher) Held(modem string) bool { return d.index.isHeld(modem) }

// InAir says whether the modem has a message in the air.
func (d *Dispatcher) InAir(modem string) bool { return d.index.flies(modem) }

// hold takes a modem out, or gives it back.
func (x *index) hold(modem string, held bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if delete(x.held, modem); held {
		x.held[modem] = true
	}
	var lines []*line
	for l := range x.lines {
		if l.Modem == modem {
			l.held = held
			lines = append(lines, l)
		}
	}
	x.era++
	clear(x.capacity)
	now := time.Now()
	for _, l := range lines {
		if l.waits {
			x.makeIdle(l)
		}
	}
	for _, l := range lines {
		if held {
			x.unchoose(l, now)
		}
		x.resort(l.card, now)
		x.offer(l, now)
	}
	x.offerAll(now)
}

func (x *index) isHeld(modem string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.held[modem]
}

// flies says whether the modem has a message in the air, or is about to.
func (x *index) flies(modem string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for l := range x.lines {
		if l.Modem == modem && (l.flying || l.takes != nil) {
			return true
		}
	}
	return false
}

// Limit lays a change over the configured limits of a SIM, in place of the one
// before.
func (d *Dispatcher) Limit(ctx context.Context, imsi string, c budget.Change) {
	d.index.change(imsi, c)
	d.restandAnyway(ctx, imsi)
}

// LimitsOf are the limits in force of a SIM.
func (d *Dispatcher) LimitsOf(imsi string) budget.Limits { return d.index.limitsOf(imsi) }

// Configured are the limits of a SIM before the operator's hand changes them.
func (d *Dispatcher) Configured(imsi string) budget.Limits {
	d.index.mu.Lock()
	defer d.index.mu.Unlock()
	return d.index.configured(imsi)
}

// change lays a change over the limits of a SIM that the policy sets, in place of
// the one before.
func (x *index) change(imsi string, c budget.Change) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if delete(x.changes, imsi); len(c.Set()) > 0 {
		x.changes[imsi] = c
	}
	clear(x.capacity)
}

// limitsOf are the limits in force of a SIM.
func (x *index) limitsOf(imsi string) budget.Limits {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.changes[imsi].Over(x.configured(imsi))
}

// configured are the limits of a SIM that the policy sets.
func (x *index) configured(imsi string) budget.Limits {
	if c := x.cards[imsi]; c != nil {
		return c.limits
	}
	return x.policy.limits("")
}
