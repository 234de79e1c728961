// Package ledger is what the gateway keeps to answer for: here, the trail of
// what operators did.
//
// It knows keys and storage, and nothing of modems and of what the actions
// mean: its entries name them by words.
//
// What always holds:
//
//   - An entry is durable when the transaction that it was recorded in is: it
//     stands if and only if what it tells of was done there.
//   - No entry is changed, and none is deleted before its retention is over.
//   - No two entries have the same time: their order is that of recording.
//   - An entry is bounded: texts that are too long are cut.
//   - What operators say in their own words is sealed.
package ledger

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"smsotpd/gateway/keyring"
	"smsotpd/storage"
)

// DefaultRetention is how long entries are kept unless the operator says
// otherwise: a year, and some more to look back over it.
const DefaultRetention = 400 * 24 * time.Hour

// Bounds on the texts of an Entry in bytes, and on how many details it has;
// what is longer is cut.
const (
	MaxText    = 256
	MaxDetails = 24
)

// What callers branch on.
var (
	// ErrBadID: the text is no entry's id.
	ErrBadID = errors.New("ledger: no such id")
	// errUnready: an entry that NewEntry did not make.
	errUnready = errors.New("ledger: an entry must be made by NewEntry")
)

// ID names an entry. Its order is that of recording, the newest first.
type ID [8]byte

// newID is the id of what is recorded at the given time.
func newID(at time.Time) ID { return storage.NewestKey(at) }

// at is when it was recorded.
func (id ID) at() time.Time { return storage.NewestTime(id) }

// String is the id in hex.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ParseID reads an ID, or answers ErrBadID.
func ParseID(s string) (ID, error) {
	var id ID
	if !storage.ParseKey(id[:], s) {
		return ID{}, ErrBadID
	}
	return id, nil
}

// Entry is one action of an operator. Make it with NewEntry, before the
// transaction that records it.
type Entry struct {
	// ID and At are set by Record.
	ID ID
	At time.Time
	// Actor is who did it, for people: the name of an API key or of a local
	// peer. ActorID is the key's id, or the peer's. Never a secret.
	Actor, ActorID string
	// Action is a stable word, as "modem.pause"; Subject is what it was done
	// to, as the modem's name.
	Action, Subject string
	// Detail is what else there is to say, by stable words.
	Detail map[string]string

	nonce keyring.Nonce
}

// NewEntry is an entry with all that is random in it.
func NewEntry() Entry { return Entry{nonce: keyring.NewNonce()} }

// record is an Entry as it is kept.
type record struct {
	ActorID string `cbor:"1,keyasint,omitempty"`
	Actor   string `cbor:"2,keyasint,omitempty"`
	Action  string `cbor:"3,keyasint,omitempty"`
	Subject string `cbor:"4,keyasint,omitempty"`
	// Detail is the sealed CBOR of the entry's; nil for none.
	Detail []byte `cbor:"5,keyasint,omitempty"`
}

// Trail keeps the entries. Its methods touch its own table only.
type Trail struct {
	keys    *keyring.Keyring
	entries storage.Table[record]
}

// NewTrail makes a Trail.
func NewTrail(keys *keyring.Keyring) *Trail {
	return &Trail{keys: keys, entries: storage.NewTable[record]("audit", 1)}
}

func (t *Trail) ref(id ID) keyring.Ref {
	return keyring.Ref{Table: t.entries.Name(), Key: id[:], Field: "detail"}
}

// Record keeps the entry, at the transaction's time or right after the newest
// one. An entry is recorded once.
func (t *Trail) Record(tx storage.Tx, e Entry) error {
	if e.nonce == (keyring.Nonce{}) {
		return errUnready
	}
	newest, err := t.List(tx, Range{Limit: 1})
	if err != nil {
		return err
	}
	at := tx.Now()
	if len(newest) > 0 && !at.After(newest[0].At) {
		at = newest[0].At.Add(time.Microsecond)
	}
	id := newID(at)
	rec := record{ActorID: cut(e.ActorID), Actor: cut(e.Actor), Action: cut(e.Action), Subject: cut(e.Subject)}
	if detail := bounded(e.Detail); len(detail) > 0 {
		plain, err := cbor.Marshal(detail)
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		rec.Detail = t.keys.SealNonce(e.nonce, t.ref(id), plain)
	}
	return t.entries.Put(tx, id[:], rec)
}

// cut is s within MaxText, as valid UTF-8.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= MaxText {
		return s
	}
	const mark = "…"
	return strings.ToValidUTF8(s[:MaxText-len(mark)], "") + mark
}

// bounded is the first MaxDetails of detail by name, none longer than MaxText.
func bounded(detail map[string]string) map[string]string {
	kept := make(map[string]string, len(detail))
	for _, name := range slices.Sorted(maps.Keys(detail)) {
		if len(kept) == MaxDetails {
			break
		}
		kept[cut(name)] = cut(detail[name])
	}
	return kept
}

// Range says which entries are asked for. A zero ID bounds nothing.
type Range struct {
	// After and Before leave only what was recorded after and before these.
	After, Before ID
	Limit         int
}

// List returns entries, the newest first. One whose details don't open any
// more has none.
func (t *Trail) List(tx storage.Tx, r Range) ([]Entry, error) {
	return storage.Newest(tx, t.entries, r.After[:], r.Before[:], r.Limit, t.entry)
}

func (t *Trail) entry(key []byte, rec record) Entry {
	id := ID(key)
	e := Entry{
		ID: id, At: id.at(),
		Actor: rec.Actor, ActorID: rec.ActorID, Action: rec.Action, Subject: rec.Subject,
	}
	if len(rec.Detail) == 0 {
		return e
	}
	if plain, err := t.keys.Unseal(t.ref(id), rec.Detail); err == nil {
		_ = cbor.Unmarshal(plain, &e.Detail) // what doesn't open says nothing
	}
	return e
}

// Dated says whether Drop has something to do.
func (t *Trail) Dated(tx storage.Tx, retention time.Duration) (bool, error) {
	rows, err := t.dated(tx, retention, 1)
	return len(rows) > 0, err
}

// Drop deletes up to limit entries that were kept for the retention, and
// returns how many.
func (t *Trail) Drop(tx storage.Tx, retention time.Duration, limit int) (int, error) {
	rows, err := t.dated(tx, retention, limit)
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		if err := t.entries.Delete(tx, row.Key); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

// dated are entries that are too old.
func (t *Trail) dated(tx storage.Tx, retention time.Duration, limit int) ([]storage.Row[record], error) {
	oldest := newID(tx.Now().Add(-retention))
	return t.entries.Scan(tx, oldest[:], nil, limit)
}
