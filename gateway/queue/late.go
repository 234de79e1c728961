package queue

import (
	"bytes"
	"slices"

	"smsotpd/storage"
)

// causeLate is the cause of an attempt that was in doubt until the modem's
// answer came after all.
const causeLate = "late"

// Late takes in the answer to an attempt that is in doubt. Accepted: a message
// that waits for its re-send is not sent again; a later one keeps its state, and
// the attempt gets its reference. Refused: nothing was sent, so a message that
// nothing else is in doubt of is queued again without its hold, or has failed.
// What is proven otherwise, by a report or by the recipient, stays.
func (q *Queue) Late(tx storage.Tx, id ID, attempt int, s Settlement) (Outcome, error) {
	m, err := q.Get(tx, id)
	if err != nil {
		return Outcome{}, err
	}
	before := m.State
	taken := s.Result == ResultAccepted
	if attempt >= len(m.Attempts) || m.Attempts[attempt].Result != ResultAmbiguous || s.Result == ResultAmbiguous ||
		!taken && m.Attempts[attempt].proven() {
		return Outcome{ID: id, Before: before, Message: m, Attempt: -1}, nil
	}
	waits, arrivals := m.InDoubt(), m.arrivals()
	a := &m.Attempts[attempt]
	a.Result, a.Cause, a.Settled = s.Result, s.Cause, storage.TimeOf(tx.Now())
	if taken {
		a.Cause = causeLate
		if waits && a.pending() {
			m.State = Accepted
		}
		if err := q.recall(tx, id, &m, attempt, s.MR); err != nil {
			return Outcome{}, err
		}
	} else {
		m.PossibleDuplicate = m.resent()
		if err := q.disown(tx, id, m, attempt); err != nil {
			return Outcome{}, err
		}
		if waits {
			q.unsent(&m, s.Result, storage.TimeOf(tx.Now()))
		}
	}
	out, err := q.finish(tx, id, before, m, attempt)
	out.Duplicate = arrivals < 2 && m.arrivals() > 1
	return out, err
}

// unsent moves a message in doubt on, now that one of its doubts was a refusal.
func (q *Queue) unsent(m *Message, r Result, now storage.Time) {
	switch {
	case m.Moved > 0 && m.mayStillArrive(): // by the operator that had it first
		m.State = Accepted
	case r == ResultDestination || r == ResultOurs:
		m.State = Failed
		if m.mayStillArrive() {
			m.State = Unconfirmed
		}
	case m.State == Queued:
		m.Due = min(m.Due, now)
	case m.count(ResultAmbiguous) > 0: // it waits for what becomes of the other
	case m.Text == nil && !m.Withdrawn:
		q.giveUp(m)
	default:
		q.retry(m, now.Time())
	}
}

// proven says whether a report or the recipient showed that the network took
// the attempt.
func (a Attempt) proven() bool { return a.Fate != "" || a.ByCode }

// pending says whether the service centre may still deliver the attempt.
func (a Attempt) pending() bool { return a.Fate == "" || a.Fate == FateTrying }

// resent says whether the message was sent again after an attempt that the
// network has or may have.
func (m *Message) resent() bool {
	return m.Moved > 0 && len(m.Attempts) > m.Moved || slices.ContainsFunc(m.Attempts[:max(0, len(m.Attempts)-1)], func(a Attempt) bool {
		return a.Result == ResultAmbiguous || a.Result == ResultAccepted && a.Cause == causeLate
	})
}

// taken says whether the network is known to have the message and may deliver
// it yet: then it is not sent again.
func (m *Message) taken() bool {
	for i, a := range m.Attempts {
		if a.Fate == FateTrying || a.Result == ResultAccepted && a.Fate == "" && i >= m.Moved {
			return true
		}
	}
	return false
}

// recall makes the reference of an earlier attempt known to report matching,
// and applies the reports that waited for it.
func (q *Queue) recall(tx storage.Tx, id ID, m *Message, attempt, mr int) error {
	a := &m.Attempts[attempt]
	if a.MR >= 0 || mr < 0 {
		return nil
	}
	a.MR = mr
	key := q.siblingsKey(a.IMSI, m.Recipient)
	known, _, err := q.siblings.Find(tx, key)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(known.Sent, func(s sentAttempt) bool { return bytes.Equal(s.ID, id[:]) && s.Attempt == attempt })
	if at < 0 {
		return nil
	}
	known.Sent[at].MR, known.Sent[at].Settled = mr, a.Settled
	return q.applyHeld(tx, key, known, at, m)
}
