package dispatch

import (
	"slices"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/dispatch/route"
	"smsotpd/gateway/queue"
)

// card is one SIM that has been there since the start, whatever modem it is in.
type card struct {
	imsi string
	// name is the operator's own for it, "" for none; modem that of the modem
	// that it was in last.
	name, modem string
	// operator is its MCC and the first two digits of its MNC.
	operator string
	sim      route.SIM
	limits   budget.Limits
	lines    map[*line]bool
	// away is since when it has no line; zero while it has.
	away time.Time
	// own are the messages that wait for this SIM alone; chosen do too, and one
	// of its lines means to send them next.
	own, chosen heapOf[*entry]

	// standing is what the ledger said of it at said, when the store's clock
	// showed saidAt; codes and notices are from when on, by the local clock, it
	// may have one more.
	standing       budget.Standing
	said, saidAt   time.Time
	codes, notices time.Time
	// turn is when its day ends, and with it much of what the ledger said, and
	// fades when its load is to be found out anew; zero once they were told.
	turn, fades time.Time
	// stood is how often the ledger said something.
	stood uint64
	// spent: it can send nothing of the lane for a while; see soon.
	spent [lanes]bool
	load  float64
	// sent is how many messages it has begun, each counting half after
	// loadHalf; as of sentAt.
	sent   float64
	sentAt time.Time
	// promised is how many messages were let in for it alone that are not yet
	// among the entries.
	promised int

	wake  time.Time // its time in index.clocks
	clock place
}

const (
	// soon is how long others wait for a SIM whose budget is spent for the
	// moment before they stand in for it.
	soon = 15 * time.Second
	// longSpent is for how long a SIM's budget must be spent for the operator to
	// be told: not for what the next minutes bring back.
	longSpent = 61 * time.Minute // an hour is counted in whole minutes
	// loadHalf is after what time a message counts half in a SIM's load.
	loadHalf = 10 * time.Minute
)

// operatorOf is the home network of a SIM: its MCC and two digits of its MNC,
// since the IMSI doesn't tell whether the MNC has three (ITU-T E.212).
func operatorOf(imsi string) string { return imsi[:min(len(imsi), 5)] }

// cardOf is the card of a SIM, made when it is first seen.
func (x *index) cardOf(imsi string) *card {
	c := x.cards[imsi]
	if c == nil {
		c = &card{imsi: imsi, operator: operatorOf(imsi), lines: map[*line]bool{}, own: sendables(), chosen: sendables()}
		c.sim, c.limits = x.policy.sim("", imsi), x.policy.limits("")
		x.cards[imsi] = c
	}
	return c
}

// line is one modem session as the index sees it.
type line struct {
	queue.Carrier
	card *card
	held bool
	// next is what the line means to send next, chosen while it was busy; an
	// idle line may take it over.
	next *entry
	// waits: it waits in take, since when.
	waits bool
	since time.Time
	seats []*seat
	// carries is the lane of what it has in the air, flying whether it has
	// something; takes is what it asks the store for.
	carries queue.Lane
	flying  bool
	takes   *entry
	// hand is where an idle line is handed an entry; it has room for one.
	hand chan *entry
}

// usable says whether the line can be waited for with a message of the lane, to
// whomever it goes.
func (l *line) usable(lane queue.Lane) bool {
	return !l.held && !l.card.spent[lane] && !l.card.standing.RecipientsFull
}

// hasNotice is 1 if the line has a notice in the air or asks the store for one,
// or else 0.
func (l *line) hasNotice() int {
	if l.flying && l.carries == queue.LaneNotice || l.takes != nil && l.takes.lane == queue.LaneNotice {
		return 1
	}
	return 0
}

// from is from when on the SIM may have one more message of the lane.
func (c *card) from(lane queue.Lane) time.Time {
	if lane == queue.LaneNotice && c.notices.After(c.codes) {
		return c.notices
	}
	return c.codes
}

// free says whether the line may have one more message of the lane now. What it has
// in the air itself has landed when it asks.
func (x *index) free(l *line, lane queue.Lane, now time.Time) bool {
	opens := !l.card.from(lane).After(now) || l.flying && l.card.barred(lane, now)
	return opens && !l.held && (lane != queue.LaneNotice || x.room(l))
}

// barred says whether perhaps nothing bars the lane but what is in the air.
func (c *card) barred(lane queue.Lane, now time.Time) bool {
	return never(c.standing.Codes) || lane == queue.LaneNotice && never(c.standing.Notices) && !c.codes.After(now)
}

// name gives a SIM the operator's name for it, "" for none.
func (x *index) name(imsi, name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rename(x.cardOf(imsi), name)
}

func (x *index) rename(c *card, name string) {
	c.name, c.sim, c.limits = name, x.policy.sim(name, c.imsi), x.policy.limits(name)
}

// names are the operator's names of all SIMs, by IMSI.
func (x *index) names() map[string]string {
	x.mu.Lock()
	defer x.mu.Unlock()
	names := make(map[string]string, len(x.cards))
	for imsi, c := range x.cards {
		names[imsi] = c.name
	}
	return names
}

// of is what is known of a SIM: the operator's name for it, and the modem that
// it was in last.
func (x *index) of(imsi string) (name, modem string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c := x.cards[imsi]; c != nil {
		return c.name, c.modem
	}
	return "", ""
}

// add makes a line known.
func (x *index) add(l *line) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.cardOf(l.IMSI)
	c.modem, c.away = l.Modem, time.Time{}
	c.lines[l] = true
	l.card, l.held = c, x.held[l.Modem]
	x.lines[l] = true
	for _, w := range x.ways {
		x.seat(l, w)
	}
	x.era++
	clear(x.capacity)
	now := time.Now()
	x.setClock(c, now)
	if c.standing.RecipientsFull {
		x.meet(c, now)
	}
	x.offerNotices(now)
}

// gone takes a line away.
func (x *index) gone(l *line) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	x.stopWaiting(l)
	l.flying, l.takes = false, nil
	delete(x.lines, l)
	delete(l.card.lines, l)
	for _, s := range l.seats {
		delete(s.way.seats, l)
	}
	if len(l.card.lines) == 0 {
		l.card.away = now
	}
	x.era++
	x.unchoose(l, now)
	x.resort(l.card, now)
	x.offerAll(now)
}

// spill sorts anew what waits for one SIM alone.
func (x *index) spill(c *card, now time.Time) {
	for _, e := range slices.Concat(c.own.all(), c.chosen.all()) {
		x.sort(e, now)
	}
}

// rethink lets the lines of a SIM have the classes that its breaker gives them.
func (x *index) rethink(imsi string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c, now := x.cards[imsi], time.Now()
	if c == nil {
		return
	}
	for l := range c.lines {
		x.unlist(l)
	}
	for l := range c.lines {
		for _, s := range l.seats {
			s.open, s.probeAt = x.breaker(imsi, s.way.key.region)
			s.rate()
		}
	}
	x.era++
	for l := range c.lines {
		if l.waits {
			x.makeIdle(l)
		}
	}
	x.setClock(c, now)
	x.resort(c, now)
	x.offerAll(now)
}

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
