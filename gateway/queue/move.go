package queue

import "smsotpd/storage"

// Movable says whether a message that was accepted, and of which nothing was
// reported since, may be given to another operator: once, while its text is
// worth it, and not if it was sent twice already.
func (q *Queue) Movable(m Message) bool {
	return m.State == Accepted && m.Moved == 0 && m.By == "" && !m.Withdrawn && m.Text != nil &&
		m.sent() == 1 && m.last().Result == ResultAccepted && m.last().Fate == ""
}

// Move puts a movable message back into the queue. Its next attempt carries the
// same text and is marked a possible duplicate; the first one may still arrive.
// Any other message is left as it is.
func (q *Queue) Move(tx storage.Tx, id ID) (Outcome, error) {
	m, err := q.Get(tx, id)
	if err != nil {
		return Outcome{}, err
	}
	before, now := m.State, tx.Now()
	if !q.Movable(m) || m.Expires.Time().Sub(now) < q.policy.MinLife {
		return Outcome{ID: id, Before: before, Message: m, Attempt: -1}, nil
	}
	m.State, m.Moved, m.Due = Queued, len(m.Attempts), storage.TimeOf(now)
	return q.finish(tx, id, before, m, m.Moved-1)
}

// waitsToMove says whether the message waits for its first attempt by another
// operator.
func (m *Message) waitsToMove() bool { return m.State == Queued && m.Moved > 0 && m.sent() < 2 }

// Unmoved are the SIMs (IMSI) that had the message before it was moved; nil if
// it was not.
func (m *Message) Unmoved() []string {
	var sims []string
	for _, a := range m.Attempts[:min(m.Moved, len(m.Attempts))] {
		if a.Sent() {
			sims = append(sims, a.IMSI)
		}
	}
	return sims
}
