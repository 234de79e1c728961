package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"smsotpd/gateway"
	"smsotpd/gateway/inbound"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// settle waits until no message can change any more.
func (c *chaos) settle() {
	if c.plan.dir == "" {
		pause(chaosLife + 10*time.Minute) // virtual; all is over by then
		synctest.Wait()
		return
	}
	// The longest is a doubt that begins late: a rest of the modem, the hold,
	// and the message once more.
	const most = 4 * time.Minute
	for end := time.Now().Add(most); time.Now().Before(end); pause(time.Second) {
		c.mu.Lock()
		ended := c.unsettled() == 0 && c.missing() == nil
		c.mu.Unlock()
		if ended {
			return
		}
	}
}

// doubts is how many attempts are in doubt for good.
func doubts(m gateway.Message) (n int) {
	for _, a := range m.Attempts {
		if a.Result == modem.Ambiguous {
			n++
		}
	}
	return n
}

// unresolved says whether a message in doubt may be sent again: of two attempts
// that were in doubt none follows, even if the answer to one came late.
func unresolved(m gateway.Message) bool {
	late := 0
	for _, a := range m.Attempts {
		if a.Cause == "late" {
			late++
		}
	}
	return m.Status == queue.Ambiguous && doubts(m)+late < 2
}

// unsettled is how many messages have not come to their end. Those that only
// wait for a report have, where nobody waits for its time to be over.
func (c *chaos) unsettled() int {
	n := 0
	for _, v := range c.started {
		m, err := c.daemon.Load().gw.Message(context.Background(), v.MessageID)
		if err != nil {
			c.t.Fatal(err)
		}
		if m.Status == queue.Queued || m.Status == queue.Sending || unresolved(m) {
			n++
		}
	}
	return n
}

// judge compares what the gateway says with what the network did.
func (c *chaos) judge() {
	taken := map[string][]sim.Message{}
	for _, m := range c.network.Messages() {
		taken[m.To] = append(taken[m.To], m)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	tally := map[queue.State]int{}
	twice, refusals := 0, 0
	var first, accepted []time.Duration
	for to, v := range c.started {
		m, err := c.daemon.Load().gw.Message(context.Background(), v.MessageID)
		if err != nil {
			c.t.Fatal(err)
		}
		tally[m.Status]++
		if wrong := c.untrue(to, m, taken[to]); wrong != "" {
			c.t.Errorf("%s: %s to %s, taken %+v, delivered %d times, attempts %+v", wrong, m.Status, to, mrs(taken[to]), len(c.arrived[to]), m.Attempts)
		}
		if len(taken[to]) > 1 {
			twice++
		}
		if len(m.Attempts) > 0 {
			first = append(first, m.Attempts[0].StartedAt.Sub(m.CreatedAt))
			if last := m.Attempts[len(m.Attempts)-1]; last.Result == modem.Accepted {
				accepted = append(accepted, last.SettledAt.Sub(m.CreatedAt))
			}
			refusals += len(m.Attempts) - 1
		}
		delete(taken, to)
	}
	if len(taken) > 0 {
		c.t.Errorf("%d numbers got a message that nobody asked for", len(taken))
	}
	c.t.Logf("%v; %d were sent twice, and say so; %d tries more than messages", tally, twice, refusals)
	c.t.Logf("from queued to the first try: %s; to accepted: %s", spread(first), spread(accepted))
	if n := tally[queue.Delivered]; n < len(c.started)/2 {
		c.t.Errorf("only %d of %d messages arrived", n, len(c.started))
	}
	if c.plan.sound > 0 {
		c.judgeWaits(first)
	}
	if err := c.missing(); err != nil {
		c.t.Error(err)
	}
}

// mrs are modem and reference of messages.
func mrs(all []sim.Message) (s []string) {
	for _, m := range all {
		s = append(s, fmt.Sprintf("modem %d mr %d at %s", m.Modem, m.MR, m.Accepted.Format("15:04:05.000000")))
	}
	return s
}

// spread tells how times are distributed.
func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	slices.Sort(all)
	at := func(share float64) time.Duration {
		return all[min(len(all)-1, int(share*float64(len(all))))].Round(time.Millisecond)
	}
	return fmt.Sprintf("p50 %v, p90 %v, p99 %v, most %v", at(0.5), at(0.9), at(0.99), at(1))
}

// judgeWaits: while modems can send, no message waits for one that can't.
func (c *chaos) judgeWaits(first []time.Duration) {
	// As long as one command to a modem that answers it bit by bit, and a
	// little queue before the others.
	const most = 30 * time.Second
	slices.Sort(first)
	if longest := first[len(first)-1]; longest > most {
		c.t.Errorf("a message waited for %v though modems could send", longest)
	}
}

// untrue says what is wrong with what the gateway tells of a message, "" if
// nothing is.
func (c *chaos) untrue(to string, m gateway.Message, taken []sim.Message) string {
	codes := slices.Compact(slices.Clone(c.arrived[to]))
	inDoubt := doubts(m) > 0
	delivered, known, final := c.approved[to], c.approved[to], false
	most := 2 // where the service centre gave it up it may be sent once more
	for _, r := range c.reported[to] {
		if r.Status >= 96 {
			most = 3
		}
		delivered = delivered || r.Status < 32
		known = known || r.Status < 32 && c.ports.heard(r)
		final = final || r.Status < 32 || r.Status >= 64
	}
	switch {
	case len(codes) > 1:
		return "a number got two codes"
	case len(taken) > most:
		return "sent too often"
	case len(c.arrived[to]) > 1 && !m.PossibleDuplicate:
		return "sent twice and not marked"
	case m.Status == queue.Delivered && !delivered:
		return "said to be delivered"
	case known && m.Status != queue.Delivered && !inDoubt:
		return "not said to be delivered"
	}
	switch m.Status {
	case queue.Delivered:
	case queue.Undelivered:
		if !final {
			return "said to be undelivered"
		}
	case queue.Unconfirmed:
		if len(taken) == 0 && !inDoubt {
			return "said to be sent"
		}
	case queue.Accepted, queue.Ambiguous: // where the time of the report is not waited for
		if c.plan.dir == "" || len(taken) == 0 && !inDoubt || unresolved(m) {
			return "not ended"
		}
	case queue.Failed, queue.Expired, queue.Canceled:
		if len(taken) > 0 && !inDoubt {
			return "said not to be sent"
		}
	default:
		return "not ended"
	}
	return ""
}

// missing says which of the messages to the SIMs are not there as they were
// written, once each.
func (c *chaos) missing() error {
	there := map[string][]inbound.Message{}
	for before := (inbound.ID{}); ; {
		page, err := c.daemon.Load().gw.Inbound(context.Background(), inbound.Range{Before: before, Limit: 100})
		if err != nil {
			return err
		}
		for _, m := range page {
			there[m.From] = append(there[m.From], m)
			before = m.ID
		}
		if len(page) == 0 {
			break
		}
	}
	var wrong []error
	for from, text := range c.written {
		switch got := there[from]; {
		case len(got) == 0:
			wrong = append(wrong, fmt.Errorf("the message from %s is lost", from))
		case len(got) > 1:
			wrong = append(wrong, fmt.Errorf("the message from %s is there %d times: %d and %d parts, without %v and %v", from, len(got), got[0].Parts, got[1].Parts, got[0].Missing, got[1].Missing))
		case got[0].Text != text:
			wrong = append(wrong, fmt.Errorf("the message from %s is without the parts %v of %d: %q is not %q", from, got[0].Missing, got[0].Parts, got[0].Text, text))
		}
		delete(there, from)
	}
	for from, got := range there {
		wrong = append(wrong, fmt.Errorf("%d messages that nobody wrote, from %q: %x", len(got), from, got[0].TPDU))
	}
	return errors.Join(wrong...)
}

// judgeViolations holds the driver to the protocol.
func (c *chaos) judgeViolations() {
	for _, m := range c.network.Modems() {
		for _, v := range m.Violations() {
			switch v.Kind {
			case sim.ViolationBusy:
				// One that stands still is tried again while it is at work, for
				// want of another way to learn whether it lives.
			case sim.ViolationAck:
				// An acknowledgement too many is answered by an error alone.
			case sim.ViolationEarly:
				// The late prompt of a message that was given up can't be told
				// by its octets from that of the next.
			case sim.ViolationNoPrompt:
				// A payload that waited to be written comes after a start.
			default:
				c.t.Errorf("modem %d was told what no modem should be, at %v: %s", m.Index(), v.At, v.Kind)
			}
		}
	}
}
