package queue

import (
	"fmt"
	"time"

	"smsotpd/gateway/keyring"
	"smsotpd/storage"
)

// MinLife is the life below which nothing is begun.
func (q *Queue) MinLife() time.Duration { return q.policy.MinLife }

// Draft is a message made ready before its transaction.
type Draft struct {
	ID      ID
	message Message
	nonce   keyring.Nonce
}

// Address says where a message goes.
type Address struct {
	// To is the recipient's E.164 number, Region the region that it is of.
	To, Region string
	Lane       Lane
	// By is the only SIM (IMSI) that may carry it; "": any.
	By string
}

// Draft prepares a message; Write gives it its text.
func (q *Queue) Draft(a Address) Draft {
	id := NewID()
	return Draft{ID: id, nonce: keyring.NewNonce(), message: Message{
		State: Queued, Lane: a.Lane, By: a.By, Region: a.Region,
		Recipient: q.recipient(a.To), Number: q.Number(a.To),
		To: q.keys.Seal(q.ref(id, "to"), []byte(a.To)),
	}}
}

// numberOctets is how much of a number's token a message keeps: enough for no
// two numbers to share it.
const numberOctets = 16

// Number is the token of a whole E.164 number, as Message.Number has it.
func (q *Queue) Number(to string) []byte {
	token := q.keys.Lookup("msisdn", []byte(to))
	return token[:numberOctets]
}

// Write gives the draft its owner and its text. It may run again, with another
// text, in the transaction that enqueues it: only that one is kept.
func (q *Queue) Write(d *Draft, owner []byte, text string) {
	d.message.Owner = owner
	d.message.Text = q.keys.SealNonce(d.nonce, q.ref(d.ID, "text"), []byte(text))
}

// Enqueue stores a draft whose text is worthless after expires.
func (q *Queue) Enqueue(tx storage.Tx, d Draft, expires time.Time) (Message, error) {
	m := d.message
	now := storage.TimeOf(tx.Now())
	m.Created, m.Due, m.Expires = now, now, storage.TimeOf(expires)
	if err := q.open.Put(tx, d.ID[:], struct{}{}); err != nil {
		return Message{}, err
	}
	return m, q.messages.Put(tx, d.ID[:], m)
}

// Get returns the message, or ErrNotFound.
func (q *Queue) Get(tx storage.Tx, id ID) (Message, error) {
	m, known, err := q.messages.Find(tx, id[:])
	if err == nil && !known {
		err = ErrNotFound
	}
	return m, err
}

// Open lists up to limit open messages with ids after the given one.
func (q *Queue) Open(tx storage.Tx, after ID, limit int) ([]ID, error) {
	rows, err := q.open.Scan(tx, append(after[:], 0), nil, limit)
	if err != nil {
		return nil, err
	}
	ids := make([]ID, 0, len(rows))
	for _, row := range rows {
		if len(row.Key) != len(ID{}) {
			return nil, fmt.Errorf("%w: open message key of %d bytes", storage.ErrForeign, len(row.Key))
		}
		ids = append(ids, ID(row.Key))
	}
	return ids, nil
}

// Prefix is the prefix of the messages' keys, for Store.Watch; KeyID reads
// the id back.
func (q *Queue) Prefix() []byte { return q.messages.Prefix() }

// KeyID is the id of the message stored under a key of the store.
func (q *Queue) KeyID(key []byte) (ID, bool) {
	rest, ok := q.messages.Trim(key)
	if !ok || len(rest) != len(ID{}) {
		return ID{}, false
	}
	return ID(rest), true
}

// Carrier is the modem that sends.
type Carrier struct {
	Session     string
	Modem, IMSI string
	// Exact: its messages can live for any number of seconds (TP-VP in the
	// enhanced format).
	Exact bool
}

// Lease marks a queued message as the carrier's next, until the given time. It
// is a hint to other gateways and changes nothing else; a message that can't be
// leased is left as it is.
func (q *Queue) Lease(tx storage.Tx, id ID, c Carrier, d time.Duration) error {
	m, known, err := q.messages.Find(tx, id[:])
	if err != nil || !known || m.State != Queued {
		return err
	}
	if free, err := leasable(tx, m, c); err != nil || !free {
		return err
	}
	m.Lease = &Lease{Session: c.Session, Modem: c.Modem, Until: storage.TimeOf(tx.Now().Add(d))}
	return q.messages.Put(tx, id[:], m)
}

// leasable says whether the carrier may take the message: modems of one
// session sort it out among themselves, another session's lease holds until it
// ends or the session is gone.
func leasable(tx storage.Tx, m Message, c Carrier) (bool, error) {
	if m.Lease == nil || m.Lease.Session == c.Session || !tx.Now().Before(m.Lease.Until.Time()) {
		return true, nil
	}
	alive, err := storage.Alive(tx, m.Lease.Session)
	return !alive, err
}

// Begun is an attempt that may go out once its transaction is durable.
type Begun struct {
	ID      ID
	Attempt int
	Message Message
	// Validity is TP-VP in the relative format, Lasts how long the service
	// centre is to try.
	Validity byte
	Lasts    time.Duration
}

// Choice is how a message came to its carrier.
type Choice struct {
	// Why are the reasons, in words, for Attempt.Why.
	Why []string
	// Allow has the last word, in the same transaction: its error is Begin's,
	// and nothing is changed; nil: nobody does.
	Allow func(Message) error
}

// Begin marks the message as being sent by the carrier. ErrNotSendable means
// that it is not to be sent now, or not at all.
func (q *Queue) Begin(tx storage.Tx, id ID, c Carrier, choice Choice) (Begun, error) {
	now := tx.Now()
	m, err := q.Get(tx, id)
	if err != nil {
		return Begun{}, err
	}
	left := m.Expires.Time().Sub(now)
	if m.State != Queued || m.Withdrawn || left < q.policy.MinLife {
		return Begun{}, ErrNotSendable
	}
	if free, err := leasable(tx, m, c); err != nil || !free {
		return Begun{}, orElse(err, ErrNotSendable)
	}
	if choice.Allow != nil {
		if err := choice.Allow(m); err != nil {
			return Begun{}, err
		}
	}
	validity, lasts := Validity(left)
	if c.Exact {
		lasts = left.Truncate(time.Second)
	}
	m.State, m.PossibleDuplicate = Sending, m.count(ResultAmbiguous) > 0 || m.Moved > 0
	m.Lease = &Lease{Session: c.Session, Modem: c.Modem}
	m.Attempts = append(m.Attempts, Attempt{
		Modem: c.Modem, IMSI: c.IMSI, Started: storage.TimeOf(now), MR: -1, Report: -1,
		Until: storage.TimeOf(now.Add(lasts)), Why: choice.Why,
	})
	if err := q.announce(tx, id, &m); err != nil {
		return Begun{}, err
	}
	return Begun{ID: id, Attempt: len(m.Attempts) - 1, Message: m, Validity: validity, Lasts: lasts},
		q.messages.Put(tx, id[:], m)
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// Unseal returns the recipient (E.164) and the text of a message that still
// has them.
func (q *Queue) Unseal(id ID, m Message) (to, text string, err error) {
	rawTo, err := q.keys.Unseal(q.ref(id, "to"), m.To)
	if err != nil {
		return "", "", fmt.Errorf("queue: the kept recipient: %w", err)
	}
	rawText, err := q.keys.Unseal(q.ref(id, "text"), m.Text)
	if err != nil {
		return "", "", fmt.Errorf("queue: the kept text: %w", err)
	}
	return string(rawTo), string(rawText), nil
}

// Validity is TP-VP in the relative format for a life of left, and how long
// that is: rounded down to a step, but at least the first, 5 minutes
// (TS 23.040 9.2.3.12.1).
func Validity(left time.Duration) (octet byte, lasts time.Duration) {
	const day = 24 * time.Hour
	switch {
	case left < 10*time.Minute:
		return 0, 5 * time.Minute
	case left < 12*time.Hour+30*time.Minute:
		n := min(left/(5*time.Minute), 144)
		return byte(n - 1), n * 5 * time.Minute
	case left < 2*day:
		n := min((left-12*time.Hour)/(30*time.Minute), 24)
		return byte(143 + n), 12*time.Hour + n*30*time.Minute
	case left < 35*day:
		n := min(left/day, 30)
		return byte(166 + n), n * day
	default:
		n := min(left/(7*day), 63)
		return byte(192 + n), n * 7 * day
	}
}

// Forget deletes a message and what matching kept of it.
func (q *Queue) Forget(tx storage.Tx, id ID) error {
	m, known, err := q.messages.Find(tx, id[:])
	if err != nil || !known {
		return err
	}
	if err := q.forget(tx, id, m); err != nil {
		return err
	}
	if err := q.open.Delete(tx, id[:]); err != nil {
		return err
	}
	return q.messages.Delete(tx, id[:])
}

func (q *Queue) ref(id ID, field string) keyring.Ref {
	return keyring.Ref{Table: q.messages.Name(), Key: id[:], Field: field}
}
