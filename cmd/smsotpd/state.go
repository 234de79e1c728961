package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"smsotpd/gateway/keyring"
	"smsotpd/storage"
	"smsotpd/storage/bolt"
)

// databaseName is the database in the state directory.
const databaseName = "smsotpd.db"

// state is an opened state directory: nobody else has it while it is open.
type state struct {
	store *bolt.Store
	keys  *keyring.Keyring
}

// openState opens the state directory, which it makes if it is missing, and
// the database in it as options say; their Path is filled in here.
func openState(ctx context.Context, config Config, options bolt.Options) (*state, error) {
	master, err := keyring.ReadMaster(config.KeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, configf("%w; make one with: smsotpd keys init --key-file %s", err, config.KeyFile)
	}
	if err != nil {
		return nil, &kindError{errConfig, err}
	}
	if err := os.MkdirAll(config.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	keys, err := keyring.Open(config.StateDir, master)
	if errors.Is(err, keyring.ErrWrongMaster) {
		return nil, configf("%w: %s is not the key of %s; give the one that it was made with by --key-file, or another --state-dir", err, config.KeyFile, config.StateDir)
	}
	if err != nil {
		return nil, err
	}
	options.Path = filepath.Join(config.StateDir, databaseName)
	options.MaxSize = int64(config.MaxStoreSize)
	options.ResetClock = config.ResetClock
	store, err := bolt.Open(options)
	if errors.Is(err, storage.ErrClock) {
		return nil, fmt.Errorf("%w: smsotpd serve --%s", err, resetClockFlag)
	}
	if errors.Is(err, storage.ErrLocked) {
		return nil, fmt.Errorf("another smsotpd uses the state directory %s; stop it first, or give this one a directory of its own: %w", config.StateDir, err)
	}
	if err != nil {
		return nil, err
	}
	if err := matchKeys(ctx, store, keys); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", options.Path, err), store.Close())
	}
	return &state{store: store, keys: keys}, nil
}

// errOtherKeys: nothing in the database could be read or found.
var errOtherKeys = errors.New("the database was written with other keys than those beside it; restore both from the same backup")

// keysOf is the database's record of the keyring that its records are sealed
// with.
type keysOf struct {
	ID []byte `cbor:"1,keyasint"`
}

// matchKeys notes in a new database which keyring it belongs to, and refuses
// one that belongs to another.
func matchKeys(ctx context.Context, store storage.Store, keys *keyring.Keyring) error {
	table, key := storage.NewTable[keysOf]("keyring", 1), []byte("id")
	id := keys.ID()
	return store.Update(storage.WithReserve(ctx), func(tx storage.Tx) error {
		noted, known, err := table.Find(tx, key)
		switch {
		case err != nil:
			return err
		case !known:
			return table.Put(tx, key, keysOf{ID: id.Bytes()})
		case !bytes.Equal(noted.ID, id.Bytes()):
			return &kindError{errConfig, errOtherKeys}
		}
		return nil
	})
}

// warnExposed tells the operator if others than the owner may enter the state
// directory.
func warnExposed(dir string, log *slog.Logger) {
	info, err := os.Stat(dir)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		log.Warn("the state directory is open to other users", "path", dir,
			"mode", fmt.Sprintf("%04o", info.Mode().Perm()), "advice", "chmod 0700")
	}
}
