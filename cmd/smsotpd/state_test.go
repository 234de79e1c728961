package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"smsotpd/gateway/keyring"
	"smsotpd/storage"
	"smsotpd/storage/bolt"
)

// A clock that was set years ahead once must not end a database's use for good.
func TestClockThatWasAhead(t *testing.T) {
	dir := t.TempDir()
	config := Config{StateDir: filepath.Join(dir, "state"), KeyFile: filepath.Join(dir, "master.key")}
	if err := keyring.Init(config.KeyFile); err != nil {
		t.Fatal(err)
	}
	open := func(wall func() time.Time) error {
		s, err := openState(context.Background(), config, bolt.Options{Daemon: true, Now: wall})
		if err != nil {
			return err
		}
		return s.store.Close()
	}
	if err := open(func() time.Time { return time.Now().AddDate(10, 0, 0) }); err != nil {
		t.Fatal(err)
	}
	err := open(time.Now)
	if !errors.Is(err, storage.ErrClock) || !strings.Contains(err.Error(), "serve --"+resetClockFlag) {
		t.Fatalf("ten years ahead: %v", err)
	}
	config.ResetClock = true
	if err := open(time.Now); err != nil {
		t.Fatalf("with --%s: %v", resetClockFlag, err)
	}
	config.ResetClock = false
	if err := open(time.Now); err != nil {
		t.Fatalf("after it: %v", err)
	}
}
