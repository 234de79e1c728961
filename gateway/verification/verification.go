// Package verification keeps the verifications: one question each, "does this
// person hold this number?", answered by a code that travels by SMS.
//
// It knows numbers, keys and storage, and nothing of messages, HTTP or modems:
// it names messages by opaque id.
//
// What always holds:
//
//   - A check is charged, compared and decided in one transaction; a code
//     succeeds once, and at most Policy.Checks comparisons are ever made.
//   - Codes are kept as a keyed MAC bound to id, service, number and purpose,
//     and sealed for a resend until the verification ends, not longer.
//   - Failures per service and number outlive resends, new verifications,
//     restarts and clock changes; only success or the end of a lock clears
//     them.
//   - A verification that ended never becomes pending again.
package verification

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"smsotpd/gateway/keyring"
	"smsotpd/gateway/number"
	"smsotpd/storage"
)

// State of a verification.
type State string

// The states; all but Pending are final.
const (
	Pending       State = "pending"
	Approved      State = "approved"
	Expired       State = "expired"
	Canceled      State = "canceled"
	Exhausted     State = "exhausted"
	Undeliverable State = "undeliverable"
)

// What callers branch on.
var (
	// ErrNotFound: no verification has this id.
	ErrNotFound = errors.New("verification: not found")
	// ErrNotPending: it ended already.
	ErrNotPending = errors.New("verification: not pending")
)

// TooSoonError: no message may go out for Wait.
type TooSoonError struct{ Wait time.Duration }

func (e *TooSoonError) Error() string { return "verification: inside the resend cooldown" }

// LockedError: too many failures for this service and number. Wait is when the
// lock ends; 0 means that an operator has to lift it.
type LockedError struct{ Wait time.Duration }

func (e *LockedError) Error() string { return "verification: locked after too many failures" }

// maxSends bounds the messages of one verification, and so what its end has to
// touch.
const maxSends = 10

// ID is 128 random bits; its text form is 32 hexadecimal digits.
type ID [16]byte

// NewID draws an id.
func NewID() ID {
	var id ID
	rand.Read(id[:]) //nolint:errcheck // never fails since Go 1.24
	return id
}

// ParseID reads the text form; ok is false for anything else.
func ParseID(s string) (id ID, ok bool) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(id) {
		return ID{}, false
	}
	copy(id[:], raw)
	return id, id.String() == s
}

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Record is one verification as it is stored.
type Record struct {
	Service string `cbor:"1,keyasint"`
	Purpose string `cbor:"2,keyasint"`
	// Number is the keyed token of the number under this service.
	Number []byte `cbor:"3,keyasint"`
	// Subject is the key in the index of subjects, nil without one.
	Subject []byte `cbor:"4,keyasint,omitempty"`
	State   State  `cbor:"5,keyasint"`
	// To is the sealed number; Code the sealed code, gone at the end.
	To   []byte `cbor:"6,keyasint"`
	Code []byte `cbor:"7,keyasint,omitempty"`
	// MAC is what an entered code is compared with.
	MAC        []byte       `cbor:"8,keyasint"`
	ChecksLeft int          `cbor:"9,keyasint"`
	Created    storage.Time `cbor:"10,keyasint"`
	Expires    storage.Time `cbor:"11,keyasint"`
	Ended      storage.Time `cbor:"12,keyasint,omitempty"`
	// Resend is the earliest time of the next message; Step how far along
	// Policy.Cooldowns the sends have come.
	Resend storage.Time `cbor:"13,keyasint"`
	Step   int          `cbor:"14,keyasint"`
	// Messages are the ids of its messages, the newest last.
	Messages [][]byte `cbor:"15,keyasint,omitempty"`
	Locale   string   `cbor:"16,keyasint,omitempty"`
	// Region is the number's, for metrics and routing.
	Region string `cbor:"17,keyasint,omitempty"`
}

// Live says whether the verification still waits at the given time.
func (r Record) Live(now time.Time) bool {
	return r.State == Pending && now.Before(r.Expires.Time())
}

// StateAt is the state as it is to be told at the given time: a pending one
// whose life is over is expired, even before a transaction has said so.
func (r Record) StateAt(now time.Time) State {
	if r.State == Pending && !r.Live(now) {
		return Expired
	}
	return r.State
}

// subject is the memory of one (service, number, purpose, subject): which
// verification is its newest, and how far its cooldown has grown.
type subject struct {
	ID     []byte       `cbor:"1,keyasint"`
	Step   int          `cbor:"2,keyasint"`
	Last   storage.Time `cbor:"3,keyasint"`
	Resend storage.Time `cbor:"4,keyasint"`
}

// failures counts consecutive failed checks of one service and number.
type failures struct {
	Count  int          `cbor:"1,keyasint"`
	Locked storage.Time `cbor:"2,keyasint,omitempty"`
}

// Book is the set of all verifications of a gateway. Its methods that take a
// transaction touch only its own tables.
type Book struct {
	keys      *keyring.Keyring
	records   storage.Table[Record]
	subjects  storage.Table[subject]
	failures  storage.Table[failures]
	deadlines storage.Table[struct{}]
}

// NewBook gives access to the verifications kept under these keys.
func NewBook(keys *keyring.Keyring) *Book {
	return &Book{
		keys:      keys,
		records:   storage.NewTable[Record]("verification", 1),
		subjects:  storage.NewTable[subject]("subject", 1),
		failures:  storage.NewTable[failures]("failures", 1),
		deadlines: storage.NewTable[struct{}]("deadline", 1),
	}
}

// Ask is what a verification is to be about.
type Ask struct {
	Service, Purpose string
	To               number.Number
	// Subject is the caller's authenticated reference, "" for none.
	Subject string
	Locale  string
}

// Draft is a verification made ready before its transaction: everything
// random and everything sealed is in it already.
type Draft struct {
	ID     ID
	Code   Code
	record Record
}

// Draft prepares a verification.
func (b *Book) Draft(ask Ask, p Policy) Draft {
	d := Draft{ID: NewID(), Code: NewCode(p.Length)}
	token := b.keys.Lookup("number", []byte(ask.Service), []byte(ask.To.E164()))
	d.record = Record{
		Service: ask.Service, Purpose: ask.Purpose, Number: token[:], State: Pending,
		To:         b.keys.Seal(b.ref(d.ID, "to"), []byte(ask.To.E164())),
		Code:       b.keys.Seal(b.ref(d.ID, "code"), []byte(d.Code)),
		ChecksLeft: p.Checks, Locale: ask.Locale, Region: ask.To.Region(),
	}
	d.record.MAC = b.mac(d.ID, d.record, d.Code)
	if ask.Subject != "" {
		key := b.keys.Lookup("subject", []byte(ask.Service), token[:], []byte(ask.Purpose), []byte(ask.Subject))
		d.record.Subject = key[:]
	}
	return d
}

// Decision is what a start comes to.
type Decision int

// The decisions of Admit.
const (
	// Begin: create the draft.
	Begin Decision = iota
	// Continue: the pending one goes on; no message goes out now.
	Continue
	// SendAgain: the pending one goes on, with another message.
	SendAgain
	// Replace: end the pending one, then create the draft.
	Replace
)

// Admission is a decision and, but for Begin, the pending verification that
// it is about.
type Admission struct {
	Decision Decision
	ID       ID
	Record   Record
}

// Admit decides what a start with this draft comes to. It refuses with
// *LockedError or *TooSoonError.
func (b *Book) Admit(tx storage.Tx, d Draft, p Policy) (Admission, error) {
	now := tx.Now()
	if _, err := b.unlocked(tx, d.record, p, now); err != nil {
		return Admission{}, err
	}
	if d.record.Subject == nil {
		return Admission{Decision: Begin}, nil
	}
	memory, known, err := b.subjects.Find(tx, d.record.Subject)
	if err != nil || !known {
		return Admission{Decision: Begin}, err
	}
	soon := now.Before(memory.Resend.Time())
	old, kept, err := b.records.Find(tx, memory.ID)
	if err != nil {
		return Admission{}, err
	}
	adm := Admission{ID: ID(memory.ID), Record: old}
	switch live := kept && old.Live(now); {
	case live && soon:
		adm.Decision = Continue
	case live && old.Expires.Time().Sub(now) >= p.MinLeft:
		adm.Decision = SendAgain
	case live:
		adm.Decision = Replace
	case soon:
		return Admission{}, &TooSoonError{Wait: memory.Resend.Time().Sub(now)}
	default:
		return Admission{Decision: Begin}, nil
	}
	return adm, nil
}

// Create stores the draft, whose first message is the one named.
func (b *Book) Create(tx storage.Tx, d Draft, p Policy, message []byte) (Record, error) {
	now := tx.Now()
	rec := d.record
	rec.Created, rec.Expires = storage.TimeOf(now), storage.TimeOf(now.Add(p.TTL))
	if err := b.deadlines.Put(tx, deadlineKey(rec.Expires, d.ID), struct{}{}); err != nil {
		return Record{}, err
	}
	return b.sent(tx, d.ID, rec, p, message)
}

// Send is another message for a pending verification, made ready before its
// transaction.
type Send struct {
	// Message is the message's id.
	Message []byte
	// fresh is the code under Policy.NewCode.
	fresh Code
	nonce keyring.Nonce
}

// Format keeps the code out of all output.
func (Send) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "send") }

// NewSend prepares another message under p.
func NewSend(message []byte, p Policy) Send {
	return Send{Message: message, fresh: NewCode(p.Length), nonce: keyring.NewNonce()}
}

// Resend admits another message of a pending verification, notes it and
// returns the code that it carries: the same one, or a new one under
// Policy.NewCode, the only valid one from then on. It refuses with
// ErrNotFound, ErrNotPending, *LockedError or *TooSoonError.
func (b *Book) Resend(tx storage.Tx, id ID, p Policy, send Send) (Record, Code, error) {
	now := tx.Now()
	rec, err := b.Get(tx, id)
	if err != nil {
		return Record{}, "", err
	}
	if !rec.Live(now) {
		return rec, "", ErrNotPending
	}
	if _, err := b.unlocked(tx, rec, p, now); err != nil {
		return rec, "", err
	}
	if now.Before(rec.Resend.Time()) {
		return rec, "", &TooSoonError{Wait: rec.Resend.Time().Sub(now)}
	}
	if len(rec.Messages) >= maxSends {
		return rec, "", &TooSoonError{Wait: rec.Expires.Time().Sub(now)}
	}
	code := send.fresh
	if p.NewCode {
		rec.Code = b.keys.SealNonce(send.nonce, b.ref(id, "code"), []byte(code))
		rec.MAC = b.mac(id, rec, code)
	} else {
		kept, err := b.keys.Unseal(b.ref(id, "code"), rec.Code)
		if err != nil {
			return rec, "", fmt.Errorf("verification: the kept code: %w", err)
		}
		code = Code(kept)
	}
	rec, err = b.sent(tx, id, rec, p, send.Message)
	return rec, code, err
}

// sent notes a message and stores the record: the cooldown grows by subject
// where there is one, and by verification where not.
func (b *Book) sent(tx storage.Tx, id ID, rec Record, p Policy, message []byte) (Record, error) {
	now := tx.Now()
	rec.Messages = append(rec.Messages, message)
	if rec.Subject != nil {
		memory, known, err := b.subjects.Find(tx, rec.Subject)
		if err != nil {
			return Record{}, err
		}
		if known && now.Sub(memory.Last.Time()) < p.Calm {
			rec.Step = memory.Step
		}
	}
	rec.Resend = storage.TimeOf(now.Add(p.cooldown(rec.Step)))
	rec.Step++
	if rec.Subject != nil {
		memory := subject{ID: id[:], Step: rec.Step, Last: storage.TimeOf(now), Resend: rec.Resend}
		if err := b.subjects.Put(tx, rec.Subject, memory); err != nil {
			return Record{}, err
		}
	}
	return rec, b.records.Put(tx, id[:], rec)
}

// Get returns the record as it is stored, or ErrNotFound.
func (b *Book) Get(tx storage.Tx, id ID) (Record, error) {
	rec, known, err := b.records.Find(tx, id[:])
	if err == nil && !known {
		err = ErrNotFound
	}
	return rec, err
}

// Verdict is what a check came to.
type Verdict struct {
	Record Record
	Valid  bool
	// Ended: this check ended the verification.
	Ended bool
	// Locked: nothing was compared, since the number is locked.
	Locked bool
}

// Check charges one attempt, compares and decides. Whatever was wrong, the
// verdict is an invalid one; only an unknown id is an error, ErrNotFound.
func (b *Book) Check(tx storage.Tx, id ID, entered Code, p Policy) (Verdict, error) {
	now := tx.Now()
	rec, err := b.Get(tx, id)
	if err != nil {
		return Verdict{}, err
	}
	if rec.State == Pending && !rec.Live(now) {
		rec, err = b.End(tx, id, rec, Expired)
		return Verdict{Record: rec, Ended: true}, err
	}
	if rec.State != Pending {
		return Verdict{Record: rec}, nil
	}
	failed, err := b.unlocked(tx, rec, p, now)
	if _, locked := errors.AsType[*LockedError](err); locked {
		return Verdict{Record: rec, Locked: true}, nil
	} else if err != nil {
		return Verdict{}, err
	}

	rec.ChecksLeft--
	key := b.failuresKey(rec)
	mac := b.mac(id, rec, entered)
	if subtle.ConstantTimeCompare(mac, rec.MAC) == 1 {
		rec, err = b.End(tx, id, rec, Approved)
		if err == nil { // even where there are none, or a lock that is over
			err = b.failures.Delete(tx, key)
		}
		return Verdict{Record: rec, Valid: true, Ended: true}, err
	}
	if failed.Count++; failed.Count >= p.MaxFailures {
		failed.Locked = storage.TimeOf(now)
	}
	if err := b.failures.Put(tx, key, failed); err != nil {
		return Verdict{}, err
	}
	if rec.ChecksLeft == 0 {
		rec, err = b.End(tx, id, rec, Exhausted)
		return Verdict{Record: rec, Ended: true}, err
	}
	return Verdict{Record: rec}, b.records.Put(tx, id[:], rec)
}

// End makes a pending record final and stores it: the sealed code is wiped,
// and after success the subject's cooldown begins again at the first.
func (b *Book) End(tx storage.Tx, id ID, rec Record, state State) (Record, error) {
	rec.State, rec.Ended, rec.Code = state, storage.TimeOf(tx.Now()), nil
	if state == Approved && rec.Subject != nil {
		if err := b.subjects.Delete(tx, rec.Subject); err != nil {
			return Record{}, err
		}
	}
	return rec, b.records.Put(tx, id[:], rec)
}

// To is the number that the verification is about.
func (b *Book) To(id ID, rec Record) (number.Number, error) {
	plain, err := b.keys.Unseal(b.ref(id, "to"), rec.To)
	if err != nil {
		return number.Number{}, fmt.Errorf("verification: the kept number: %w", err)
	}
	return number.Parse(string(plain))
}

// unlocked returns the failures of the record's service and number, and
// *LockedError while they forbid anything. A lock whose time is over counts as
// no failures.
func (b *Book) unlocked(tx storage.Tx, rec Record, p Policy, now time.Time) (failures, error) {
	failed, _, err := b.failures.Find(tx, b.failuresKey(rec))
	if err != nil || failed.Locked == 0 {
		return failed, err
	}
	if p.LockFor == 0 {
		return failed, &LockedError{}
	}
	if wait := failed.Locked.Time().Add(p.LockFor).Sub(now); wait > 0 {
		return failed, &LockedError{Wait: wait}
	}
	return failures{}, nil
}

func (b *Book) failuresKey(rec Record) []byte {
	key := b.keys.Lookup("failures", []byte(rec.Service), rec.Number)
	return key[:]
}

func (b *Book) mac(id ID, rec Record, code Code) []byte {
	mac := b.keys.CodeMAC(id[:], []byte(rec.Service), rec.Number, []byte(rec.Purpose), []byte(code))
	return mac[:]
}

func (b *Book) ref(id ID, field string) keyring.Ref {
	return keyring.Ref{Table: b.records.Name(), Key: id[:], Field: field}
}
