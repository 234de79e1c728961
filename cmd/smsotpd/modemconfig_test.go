package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"smsotpd/gateway/keyring"
	"smsotpd/modem"
	"smsotpd/storage/bolt"
)

// A PIN that was tried is known over restarts, until the SIM has taken it, and
// neither it nor the SIM can be found in the database.
func TestPINMemory(t *testing.T) {
	dir := t.TempDir()
	config := Config{StateDir: filepath.Join(dir, "state"), KeyFile: filepath.Join(dir, "master.key")}
	if err := keyring.Init(config.KeyFile); err != nil {
		t.Fatal(err)
	}
	const attempt, other = "8933012345678901234/471147", "8933012345678901234/471148"
	with := func(do func(m modem.PINMemory)) {
		t.Helper()
		s, err := openState(t.Context(), config, bolt.Options{Daemon: true})
		if err != nil {
			t.Fatal(err)
		}
		do(newPINMemory(s))
		if err := s.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	tried := func(m modem.PINMemory, attempt string, want bool) {
		t.Helper()
		if got, err := m.Tried(attempt); err != nil || got != want {
			t.Errorf("tried: %v, %v", got, err)
		}
	}
	with(func(m modem.PINMemory) {
		tried(m, attempt, false)
		if err := m.Try(attempt); err != nil {
			t.Fatal(err)
		}
		tried(m, attempt, true)
	})
	with(func(m modem.PINMemory) {
		tried(m, attempt, true)
		tried(m, other, false)
	})
	raw, err := os.ReadFile(filepath.Join(config.StateDir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"471147", "8933012345678901234"} {
		if bytes.Contains(raw, []byte(secret)) {
			t.Errorf("%s is in the database", secret)
		}
	}
	with(func(m modem.PINMemory) {
		if err := m.Forget(attempt); err != nil {
			t.Fatal(err)
		}
	})
	with(func(m modem.PINMemory) { tried(m, attempt, false) })

	// Where the database can't be asked, nothing is taken for untried.
	with(func(m modem.PINMemory) {
		if err := m.(*pinMemory).store.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Tried(attempt); err == nil {
			t.Error("a closed database knows")
		}
		if err := m.Try(attempt); err == nil {
			t.Error("a closed database remembers")
		}
	})
}

// Which SIM was in which modem is known over restarts, and neither can be found
// in the database.
func TestSIMMemory(t *testing.T) {
	dir := t.TempDir()
	config := Config{StateDir: filepath.Join(dir, "state"), KeyFile: filepath.Join(dir, "master.key")}
	if err := keyring.Init(config.KeyFile); err != nil {
		t.Fatal(err)
	}
	const one, other, left, right = "490154203237518", "490154203237526", "208010000000001", "208010000000002"
	for _, run := range [][]struct {
		imei, imsi string // no IMSI: forget the IMEI
		another    bool
	}{
		{{one, left, false}, {one, left, false}, {other, right, false}},
		{{one, left, false}, {other, left, true}, {other, left, false}},
		{{other, right, true}, {one, left, false}, {one, "", false}},
		{{one, right, false}},
	} {
		s, err := openState(t.Context(), config, bolt.Options{Daemon: true})
		if err != nil {
			t.Fatal(err)
		}
		m := newSIMMemory(s)
		for _, seen := range run {
			if seen.imsi == "" {
				err = m.Forget(seen.imei)
			} else {
				var another bool
				if another, err = m.Seen(seen.imei, seen.imsi); another != seen.another {
					t.Errorf("%+v: another: %v", seen, another)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := s.store.Close(); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(config.StateDir, databaseName))
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{one, other, left, right} {
			if bytes.Contains(raw, []byte(id)) {
				t.Errorf("%s is in the database", id)
			}
		}
	}
}

// Traces go to a file of each modem that is wanted, for its owner alone, and
// not without end.
func TestTraces(t *testing.T) {
	dir := t.TempDir()
	var log strings.Builder
	files := newTraces(dir, Config{Trace: []string{"modem=left", "far:4001"}}.traced(), slog.New(slog.NewTextHandler(&log, nil)))
	files.write("left", "one")
	files.write("right", "two")
	files.write("far:4001", "three")
	if err := files.close(); err != nil {
		t.Fatal(err)
	}
	files.write("left", "after the end")
	for name, want := range map[string]string{"trace-left.log": "one\n", "trace-far_4001.log": "three\n"} {
		path := filepath.Join(dir, name)
		if got := readAll(path); !strings.HasSuffix(got, "\n"+want) || !strings.HasPrefix(got, "# smsotpd ") {
			t.Errorf("%s: %q", name, got)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("files: %v, %v", entries, err)
	}

	// The next start goes on where this one was; a file that is full makes room.
	all := newTraces(dir, []string{traceAll}, slog.New(slog.DiscardHandler))
	line := strings.Repeat("x", 1<<16)
	for i := range 3 * maxTrace / len(line) {
		all.write("left", fmt.Sprint(i, line))
	}
	all.write("left", "the end")
	if err := all.close(); err != nil {
		t.Fatal(err)
	}
	now, before := readAll(filepath.Join(dir, "trace-left.log")), readAll(filepath.Join(dir, "trace-left.log.1"))
	if len(now) > maxTrace+200 || len(before) > maxTrace+200 || len(before) < maxTrace/2 || !strings.HasSuffix(now, "the end\n") {
		t.Errorf("%d and %d octets", len(now), len(before))
	}

	// A file that can't be written is said once and harms nobody.
	log.Reset()
	nowhere := newTraces(filepath.Join(dir, "none"), []string{traceAll}, slog.New(slog.NewTextHandler(&log, nil)))
	nowhere.write("left", "one")
	nowhere.write("left", "two")
	if got := strings.Count(log.String(), "not traced any more"); got != 1 {
		t.Errorf("said %d times: %s", got, log.String())
	}
}

// A PIN file that everybody may read is told of.
func TestOpenPINsAreToldOf(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("4711\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := Config{PINFile: write("closed", 0o600), SIMs: map[string]SIMConfig{"left": {PINFile: write("open", 0o644)}}}
	var log strings.Builder
	config.warnOpenPINs(slog.New(slog.NewTextHandler(&log, nil)))
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "key=sim.left.pin_file") || strings.Contains(got, "4711") {
		t.Error(got)
	}
	if err := config.checkHost(); err != nil {
		t.Error(err)
	}
}
