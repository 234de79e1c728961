package queue

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"smsotpd/storage"
)

// A delivery report names its message by SIM, TP-MR and recipient alone, and
// TP-MR has 8 bits and is the modem's choice. So every attempt that may be
// reported on is remembered under (SIM, last digits of the recipient), and a
// report that finds no attempt is held for a while, since it may overtake the
// answer that it belongs to.

// Fate is what a delivery report says of its message.
type Fate string

// The fates; see the driver's outcomes of the same names.
const (
	FateDelivered     Fate = "delivered"
	FateTrying        Fate = "trying"
	FateUndeliverable Fate = "undeliverable"
	FateGaveUp        Fate = "gave_up"
)

// Report is a delivery report in the driver's words.
type Report struct {
	// IMSI of the SIM; Alias is what its attempts may be kept under instead,
	// since modems tell it late or never. One of the two may be "".
	IMSI, Alias string

	MR byte
	// Recipient is TP-RA's digits, perhaps without a country code.
	Recipient string
	// SCTS is when the service centre says that it took the message.
	SCTS time.Time
	// Status is TP-ST (TS 23.040 9.2.3.15), Fate what it means.
	Status byte
	Fate   Fate
}

// heldReport is a report that waits for its attempt. Its key is the time of
// its arrival and a random part, so that the oldest are dropped first; early
// finds it by what it is about.
type heldReport struct {
	Siblings []byte       `cbor:"1,keyasint"`
	MR       int          `cbor:"2,keyasint"`
	Status   byte         `cbor:"3,keyasint"`
	Fate     Fate         `cbor:"4,keyasint"`
	SCTS     storage.Time `cbor:"5,keyasint,omitempty"`
	// came is when it came, where that is now.
	came storage.Time
}

const (
	// scanHeld is how many of the reports on its SIM, recipient and reference
	// that came since an attempt began its settlement looks at.
	scanHeld = 16
	// dropHeld is how many reports one transaction drops within
	// storage.MaxKeys.
	dropHeld = 40
	// commonDigits is how many last digits all writings of a number share, with
	// and without country code or trunk prefix: no plan has shorter mobile
	// numbers (Falkland and Cook Islands, St Helena), and where they are
	// longer, SIM, TP-MR and SCTS tell apart what the digits don't.
	commonDigits = 5
)

// Reported applies a delivery report to the message that it is about. matched
// is false for one that found none, or one in the air: it is then held, under
// holdID, for the settlement that it may have overtaken.
func (q *Queue) Reported(tx storage.Tx, r Report, holdID ID) (out Outcome, matched bool, err error) {
	recipient := q.recipient(r.Recipient)
	key := q.siblingsKey(cmp.Or(r.IMSI, r.Alias), recipient)
	held := heldReport{
		Siblings: key, MR: int(r.MR), Status: r.Status, Fate: r.Fate, SCTS: storage.TimeOf(r.SCTS),
		came: storage.TimeOf(tx.Now()),
	}
	known, i, err := q.about(tx, key, held)
	if err == nil && i < 0 && r.IMSI != "" && r.Alias != "" {
		key = q.siblingsKey(r.Alias, recipient)
		if known, i, err = q.about(tx, key, held); i >= 0 {
			held.Siblings = key
		}
	}
	if err != nil {
		return Outcome{}, false, err
	}
	if i < 0 || known.Sent[i].Settled == 0 {
		return Outcome{}, false, q.hold(tx, held, holdID)
	}
	about := &known.Sent[i]
	if known.learn(i, held) {
		if err := q.siblings.Put(tx, key, known); err != nil {
			return Outcome{}, false, err
		}
	}
	id := ID(about.ID)
	m, err := q.Get(tx, id)
	if err != nil {
		return Outcome{}, false, err
	}
	before, arrivals := m.State, m.arrivals()
	q.apply(&m, about.Attempt, held, tx.Now())
	out, err = q.finish(tx, id, before, m, about.Attempt)
	out.Duplicate = arrivals < 2 && m.arrivals() > 1
	return out, err == nil, err
}

// Whose says which of the SIMs a report is of where the modem doesn't tell: the
// only one that has sent a message with its reference to its recipient; "" if
// there is none, or more. It reads a key for each SIM: it is for a View.
func (q *Queue) Whose(tx storage.Tx, r Report, sims []string) (imsi string, err error) {
	recipient := q.recipient(r.Recipient)
	for _, sim := range sims {
		known, _, err := q.siblings.Find(tx, q.siblingsKey(sim, recipient))
		if err != nil {
			return "", err
		}
		if !slices.ContainsFunc(known.Sent, func(s sentAttempt) bool { return s.MR == int(r.MR) }) {
			continue
		}
		if imsi != "" {
			return "", nil
		}
		imsi = sim
	}
	return imsi, nil
}

// about finds the attempt that a report is about among the siblings under the
// key; i is -1 if there is none.
func (q *Queue) about(tx storage.Tx, key []byte, r heldReport) (known siblings, i int, err error) {
	known, _, err = q.siblings.Find(tx, key)
	return known, match(known.Sent, r), err
}

// apply changes the message by a report on one of its attempts.
func (q *Queue) apply(m *Message, attempt int, r heldReport, now time.Time) {
	if attempt >= len(m.Attempts) {
		return
	}
	a := &m.Attempts[attempt]
	if r.Fate == FateTrying && a.Fate != "" && a.Fate != FateTrying || a.Fate == FateDelivered {
		return
	}
	a.Report, a.Fate, a.ReportAt = int(r.Status), r.Fate, storage.TimeOf(now)
	if a.MR < 0 {
		a.MR = r.MR
	}
	switch {
	case m.State == Sending:
		// The attempt in the air ends first; Settle looks at the reports.
	case r.Fate == FateDelivered:
		m.State = Delivered
	case r.Fate == FateTrying && m.waitsToMove():
		m.State = Accepted // the phone is off: no other operator reaches it
	case m.State != Accepted && m.State != Unconfirmed && !m.InDoubt():
	case r.Fate == FateTrying:
		if m.InDoubt() {
			m.State = Accepted
		}
	case m.mayStillArrive():
	case r.Fate == FateGaveUp && q.worthAnother(*m, now):
		m.State, m.Due = Queued, storage.TimeOf(now)
	default:
		m.State = Undelivered
	}
}

// InDoubt says whether the message waits for what becomes of an attempt in
// doubt, held or queued for its one re-send.
func (m *Message) InDoubt() bool {
	return m.State == Ambiguous || m.State == Queued && m.count(ResultAmbiguous) > 0
}

// mayStillArrive says whether an attempt was, or may have been, sent of which
// nothing final is known.
func (m *Message) mayStillArrive() bool {
	return slices.ContainsFunc(m.Attempts, func(a Attempt) bool {
		return a.Sent() && (a.Fate == "" || a.Fate == FateTrying)
	})
}

// worthAnother says whether a message that the service centre gave up may be
// sent once more.
func (q *Queue) worthAnother(m Message, now time.Time) bool {
	return m.Text != nil && !m.Withdrawn && m.sent() == 1 &&
		m.Expires.Time().Sub(now) >= q.policy.MinLife
}

// arrived says whether a report or the recipient proved an attempt delivered.
func (m *Message) arrived() bool {
	return slices.ContainsFunc(m.Attempts, func(a Attempt) bool {
		return a.Fate == FateDelivered || a.ByCode && a.Sent()
	})
}

// arrivals is how many attempts are reported as delivered.
func (m *Message) arrivals() int {
	n := 0
	for _, a := range m.Attempts {
		if a.Fate == FateDelivered {
			n++
		}
	}
	return n
}

// announce makes an attempt that begins known to report matching, where the
// report on it might else be taken for one on an earlier attempt.
func (q *Queue) announce(tx storage.Tx, id ID, m *Message) error {
	a := m.last()
	key := q.siblingsKey(a.IMSI, m.Recipient)
	known, found, err := q.siblings.Find(tx, key)
	if err != nil || !found {
		return err
	}
	known.Sent = append(known.Sent, sentAttempt{ID: id[:], Attempt: len(m.Attempts) - 1, MR: -1, Started: a.Started})
	return q.siblings.Put(tx, key, known)
}

// remember makes what has become of the newest attempt known to report matching,
// and applies a report that came before it.
func (q *Queue) remember(tx storage.Tx, id ID, m *Message) error {
	a := m.last()
	key := q.siblingsKey(a.IMSI, m.Recipient)
	known, _, err := q.siblings.Find(tx, key)
	if err != nil {
		return err
	}
	known.drop(id, len(m.Attempts)-1)
	known.Sent = append(known.Sent, sentAttempt{
		ID: id[:], Attempt: len(m.Attempts) - 1, MR: a.MR, Started: a.Started, Settled: a.Settled,
	})
	known.Sent = known.Sent[max(0, len(known.Sent)-keepSiblings):]
	return q.applyHeld(tx, key, known, len(known.Sent)-1, m)
}

// disown takes an attempt that was not sent out of report matching.
func (q *Queue) disown(tx storage.Tx, id ID, m Message, attempt int) error {
	key := q.siblingsKey(m.Attempts[attempt].IMSI, m.Recipient)
	known, _, err := q.siblings.Find(tx, key)
	if err != nil || !known.drop(id, attempt) {
		return err
	}
	if len(known.Sent) == 0 {
		return q.siblings.Delete(tx, key)
	}
	return q.siblings.Put(tx, key, known)
}

// drop takes an attempt out, and says whether it was there.
func (all *siblings) drop(id ID, attempt int) bool {
	before := len(all.Sent)
	all.Sent = slices.DeleteFunc(all.Sent, func(s sentAttempt) bool {
		return bytes.Equal(s.ID, id[:]) && s.Attempt == attempt
	})
	return len(all.Sent) < before
}

// applyHeld applies the held reports that are about one of the siblings, an
// attempt of m, and stores the siblings.
func (q *Queue) applyHeld(tx storage.Tx, key []byte, known siblings, at int, m *Message) error {
	about := &known.Sent[at]
	early, err := q.earlyOn(tx, key, *about)
	if err != nil {
		return err
	}
	for _, row := range early {
		report, found, err := q.held.Find(tx, row)
		if err != nil {
			return err
		}
		if !found || match(known.Sent, report) != at {
			continue
		}
		known.learn(at, report)
		q.apply(m, about.Attempt, report, tx.Now())
		if err := q.release(tx, row, report); err != nil {
			return err
		}
	}
	return q.siblings.Put(tx, key, known)
}

// earlyOn are the keys, in order of time, of held reports that may be about an
// attempt among the siblings under the key: those with its reference, or with
// any where it has none, that came since it began.
func (q *Queue) earlyOn(tx storage.Tx, key []byte, s sentAttempt) ([][]byte, error) {
	since := heldKey(s.Started.Time(), ID{})
	from, to, limit := key, storage.PrefixEnd(key), 2*scanHeld
	if s.MR >= 0 {
		from, to, limit = earlyKey(key, s.MR, since), storage.PrefixEnd(earlyKey(key, s.MR, nil)), scanHeld
	}
	rows, err := q.early.Scan(tx, from, to, limit)
	if err != nil {
		return nil, err
	}
	var found [][]byte
	for _, row := range rows {
		if held := row.Key[min(len(row.Key), len(key)+1):]; bytes.Compare(held, since) >= 0 {
			found = append(found, held)
		}
	}
	slices.SortFunc(found, bytes.Compare)
	return found[:min(len(found), scanHeld)], nil
}

// forget takes the message out of report matching.
func (q *Queue) forget(tx storage.Tx, id ID, m Message) error {
	seen := map[string]bool{}
	for _, a := range m.Attempts {
		if a.Result != "" && !a.Sent() || seen[a.IMSI] {
			continue
		}
		seen[a.IMSI] = true
		key := q.siblingsKey(a.IMSI, m.Recipient)
		known, found, err := q.siblings.Find(tx, key)
		if err != nil {
			return err
		}
		known.Sent = slices.DeleteFunc(known.Sent, func(s sentAttempt) bool { return bytes.Equal(s.ID, id[:]) })
		switch {
		case !found:
		case len(known.Sent) == 0:
			err = q.siblings.Delete(tx, key)
		default:
			err = q.siblings.Put(tx, key, known)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Dated says whether DropHeld has something to do.
func (q *Queue) Dated(tx storage.Tx) (bool, error) {
	held, err := q.held.Scan(tx, nil, q.heldUntil(tx), 1)
	return len(held) > 0, err
}

// DropHeld deletes up to limit held reports whose time is over, or as many as
// fit one transaction, and returns how many: they belong to no message of ours.
func (q *Queue) DropHeld(tx storage.Tx, limit int) (int, error) {
	rows, err := q.held.Scan(tx, nil, q.heldUntil(tx), min(limit, dropHeld))
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		if err := q.release(tx, row.Key, row.Value); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

// hold keeps a report for the settlement that it may have overtaken.
func (q *Queue) hold(tx storage.Tx, r heldReport, id ID) error {
	key := heldKey(tx.Now(), id)
	if err := q.early.Put(tx, earlyKey(r.Siblings, r.MR, key), struct{}{}); err != nil {
		return err
	}
	return q.held.Put(tx, key, r)
}

// release deletes a held report.
func (q *Queue) release(tx storage.Tx, key []byte, r heldReport) error {
	if err := q.early.Delete(tx, earlyKey(r.Siblings, r.MR, key)); err != nil {
		return err
	}
	return q.held.Delete(tx, key)
}

// heldUntil is the key that ends the held reports whose time is over.
func (q *Queue) heldUntil(tx storage.Tx) []byte {
	return heldKey(tx.Now().Add(-q.policy.ReportHold), ID{})
}

func heldKey(at time.Time, id ID) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(storage.TimeOf(at))), id[:]...)
}

// earlyKey is where early finds the report held under a key: by SIM, recipient
// and reference first, so that no other's reports are ever in its way.
func earlyKey(siblings []byte, mr int, held []byte) []byte {
	return slices.Concat(siblings, []byte{byte(mr)}, held) //nolint:gosec // 8 bits
}

// recipient is the token of what all writings of an address share.
func (q *Queue) recipient(address string) []byte {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, address)
	token := q.keys.Lookup("recipient", []byte(digits[max(0, len(digits)-commonDigits):]))
	return token[:]
}

func (q *Queue) siblingsKey(imsi string, recipient []byte) []byte {
	token := q.keys.Lookup("siblings", []byte(imsi), recipient)
	return token[:]
}
