package inbound

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"smsotpd/storage"
)

const (
	// together is how long after its first part the others of a message may
	// come.
	together = 24 * time.Hour
	// apart is how far the service centre's times of two parts of a message may
	// lie apart: its sender sends them in a row, however long they are on the
	// way. A reference comes round again after 256 messages, or at once where
	// the sender is started anew.
	apart = 3 * time.Hour
	// aside is how far they usually are: up to that, time doesn't tell which of
	// two messages a part is of.
	aside = 2 * time.Minute
	// again is how far apart the service centre may have taken a part and what
	// its sender sent again because nothing told it that it had been taken.
	again = 5 * time.Minute
	// openMost is how many messages with one reference may wait for parts.
	openMost = 4
)

// begun is a message that has parts, of which some may be missing.
type begun struct {
	id  ID
	rec record
	sec secret
}

// Keep stores the part, in the message that it belongs to, which then has a new
// id. It says whether it was new.
func (b *Book) Keep(tx storage.Tx, d Draft) (bool, error) {
	if _, known, err := b.seen.Find(tx, d.seen[:]); err != nil || known {
		return false, err
	}
	open, err := b.waiting(tx, d)
	if err != nil || slices.ContainsFunc(open, func(m begun) bool { return m.has(d.part) }) {
		return false, err
	}
	m, at := begun{}, joins(open, d.part)
	if at >= 0 {
		m = open[at]
		if err := b.messages.Delete(tx, m.id[:]); err != nil {
			return false, err
		}
		m.add(d.part)
	} else {
		m, at = first(d.part, storage.TimeOf(tx.Now())), len(open)
	}
	m.id = newID(tx.Now(), d.tail)
	m.rec.Seen = append(m.rec.Seen, d.seen.Bytes())
	plain, err := cbor.Marshal(m.sec)
	if err != nil {
		return false, fmt.Errorf("inbound: %w", err)
	}
	m.rec.Sealed = b.keys.SealNonce(d.nonce, b.ref(m.id), plain)
	if err := b.wait(tx, d, open, at, &m); err != nil {
		return false, err
	}
	if err := b.seen.Put(tx, d.seen[:], nil); err != nil {
		return false, err
	}
	return true, b.messages.Put(tx, m.id[:], m.rec)
}

// waiting are the messages that the part may be another one of, or the same one
// as before, in the order of their thread. One that doesn't open any more is
// none: the part must be kept all the same.
func (b *Book) waiting(tx storage.Tx, d Draft) ([]begun, error) {
	if d.part.Of == 0 {
		return nil, nil
	}
	keys, _, err := b.threads.Find(tx, d.thread[:])
	if err != nil {
		return nil, err
	}
	var open []begun
	for key := range slices.Chunk(keys, len(ID{})) {
		if len(key) != len(ID{}) {
			break
		}
		m := begun{id: ID(key)}
		known := false
		if m.rec, known, err = b.messages.Find(tx, key); err != nil {
			return nil, err
		}
		if !known || tx.Now().Sub(m.rec.Received.Time()) > together {
			continue
		}
		if m.sec, err = b.unseal(m.id, m.rec); err == nil {
			open = append(open, m)
		}
	}
	return open, nil
}

// joins is which of the open messages the part belongs to, -1 for none: one
// without a part of its number, that was sent when it was. Another text under
// the same number is of another message, which takes nothing from the first.
func joins(open []begun, p Part) int {
	at, least := -1, apart
	for i, m := range open {
		off := m.off(p)
		if off <= aside {
			off = 0
		}
		if !slices.Contains(m.rec.Numbers, p.Number) && (off < least || at < 0 && off == least) {
			at, least = i, off
		}
	}
	return at
}

// off is how far apart the service centre took the message and the part, 0 where
// it doesn't say.
func (m *begun) off(p Part) time.Duration {
	if m.rec.Sent == 0 || p.Sent.IsZero() {
		return 0
	}
	return m.rec.Sent.Time().Sub(p.Sent).Abs()
}

// has says whether the part has come before: then its sender sent it again, with
// another time stamp.
func (m *begun) has(p Part) bool {
	at := slices.Index(m.rec.Numbers, p.Number)
	return at >= 0 && at < len(m.sec.TPDUs) && m.off(p) <= again &&
		bytes.Equal(unstamped(m.sec.TPDUs[at]), unstamped(p.TPDU))
}

// unstamped is a TPDU without TP-SCTS, and without what lasting leaves out.
func unstamped(tpdu []byte) []byte {
	const stamp = 7
	if len(tpdu) < 2 {
		return tpdu
	}
	// First octet, TP-OA of as many semi-octets as it says, TP-PID, TP-DCS.
	at := 3 + (int(tpdu[1])+1)/2 + 2
	if len(tpdu) < at+stamp {
		return tpdu
	}
	return slices.Concat([]byte{tpdu[0] & own}, tpdu[1:at], tpdu[at+stamp:])
}

// first is the message that begins with the part.
func first(p Part, now storage.Time) begun {
	rec := record{
		Modem: p.Modem, Sent: storage.TimeOf(p.Sent), Received: now,
		Undecodable: p.Undecodable, Of: p.Of,
	}
	if p.Of > 0 {
		rec.Numbers = []int{p.Number}
	}
	return begun{rec: rec, sec: secret{From: p.From, TPDUs: [][]byte{p.TPDU}}}
}

// add puts the part in its place.
func (m *begun) add(p Part) {
	at, _ := slices.BinarySearch(m.rec.Numbers, p.Number)
	m.rec.Numbers = slices.Insert(m.rec.Numbers, at, p.Number)
	m.sec.TPDUs = slices.Insert(m.sec.TPDUs, at, p.TPDU)
}

// wait notes which messages wait for parts, now that m stands at the given
// place among the open ones. Where there are too many, those that are whole, and
// then the oldest, wait no longer.
func (b *Book) wait(tx storage.Tx, d Draft, open []begun, at int, m *begun) error {
	if d.part.Of == 0 {
		return nil
	}
	m.rec.Thread = d.thread.Bytes()
	var whole, keys []byte
	for i := range max(len(open), at+1) {
		one := m
		if i != at {
			one = &open[i]
		}
		if len(one.rec.Numbers) == one.rec.Of {
			whole = append(whole, one.id[:]...)
		} else {
			keys = append(keys, one.id[:]...)
		}
	}
	keys = append(whole, keys...)
	return b.put(tx, d.thread[:], keys[max(0, len(keys)-openMost*len(m.id)):])
}

// leave takes a message out of its thread, where it may be no more.
func (b *Book) leave(tx storage.Tx, thread, message []byte) error {
	if thread == nil {
		return nil
	}
	keys, _, err := b.threads.Find(tx, thread)
	if err != nil {
		return err
	}
	var left []byte
	for key := range slices.Chunk(keys, len(ID{})) {
		if !bytes.Equal(key, message) {
			left = append(left, key...)
		}
	}
	if len(left) == len(keys) {
		return nil
	}
	return b.put(tx, thread, left)
}

// put stores the messages of a thread, if it has any.
func (b *Book) put(tx storage.Tx, thread, keys []byte) error {
	if len(keys) == 0 {
		return b.threads.Delete(tx, thread)
	}
	return b.threads.Put(tx, thread, keys)
}
