package queue

import (
	"errors"
	"time"

	"smsotpd/storage"
)

// count is how many messages the network accepted from one SIM on one day.
type count struct {
	N int `cbor:"1,keyasint"`
}

// countDays is how many whole days of counts are kept.
const countDays = 2

func countKey(day time.Time, imsi string) []byte {
	return []byte(day.UTC().Format("20060102") + "/" + imsi)
}

func (q *Queue) countAccepted(tx storage.Tx, imsi string) error {
	key := countKey(tx.Now(), imsi)
	c, _, err := q.counts.Find(tx, key)
	if err != nil {
		return err
	}
	c.N++
	return q.counts.Put(tx, key, c)
}

// SentToday is how many messages the network accepted from the SIM since
// midnight UTC.
func (q *Queue) SentToday(tx storage.Tx, imsi string) (int, error) {
	c, err := q.counts.Get(tx, countKey(tx.Now(), imsi))
	if errors.Is(err, storage.ErrNotFound) {
		return 0, nil
	}
	return c.N, err
}

// DropCounts deletes up to limit counts of days gone by and returns how many.
func (q *Queue) DropCounts(tx storage.Tx, limit int) (int, error) {
	return q.counts.Drop(tx, countsUntil(tx), limit)
}

// countsUntil is the key that ends the counts of days gone by.
func countsUntil(tx storage.Tx) []byte { return countKey(tx.Now().AddDate(0, 0, -countDays), "") }
