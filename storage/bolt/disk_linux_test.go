package bolt

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"smsotpd/storage"
)

// become makes the store's file descriptor refer to the device, whose writes
// and syncs behave as a broken disk's do; restore undoes it.
func become(t *testing.T, s *Store, device string) (restore func()) {
	t.Helper()
	own, err := syscall.Dup(int(s.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(own) })
	broken, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	release := hold(t, s) // bbolt is idle then
	defer release()
	if err := syscall.Dup3(int(broken.Fd()), int(s.file.Fd()), syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := syscall.Dup3(own, int(s.file.Fd()), syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
}

// /dev/full refuses every write with ENOSPC.
func TestDiskFull(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "db"), OnFatal: func(err error) { t.Errorf("fatal: %v", err) }})
	for i := range 30 { // so that there are free pages and the file need not grow
		if err := put(context.Background(), s, "k", i, i+1, 3000); err != nil {
			t.Fatal(err)
		}
	}
	restore := become(t, s, "/dev/full")
	for range 3 {
		if err := put(context.Background(), s, "k", 0, 1, 10); !errors.Is(err, storage.ErrFull) || errors.Is(err, storage.ErrFatal) {
			t.Errorf("full disk: %v", err)
		}
	}
	if n := count(t, s, "k"); n != 30 {
		t.Errorf("%d keys while the disk is full", n)
	}
	restore()
	if err := put(context.Background(), s, "k", 30, 31, 10); err != nil {
		t.Errorf("room again: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, Options{Path: s.opts.Path})
	if n := count(t, s, "k"); n != 31 {
		t.Errorf("%d keys after reopening", n)
	}
}

// /dev/null takes every write, but fdatasync of it fails.
func TestSyncFailure(t *testing.T) {
	fatal := make(chan error, 2)
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "db"), OnFatal: func(err error) { fatal <- err }})
	for i := range 30 {
		if err := put(context.Background(), s, "k", i, i+1, 3000); err != nil {
			t.Fatal(err)
		}
	}
	become(t, s, "/dev/null")
	err := put(context.Background(), s, "k", 0, 1, 10)
	if !errors.Is(err, storage.ErrFatal) || !errors.Is(err, storage.ErrUnknown) || !errors.Is(err, syscall.EINVAL) {
		t.Errorf("failed sync: %v", err)
	}
	for range 2 {
		if err := put(context.Background(), s, "k", 0, 1, 10); !errors.Is(err, storage.ErrFatal) {
			t.Errorf("Update afterwards: %v", err)
		}
	}
	if err := s.View(context.Background(), func(storage.Tx) error { return nil }); !errors.Is(err, storage.ErrFatal) {
		t.Errorf("View afterwards: %v", err)
	}
	if err := s.Close(); !errors.Is(err, storage.ErrFatal) {
		t.Errorf("Close: %v", err)
	}
	select {
	case err := <-fatal:
		if !errors.Is(err, storage.ErrFatal) {
			t.Errorf("OnFatal got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("OnFatal was not called")
	}
	select {
	case err := <-fatal:
		t.Errorf("OnFatal was called again: %v", err)
	default:
	}
}
