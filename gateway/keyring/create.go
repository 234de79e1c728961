package keyring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const (
	firstEpoch = 1
	// unfinished is how the directories begin that publish has not yet moved
	// to their places.
	unfinished = ".unfinished-"
)

// create makes the keys of a fresh state directory, or finishes what an
// interrupted creation began. Two processes that try at once take turns, and
// the second finds the keys of the first.
func create(dir string, w *wrapper) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() // ends the lock
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", dir, err)
	}
	if _, err := os.Stat(filepath.Join(dir, keysDir)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	epochs, err := checkFresh(dir)
	if err != nil {
		return err
	}
	if len(epochs) > 0 {
		// Proves that the interrupted creation had the same master.
		_, err = w.read(filepath.Join(dir, epochsDir), purposeEpoch, epochName(firstEpoch))
	} else {
		err = publish(dir, epochsDir, w.newKeys(purposeEpoch, epochName(firstEpoch)))
	}
	if err != nil {
		return err
	}
	return publish(dir, keysDir, w.newKeys(purposeKey, keyNames()...))
}

// checkFresh returns the epochs in a fresh directory, at most the first, and
// ErrKeysLost if dir shows that it had keys before. It removes what an
// interrupted publish left.
func checkFresh(dir string) ([]uint32, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		switch path := filepath.Join(dir, e.Name()); {
		case strings.HasPrefix(e.Name(), unfinished):
			if err := os.RemoveAll(path); err != nil {
				return nil, err
			}
		case strings.HasSuffix(e.Name(), databaseSuffix):
			if info, err := os.Stat(path); err != nil || info.Size() > 0 {
				return nil, fmt.Errorf("%w: %s is there but no %s", ErrKeysLost, path, keysDir)
			}
		}
	}
	epochs, err := listEpochs(filepath.Join(dir, epochsDir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !slices.Equal(epochs, []uint32{firstEpoch}):
		return nil, fmt.Errorf("%w: %s/%s is not that of a first start, and there is no %s", ErrKeysLost, dir, epochsDir, keysDir)
	}
	return epochs, nil
}

// publish makes the directory name in dir with the given files, durably and
// all at once.
func publish(dir, name string, files map[string][]byte) error {
	temp, err := os.MkdirTemp(dir, unfinished+name+"-")
	if err != nil {
		return err
	}
	for file, content := range files {
		f, err := os.OpenFile(filepath.Join(temp, file), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		if err := writeSync(f, content); err != nil {
			return err
		}
	}
	if err := syncDir(temp); err != nil {
		return err
	}
	if err := os.Rename(temp, filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

// writeSync writes content, makes it durable and closes f.
func writeSync(f *os.File, content []byte) error {
	_, err := f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes the entries of a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
