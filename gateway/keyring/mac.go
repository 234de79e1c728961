package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"sync"
)

// Token stands for a secret value, such as a phone number, where records are
// found by it: equal values have equal tokens, and without the key nothing can
// be learned of the value. 128 bits keep two values among 10^9 apart with
// probability 1 - 10^-20, and take half of a whole HMAC's room in every key.
type Token [16]byte

// Bytes is the token as part of a record's key.
func (t Token) Bytes() []byte { return t[:] }

// String keeps the token, a pseudonym, out of all output.
func (Token) String() string { return redacted }

// Format keeps the token out of all output.
func (Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue keeps the token out of logs.
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// Lookup is the token of parts under label, which says what they are
// ("number", "address", …): the same parts under another label, or split
// otherwise, have another token.
func (k *Keyring) Lookup(label string, parts ...[]byte) Token {
	sum := k.lookup.sum(append([][]byte{[]byte(label)}, parts...))
	return Token(sum[:len(Token{})])
}

// CodeMAC is what is stored of a verification code, and what a check compares.
func (k *Keyring) CodeMAC(parts ...[]byte) [32]byte { return k.codes.sum(parts) }

// APIKeyMAC is what is stored of an API key's secret.
func (k *Keyring) APIKeyMAC(parts ...[]byte) [32]byte { return k.apiKeys.sum(parts) }

// SessionMAC is what is stored of a console session's secret.
func (k *Keyring) SessionMAC(parts ...[]byte) [32]byte { return k.sessions.sum(parts) }

// macKey computes HMACs under one key without setting the key up each time.
type macKey struct{ pool sync.Pool }

type mac struct {
	hash.Hash
	length [lengthSize]byte
	sum    [sha256.Size]byte
}

func newMACKey(key []byte) *macKey {
	return &macKey{pool: sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, key)} }}}
}

func (k *macKey) sum(parts [][]byte) [sha256.Size]byte {
	m := k.pool.Get().(*mac)
	defer k.pool.Put(m)
	m.Reset()
	for _, p := range parts {
		binary.BigEndian.PutUint32(m.length[:], uint32(len(p)))
		m.Write(m.length[:])
		m.Write(p)
	}
	m.Sum(m.sum[:0])
	return m.sum
}
