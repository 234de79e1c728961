package dispatch

import "smsotpd/gateway/queue"

// want is what a message asks of the SIM that is to send it.
type want struct {
	way wayKey
	// avoid are SIMs (IMSI) that another one is better than; see patience. away
	// are operators that have the message already: it goes by none of these.
	avoid, away []string
	// by is the only SIM that may have it; "": any.
	by string
	// known are SIMs that its recipient has had messages from, the newest
	// first; served are those of them that it counts for this month, which may
	// send to it whether or not they may have more recipients.
	known, served []string
}

// acquainted are the SIMs that may have the message whatever new recipients they
// may have, or that alone may.
func (w *want) acquainted() []string {
	if w.by != "" {
		return []string{w.by}
	}
	return w.served
}

// want makes the entry ask for what it is said to want.
func (x *index) want(e *entry, w want) {
	x.estrange(e)
	e.want = x.shared(w)
	x.acquaint(e)
}

// shared is the want, in one place for all that are plain.
func (x *index) shared(w want) *want {
	if w.by != "" || len(w.avoid)+len(w.away)+len(w.known)+len(w.served) > 0 {
		return &w
	}
	if x.plain[w.way] == nil {
		x.plain[w.way] = &w
	}
	return x.plain[w.way]
}

// acquaint notes which SIMs know the entry's recipient; estrange forgets that.
func (x *index) acquaint(e *entry) {
	for _, imsi := range e.want.served {
		if x.served[imsi] == nil {
			x.served[imsi] = map[*entry]bool{}
		}
		x.served[imsi][e] = true
	}
}

func (x *index) estrange(e *entry) {
	if e.want == nil {
		return
	}
	for _, imsi := range e.want.served {
		if delete(x.served[imsi], e); len(x.served[imsi]) == 0 {
			delete(x.served, imsi)
		}
	}
}

// ruleOf is the rule of a message.
func (x *index) ruleOf(region, number string, l queue.Lane) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.policy.rule(region, number, l == queue.LaneNotice)
}

// needsNumber says whether rules ask for recipients' numbers.
func (x *index) needsNumber() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.policy.Routes != nil && x.policy.Routes.NeedsNumber()
}
