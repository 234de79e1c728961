package gateway

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

// canaryText is what a test message says.
func canaryText(token string) string { return "smsotpd check " + token }

var canaryForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`smsotpd check ([0-9a-f]{8})\b`) })

// take says whether a message that came in is a test message of ours, which
// nobody is to see, and lets it prove what it does.
func (c *canaries) take(ctx context.Context, m modem.Inbound) bool {
	if len(c.routes) == 0 || m.Undecodable || m.Parts > 1 {
		return false
	}
	found := canaryForm().FindStringSubmatch(m.Text)
	if found == nil {
		return false
	}
	c.mu.Lock()
	k := c.sent[found[1]]
	if k == nil || k.from.Number != "" && !sameNumber(k.from.Number, m.From) {
		c.mu.Unlock()
		// From before a restart: nobody waits for it any more.
		return strings.TrimSpace(m.Text) == found[0] && c.ours(m.From)
	}
	fresh, result := !k.arrived, canaryArrived
	if k.arrived, k.judge = true, (time.Time{}); k.lost {
		result = canaryLate
	}
	c.reached[k.to] = time.Now()
	c.mu.Unlock()
	if fresh {
		c.arrived(ctx, k, result)
	}
	return true
}

func (c *canaries) arrived(ctx context.Context, k *canary, result string) {
	took := time.Since(k.queued)
	err := c.gateway.store.View(ctx, func(tx storage.Tx) error {
		m, err := c.gateway.queue.Get(tx, k.id)
		if err == nil && len(m.Attempts) > 0 {
			took = tx.Now().Sub(m.Attempts[0].Started.Time())
		}
		return err
	})
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		c.log.Warn("it is not known when a test message was sent", "error", err)
	}
	c.gateway.metrics.canary(k.modem, result)
	c.gateway.metrics.canaryTook.WithLabelValues(k.modem).Observe(max(0, took.Seconds()))
	c.gateway.dispatch.Canary(k.sim, true)
	c.log.Info("a test message arrived", "modem", k.modem, "result", result, "after", took.Round(time.Millisecond))
}

// ours says whether a number is one of those that take part.
func (c *canaries) ours(from string) bool {
	for _, s := range c.policy.SIMs {
		if s.Number != "" && sameNumber(s.Number, from) {
			return true
		}
	}
	return false
}

// sameEnd is how many last digits numbers share in all writings: with or without
// the country's and the trunk's code.
const sameEnd = 7

// sameNumber says whether two writings can be of one number.
func sameNumber(a, b string) bool {
	a, b = lastDigits(a), lastDigits(b)
	return len(a) == sameEnd && a == b
}

func lastDigits(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
	return s[max(0, len(s)-sameEnd):]
}

// due are the tokens of the messages that are to be judged.
func (c *canaries) due(now time.Time) (tokens []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for token, k := range c.sent {
		if !k.judge.IsZero() && !k.judge.After(now) {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

// judge finds out what became of a message that should have arrived. One that
// never left says nothing of its way, and one that left late has its time still.
func (c *canaries) judge(ctx context.Context, token string) error {
	c.mu.Lock()
	k := c.sent[token]
	c.mu.Unlock()
	if k == nil {
		return nil
	}
	result, left, delivered := canaryRefused, time.Duration(0), false
	err := c.gateway.store.View(ctx, func(tx storage.Tx) error {
		m, err := c.gateway.queue.Get(tx, k.id)
		if err == nil {
			result, left = c.fate(m, tx.Now())
			delivered = m.State == queue.Delivered
		}
		return err
	})
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		c.judged(k, time.Now().Add(time.Minute), "")
		return err
	}
	if left > 0 {
		c.judged(k, time.Now().Add(left), "")
		return nil
	}
	if !c.judged(k, time.Time{}, result) {
		return nil
	}
	c.gateway.metrics.canary(k.modem, result)
	if result == canaryRefused {
		c.log.Info("a test message was not sent, or refused", "modem", k.modem)
		return nil
	}
	c.lost(k, delivered)
	return nil
}

// lost tells of a message that did not arrive. It counts against its sender only
// where its receiver is known to receive, and the network does not say that it did.
func (c *canaries) lost(k *canary, delivered bool) {
	now := time.Now()
	e := modem.Event{Modem: k.toModem, Kind: EventCanaryMissed, At: now}
	switch {
	case delivered:
		e.Detail = "a test message was delivered, as the network says, and did not come: is the SIM's number right?"
	case !c.receives(k.to, now):
		e.Detail = "a test message did not come, nor any other for a day: is the SIM's number right?"
	default:
		e.Modem, e.Kind, e.Detail = k.modem, EventCanaryLost, "a test message to another SIM did not arrive"
		c.gateway.dispatch.Canary(k.sim, false)
	}
	observer{c.gateway.metrics, c.gateway}.Happened(e)
}

// receives says whether a test message has come to the SIM of the name within a
// day, since the start.
func (c *canaries) receives(name string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ever := c.reached[name]
	return ever && now.Sub(at) <= canaryKept
}

// judged notes what became of a message, or when to ask again; false if it has
// arrived meanwhile.
func (c *canaries) judged(k *canary, again time.Time, result string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.arrived {
		return false
	}
	k.judge, k.lost = again, again.IsZero() && result != ""
	return true
}

// fate is what has become of a message that has not arrived, or how much longer
// it may take.
func (c *canaries) fate(m queue.Message, now time.Time) (result string, left time.Duration) {
	if m.State == queue.Sending {
		return "", c.policy.timeout()
	}
	if m.State == queue.Undelivered { // the network says so itself
		return canaryRefused, 0
	}
	result = canaryRefused
	for _, a := range m.Attempts {
		if a.Sent() {
			result, left = canaryLost, max(0, a.Started.Time().Add(c.policy.timeout()).Sub(now))
		}
	}
	return result, left
}
