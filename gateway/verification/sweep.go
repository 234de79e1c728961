package verification

import (
	"encoding/binary"
	"fmt"
	"time"

	"smsotpd/storage"
)

// Every verification has one entry in the table of deadlines, keyed by time:
// first the end of its life, then the end of its retention.

func deadlineKey(at storage.Time, id ID) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(at)), id[:]...)
}

// Deadline is a verification whose life or retention is over.
type Deadline struct {
	At time.Time
	ID ID
}

// Deadlines returns up to limit deadlines in order of time, due or not.
func (b *Book) Deadlines(tx storage.Tx, limit int) ([]Deadline, error) {
	rows, err := b.deadlines.Scan(tx, nil, nil, limit)
	if err != nil {
		return nil, err
	}
	due := make([]Deadline, 0, len(rows))
	for _, row := range rows {
		if len(row.Key) != 8+len(ID{}) {
			return nil, fmt.Errorf("%w: deadline key of %d bytes", storage.ErrForeign, len(row.Key))
		}
		due = append(due, Deadline{
			At: storage.Time(binary.BigEndian.Uint64(row.Key)).Time(),
			ID: ID(row.Key[8:]),
		})
	}
	return due, nil
}

// Mature acts on a due deadline: a pending verification expires and gets the
// deadline of its retention; one whose retention is over is deleted. It
// returns the record as it was left, and whether it is gone; the caller then
// deletes what hangs on it.
func (b *Book) Mature(tx storage.Tx, d Deadline, p Policy) (rec Record, gone bool, err error) {
	if tx.Now().Before(d.At) {
		return Record{}, false, nil
	}
	if err := b.deadlines.Delete(tx, deadlineKey(storage.TimeOf(d.At), d.ID)); err != nil {
		return Record{}, false, err
	}
	rec, known, err := b.records.Find(tx, d.ID[:])
	if err != nil || !known {
		return Record{}, false, err
	}
	if rec.State == Pending {
		if rec, err = b.End(tx, d.ID, rec, Expired); err != nil {
			return Record{}, false, err
		}
	}
	keep := rec.Ended.Time().Add(p.Retention)
	if tx.Now().Before(keep) {
		return rec, false, b.deadlines.Put(tx, deadlineKey(storage.TimeOf(keep), d.ID), struct{}{})
	}
	if rec.Subject != nil {
		memory, known, err := b.subjects.Find(tx, rec.Subject)
		if err != nil {
			return Record{}, false, err
		}
		if known && ID(memory.ID) == d.ID {
			if err := b.subjects.Delete(tx, rec.Subject); err != nil {
				return Record{}, false, err
			}
		}
	}
	return rec, true, b.records.Delete(tx, d.ID[:])
}

// Pass drops a deadline that Mature can't act on, so that the later ones are
// reached; the record stays as it is.
func (b *Book) Pass(tx storage.Tx, d Deadline) error {
	return b.deadlines.Delete(tx, deadlineKey(storage.TimeOf(d.At), d.ID))
}
