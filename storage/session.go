package storage

import (
	"errors"
)

// sessions holds one key for each process that lives; engines see to it that a
// key disappears when its process is gone.
var sessions = []byte("!session/")

// Alive says whether the process that Store.Session named session still lives.
func Alive(tx Tx, session string) (bool, error) {
	_, err := tx.Get(SessionKey(session))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// SessionKey is the reserved key that an engine keeps while session lives.
func SessionKey(session string) []byte {
	return append(sessions[:len(sessions):len(sessions)], session...)
}

// Sessions is the prefix of all SessionKeys.
func Sessions() []byte { return append([]byte(nil), sessions...) }
