package gateway

import (
	"context"
	"time"

	"smsotpd/gateway/number"
	"smsotpd/gateway/queue"
	"smsotpd/gateway/verification"
	"smsotpd/modem"
	"smsotpd/storage"
)

// find reads a verification and the number that it is about.
func (g *Gateway) find(ctx context.Context, id verification.ID) (rec verification.Record, to number.Number, err error) {
	err = g.store.View(ctx, func(tx storage.Tx) error {
		if rec, err = g.book.Get(tx, id); err != nil {
			return err
		}
		to, err = g.book.To(id, rec)
		return err
	})
	return rec, to, failure(err)
}

// newest is the state of the verification's newest message.
func (g *Gateway) newest(tx storage.Tx, rec verification.Record) (queue.State, error) {
	if len(rec.Messages) == 0 {
		return "", nil
	}
	m, err := g.queue.Get(tx, queue.ID(rec.Messages[len(rec.Messages)-1]))
	return m.State, err
}

// view is what the caller may know of a verification at the given time.
func (g *Gateway) view(id verification.ID, rec verification.Record, to number.Number, status queue.State, now time.Time) Verification {
	v := Verification{
		ID: id.String(), Status: rec.StateAt(now), To: to.String(),
		Service: rec.Service, Purpose: rec.Purpose,
		CreatedAt: rec.Created.Time(), ExpiresAt: rec.Expires.Time(), ResendAt: rec.Resend.Time(),
		ChecksLeft: rec.ChecksLeft, MessageStatus: status,
		Restricted: true, Alternative: g.known(rec.Service).Alternative,
	}
	if n := len(rec.Messages); n > 0 {
		v.MessageID = queue.ID(rec.Messages[n-1]).String()
	}
	return v
}

// describe is what the caller may know of a message.
func describe(id queue.ID, m queue.Message) Message {
	out := Message{
		ID: id.String(), Status: m.State, LastMile: lastMile(m), PossibleDuplicate: m.PossibleDuplicate,
		Segments: 1, CreatedAt: m.Created.Time(), ExpiresAt: m.Expires.Time(),
		Attempts: make([]Attempt, 0, len(m.Attempts)),
	}
	for _, a := range m.Attempts {
		out.Attempts = append(out.Attempts, Attempt{
			Modem: a.Modem, StartedAt: a.Started.Time(), SettledAt: a.Settled.Time(),
			Result: modem.Class(a.Result), Cause: a.Cause, Meaning: meaning(a), MR: a.MR,
			Report: a.Report, ReportAt: a.ReportAt.Time(), Why: a.Why,
		})
	}
	return out
}

// meaning says in words how an attempt ended.
func meaning(a queue.Attempt) string {
	if a.Report >= 0 && a.Report <= 0xff {
		return modem.Report{Status: byte(a.Report)}.Explain()
	}
	return modem.Explain(a.Cause)
}

// lastMile says how far the message has come, and no more than is known.
func lastMile(m queue.Message) LastMile {
	switch m.State {
	case queue.Queued, queue.Sending:
		if m.Moved > 0 {
			return accepted(m.Attempts)
		}
		if m.PossibleDuplicate || m.InDoubt() {
			return LastMileInDoubt
		}
		return LastMileQueued
	case queue.Accepted, queue.Unconfirmed:
		return accepted(m.Attempts)
	case queue.Delivered:
		return LastMileDelivered
	case queue.Ambiguous:
		return LastMileInDoubt
	}
	return LastMileFailed
}

// accepted tells apart what is on its way, what waits for a phone that is off,
// and what never got a trustworthy answer.
func accepted(attempts []queue.Attempt) LastMile {
	mile := LastMileInDoubt
	for _, a := range attempts {
		switch {
		case a.Fate == queue.FateTrying:
			return LastMileUnreachable
		case a.Result == queue.ResultAccepted:
			mile = LastMileSent
		}
	}
	return mile
}
