package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// What a wrapped key file can be refused for.
var (
	// ErrWrongMaster: the keys were wrapped under another master key.
	ErrWrongMaster = errors.New("keyring: another master key wrapped these keys")
	// ErrKeyDamaged: a key file is not what was written, or not where.
	ErrKeyDamaged = errors.New("keyring: a key file is damaged")
)

const (
	wrapMagic   = "SMSOTPDK"
	wrapVersion = 1
	wrapHeader  = len(wrapMagic) + 2 + masterIDSize
	wrapSize    = wrapHeader + nonceSize + keySize + tagSize
)

// purpose is what a wrapped key serves, as its file says.
type purpose byte

const (
	purposeKey   purpose = 1
	purposeEpoch purpose = 2
)

// wrapper wraps and unwraps keys under one master.
type wrapper struct {
	id   []byte
	aead cipher.AEAD
}

func newWrapper(m Master) (*wrapper, error) {
	if m.key == nil {
		return nil, ErrMasterFormat
	}
	id, err := m.id()
	if err != nil {
		return nil, fmt.Errorf("keyring: master id: %w", err)
	}
	aead, err := newAEAD(m.key[:])
	if err != nil {
		return nil, err
	}
	return &wrapper{id: id, aead: aead}, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	return aead, nil
}

func (w *wrapper) header(p purpose) []byte {
	h := append(make([]byte, 0, wrapSize), wrapMagic...)
	return append(append(h, wrapVersion, byte(p)), w.id...)
}

// newKeys makes a random key for each name and returns its file's content.
func (w *wrapper) newKeys(p purpose, names ...string) map[string][]byte {
	files := make(map[string][]byte, len(names))
	for _, name := range names {
		files[name] = w.newKey(p, name)
	}
	return files
}

func (w *wrapper) newKey(p purpose, name string) []byte {
	var key [keySize]byte
	_, _ = rand.Read(key[:]) // never fails: it ends the process first
	header, nonce := w.header(p), NewNonce()
	aad := append(bytes.Clone(header), name...)
	return w.aead.Seal(append(header, nonce[:]...), nonce[:], key[:], aad)
}

// read unwraps the key in the file called name in dir.
func (w *wrapper) read(dir string, p purpose, name string) ([]byte, error) {
	path := filepath.Join(dir, name)
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	header := w.header(p)
	idAt := len(header) - masterIDSize
	switch {
	case len(raw) != wrapSize || !bytes.Equal(raw[:idAt], header[:idAt]):
		return nil, fmt.Errorf("%w: %s", ErrKeyDamaged, path)
	case !bytes.Equal(raw[idAt:len(header)], w.id):
		return nil, fmt.Errorf("%w: %s", ErrWrongMaster, path)
	}
	aad := append(bytes.Clone(header), name...)
	key, err := w.aead.Open(nil, raw[wrapHeader:wrapHeader+nonceSize], raw[wrapHeader+nonceSize:], aad)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrKeyDamaged, path)
	}
	return key, nil
}
