package budget

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	"smsotpd/storage"
)

// contact is what is kept of one recipient in one month.
type contact struct {
	// SIMs have sent to it this month, the newest last.
	SIMs []string `cbor:"1,keyasint,omitempty"`
	// Before is the newest SIM of the month before.
	Before string `cbor:"2,keyasint,omitempty"`
	// At is when the newest SIM sent to it, not later than refreshed ago.
	At storage.Time `cbor:"3,keyasint,omitempty"`
	// Flows are the last seven, each with a type of its own, the one used last at
	// the end.
	Flows []flow `cbor:"4,keyasint,omitempty"`
}

type flow struct {
	ID   uint64 `cbor:"1,keyasint"`
	Type byte   `cbor:"2,keyasint"`
}

// Contact is what is known of the road to a recipient.
type Contact struct {
	// SIM is the newest that has sent to it, this month or the last; "" if none
	// has. At is when it did, exact to a day.
	SIM string
	At  time.Time
	// SIMs are all that have this month, the newest last.
	SIMs []string
	// Flow is the one that ReplaceType was last asked for, and Type its answer;
	// 0 if there was none.
	Flow uint64
	Type byte
}

const (
	// firstReplace is "replace short message type 1" of TP-PID (3GPP TS 23.040
	// 9.2.3.9); there are seven.
	firstReplace = 0x41
	replaceTypes = 7
	// refreshed is how old the time of a contact may be before it is written
	// anew.
	refreshed = 24 * time.Hour
	// dropContacts is how many contacts one transaction drops within
	// storage.MaxKeys.
	dropContacts = 90
)

func contactKey(month int, recipient []byte) []byte {
	key := strconv.AppendInt(make([]byte, 0, 7+len(recipient)), int64(month), 10)
	return append(append(key, '/'), recipient...)
}

// Contact is what is known of the road to the recipient.
func (l *Ledger) Contact(tx storage.Tx, recipient []byte) (Contact, error) {
	c, err := l.contact(tx, monthOf(l.day(tx.Now())), recipient)
	if err != nil {
		return Contact{}, err
	}
	known := Contact{SIM: c.newest(), At: c.At.Time(), SIMs: c.SIMs}
	if n := len(c.Flows); n > 0 {
		known.Flow, known.Type = c.Flows[n-1].ID, c.Flows[n-1].Type
	}
	return known, nil
}

// ReplaceType is the TP-PID, 0x41 to 0x47, that a message of the flow to the
// recipient carries: a handset keeps of those of one sender with the same type
// the newest alone. A flow keeps its type for as long as it is among the last
// seven to its recipient, so that it replaces its own messages and none of the
// six others; a new one gets that of the flow that is longest out of use.
func (l *Ledger) ReplaceType(tx storage.Tx, recipient []byte, id uint64) (byte, error) {
	month := monthOf(l.day(tx.Now()))
	c, err := l.contact(tx, month, recipient)
	if err != nil {
		return 0, err
	}
	n := len(c.Flows)
	i := slices.IndexFunc(c.Flows, func(f flow) bool { return f.ID == id })
	switch {
	case i >= 0 && i == n-1:
		return c.Flows[i].Type, nil
	case i >= 0:
	case n < replaceTypes:
		i = n
		c.Flows = append(c.Flows, flow{Type: byte(firstReplace + n)})
	default:
		i = 0
	}
	used := flow{ID: id, Type: c.Flows[i].Type}
	c.Flows = append(slices.Delete(c.Flows, i, i+1), used)
	return used.Type, l.contacts.Put(tx, contactKey(month, recipient), c)
}

// met remembers that the SIM has sent to the recipient, and says whether that
// is the first time in the month. What was known is not written again.
func (l *Ledger) met(tx storage.Tx, month int, charge Charge) (first bool, err error) {
	c, err := l.contact(tx, month, charge.Recipient)
	if err != nil {
		return false, err
	}
	now, i := tx.Now(), slices.Index(c.SIMs, charge.SIM)
	if i >= 0 && i == len(c.SIMs)-1 && now.Sub(c.At.Time()) <= refreshed {
		return false, nil
	}
	if i >= 0 {
		c.SIMs = slices.Delete(c.SIMs, i, i+1)
	}
	c.SIMs, c.Before, c.At = append(c.SIMs, charge.SIM), "", storage.TimeOf(now)
	return i < 0, l.contacts.Put(tx, contactKey(month, charge.Recipient), c)
}

// contact is the recipient's record of the month, or what goes on from the month
// before.
func (l *Ledger) contact(tx storage.Tx, month int, recipient []byte) (contact, error) {
	c, found, err := l.contacts.Find(tx, contactKey(month, recipient))
	if err != nil || found {
		return c, err
	}
	before, _, err := l.contacts.Find(tx, contactKey(monthBefore(month), recipient))
	c = contact{Flows: before.Flows}
	if n := len(before.SIMs); n > 0 {
		c.Before, c.At = before.SIMs[n-1], before.At
	}
	return c, err
}

func (c contact) newest() string {
	if n := len(c.SIMs); n > 0 {
		return c.SIMs[n-1]
	}
	return c.Before
}

// Dated says whether Drop has something to do.
func (l *Ledger) Dated(tx storage.Tx) (bool, error) {
	rows, err := l.contacts.Scan(tx, nil, l.contactsUntil(tx), 1)
	return len(rows) > 0, err
}

// Drop deletes up to limit contacts of months before the last one, or as many
// as fit one transaction, and returns how many.
func (l *Ledger) Drop(tx storage.Tx, limit int) (int, error) {
	return l.contacts.Drop(tx, l.contactsUntil(tx), min(limit, dropContacts))
}

// contactsUntil is the key that ends the contacts of months before the last one.
func (l *Ledger) contactsUntil(tx storage.Tx) []byte {
	return bytes.TrimSuffix(contactKey(monthBefore(monthOf(l.day(tx.Now()))), nil), []byte("/"))
}
