package access

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"smsotpd/gateway/keyring"
	"smsotpd/storage"
)

// reloadPause lies between tries to read keys that could not be read.
const reloadPause = time.Second

// Authenticator knows the live keys without asking the store, and follows
// their changes while Run runs. Its methods may be called at once from many
// goroutines.
type Authenticator struct {
	store storage.Store
	keys  *keyring.Keyring
	log   *slog.Logger
	// live are the live keys by id; nil while they are not known.
	live atomic.Pointer[map[string]credential]
}

type credential struct {
	kind      Kind
	mac       [32]byte
	principal Principal
}

// NewAuthenticator reads the live keys. Changes are seen once Run runs.
func NewAuthenticator(ctx context.Context, store storage.Store, keys *keyring.Keyring, log *slog.Logger) (*Authenticator, error) {
	a := &Authenticator{store: store, keys: keys, log: log}
	return a, a.load(ctx)
}

// Run follows the changes of the keys until ctx ends; then no key is accepted
// any more. Nor is one while changes can't be read.
func (a *Authenticator) Run(ctx context.Context) error {
	defer a.live.Store(nil)
	changes := a.store.Watch(ctx, table().Prefix()) // before the load: no change falls between
	for {
		wait := changes
		var retry <-chan time.Time
		if err := a.load(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("the API keys can't be read; no request is let in", "error", err)
			wait, retry = nil, time.After(reloadPause)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-retry:
		case _, ok := <-wait:
			if !ok && ctx.Err() == nil {
				return errors.New("access: the store ended the watch over the API keys")
			}
		}
	}
}

// load replaces the live keys by the store's, or by none if they can't be
// read.
func (a *Authenticator) load(ctx context.Context) error {
	var live map[string]credential
	err := a.store.View(ctx, func(tx storage.Tx) error {
		live = make(map[string]credential)
		return each(tx, func(id []byte, r record) {
			if r.Revoked != 0 || len(r.MAC) != len(credential{}.mac) {
				return
			}
			live[string(id)] = credential{
				kind: r.Kind, mac: [32]byte(r.MAC),
				principal: Principal{KeyID: string(id), Name: r.Name, Scopes: r.Scopes},
			}
		})
	})
	if err != nil {
		a.live.Store(nil)
		return err
	}
	a.live.Store(&live)
	return nil
}

// Authenticate returns the holder of a presented bearer key,
// ErrUnauthenticated or ErrUnavailable.
func (a *Authenticator) Authenticate(_ context.Context, key string) (Principal, error) {
	rest, ok := strings.CutPrefix(key, prefix+"_")
	id, secret, cut := strings.Cut(rest, "_")
	if !ok || !cut || len(id) != idLength || len(secret) != secretLength {
		return Principal{}, ErrUnauthenticated
	}
	return a.check(Bearer, id, secret)
}

// check spends the same time on an unknown id as on a wrong secret.
func (a *Authenticator) check(kind Kind, id, secret string) (Principal, error) {
	live := a.live.Load()
	if live == nil {
		return Principal{}, ErrUnavailable
	}
	known, found := (*live)[id]
	presented := secretMAC(a.keys, kind, id, secret)
	equal := subtle.ConstantTimeCompare(known.mac[:], presented[:]) == 1
	if !found || !equal || known.kind != kind {
		return Principal{}, ErrUnauthenticated
	}
	return known.principal, nil
}
