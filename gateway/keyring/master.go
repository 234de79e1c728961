package keyring

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// What ReadMaster and Init refuse. A missing file is fs.ErrNotExist.
var (
	// ErrMasterExists: Init never overwrites.
	ErrMasterExists = errors.New("keyring: the master key file exists already")
	// ErrMasterFormat: the file is no master key file.
	ErrMasterFormat = errors.New("keyring: not a master key file")
	// ErrMasterDamaged: the file's checksum doesn't match its key.
	ErrMasterDamaged = errors.New("keyring: the master key is damaged or mistyped")
	// ErrMasterExposed: others than the file's owner may read or change it.
	ErrMasterExposed = errors.New("keyring: the master key file is open to other users")
)

const (
	keySize       = 32
	masterPrefix  = "smsotpd-master-key-1:"
	masterIDInfo  = "smsotpd master id 1"
	masterIDSize  = 8
	checksumSize  = 4
	masterMaxFile = 256
)

// Master is the key that wraps all others. Its zero value is no key.
//
// The key is behind a pointer so that no verb of fmt and no reflection over
// the value reaches it.
type Master struct{ key *[keySize]byte }

const redacted = "[redacted]"

// String keeps the key out of all output.
func (Master) String() string { return redacted }

// Format keeps the key out of all output.
func (Master) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue keeps the key out of logs.
func (Master) LogValue() slog.Value { return slog.StringValue(redacted) }

// id names the master in the files that it wraps.
func (m Master) id() ([]byte, error) {
	return hkdf.Key(sha256.New, m.key[:], nil, masterIDInfo, masterIDSize)
}

// Init writes a new random master key to a new file at path with mode 0600,
// and returns when it is durable. It answers ErrMasterExists if there is
// anything at path.
func Init(path string) (err error) {
	var key [keySize]byte
	_, _ = rand.Read(key[:]) // never fails: it ends the process first
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s", ErrMasterExists, path)
	}
	if err != nil {
		return fmt.Errorf("keyring: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(path)
		}
	}()
	if err := writeSync(f, formatMaster(key)); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// ReadMaster reads the master key file at path. It must be a regular file that
// only its owner can read, unless it lies in the directory that systemd names
// in $CREDENTIALS_DIRECTORY, where access is governed by ACLs that the mode
// bits don't show. Errors wrap ErrMasterFormat, ErrMasterDamaged,
// ErrMasterExposed or the file system's.
func ReadMaster(path string) (Master, error) {
	// O_NONBLOCK: opening a FIFO must not hang before it is refused.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return Master{}, fmt.Errorf("keyring: master key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return Master{}, fmt.Errorf("keyring: master key: %w", err)
	case !info.Mode().IsRegular():
		return Master{}, fmt.Errorf("%w: %s is no regular file", ErrMasterFormat, path)
	case info.Mode().Perm()&0o077 != 0 && !within(os.Getenv("CREDENTIALS_DIRECTORY"), path):
		return Master{}, fmt.Errorf("%w: %s has mode %04o, chmod it to 0600", ErrMasterExposed, path, info.Mode().Perm())
	}
	raw, err := io.ReadAll(io.LimitReader(f, masterMaxFile))
	if err != nil {
		return Master{}, fmt.Errorf("keyring: master key: %w", err)
	}
	m, err := parseMaster(string(raw))
	if err != nil {
		return Master{}, fmt.Errorf("%w: %s", err, path)
	}
	return m, nil
}

func formatMaster(key [keySize]byte) []byte {
	body := append(key[:], checksum(key)...)
	return []byte(masterPrefix + base64.RawURLEncoding.EncodeToString(body) + "\n")
}

func parseMaster(text string) (Master, error) {
	body, ok := strings.CutPrefix(strings.TrimSuffix(text, "\n"), masterPrefix)
	if !ok || len(body) != base64.RawURLEncoding.EncodedLen(keySize+checksumSize) {
		return Master{}, ErrMasterFormat
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil || len(raw) != keySize+checksumSize {
		return Master{}, ErrMasterFormat
	}
	key := [keySize]byte(raw)
	if subtle.ConstantTimeCompare(raw[keySize:], checksum(key)) != 1 {
		return Master{}, ErrMasterDamaged
	}
	return Master{key: &key}, nil
}

func checksum(key [keySize]byte) []byte {
	sum := sha256.Sum256(append([]byte(masterPrefix), key[:]...))
	return sum[:checksumSize]
}

// within tells whether path lies below dir; nothing lies below "".
func within(dir, path string) bool {
	if dir == "" {
		return false
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(dir, abs)
	return err == nil && filepath.IsLocal(rel)
}
