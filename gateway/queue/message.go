// Package queue keeps the messages: what is to be sent, every attempt at it,
// and what is known of its fate.
//
// It knows keys and storage, and nothing of verifications, modems or HTTP: a
// message names its owner by an opaque reference, and the results of attempts
// come in as this package's own words.
//
// What always holds:
//
//   - A message is in state Sending from before the first byte of its
//     attempt leaves until that attempt is settled; a crash leaves it there,
//     and Recover makes it Ambiguous.
//   - Recipient and text are sealed, and wiped when no further attempt is
//     possible.
//   - An ambiguous attempt is followed by at most one more, of the same text,
//     after its hold, and the message is marked a possible duplicate.
//   - A message that was accepted, and of which nothing was reported since, may
//     be moved to another operator once; then too its next attempt is marked.
//   - Nothing is begun with less than Policy.MinLife to live.
//   - A temporary report never overwrites a final one; delivered is final.
package queue

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"smsotpd/gateway/keyring"
	"smsotpd/storage"
)

// State of a message.
type State string

// The states; see Open for those that are not final.
const (
	Queued      State = "queued"
	Sending     State = "sending"
	Accepted    State = "accepted"
	Delivered   State = "delivered"
	Undelivered State = "undelivered"
	Unconfirmed State = "unconfirmed"
	Ambiguous   State = "ambiguous"
	Failed      State = "failed"
	Expired     State = "expired"
	Canceled    State = "canceled"
	Superseded  State = "superseded"
)

// Open says whether more can happen to a message in this state without a late
// delivery report.
func (s State) Open() bool {
	switch s {
	case Queued, Sending, Accepted, Ambiguous:
		return true
	}
	return false
}

// Lane orders messages: a lower one goes first.
type Lane uint8

// The lanes.
const (
	LaneCode Lane = iota
	LaneNotice
)

// Name is the lane's label in metrics.
func (l Lane) Name() string {
	if l == LaneCode {
		return "code"
	}
	return "notice"
}

// ID is a UUID of version 7, so that messages lie in order of time.
type ID [16]byte

// NewID makes an id.
func NewID() ID { return ID(uuid.Must(uuid.NewV7())) }

// ParseID reads the text form; ok is false for anything else.
func ParseID(s string) (id ID, ok bool) {
	u, err := uuid.Parse(s)
	return ID(u), err == nil && u.String() == s
}

func (id ID) String() string { return uuid.UUID(id).String() }

// Result of an attempt, as the modem's driver classified it.
type Result string

// The results; see the modem's classes of the same names.
const (
	ResultAccepted    Result = "accepted"
	ResultDestination Result = "destination"
	ResultOurs        Result = "ours"
	ResultSIM         Result = "sim"
	ResultTemporary   Result = "temporary"
	ResultAmbiguous   Result = "ambiguous"
	// ResultUnsent: the modem gave the message back before a byte of it was
	// written. That was no attempt.
	ResultUnsent Result = "unsent"
)

// Message is one message as it is stored.
type Message struct {
	// Owner is what the message belongs to, for the hook alone.
	Owner []byte `cbor:"1,keyasint,omitempty"`
	Lane  Lane   `cbor:"2,keyasint,omitempty"`
	State State  `cbor:"3,keyasint"`
	// To (E.164 with "+") and Text are sealed; nil once wiped.
	To   []byte `cbor:"4,keyasint,omitempty"`
	Text []byte `cbor:"5,keyasint,omitempty"`
	// Region is the number's region, for routing and metrics.
	Region  string       `cbor:"6,keyasint,omitempty"`
	Created storage.Time `cbor:"7,keyasint"`
	// Expires is the end of the life of what the text says.
	Expires storage.Time `cbor:"8,keyasint"`
	// Due is when a queued message may be sent.
	Due   storage.Time `cbor:"9,keyasint"`
	Lease *Lease       `cbor:"10,keyasint,omitempty"`
	// Attempts are all tries, the oldest first.
	Attempts []Attempt `cbor:"11,keyasint,omitempty"`
	// PossibleDuplicate: it was sent again after an attempt that was in doubt, or
	// not reported on.
	PossibleDuplicate bool `cbor:"12,keyasint,omitempty"`
	// Hold is when an ambiguous message may be sent again.
	Hold storage.Time `cbor:"13,keyasint,omitempty"`
	// Confirm is when an accepted or ambiguous message without a report
	// becomes unconfirmed.
	Confirm storage.Time `cbor:"14,keyasint,omitempty"`
	// Withdrawn: its owner waits for it no more; it is not sent again.
	Withdrawn bool         `cbor:"15,keyasint,omitempty"`
	Settled   storage.Time `cbor:"16,keyasint,omitempty"`
	// Recipient is the token of the recipient's last digits, by which
	// delivery reports find the message.
	Recipient []byte `cbor:"17,keyasint,omitempty"`
	// Number is the token of the whole number, for what is kept by recipient.
	Number []byte `cbor:"18,keyasint,omitempty"`
	// By is the only SIM (IMSI) that may carry it; "": any.
	By string `cbor:"19,keyasint,omitempty"`
	// Moved is how many attempts there were when the message, accepted and not
	// reported on, was given to another operator; 0: it was not.
	Moved int `cbor:"20,keyasint,omitempty"`
}

// Lease is a modem's claim on a message: on a queued one a hint to others, on
// one being sent the mark of who sends it. It is void once its session is gone.
type Lease struct {
	Session string       `cbor:"1,keyasint"`
	Modem   string       `cbor:"2,keyasint"`
	Until   storage.Time `cbor:"3,keyasint,omitempty"`
}

// Attempt is one try to send a message.
type Attempt struct {
	Modem string `cbor:"1,keyasint"`
	// IMSI is the SIM's, or the modem's own name where it does not tell.
	IMSI    string       `cbor:"2,keyasint"`
	Started storage.Time `cbor:"3,keyasint"`
	// Settled is 0 while the attempt is in the air.
	Settled storage.Time `cbor:"4,keyasint,omitempty"`
	Result  Result       `cbor:"5,keyasint,omitempty"`
	Cause   string       `cbor:"6,keyasint,omitempty"`
	// MR is TP-MR, -1 where none is known.
	MR int `cbor:"7,keyasint"`
	// Report is TP-Status of the newest report that counts, -1 for none;
	// Fate is what it means.
	Report   int          `cbor:"8,keyasint"`
	Fate     Fate         `cbor:"12,keyasint,omitempty"`
	ReportAt storage.Time `cbor:"9,keyasint,omitempty"`
	// Until is when the service centre gives up (TP-VP's end).
	Until storage.Time `cbor:"10,keyasint,omitempty"`
	// ByCode: the recipient entered the code, so it was delivered.
	ByCode bool `cbor:"11,keyasint,omitempty"`
	// Why are the reasons for which this SIM was chosen, in words.
	Why []string `cbor:"13,keyasint,omitempty"`
}

// Sent says whether the network has taken the message with this attempt, or may
// have.
func (a Attempt) Sent() bool { return a.Result == ResultAccepted || a.Result == ResultAmbiguous }

// last is the newest attempt; the message must have one.
func (m *Message) last() *Attempt { return &m.Attempts[len(m.Attempts)-1] }

// count is how many attempts ended with the result.
func (m *Message) count(r Result) int {
	n := 0
	for _, a := range m.Attempts {
		if a.Result == r {
			n++
		}
	}
	return n
}

// Refusals is how many attempts were refused for a while.
func (m *Message) Refusals() int { return m.count(ResultTemporary) + m.count(ResultSIM) }

// sent is how many attempts the network has taken or may have.
func (m *Message) sent() int { return m.count(ResultAccepted) + m.count(ResultAmbiguous) }

// MayHaveArrived says whether an attempt is in the air, or the network has taken
// one or may have.
func (m *Message) MayHaveArrived() bool { return m.State == Sending || m.sent() > 0 }

// Next says what time brings, seen from now: when the message may be sent
// (zero for not any more, or not in this state), and when Advance has
// something to do (zero for never).
func (q *Queue) Next(m Message, now time.Time) (send, advance time.Time) {
	switch m.State {
	case Queued:
		last := m.Expires.Time().Add(-q.policy.MinLife)
		if due := m.Due.Time(); !last.Before(due) && !last.Before(now) {
			send = due
		}
		return send, m.Expires.Time()
	case Accepted, Ambiguous:
		switch {
		case m.resendable() && m.State == Ambiguous:
			return time.Time{}, earlier(m.Hold, m.Expires)
		case m.Text != nil:
			return time.Time{}, earlier(m.Expires, m.Confirm)
		}
		return time.Time{}, m.Confirm.Time()
	}
	return time.Time{}, time.Time{}
}

func earlier(a, b storage.Time) time.Time { return min(a, b).Time() }

// Avoid are the SIMs (IMSI) that another SIM is better than for the next
// attempt.
func (m *Message) Avoid() []string {
	var avoid []string
	for _, a := range m.Attempts {
		if a.Result != ResultAccepted && a.Result != "" {
			avoid = append(avoid, a.IMSI)
		}
	}
	return avoid
}

// What callers branch on.
var (
	// ErrNotFound: no message has this id.
	ErrNotFound = errors.New("queue: message not found")
	// ErrNotSendable: the message can't be begun now (another state, a lease
	// of a living session, too little life).
	ErrNotSendable = errors.New("queue: message not sendable")
)

// Policy is when messages are tried again and given up.
type Policy struct {
	// Hold is how long after Ctrl-Z an ambiguous attempt waits for a report
	// before the text is sent again; default 30 s.
	Hold time.Duration
	// MinLife is the life below which nothing is begun; default 20 s.
	MinLife time.Duration
	// ReportGrace is how long after TP-VP's end a report may still come
	// before the message is unconfirmed; default 60 s.
	ReportGrace time.Duration
	// Backoff is the wait after the first failed attempt; it doubles up to
	// BackoffMax. Default 2 s and 32 s.
	Backoff, BackoffMax time.Duration
	// ReportHold is how long a report that matches no attempt is kept for
	// one: longer than the answer can take that it has overtaken; default 5 min.
	ReportHold time.Duration
}

// DefaultPolicy is what design and modem facts ask for.
func DefaultPolicy() Policy {
	return Policy{
		Hold: 30 * time.Second, MinLife: 20 * time.Second, ReportGrace: time.Minute,
		Backoff: 2 * time.Second, BackoffMax: 32 * time.Second, ReportHold: 5 * time.Minute,
	}
}

// maxAttempts bounds what a message keeps of its attempts, and so its size: one
// that was refused so often is given up.
const maxAttempts = 200

// Queue is the set of all messages of a gateway. Its methods that take a
// transaction touch only its own tables.
type Queue struct {
	keys     *keyring.Keyring
	policy   Policy
	messages storage.Table[Message]
	open     storage.Table[struct{}]
	siblings storage.Table[siblings]
	held     storage.Table[heldReport]
	early    storage.Table[struct{}]
}

// New gives access to the messages kept under these keys.
func New(keys *keyring.Keyring, p Policy) *Queue {
	return &Queue{
		keys: keys, policy: p,
		messages: storage.NewTable[Message]("message", 1),
		open:     storage.NewTable[struct{}]("open", 1),
		siblings: storage.NewTable[siblings]("siblings", 1),
		held:     storage.NewTable[heldReport]("held", 1),
		early:    storage.NewTable[struct{}]("early", 1),
	}
}
