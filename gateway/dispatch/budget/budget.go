// Package budget is the SIM ledger: what each SIM has sent, to how many, and
// what it may still send.
//
// It knows storage alone: SIMs by their IMSI or another name, recipients by
// opaque tokens, refusals by the causes that the caller names. Its methods take
// the caller's transaction, so that a message and its charge are begun and
// ended together or not at all, whatever crashes.
//
// What always holds:
//
//   - No limit is ever exceeded: not by the messages begun, nor by those that
//     the network took, within any 60 s, any 3600 s, and any day or month of
//     the ledger's zone.
//   - A message in the air counts in every window until it is settled, in the
//     day and month that it then is, but for no longer than a day, which no
//     attempt lasts; one that was taken counts in the day and month of its
//     settlement, and in no other.
//   - Notices never use what is reserved for codes.
//   - A limit of 0 is none. Without limits everything is allowed, and counted.
//   - No count ever becomes negative, and records stay small: causes, moments
//     and hours that are kept are bounded.
//
// Why a sliding window holds by either clock: a message begins only if those in
// the air and those taken within the last minute are fewer than the limit. Take
// any minute, and of the messages begun in it the last one: each of the others
// was then in the air, or was taken after its own beginning and so within the
// last minute, and was counted. Of the messages taken in that minute take again
// the one that began last: when it began, each of the others was in the air, or
// had been taken at most a minute before the end of that minute, and was counted.
// The same goes for the hour, the day and the month.
package budget

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"smsotpd/storage"
)

// Ledger is what all SIMs have sent. Its methods that take a transaction touch
// only its own tables.
type Ledger struct {
	calendar
	sims     storage.Table[record]
	contacts storage.Table[contact]
}

// New gives access to the ledger whose days and months begin at midnight in
// zone; nil is UTC.
func New(zone *time.Location) *Ledger {
	if zone == nil {
		zone = time.UTC
	}
	return &Ledger{
		calendar: calendar{zone},
		sims:     storage.NewTable[record]("simledger", 1),
		contacts: storage.NewTable[contact]("contact", 1),
	}
}

// Charge is one message on one SIM.
type Charge struct {
	// SIM is its IMSI, or the name that stands for it.
	SIM    string
	Notice bool
	// Segments are the SMS that it consists of; less than 1 counts as 1.
	Segments int
	// Recipient is a token of 16 bytes or more of the whole number. Without one
	// no recipient is counted or remembered.
	Recipient []byte
}

// Result is what became of a message, as far as it matters here.
type Result uint8

// The results.
const (
	// Unsent: it was given back before it was written, as if never begun.
	Unsent Result = iota
	// Taken by the network, or perhaps: it counts.
	Taken
	// Refused by the network or the modem: only the failure counts.
	Refused
)

// Settlement ends a charge.
type Settlement struct {
	Result Result
	// Cause of a refusal, for Standing.Failures.
	Cause string
}

// SpentError says that a limit leaves no room for the message now.
type SpentError struct {
	// Window is the limit's name, as in Limits.Validate. Of several it is the one
	// that is spent longest.
	Window string
	// Until is when the message may be begun as things stand; zero if no time
	// is known.
	Until time.Time
}

func (e *SpentError) Error() string {
	if e.Until.IsZero() {
		return fmt.Sprintf("budget: %s is spent", e.Window)
	}
	return fmt.Sprintf("budget: %s is spent until %s", e.Window, e.Until.Format(time.RFC3339))
}

var (
	errNoSIM  = errors.New("budget: a charge without a SIM")
	errAmount = errors.New("budget: a balance that is not a number")
)

// Charge books a message that begins now. It answers a *SpentError if any limit
// would be exceeded; nothing is written then.
func (l *Ledger) Charge(tx storage.Tx, lim Limits, c Charge) (Standing, error) {
	r, err := l.read(tx, c.SIM)
	if err != nil {
		return Standing{}, err
	}
	now := tx.Now()
	b := booked{Notice: c.Notice, Segments: c.segments(), Recipient: c.Recipient, At: storage.TimeOf(now)}
	if b.Counted, err = l.counted(tx, &r, c); err != nil {
		return Standing{}, err
	}
	standing := l.standing(&r, lim, now)
	if err := standing.admit(b, r.fresh(b, r.month()), r.fresh(b, 0)); err != nil {
		return standing, err
	}
	r.Air = append(r.Air, b)
	return l.standing(&r, lim, now), l.sims.Put(tx, []byte(c.SIM), r)
}

// Settle ends a charge, which must be the one that was booked. One that is not,
// since an older version began the message or it was in the air for a day,
// counts for what became of it.
func (l *Ledger) Settle(tx storage.Tx, lim Limits, c Charge, s Settlement) (Standing, error) {
	r, err := l.read(tx, c.SIM)
	if err != nil {
		return Standing{}, err
	}
	now, landed := tx.Now(), r.land(c)
	switch s.Result {
	case Taken:
		err = l.take(tx, &r, lim, c)
	case Refused:
		r.fail(s.Cause)
	default:
		if !landed {
			return l.standing(&r, lim, now), nil
		}
	}
	if err != nil {
		return Standing{}, err
	}
	return l.standing(&r, lim, now), l.sims.Put(tx, []byte(c.SIM), r)
}

// take counts a message that the network took now.
func (l *Ledger) take(tx storage.Tx, r *record, lim Limits, c Charge) error {
	now := tx.Now()
	if r.First == 0 {
		r.First = storage.TimeOf(now)
	}
	r.Today.add(c)
	r.Month.add(c)
	r.stamp(storage.TimeOf(now), c.Notice, lim)
	if len(c.Recipient) == 0 {
		return nil
	}
	first, err := l.met(tx, r.month(), c)
	if err != nil {
		return err
	}
	if first {
		r.Recipients++
	}
	r.count(c.Recipient)
	return nil
}

// Standing is what the SIM has sent and may send. It is for a View too.
func (l *Ledger) Standing(tx storage.Tx, sim string, lim Limits) (Standing, error) {
	r, err := l.read(tx, sim)
	if err != nil {
		return Standing{}, err
	}
	return l.standing(&r, lim, tx.Now()), nil
}

// SetBalance remembers what the operator said is left on the SIM now, in
// whatever currency it counts.
func (l *Ledger) SetBalance(tx storage.Tx, sim string, amount float64) error {
	if math.IsNaN(amount) || math.IsInf(amount, 0) {
		return errAmount
	}
	r, err := l.read(tx, sim)
	if err != nil {
		return err
	}
	r.Balance = &balance{Amount: amount, At: storage.TimeOf(tx.Now())}
	return l.sims.Put(tx, []byte(sim), r)
}

// SIMs lists up to limit SIMs that have a record, in order, those behind after.
func (l *Ledger) SIMs(tx storage.Tx, after string, limit int) ([]string, error) {
	rows, err := l.sims.Scan(tx, append([]byte(after), 0), nil, limit)
	sims := make([]string, 0, len(rows))
	for _, row := range rows {
		sims = append(sims, string(row.Key))
	}
	return sims, err
}

// read is the SIM's record as it is now, a new one if there is none.
func (l *Ledger) read(tx storage.Tx, sim string) (record, error) {
	if sim == "" {
		return record{}, errNoSIM
	}
	r, _, err := l.sims.Find(tx, []byte(sim))
	if err != nil {
		return record{}, err
	}
	now := tx.Now()
	r.roll(storage.TimeOf(now), l.day(now))
	return r, nil
}

// counted is the month in which the recipient is one of the SIM's already, 0
// if it is not.
func (l *Ledger) counted(tx storage.Tx, r *record, c Charge) (int, error) {
	if len(c.Recipient) == 0 {
		return 0, nil
	}
	known, _, err := l.contacts.Find(tx, contactKey(r.month(), c.Recipient))
	if err != nil || !slices.Contains(known.SIMs, c.SIM) {
		return 0, err
	}
	return r.month(), nil
}

func (c Charge) segments() int { return max(c.Segments, 1) }
