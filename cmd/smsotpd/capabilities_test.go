package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/modem"
)

const (
	anIMEI = "001017000000011"
	anIMSI = "001010000000001"
)

// shows writes a file as doctor --send does.
func shows(t *testing.T, dir string, enhanced modem.Proof) {
	t.Helper()
	path := filepath.Join(dir, modem.CapabilitiesFile)
	if err := modem.Remember(path, modem.Loopback{IMEI: anIMEI, IMSI: anIMSI, Sent: modem.Proven, Enhanced: enhanced, Tested: time.Now()}); err != nil {
		t.Fatal(err)
	}
	// Two writings within one tick of the file system's clock would be the same.
	if err := os.Chtimes(path, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
}

// TestCapabilities: what the file says holds from its reading on, and is looked
// at once a minute, or when that is asked for.
func TestCapabilities(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := newCapabilities(dir, slog.New(slog.NewTextHandler(&log, nil)))
		is := func(want modem.Proof) {
			t.Helper()
			if got := c.of(anIMEI, anIMSI).EnhancedValidity; got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		is("")
		time.Sleep(time.Second)
		shows(t, dir, modem.Proven)
		is("")
		time.Sleep(capabilitiesEvery)
		is(modem.Proven)
		if got := c.of(anIMEI, "001010000000002"); got != (modem.Capability{}) {
			t.Errorf("of another SIM: %+v", got)
		}
		time.Sleep(time.Second)
		shows(t, dir, modem.Refuted)
		is(modem.Proven)
		c.reload()
		is(modem.Refuted)
		if err := os.Remove(filepath.Join(dir, modem.CapabilitiesFile)); err != nil {
			t.Fatal(err)
		}
		c.reload()
		is("")
		if log.Len() > 0 {
			t.Errorf("told: %s", log.String())
		}
	})
}

// TestCapabilitiesUnreadable: a file that can't be read is empty, and told once.
func TestCapabilitiesUnreadable(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, modem.CapabilitiesFile)
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		shows(t, dir, modem.Proven)
		c := newCapabilities(dir, slog.New(slog.NewTextHandler(&log, nil)))
		write := func(text string) {
			t.Helper()
			time.Sleep(time.Second)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, time.Now(), time.Now()); err != nil {
				t.Fatal(err)
			}
			c.reload()
		}
		write("{")
		for range 3 {
			time.Sleep(2 * capabilitiesEvery)
			if got := c.of(anIMEI, anIMSI); got != (modem.Capability{}) {
				t.Errorf("%+v", got)
			}
		}
		write("{ ")
		if n := strings.Count(log.String(), "can't be read"); n != 1 {
			t.Errorf("told %d times: %s", n, log.String())
		}
		write(`{"version": 2}`)
		if !strings.Contains(log.String(), "version 2") {
			t.Errorf("another fault isn't told: %s", log.String())
		}
		time.Sleep(time.Second)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		shows(t, dir, modem.Proven)
		c.reload()
		if got := c.of(anIMEI, anIMSI).Sends; got != modem.Proven {
			t.Errorf("mended: %q", got)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		log.Reset()
		c.reload()
		if c.of(anIMEI, anIMSI).Sends != "" || !strings.Contains(log.String(), "can't be read") {
			t.Errorf("a directory: %s", log.String())
		}
	})
}
