package dispatch

import (
	"sync"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/modem"
)

// tally remembers of each SIM what the network has refused since it last took a
// message, to tell a number that can't be reached from a SIM that can't send:
// the causes are the same, and only their number differs. It is in memory
// alone; a restart begins anew.
type tally struct {
	mu   sync.Mutex
	sims map[string]*refusals // by IMSI; guarded by mu
}

// refusals of one SIM in a row.
type refusals struct {
	// unknown and unreached are the tokens of the different recipients that
	// were refused as not known, or as not to be reached; never more than
	// blameAfter.
	unknown, unreached map[string]bool
	// rests is how often the SIM was sent to rest.
	rests int
}

// blameAfter is how many different recipients in a row a SIM is refused for
// before the fault is taken to be its own.
const blameAfter = 3

// How long a modem rests for the first time after a failure that is its own or
// its SIM's; each time after that twice as long, until a message was taken.
const (
	// restItself: it says itself what it lacks, and looks for that.
	restItself = time.Second
	// restSuspect: the network's refusal may as well be about the recipients.
	restSuspect = 5 * time.Second
	// restRefused: the network refuses this SIM.
	restRefused = time.Minute

	longestSuspect = time.Minute // and of restItself
	longestRest    = 15 * time.Minute
)

func newTally() *tally { return &tally{sims: map[string]*refusals{}} }

// judge counts the result of a message that the SIM has sent, and says how long
// its modem must rest. A refusal that is the SIM's by its number is made one.
// alone: no other SIM can send. One that is only suspected then goes on after
// the shortest rest, or else a few numbers out of reach would hold up all others.
func (t *tally) judge(sim string, m queue.Message, r *modem.Result, alone bool) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.Class == modem.Accepted {
		delete(t.sims, sim)
		return 0
	}
	first, longest := restRefused, longestRest
	known := t.sims[sim]
	if known == nil {
		known = &refusals{unknown: map[string]bool{}, unreached: map[string]bool{}}
	}
	if of := known.of(*r); of != nil {
		t.sims[sim] = known
		first, longest = restSuspect, longestSuspect
		again := of[string(m.Recipient)]
		if len(of) < blameAfter {
			of[string(m.Recipient)] = true
		}
		if len(of) == blameAfter && r.Class != modem.SIM {
			r.Class = modem.SIM
			switch {
			case alone:
				return restItself
			case again: // which proves nothing new
				return restSuspect
			}
		}
	}
	if r.Class != modem.SIM {
		return 0
	}
	if r.CMS >= 300 || r.CME >= 0 {
		first, longest = restItself, longestSuspect
	}
	t.sims[sim] = known
	rest := min(first<<min(known.rests, 10), longest)
	known.rests++
	return rest
}

// of is the set that a refusal counts in, nil for none: the causes that a
// network gives for a recipient as well as for a SIM.
func (k *refusals) of(r modem.Result) map[string]bool {
	if !r.Committed {
		return nil
	}
	switch r.CMS {
	case 1, 28, 30: // unassigned number, unidentified subscriber, unknown subscriber
		return k.unknown
	case 21, 27, 38, 50: // rejected, destination or network out of order, not subscribed
		return k.unreached
	}
	return nil
}
