package gateway

import (
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/dispatch/health"
	"smsotpd/gateway/queue"
	"smsotpd/gateway/verification"
	"smsotpd/modem"
)

// Call says on whose behalf an operation is asked for, and under which
// idempotency key.
type Call struct {
	// Caller is the id of the API key or local peer; it scopes idempotency
	// keys. Name is the key's or peer's own, for people.
	Caller, Name string
	// IdempotencyKey is the caller's own name for this request (1–255
	// printable ASCII characters), "" for none. A second request with the
	// same caller, operation and key within 24 h gets the first one's reply.
	IdempotencyKey string
	// Body is the request as received, to tell a replay from another request
	// under the same key.
	Body []byte
}

// StartRequest asks for a code to be sent. Only To is required.
type StartRequest struct {
	// To is the number: strict E.164.
	To string
	// Service defaults to "default", Purpose to the service's only one.
	Service, Purpose string
	// Locale is a BCP 47 tag; "" is the service's own.
	Locale string
	// ClientIP is the end user's address as the caller saw it.
	ClientIP string
	// Subject is the caller's own authenticated reference to the person, by
	// which a repeated start continues the pending verification.
	Subject string
}

// Verification is what the caller may know of one.
type Verification struct {
	ID     string
	Status verification.State
	// To is the redacted number.
	To               string
	Service, Purpose string
	CreatedAt        time.Time
	ExpiresAt        time.Time
	// ResendAt is the earliest time of the next message.
	ResendAt   time.Time
	ChecksLeft int
	// MessageID and MessageStatus are of the newest message.
	MessageID     string
	MessageStatus queue.State
	// Restricted: SMS is a restricted authenticator (NIST 800-63B-4 3.2.9);
	// Alternative: the service offers another way.
	Restricted, Alternative bool
	// Continued: the start went on with a pending verification.
	Continued bool
}

// Verdict is the answer to a check. Whatever failed, a failure looks the same.
type Verdict struct {
	ID         string
	Status     verification.State
	Valid      bool
	ChecksLeft int
}

// LastMile is how far a message has come, in words for the person who waits.
type LastMile string

// The stable words of contract.md.
const (
	LastMileQueued      LastMile = "queued"
	LastMileSent        LastMile = "sent"
	LastMileUnreachable LastMile = "unreachable"
	LastMileDelivered   LastMile = "delivered"
	LastMileInDoubt     LastMile = "in_doubt"
	LastMileFailed      LastMile = "failed"
)

// Message is what the caller may know of one message: never its number or
// text.
type Message struct {
	ID                string
	Status            queue.State
	LastMile          LastMile
	PossibleDuplicate bool
	Segments          int
	CreatedAt         time.Time
	ExpiresAt         time.Time
	Attempts          []Attempt
}

// Attempt is one try to send a message.
type Attempt struct {
	Modem     string
	StartedAt time.Time
	// SettledAt is zero while the attempt is in the air.
	SettledAt time.Time
	// Result is a modem.Class, "" while the attempt is in the air.
	Result modem.Class
	// Cause is modem.Result.Cause, or "restart" (the gateway was stopped during
	// the attempt), "late" (it was in doubt until the answer came after all)
	// or "sealed" (what is kept can't be opened).
	Cause string
	// Meaning says in words what the report says, or what Cause does while
	// there is none; "" where there is no more to say.
	Meaning string
	// MR is the message reference, -1 where none is known.
	MR int
	// Report is the delivery report's TP-Status, -1 while there is none.
	Report   int
	ReportAt time.Time
	// Why are the reasons for which its SIM was chosen, in words.
	Why []string
}

// Modem is one modem as the operator sees it.
type Modem struct {
	modem.Status
	// SentToday is how many messages the network accepted from this SIM
	// in the day of its budget, or may have; Standing is all that it has sent and may
	// send.
	SentToday int
	Standing  budget.Standing
	// Health is how well the SIM does its work.
	Health health.Rates
}

// Readiness says whether work can be done, and if not, why.
type Readiness struct {
	Ready   bool
	Reasons []string
}
