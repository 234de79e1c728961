package bolt

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"smsotpd/storage"
)

// lockWait is how long Open waits for another process to let go of the file.
const lockWait = time.Second

// openFile opens the file, creates it if it is missing, and locks it before
// anything is read. fresh says that it is empty.
func openFile(path string) (file *os.File, fresh bool, err error) {
	file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("storage: %w", err)
	}
	if err = lock(file); err == nil {
		var info os.FileInfo
		if info, err = file.Stat(); err == nil {
			return file, info.Size() == 0, nil
		}
	}
	return nil, false, errors.Join(fmt.Errorf("storage: open %s: %w", path, err), file.Close())
}

// lock takes the lock that bbolt takes too, and so keeps it for it.
func lock(file *os.File) error {
	const pause = 50 * time.Millisecond
	for waited := time.Duration(0); ; waited += pause {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return fmt.Errorf("lock: %w", err)
		case waited >= lockWait:
			return fmt.Errorf("%w: another process holds its lock (is the daemon running?)", storage.ErrLocked)
		}
		time.Sleep(pause)
	}
}

// syncDir makes a new file's name durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func checkFile(*os.File, *slog.Logger) error { return nil }
