package queue

import (
	"time"

	"smsotpd/storage"
)

// Outcome tells the hook and the metrics what a transaction did to a message.
type Outcome struct {
	ID     ID
	Before State
	// Message is as the transaction left it.
	Message Message
	// Attempt is the index of the attempt that this is about, -1 for none.
	Attempt int
	// Duplicate: the recipient is now known to have the message twice.
	Duplicate bool
}

// Changed says whether the message's state is another one now.
func (o Outcome) Changed() bool { return o.Before != o.Message.State }

// Settlement is what became of an attempt, in the driver's words.
type Settlement struct {
	Result Result
	Cause  string
	// MR is TP-MR of an accepted message, -1 if it is not known.
	MR int
	// Committed is when Ctrl-Z was written; zero if it never was.
	Committed time.Time
	// Soon is the wait before the next try that the cause suggests; 0 for
	// the queue's own backoff.
	Soon time.Duration
	// OtherSIM: a SIM that has not tried yet may have better luck at once.
	OtherSIM bool
}

// Settle ends the newest attempt of a message that is being sent.
func (q *Queue) Settle(tx storage.Tx, id ID, attempt int, s Settlement) (Outcome, error) {
	m, err := q.Get(tx, id)
	if err != nil {
		return Outcome{}, err
	}
	before, arrivals := m.State, m.arrivals()
	if before != Sending || attempt != len(m.Attempts)-1 {
		return Outcome{ID: id, Before: before, Message: m, Attempt: -1}, nil
	}
	now := tx.Now()
	if s.Result == ResultUnsent {
		return q.takeBack(tx, id, m)
	}
	a := m.last()
	a.Settled, a.Result, a.Cause = storage.TimeOf(now), s.Result, s.Cause
	a.ByCode = a.ByCode && a.Sent()
	m.Lease = nil
	switch s.Result {
	case ResultAccepted:
		a.MR = s.MR
		m.State, m.Confirm = Accepted, storage.TimeOf(a.Until.Time().Add(q.policy.ReportGrace))
	case ResultAmbiguous:
		q.doubt(&m, s.Committed, now)
	case ResultDestination, ResultOurs:
		m.State = Failed
	default:
		q.retry(&m, q.wait(m, s, now))
	}
	if a.Sent() {
		err = q.remember(tx, id, &m)
	} else {
		err = q.disown(tx, id, m, attempt)
	}
	if err != nil {
		return Outcome{}, err
	}
	m.consider()
	out, err := q.finish(tx, id, before, m, attempt)
	out.Duplicate = arrivals < 2 && m.arrivals() > 1
	return out, err
}

// takeBack undoes an attempt that was given back before it was written.
func (q *Queue) takeBack(tx storage.Tx, id ID, m Message) (Outcome, error) {
	if err := q.disown(tx, id, m, len(m.Attempts)-1); err != nil {
		return Outcome{}, err
	}
	m.Attempts = m.Attempts[:len(m.Attempts)-1]
	m.Lease, m.PossibleDuplicate = nil, m.resent()
	q.retry(&m, m.Due.Time())
	m.consider()
	return q.finish(tx, id, Sending, m, -1)
}

// consider corrects the state that the newest attempt has led to by what is known
// of the attempts before.
func (m *Message) consider() {
	switch {
	case m.arrived():
		m.State = Delivered
	case m.State == Failed && m.Moved > 0 && m.mayStillArrive():
		m.State = Accepted
	case (m.State == Queued || m.State == Ambiguous) && m.taken():
		m.State = Accepted
	case !m.State.Open() && m.mayStillArrive():
		m.State = Unconfirmed
	}
}

// wait is when a refused message may be tried again: at once where another SIM
// may take it (dispatch sees to it that this one is not asked again while
// there is another), then with a growing wait.
func (q *Queue) wait(m Message, s Settlement, now time.Time) time.Time {
	tries := m.Refusals()
	if s.Result == ResultSIM && s.OtherSIM || tries == 1 && (s.OtherSIM || s.Result == ResultSIM) {
		return now
	}
	if tries == 1 && s.Soon > 0 {
		return now.Add(s.Soon)
	}
	wait := q.policy.Backoff
	for range tries - 1 {
		wait = min(2*wait, q.policy.BackoffMax)
	}
	return now.Add(wait)
}

// retry puts the message back into the queue, if anybody still waits for it.
func (q *Queue) retry(m *Message, due time.Time) {
	if m.Withdrawn {
		m.State = Canceled
		return
	}
	if len(m.Attempts) >= maxAttempts {
		q.giveUp(m)
		return
	}
	m.State, m.Due = Queued, storage.TimeOf(due)
}

// doubt makes the newest attempt one in doubt. A second one in doubt is the
// last: there is no third.
func (q *Queue) doubt(m *Message, committed, now time.Time) {
	if committed.IsZero() {
		committed = now
	}
	m.State = Ambiguous
	m.Hold = storage.TimeOf(committed.Add(q.policy.Hold))
	m.Confirm = max(m.Hold, storage.TimeOf(m.last().Until.Time().Add(q.policy.ReportGrace)))
}

// resendable says whether the message in doubt may be sent once more.
func (m *Message) resendable() bool {
	return !m.Withdrawn && m.count(ResultAmbiguous) == 1 && m.Moved == 0 && m.Text != nil
}

// Recover makes a message ambiguous whose session died while it was being
// sent. Any other message is left as it is.
func (q *Queue) Recover(tx storage.Tx, id ID) (Outcome, error) {
	m, err := q.Get(tx, id)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{ID: id, Before: m.State, Message: m, Attempt: -1}
	if m.State != Sending || m.Lease == nil {
		return out, nil
	}
	if alive, err := storage.Alive(tx, m.Lease.Session); err != nil || alive {
		return out, err
	}
	return q.Settle(tx, id, len(m.Attempts)-1, Settlement{Result: ResultAmbiguous, Cause: "restart"})
}

// Advance does what time has brought: an overdue message expires or fails, one
// in doubt goes back to the queue after its hold, one without a report becomes
// unconfirmed, and a text that can't be used any more is wiped.
func (q *Queue) Advance(tx storage.Tx, id ID) (Outcome, error) {
	m, err := q.Get(tx, id)
	if err != nil {
		return Outcome{}, err
	}
	now, before := tx.Now(), m.State
	over := func(t storage.Time) bool { return t != 0 && !now.Before(t.Time()) }
	switch m.State {
	case Queued:
		if !over(m.Expires) {
			return Outcome{ID: id, Before: before, Message: m, Attempt: -1}, nil
		}
		q.giveUp(&m)
	case Accepted, Ambiguous:
		again := m.State == Ambiguous && m.resendable() && over(m.Hold)
		switch {
		case again && m.Expires.Time().Sub(now) >= q.policy.MinLife:
			m.State, m.Due = Queued, storage.TimeOf(now)
		case over(m.Confirm):
			m.State = Unconfirmed
		case again, over(m.Expires) && m.Text != nil:
			m.Text = nil
		default:
			return Outcome{ID: id, Before: before, Message: m, Attempt: -1}, nil
		}
	default:
		return Outcome{ID: id, Before: before, Message: m, Attempt: -1}, nil
	}
	return q.finish(tx, id, before, m, -1)
}

// giveUp ends a queued message whose life is over. What an earlier attempt
// left in doubt stays in doubt.
func (q *Queue) giveUp(m *Message) {
	switch {
	case m.mayStillArrive():
		m.State = Unconfirmed
	case m.sent() > 0:
		m.State = Undelivered
	case len(m.Attempts) > 0:
		m.State = Failed
	default:
		m.State = Expired
	}
}

// Withdraw says that the owner waits for the message no more: a queued one
// ends in the given state (Canceled, Superseded or Expired), one in the air or
// in doubt is not sent again.
func (q *Queue) Withdraw(tx storage.Tx, id ID, state State) (Outcome, error) {
	m, err := q.Get(tx, id)
	if err != nil {
		return Outcome{}, err
	}
	before := m.State
	out := Outcome{ID: id, Before: before, Message: m, Attempt: -1}
	switch {
	case m.State == Queued && len(m.Attempts) > 0 && state == Expired:
		q.giveUp(&m)
	case m.State == Queued && m.mayStillArrive():
		m.State = Unconfirmed
	case m.State == Queued:
		m.State = state
	case m.State.Open() && m.Text != nil:
		m.Withdrawn = true
	default:
		return out, nil
	}
	return q.finish(tx, id, before, m, -1)
}

// Proven says that the recipient entered what the message carried. sole: no
// other message carried it, so that this one was delivered; otherwise only a
// message in doubt is settled by it. One in the air is delivered once its
// attempt has ended, unless nothing was sent.
func (q *Queue) Proven(tx storage.Tx, id ID, sole bool) (Outcome, error) {
	m, err := q.Get(tx, id)
	if err != nil {
		return Outcome{}, err
	}
	before := m.State
	switch {
	case before == Sending && (sole || m.count(ResultAmbiguous) > 0):
		m.Withdrawn = true
	case (before == Accepted || before == Queued && m.Moved > 0) && sole, m.InDoubt():
		m.State = Delivered
	default:
		return q.Withdraw(tx, id, Canceled)
	}
	for i := range m.Attempts {
		if a := &m.Attempts[i]; a.Result == "" || a.Sent() {
			a.ByCode = true
		}
	}
	return q.finish(tx, id, before, m, -1)
}

// spent says whether no further attempt is possible, whatever is reported yet.
func (m *Message) spent() bool {
	switch m.State {
	case Queued, Sending:
		return m.Withdrawn
	case Ambiguous:
		return !m.resendable()
	case Accepted:
		return m.Withdrawn || m.sent() > 1
	}
	return true
}

// finish stores the message. One that is spent loses recipient and text, one
// that is final also its place among the open ones.
func (q *Queue) finish(tx storage.Tx, id ID, before State, m Message, attempt int) (Outcome, error) {
	if m.Text == nil || m.spent() {
		m.To, m.Text = nil, nil
	}
	if !m.State.Open() {
		m.Lease = nil
		if m.Settled == 0 {
			m.Settled = storage.TimeOf(tx.Now())
		}
		if before.Open() {
			if err := q.open.Delete(tx, id[:]); err != nil {
				return Outcome{}, err
			}
		}
	}
	out := Outcome{ID: id, Before: before, Message: m, Attempt: attempt}
	return out, q.messages.Put(tx, id[:], m)
}
