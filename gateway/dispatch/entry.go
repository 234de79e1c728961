package dispatch

import (
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/storage"
)

// entry is one open message; index.mu guards all but id. There are as many as
// messages wait, so it is kept small.
type entry struct {
	id queue.ID
	// created is for the age of the queue alone.
	created moment
	// rank is its place in the lane, by the store's clock; see rank.
	rank storage.Time
	// due is from when on it is to be sent, if send; advance is when time changes
	// its state, watch when a report on it should have come.
	due, advance, watch moment
	at                  moment // its time in timed
	// shut: the SIM that it is for may have no new recipient; that is asked again
	// from then on.
	shut moment
	want *want
	// by is the line that has chosen it, why the reasons for its line.
	by  *line
	why []string
	// in is the heap of messages that may be sent in which it is, also one that it
	// is in besides; see way.familiar.
	in, also *heapOf[*entry]
	// put is the newest load that has seen it, or after which it was seen.
	put      uint64
	sendable place
	familiar place
	timed    place
	queued   place // in waiting
	lane     queue.Lane
	send     bool
	// missed: the report on its newest attempt is missing, as told.
	missed bool
	// taken: a line has it and asks the store. dropped: it is in the index no more.
	taken, dropped bool
}

// patience is how long a message waits for a SIM that it need not avoid before
// any will do: longer than most sends take, so that a modem that hangs holds up
// none but its own.
const patience = 10 * time.Second

func better(a, b *entry) bool {
	if a.lane != b.lane {
		return a.lane < b.lane
	}
	if a.rank != b.rank {
		return a.rank < b.rank
	}
	return a.due < b.due
}

// sendables is a heap of messages that may be sent, the best first.
func sendables() heapOf[*entry] {
	return heapOf[*entry]{less: better, place: func(e *entry) *place { return &e.sendable }}
}

// rank is a message's place among those that are due: that of its creation, so
// that a try that went wrong does not put it behind later ones. Refused twice,
// it goes behind what came until it is due again: numbers out of reach must not
// hold up all others.
func rank(m queue.Message) storage.Time {
	if m.Refusals() > 1 {
		return m.Due
	}
	return m.Created
}
