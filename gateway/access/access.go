// Package access says who calls: the holder of an API key, or a peer of the
// daemon's local socket, and what either may do.
//
// It knows keys, scopes and processes' users; nothing of HTTP and of what the
// scopes let one do.
//
// What always holds:
//
//   - The store holds a keyed hash of a key's secret, never the secret.
//   - A revoked key is refused within a second, and its hash is gone.
//   - An unknown key, a wrong secret and a revoked key are refused alike, in
//     equal time.
//   - While it can't be known which keys are live, none is accepted.
//   - No scope implies another.
//
// A key reads smsotp_ID_SECRET: ID is 12 and SECRET 26 characters of A–Z and
// 2–7 (RFC 4648 base32), 60 and 130 random bits.
package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"smsotpd/gateway/keyring"
	"smsotpd/storage"
)

// What callers branch on.
var (
	// ErrUnauthenticated: no live key, or no peer that may do anything.
	ErrUnauthenticated = errors.New("access: not authenticated")
	// ErrUnavailable: which keys are live is not known at present.
	ErrUnavailable = errors.New("access: the API keys can't be read at present")
	// ErrNotFound: there is no key of that id.
	ErrNotFound = errors.New("access: no such API key")
	// ErrInvalid: a name or scope that a key can't have.
	ErrInvalid = errors.New("access: invalid API key")
)

// Scope is something that a principal may do.
type Scope string

// The scopes; what each opens is said where it is asked for.
const (
	Verify   Scope = "verify"
	Check    Scope = "check"
	Messages Scope = "messages"
	Read     Scope = "read"
	Privacy  Scope = "privacy"
	Admin    Scope = "admin"
)

// Scopes are all scopes, in the order in which they are listed.
func Scopes() []Scope { return []Scope{Verify, Check, Messages, Read, Privacy, Admin} }

// Principal is an authenticated caller.
type Principal struct {
	// KeyID is stable and unique among principals: a key's id, or "local:"
	// and a user id.
	KeyID string
	// Name is for people.
	Name string
	// Scopes must not be changed.
	Scopes []Scope
}

// Can tells whether the principal has the scope itself.
func (p Principal) Can(s Scope) bool { return slices.Contains(p.Scopes, s) }

// Kind is how a key is presented.
type Kind string

// Bearer is a key that is one string, smsotp_ID_SECRET.
const Bearer Kind = "bearer"

// Key is what may be known of a key.
type Key struct {
	ID, Name string
	Kind     Kind
	Scopes   []Scope
	Created  time.Time
	// Revoked is zero while the key lives.
	Revoked time.Time
}

const (
	prefix       = "smsotp"
	idLength     = 12
	secretLength = 26
	maxName      = 64
	pageSize     = 256
)

// record is a key in the table, under its id.
type record struct {
	Name   string  `cbor:"1,keyasint,omitempty"`
	Kind   Kind    `cbor:"2,keyasint,omitempty"`
	Scopes []Scope `cbor:"3,keyasint,omitempty"`
	// MAC is secretMAC of the secret; empty once the key is revoked.
	MAC     []byte       `cbor:"4,keyasint,omitempty"`
	Created storage.Time `cbor:"5,keyasint,omitempty"`
	Revoked storage.Time `cbor:"6,keyasint,omitempty"`
}

func (r record) key(id []byte) Key {
	return Key{
		ID: string(id), Name: r.Name, Kind: r.Kind, Scopes: r.Scopes,
		Created: r.Created.Time(), Revoked: r.Revoked.Time(),
	}
}

func table() storage.Table[record] { return storage.NewTable[record]("apikey", 1) }

func secretMAC(keys *keyring.Keyring, kind Kind, id, secret string) [32]byte {
	return keys.APIKeyMAC([]byte(kind), []byte(id), []byte(secret))
}

// Add makes a live key and returns the secret string that its holder
// presents, which is told this once. Several keys may have one name, as while
// one replaces another. also, such as an entry in a trail, is part of the same
// transaction. Errors wrap ErrInvalid, or are the store's or those of also.
func Add(ctx context.Context, store storage.Store, keys *keyring.Keyring, name string, scopes []Scope, also ...Step) (string, Key, error) {
	if err := Validate(name, scopes); err != nil {
		return "", Key{}, err
	}
	id, secret := rand.Text()[:idLength], rand.Text()[:secretLength]
	mac := secretMAC(keys, Bearer, id, secret)
	rec := record{Name: name, Kind: Bearer, Scopes: inOrder(scopes), MAC: mac[:]}
	err := store.Update(ctx, func(tx storage.Tx) error {
		if _, taken, err := table().Find(tx, []byte(id)); err != nil || taken {
			return cmp.Or(err, fmt.Errorf("access: the random key id %s is taken; try again", id))
		}
		rec.Created = storage.TimeOf(tx.Now())
		if err := table().Put(tx, []byte(id), rec); err != nil {
			return err
		}
		return run(tx, rec.key([]byte(id)), also)
	})
	if err != nil {
		return "", Key{}, err
	}
	return strings.Join([]string{prefix, id, secret}, "_"), rec.key([]byte(id)), nil
}

// Step is something more to do in the transaction that changes the key.
type Step func(tx storage.Tx, k Key) error

func run(tx storage.Tx, k Key, steps []Step) error {
	for _, step := range steps {
		if err := step(tx, k); err != nil {
			return err
		}
	}
	return nil
}

// Validate says why there can be no key of that name and those scopes; errors
// wrap ErrInvalid.
func Validate(name string, scopes []Scope) error {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	switch {
	case name == "" || len(name) > maxName || strings.ContainsFunc(name, unprintable):
		return fmt.Errorf("%w: a name has 1 to %d bytes of printable characters", ErrInvalid, maxName)
	case len(scopes) == 0:
		return fmt.Errorf("%w: without a scope it could do nothing (scopes: %v)", ErrInvalid, Scopes())
	}
	for _, s := range scopes {
		if !slices.Contains(Scopes(), s) {
			return fmt.Errorf("%w: unknown scope %q (scopes: %v)", ErrInvalid, s, Scopes())
		}
	}
	return nil
}

// inOrder is scopes without repetitions in the order of Scopes.
func inOrder(scopes []Scope) []Scope {
	return slices.DeleteFunc(Scopes(), func(s Scope) bool { return !slices.Contains(scopes, s) })
}

// List returns all keys, the revoked ones too, oldest first.
func List(ctx context.Context, store storage.Store) ([]Key, error) {
	var list []Key
	err := store.View(ctx, func(tx storage.Tx) error {
		list = nil
		return each(tx, func(id []byte, r record) { list = append(list, r.key(id)) })
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b Key) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

func each(tx storage.Tx, do func(id []byte, r record)) error {
	var from []byte
	for {
		rows, err := table().Scan(tx, from, nil, pageSize)
		if err != nil {
			return err
		}
		for _, row := range rows {
			do(row.Key, row.Value)
		}
		if len(rows) < pageSize {
			return nil
		}
		from = append(slices.Clone(rows[len(rows)-1].Key), 0)
	}
}

// Revoke ends a key for good; to revoke it again changes nothing, and does nothing
// of also, which is as for Add. It answers ErrNotFound, or the store's error.
func Revoke(ctx context.Context, store storage.Store, id string, also ...Step) error {
	if id == "" {
		return ErrNotFound
	}
	return store.Update(storage.WithReserve(ctx), func(tx storage.Tx) error {
		rec, found, err := table().Find(tx, []byte(id))
		switch {
		case err != nil:
			return err
		case !found:
			return ErrNotFound
		case rec.Revoked != 0:
			return nil
		}
		rec.MAC, rec.Revoked = nil, storage.TimeOf(tx.Now())
		if err := table().Put(tx, []byte(id), rec); err != nil {
			return err
		}
		return run(tx, rec.key([]byte(id)), also)
	})
}
