package keyring

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// ErrKeysLost says that the state directory had keys that are gone now. What
// was sealed with them can't be read; restore them from a backup.
var ErrKeysLost = errors.New("keyring: keys are missing from the state directory")

// Names in the state directory. A database is any non-empty file there whose
// name ends in databaseSuffix.
const (
	keysDir        = "keys"
	epochsDir      = "epochs"
	databaseSuffix = ".db"
)

// The files of keysDir.
const (
	lookupKey   = "lookup"
	codesKey    = "codes"
	apiKeysKey  = "apikeys"
	sessionsKey = "sessions"
)

func keyNames() []string { return []string{lookupKey, codesKey, apiKeysKey, sessionsKey} }

// Keyring is the unwrapped keys of one state directory. Its methods may be
// called at once from many goroutines.
type Keyring struct {
	lookup, codes, apiKeys, sessions *macKey

	epochs  map[uint32]cipher.AEAD
	current uint32 // the highest epoch, under which all new values are sealed
}

// Open unwraps the keys in the state directory dir, which must exist.
//
// In a fresh directory it makes them first. Fresh is one without keys/ and
// without a database (a non-empty file *.db in dir), which has no epochs/
// either or one with epoch 1 alone, left by a creation that did not end. keys/ appears last and as
// a whole, so that a crash at any point leaves either a fresh directory or a
// complete one. Open therefore comes before the first opening of the database.
//
// Errors wrap ErrWrongMaster, ErrKeyDamaged, ErrKeysLost, ErrMasterFormat (the
// zero Master) or the file system's.
func Open(dir string, m Master) (*Keyring, error) {
	w, err := newWrapper(m)
	if err != nil {
		return nil, err
	}
	_, err = os.Stat(filepath.Join(dir, keysDir))
	if errors.Is(err, fs.ErrNotExist) {
		err = create(dir, w)
	}
	if err != nil {
		return nil, err
	}
	return load(dir, w)
}

// load reads all keys of dir.
func load(dir string, w *wrapper) (*Keyring, error) {
	k := new(Keyring)
	places := map[string]**macKey{
		lookupKey: &k.lookup, codesKey: &k.codes, apiKeysKey: &k.apiKeys, sessionsKey: &k.sessions,
	}
	for _, name := range keyNames() {
		key, err := w.read(filepath.Join(dir, keysDir), purposeKey, name)
		if err != nil {
			return nil, lost(err)
		}
		*places[name] = newMACKey(key)
	}
	if err := k.loadEpochs(filepath.Join(dir, epochsDir), w); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *Keyring) loadEpochs(dir string, w *wrapper) error {
	numbers, err := listEpochs(dir)
	if err != nil {
		return lost(err)
	}
	if len(numbers) == 0 {
		return fmt.Errorf("%w: %s is empty", ErrKeysLost, dir)
	}
	k.epochs = make(map[uint32]cipher.AEAD, len(numbers))
	for _, n := range numbers {
		key, err := w.read(dir, purposeEpoch, epochName(n))
		if err != nil {
			return lost(err)
		}
		if k.epochs[n], err = newAEAD(key); err != nil {
			return err
		}
		k.current = max(k.current, n)
	}
	return nil
}

func lost(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrKeysLost, err)
	}
	return err
}

func epochName(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// listEpochs returns the epochs that dir has a file for; names that are no
// epoch's are passed over.
func listEpochs(dir string) ([]uint32, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	var numbers []uint32
	for _, e := range entries {
		n, err := strconv.ParseUint(e.Name(), 10, 32)
		if err == nil && n > 0 && e.Name() == epochName(uint32(n)) {
			numbers = append(numbers, uint32(n))
		}
	}
	return numbers, nil
}

// ID names this keyring. A database that records it at its first opening and
// compares it at every later one notices when it meets other keys, as after a
// restore of the one without the other.
func (k *Keyring) ID() Token { return k.Lookup("keyring id") }
