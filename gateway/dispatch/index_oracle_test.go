package dispatch

import (
	"cmp"
	"slices"
	"time"

	"smsotpd/gateway/queue"
)

// The oracle says, by looking at every line and every message, who may carry
// what. It knows the policy and what the trial was told, and none of the index's
// heaps.
type oracle struct {
	*trial
	now time.Time
}

// trust is what the trial has set for a SIM, or for it in a region.
type trust struct {
	open bool
	at   time.Time // from when on it may have a message
}

// distrusted joins what is set for the SIM and for the region.
func (r *trial) distrusted(sim, region string) (open bool, at time.Time) {
	for _, key := range [][2]string{{sim, ""}, {sim, region}} {
		if b := r.trusts[key]; b.open {
			open = true
			if b.at.After(at) {
				at = b.at
			}
		}
	}
	return open, at
}

// mayProbe gives the permission for a message once, and again after five minutes.
func (r *trial) mayProbe(sim, region string) bool {
	open, at := r.distrusted(sim, region)
	if !open || at.After(time.Now()) {
		return false
	}
	for _, key := range [][2]string{{sim, ""}, {sim, region}} {
		if b := r.trusts[key]; b.open {
			r.trusts[key] = trust{true, time.Now().Add(5 * time.Minute)}
		}
	}
	return true
}

// classOf is the line's for messages of a key; noClass if it carries none.
func (o oracle) classOf(l *line, key wayKey) class {
	own, stands := o.x.policy.carries(key.rule, l.card.sim)
	open, _ := o.distrusted(l.IMSI, key.region)
	switch {
	case own && !open:
		return named
	case own:
		return doubted
	case stands && !open:
		return standIn
	case stands:
		return lastHope
	}
	return noClass
}

// opens says whether the line's SIM may have one more of the lane within a time: by
// what the ledger said, or, of a line that lands, because only what is in the air
// bars it.
func (o oracle) opens(l *line, lane queue.Lane, within time.Duration) bool {
	c, later := l.card, o.now.Add(within)
	codes, notices := !c.codes.After(later), lane == queue.LaneCode || !c.notices.After(later)
	noCodes, noNotices := never(c.standing.Codes), lane == queue.LaneNotice && never(c.standing.Notices)
	if within == 0 {
		return codes && notices || o.flies[l] && (noCodes || noNotices && codes)
	}
	return (codes || noCodes) && (notices || noNotices && c.standing.InAir > 0)
}

func (o oracle) waitedFor(l *line, lane queue.Lane) bool {
	return !l.held && o.opens(l, lane, soon) && !l.card.standing.RecipientsFull
}

// sticksTo is the SIM that the message waits for, "" for any: the newest that its
// recipient knows, or one that it has begun to wait for.
func (o oracle) sticksTo(e *entry) string {
	if e.want.by != "" {
		return e.want.by
	}
	if o.x.moment(o.now) >= e.due.add(o.x.policy.Stick) {
		return ""
	}
	newest := ""
	for _, sim := range e.want.known {
		if slices.ContainsFunc(o.lines, func(l *line) bool { return l.IMSI == sim && o.suits(l, e) }) {
			if c := o.x.cards[sim]; e.in == &c.own || e.in == &c.chosen {
				return sim
			}
			newest = cmp.Or(newest, sim)
		}
	}
	return newest
}

// suits says whether the line is as good for the message as any.
func (o oracle) suits(l *line, e *entry) bool {
	return !l.held && o.classOf(l, e.want.way) == named && o.opens(l, e.lane, soon) &&
		!slices.Contains(e.want.avoid, l.IMSI) && !slices.Contains(e.want.away, operatorOf(l.IMSI)) &&
		(!l.card.standing.RecipientsFull || slices.Contains(e.want.served, l.IMSI))
}

// shunned says whether the message leaves the line to others.
func (o oracle) shunned(l *line, e *entry) bool {
	if slices.Contains(e.want.away, operatorOf(l.IMSI)) {
		return true
	}
	if e.due.until(o.x.moment(o.now)) >= patience || !slices.Contains(e.want.avoid, l.IMSI) {
		return false
	}
	for _, other := range o.lines {
		if o.waitedFor(other, e.lane) && o.classOf(other, e.want.way) != noClass &&
			!slices.Contains(e.want.away, operatorOf(other.IMSI)) && !slices.Contains(e.want.avoid, other.IMSI) {
			return true
		}
	}
	return false
}

// bestOf is the best class of those that codes of the key wait for, and their
// lines.
func (o oracle) bestOf(key wayKey) (best class, lines []*line) {
	best = noClass
	for _, l := range o.lines {
		if o.waitedFor(l, queue.LaneCode) {
			best = min(best, o.classOf(l, key))
		}
	}
	for _, l := range o.lines {
		if best != noClass && o.waitedFor(l, queue.LaneCode) && o.classOf(l, key) == best {
			lines = append(lines, l)
		}
	}
	return best, lines
}

// hasRoom says whether one line stays without a notice in every way if this one
// takes one.
func (o oracle) hasRoom(l *line) bool {
	for key := range o.x.ways {
		_, lines := o.bestOf(key)
		if len(lines) < 2 || !slices.Contains(lines, l) {
			continue
		}
		without := 0
		for _, other := range lines {
			if other != l && !o.notice(other) {
				without++
			}
		}
		if without == 0 {
			return false
		}
	}
	return true
}

func (o oracle) notice(l *line) bool {
	held := o.holds[l]
	return held != nil && held.lane == queue.LaneNotice || o.flies[l] && o.flown[l] == queue.LaneNotice
}

// may says whether the line may be given the message now, and why not to probe.
func (o oracle) may(l *line, e *entry) bool {
	if l.held || !o.opens(l, e.lane, 0) || e.lane == queue.LaneNotice && !o.hasRoom(l) {
		return false
	}
	if sim := o.sticksTo(e); sim != "" {
		return sim == l.IMSI
	}
	mine := o.classOf(l, e.want.way)
	if mine == noClass || slices.Contains(e.want.away, operatorOf(l.IMSI)) {
		return false
	}
	if l.card.standing.RecipientsFull {
		best, _ := o.bestOf(e.want.way)
		return slices.Contains(e.want.served, l.IMSI) && mine <= best && o.firstKnown(e) == l.IMSI
	}
	if o.shunned(l, e) {
		return false
	}
	for _, other := range o.lines {
		if o.waitedFor(other, e.lane) && !o.shunned(other, e) && o.classOf(other, e.want.way) < mine {
			return false
		}
	}
	return o.waitedFor(l, e.lane)
}

// firstKnown is the best SIM without room for new recipients that knows the
// message's and need not be avoided, the newest of several.
func (o oracle) firstKnown(e *entry) (found string) {
	best := noClass
	for _, sim := range e.want.served {
		if e.due.until(o.x.moment(o.now)) < patience && slices.Contains(e.want.avoid, sim) || slices.Contains(e.want.away, operatorOf(sim)) {
			continue
		}
		for _, l := range o.lines {
			if l.IMSI == sim && !l.held && l.card.standing.RecipientsFull &&
				o.opens(l, e.lane, soon) && o.classOf(l, e.want.way) < best {
				found, best = sim, o.classOf(l, e.want.way)
			}
		}
	}
	return found
}

// mayProve says whether the line, which is distrusted, may show by the message
// whether it works again.
func (o oracle) mayProve(l *line, e *entry) bool {
	if e.lane != queue.LaneCode || e.by != nil || o.sticksTo(e) != "" || o.shunned(l, e) ||
		!o.waitedFor(l, e.lane) || !o.opens(l, e.lane, 0) || o.classOf(l, e.want.way) != doubted {
		return false
	}
	_, at := o.distrusted(l.IMSI, e.want.way.region)
	return !at.After(o.now)
}

// idleFor is a line that waits although it may have a message that waits.
func (o oracle) idleFor() (*line, *entry) {
	for _, l := range o.lines {
		if !o.idle[l] {
			continue
		}
		for _, e := range o.x.entries {
			if e.send && !e.taken && e.due <= o.x.moment(o.now) && (o.may(l, e) || o.mayProve(l, e)) {
				return l, e
			}
		}
	}
	return nil, nil
}
