package keyring

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrSealed says that a value can't be unsealed: it was changed, was sealed for
// another Ref or by another keyring, or its epoch was destroyed.
var ErrSealed = errors.New("keyring: the sealed value does not open")

const (
	sealVersion = 1
	epochSize   = 4
	nonceSize   = 12
	tagSize     = 16
	sealHeader  = 1 + epochSize
	lengthSize  = 4
)

// SealOverhead is how many bytes a sealed value is longer than its plaintext.
const SealOverhead = sealHeader + nonceSize + tagSize

// Nonce makes one sealed value differ from every other. It may be used for one
// Ref only, and only one of the values sealed with it may be kept.
type Nonce [nonceSize]byte

// NewNonce returns a random nonce.
func NewNonce() Nonce {
	var n Nonce
	_, _ = rand.Read(n[:]) // never fails: it ends the process first
	return n
}

// Ref is the place that a sealed value belongs to; in any other it won't open.
type Ref struct {
	// Table is the name of the record's table.
	Table string
	// Key is the record's key in it.
	Key []byte
	// Field is the name of the field in the record.
	Field string
}

// aad is the header of the sealed value, and r with length prefixes.
func (r Ref) aad(header []byte) []byte {
	b := make([]byte, 0, len(header)+3*lengthSize+len(r.Table)+len(r.Key)+len(r.Field))
	b = append(b, header...)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(r.Table))), r.Table...)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(r.Key))), r.Key...)
	return append(binary.BigEndian.AppendUint32(b, uint32(len(r.Field))), r.Field...)
}

// Seal encrypts plaintext under the current epoch so that it opens only for
// ref. The result is SealOverhead bytes longer than plaintext.
func (k *Keyring) Seal(ref Ref, plaintext []byte) []byte {
	return k.SealNonce(NewNonce(), ref, plaintext)
}

// SealNonce is Seal for a transaction's closure, which may run more than once
// and must not be random: nonce is made before it, and is used for nothing
// else. Of the values that the runs seal, only the committed one is kept.
func (k *Keyring) SealNonce(nonce Nonce, ref Ref, plaintext []byte) []byte {
	out := make([]byte, 0, SealOverhead+len(plaintext))
	out = binary.BigEndian.AppendUint32(append(out, sealVersion), k.current)
	aad := ref.aad(out)
	out = append(out, nonce[:]...)
	return k.epochs[k.current].Seal(out, out[sealHeader:], plaintext, aad)
}

// Unseal decrypts what Seal made for the same ref, under the current or any
// earlier epoch, or answers ErrSealed.
func (k *Keyring) Unseal(ref Ref, sealed []byte) ([]byte, error) {
	if len(sealed) < SealOverhead || sealed[0] != sealVersion {
		return nil, ErrSealed
	}
	header, body := sealed[:sealHeader], sealed[sealHeader:]
	epoch, ok := k.epochs[binary.BigEndian.Uint32(header[1:])]
	if !ok {
		return nil, fmt.Errorf("%w: no key of its epoch", ErrSealed)
	}
	plaintext, err := epoch.Open(nil, body[:nonceSize], body[nonceSize:], ref.aad(header))
	if err != nil {
		return nil, ErrSealed
	}
	return plaintext, nil
}
