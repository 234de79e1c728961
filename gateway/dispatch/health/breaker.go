package health

import "time"

// State is what a breaker says of sending.
type State int

const (
	// Closed: nothing is known against it.
	Closed State = iota
	// Open: send by another SIM.
	Open
	// Probing: one message may go, to see.
	Probing
)

func (s State) String() string {
	switch s {
	case Open:
		return "open"
	case Probing:
		return "probing"
	default:
		return "closed"
	}
}

// cause is what a breaker was opened by. Its numbers are in records.
type cause uint8

const (
	bySuccess cause = iota + 1
	byDelivery
	byCodes
	byCanary
)

// outcome is what may be the result of a probe.
type outcome uint8

const (
	accepted outcome = iota
	refused
	reported
	missing
	verified
	unverified
	canaryArrived
	canaryLost
)

// breaker of a SIM or of a route. While it is open, until is when the first
// probe may go, and probe, unless zero, when the last one that went is no
// longer waited for.
type breaker struct {
	open         bool
	cause        cause
	why          string
	rest         time.Duration // the last one
	until, probe time.Time
	closed       time.Time // when it closed last
}

// state now, and until when it lasts; zero if it does for no set time.
func (k *breaker) state(now time.Time) (State, time.Time) {
	switch {
	case !k.open:
		return Closed, time.Time{}
	case now.Before(k.until):
		return Open, k.until
	case now.Before(k.probe):
		return Probing, k.probe
	default:
		return Probing, time.Time{}
	}
}

// trip opens it.
func (k *breaker) trip(now time.Time, c cause, why string, p Policy) {
	rest := p.FirstRest
	if !k.closed.IsZero() && now.Sub(k.closed) < p.LongestRest {
		rest = k.longer(p)
	}
	*k = breaker{open: true, cause: c, why: why, rest: rest, until: now.Add(rest), closed: k.closed}
}

// failed lets it rest again, for longer.
func (k *breaker) failed(now time.Time, p Policy) {
	k.rest = k.longer(p)
	k.until, k.probe = now.Add(k.rest), time.Time{}
}

func (k *breaker) longer(p Policy) time.Duration {
	return min(max(2*k.rest, p.FirstRest), p.LongestRest)
}

// good says in words why the outcome proves that what the breaker was opened
// by is over; empty if it doesn't. A message that people never get may well be
// accepted, and reported as delivered by a carrier that lies; only what is
// entered proves then. And a code that is entered late doesn't prove that the
// network takes the next message.
func (c cause) good(o outcome) string {
	switch {
	case o == accepted && c == bySuccess:
		return "a message was accepted again"
	case o == reported && (c == byDelivery || c == byCanary):
		return "a delivery report came again"
	case o == verified && c != bySuccess:
		return "a code was verified again"
	case o == canaryArrived && c != byCodes:
		return "a test message arrived"
	}
	return ""
}

// bad: the outcome shows that it is not over.
func (c cause) bad(o outcome) bool {
	switch o {
	case refused, canaryLost:
		return true
	case missing:
		return c == byDelivery
	case unverified:
		return c == byCodes
	}
	return false
}

// prove gives the outcome to the breakers that wait for one: after their rest
// a good one closes them, whoever sent it, and a bad one counts if a probe
// went. A canary that arrives is not waited for.
func (b *Book) prove(s *card, r *route, o outcome) {
	if b.proves(&s.breaker, o) {
		if s.breaker.cause == byDelivery && o == verified {
			for _, r := range s.list {
				r.unlearn()
			}
		}
		b.close(s, nil, s.breaker.cause.good(o))
	}
	if r != nil && b.proves(&r.breaker, o) {
		if r.breaker.cause == byDelivery && o == verified {
			r.unlearn()
		}
		b.close(s, r, r.breaker.cause.good(o))
	}
}

// proves says whether the outcome closes this breaker.
func (b *Book) proves(k *breaker, o outcome) bool {
	state, _ := k.state(b.now)
	switch {
	case state == Closed:
		return false
	case k.cause.good(o) != "":
		return state == Probing || o == canaryArrived
	case k.cause.bad(o) && state == Probing && !k.probe.IsZero():
		k.failed(b.now, b.p)
	}
	return false
}

// unlearn forgets what is usual of reports: messages arrive, and reports don't
// come any more.
func (r *route) unlearn() { r.usual, r.answers, r.silent = rate{}, rate{}, true }

// open opens the breaker of the route, or of the SIM if r is nil.
func (b *Book) open(s *card, r *route, c cause, why string) {
	k, region := &s.breaker, ""
	if r != nil {
		k, region = &r.breaker, r.name
	}
	s.row = row{} // it has had its effect
	k.trip(b.now, c, why, b.p)
	b.changes = append(b.changes, Change{SIM: s.name, Region: region, Open: true, Why: why, At: b.now})
}

// close closes the breaker of the route, or of the SIM if r is nil, and
// forgets what could open it at once again.
func (b *Book) close(s *card, r *route, why string) {
	k, region, routes := &s.breaker, "", s.list
	if r != nil {
		k, region, routes = &r.breaker, r.name, []*route{r}
	}
	if !k.open {
		return
	}
	*k = breaker{rest: k.rest, closed: b.now}
	for _, r := range routes {
		r.success, r.row, r.lost = rate{}, row{}, row{}
		r.delivery.clear(r.region.delivered.minus(r.delivered))
		r.verified.clear(r.region.codes.minus(r.codes))
	}
	s.row = row{}
	if r == nil {
		s.canaries = 0
	}
	b.changes = append(b.changes, Change{SIM: s.name, Region: region, Why: why, At: b.now})
}

// closeAll closes every breaker of the SIM.
func (b *Book) closeAll(s *card, why string) {
	b.close(s, nil, why)
	for _, r := range s.list {
		b.close(s, r, why)
	}
}

// State is what the breakers say of sending to the region by the SIM, and until
// when at least: Open until a probe may go; Probing until the probe that is
// out is given up, or zero if none is and one may go.
func (b *Book) State(now time.Time, sim, region string) (State, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(now)
	s := b.sims[sim]
	if s == nil {
		return Closed, time.Time{}
	}
	return b.stateOf(s, s.routes[region])
}

// stateOf joins the SIM's breaker and the route's, which may be nil.
func (b *Book) stateOf(s *card, r *route) (State, time.Time) {
	state, until := s.breaker.state(b.now)
	if r == nil {
		return state, until
	}
	theirs, their := r.breaker.state(b.now)
	switch {
	case state == theirs:
		if their.After(until) {
			until = their
		}
		return state, until
	case state == Open || theirs == Closed:
		return state, until
	case theirs == Open || state == Closed:
		return theirs, their
	}
	return state, until
}

// Probe takes the permission for one message: true once after each rest, and
// again once a probe has had no result for Policy.ProbeLife. False also while
// the breakers are closed.
func (b *Book) Probe(now time.Time, sim, region string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(now)
	s := b.sims[sim]
	if s == nil {
		return false
	}
	r := s.routes[region]
	if state, until := b.stateOf(s, r); state != Probing || !until.IsZero() {
		return false
	}
	until := b.now.Add(b.p.ProbeLife)
	if s.breaker.open {
		s.breaker.probe = until
	}
	if r != nil && r.breaker.open {
		r.breaker.probe = until
	}
	return true
}
