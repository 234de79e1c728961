package gateway

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"smsotpd/gateway/keyring"
	"smsotpd/storage"
)

// replies keeps the replies to requests that carried an idempotency key, for
// 24 hours, so that a repeated request gets the same one and does nothing. A
// reply is written in the transaction of the request that it answers; since
// transactions are serializable, a replay that runs at the same time waits for
// the first.
//
// Records lie in buckets of a day, so that old ones are found without reading
// the rest.
type replies struct {
	keys  *keyring.Keyring
	table storage.Table[storedReply]
	// beat is written by readiness probes alone.
	beat storage.Table[beat]
}

type storedReply struct {
	// Fingerprint is the keyed hash of the request's body.
	Fingerprint []byte `cbor:"1,keyasint"`
	// Reply is sealed JSON, which keeps times as exact as they were told.
	Reply []byte       `cbor:"2,keyasint"`
	At    storage.Time `cbor:"3,keyasint"`
}

type beat struct {
	At storage.Time `cbor:"1,keyasint"`
}

const keepReplies = 24 * time.Hour

func newReplies(keys *keyring.Keyring) *replies {
	return &replies{
		keys:  keys,
		table: storage.NewTable[storedReply]("reply", 1),
		beat:  storage.NewTable[beat]("beat", 1),
	}
}

// expected is where the reply to one request will lie; nil without an
// idempotency key.
type expected struct {
	token       keyring.Token
	fingerprint keyring.Token
	nonce       keyring.Nonce
}

// expect prepares for the request; route and id name the operation and what it
// is about.
func (r *replies) expect(call Call, route, id string) (*expected, error) {
	if call.IdempotencyKey == "" {
		return nil, nil //nolint:nilnil // nil stands for "none", as said above
	}
	if len(call.IdempotencyKey) > 255 {
		return nil, invalid("Idempotency-Key", "An idempotency key has at most 255 characters.")
	}
	return &expected{
		token:       r.keys.Lookup("reply", []byte(call.Caller), []byte(route), []byte(id), []byte(call.IdempotencyKey)),
		fingerprint: r.keys.Lookup("request", call.Body),
		nonce:       keyring.NewNonce(),
	}, nil
}

func bucket(t time.Time) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(t.Unix()/int64(keepReplies/time.Second))) //nolint:gosec // days since 1970
}

// replay reads the reply of an earlier request into out, and says whether there
// was one. The same key with another body is refused.
func (r *replies) replay(tx storage.Tx, e *expected, out any) (bool, error) {
	if e == nil {
		return false, nil
	}
	now := tx.Now()
	for _, day := range []time.Time{now, now.Add(-keepReplies)} {
		key := append(bucket(day), e.token[:]...)
		stored, known, err := r.table.Find(tx, key)
		if err != nil {
			return false, err
		}
		if !known || now.Sub(stored.At.Time()) > keepReplies {
			continue
		}
		if !bytes.Equal(stored.Fingerprint, e.fingerprint[:]) {
			return false, &Error{
				Kind: Mismatch, Code: CodeIdempotency, Field: "Idempotency-Key",
				Message: "This idempotency key was used for another request.",
			}
		}
		plain, err := r.keys.Unseal(r.ref(e), stored.Reply)
		if err != nil {
			return false, fmt.Errorf("a kept reply: %w", err)
		}
		return true, json.Unmarshal(plain, out)
	}
	return false, nil
}

// keep stores the reply for replays.
func (r *replies) keep(tx storage.Tx, e *expected, reply any) error {
	if e == nil {
		return nil
	}
	plain, err := json.Marshal(reply)
	if err != nil {
		return fmt.Errorf("a reply to keep: %w", err)
	}
	now := tx.Now()
	return r.table.Put(tx, append(bucket(now), e.token[:]...), storedReply{
		Fingerprint: e.fingerprint[:], At: storage.TimeOf(now),
		Reply: r.keys.SealNonce(e.nonce, r.ref(e), plain),
	})
}

func (r *replies) ref(e *expected) keyring.Ref {
	return keyring.Ref{Table: r.table.Name(), Key: e.token[:], Field: "reply"}
}

// dated says whether drop has something to do.
func (r *replies) dated(tx storage.Tx) (bool, error) {
	rows, err := r.table.Scan(tx, nil, r.until(tx), 1)
	return len(rows) > 0, err
}

// drop deletes up to limit replies that are too old, and returns how many.
func (r *replies) drop(tx storage.Tx, limit int) (int, error) {
	return r.table.Drop(tx, r.until(tx), limit)
}

// until is the key that ends the replies that are too old.
func (r *replies) until(tx storage.Tx) []byte { return bucket(tx.Now().Add(-keepReplies)) }

// probeWrites is at least as many records as a start writes: a store that has
// room for fewer is not ready.
const probeWrites = 8

// probe writes what nobody reads, to see whether the store takes new work.
func (r *replies) probe(tx storage.Tx) error {
	now := beat{At: storage.TimeOf(tx.Now())}
	for i := range byte(probeWrites) {
		if err := r.beat.Put(tx, []byte{'0' + i}, now); err != nil {
			return err
		}
	}
	return nil
}
