package dispatch

import (
	"math"
	"slices"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/dispatch/route"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
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
	// meets is how many of what was in the air when it could have no more
	// recipients have not landed: it will know theirs.
	meets int
	// stood is how often the ledger said something.
	stood uint64
	// spent: it can send nothing of the lane for a while; see soon.
	spent [lanes]bool
	load  float64
	// sent is how many messages it has begun, each counting half after
	// loadHalf; as of sentAt.
	sent   float64
	sentAt time.Time

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

// from is from when on the SIM may have one more message of the lane.
func (c *card) from(lane queue.Lane) time.Time {
	if lane == queue.LaneNotice && c.notices.After(c.codes) {
		return c.notices
	}
	return c.codes
}

// barred says whether perhaps nothing bars the lane but what is in the air.
func (c *card) barred(lane queue.Lane, now time.Time) bool {
	return never(c.standing.Codes) || lane == queue.LaneNotice && never(c.standing.Notices) && !c.codes.After(now)
}

// heldBack says whether the operator has taken out all modems that the SIM is in.
func (c *card) heldBack() bool {
	for l := range c.lines {
		if !l.held {
			return false
		}
	}
	return len(c.lines) > 0
}

// worn is how much the SIM has sent lately.
func (c *card) worn(now time.Time) float64 {
	return c.sent * math.Exp2(-float64(now.Sub(c.sentAt))/float64(loadHalf))
}

// storeTime is what the store's clock shows now.
func (c *card) storeTime(now time.Time) time.Time {
	if c.said.IsZero() {
		return now
	}
	return c.saidAt.Add(max(0, now.Sub(c.said)))
}

// event is one that a SIM's modem has its name on.
func (c *card) event(kind modem.EventKind, detail string, at time.Time) modem.Event {
	return modem.Event{Modem: c.modem, Kind: kind, Detail: detail, At: at}
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

// spill sorts anew what waits for one SIM alone.
func (x *index) spill(c *card, now time.Time) {
	for _, e := range slices.Concat(c.own.all(), c.chosen.all()) {
		x.sort(e, now)
	}
}

// resort sorts anew what waits for the SIM, or may go by it as by no other.
func (x *index) resort(c *card, now time.Time) {
	x.spill(c, now)
	if c.standing.RecipientsFull {
		x.meet(c, now)
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
