package bolt

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	bbolterrors "go.etcd.io/bbolt/errors"

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
		<-time.After(pause)
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

// openFailed gives what bbolt says at open its storage sentinel.
func openFailed(err error) error {
	switch {
	case noRoom(err):
		return fmt.Errorf("%w: %w", storage.ErrFull, err)
	case errors.Is(err, bbolterrors.ErrInvalid), errors.Is(err, bbolterrors.ErrVersionMismatch), errors.Is(err, bbolterrors.ErrChecksum):
		return fmt.Errorf("%w: %w", storage.ErrForeign, err)
	}
	return err
}

// noRoom says whether err is the disk's refusal to take more.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// diskRoom is how many bytes the file system has left for this process.
func diskRoom(file *os.File) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(file.Fd()), &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // an int32 on 32-bit ARM
}
