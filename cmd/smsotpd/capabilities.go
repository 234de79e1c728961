package main

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"smsotpd/modem"
)

// capabilities are what smsotpd doctor --send has shown of modems and their SIMs:
// its file in the state directory, which is read anew when it has changed. Its
// methods may be called from many goroutines.
type capabilities struct {
	path string
	log  *slog.Logger

	mu sync.Mutex
	// Guarded by mu.
	known  modem.Capabilities
	read   stamp
	looked time.Time // when it was last looked whether the file has changed
	told   string    // what was logged of a file that can't be read, "" if it can
}

// stamp tells one state of the file from another; the zero value: none.
type stamp struct {
	modified time.Time
	size     int64
}

// capabilitiesEvery is how often it is looked at most whether the file has
// changed.
const capabilitiesEvery = time.Minute

// newCapabilities reads the file in the state directory.
func newCapabilities(stateDir string, log *slog.Logger) *capabilities {
	c := &capabilities{path: filepath.Join(stateDir, modem.CapabilitiesFile), log: log}
	c.reload()
	return c
}

// of is what is known of the modem with the SIM; the zero value if nothing is. It
// is of a minute ago at worst.
func (c *capabilities) of(imei, imsi string) modem.Capability {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) >= capabilitiesEvery {
		c.look()
	}
	known, _ := c.known.Of(imei, imsi)
	return known
}

// reload looks now whether the file has changed.
func (c *capabilities) reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
}

// look reads the file if it is another than before. One that can't be read is
// taken for empty, which is logged once. The caller has the lock.
func (c *capabilities) look() {
	c.looked = time.Now()
	var now stamp
	info, err := os.Stat(c.path)
	if err == nil {
		now = stamp{info.ModTime(), info.Size()}
		if now == c.read {
			return
		}
	}
	known := modem.Capabilities{}
	if err == nil {
		known, err = readCapabilities(c.path, info)
	}
	c.known, c.read = known, now
	switch {
	case err == nil || os.IsNotExist(err):
		c.told = ""
	case err.Error() != c.told:
		c.told = err.Error()
		c.log.Warn("what smsotpd doctor --send has shown can't be read, and is taken for unknown", "error", err)
	}
}

// readCapabilities reads a file that is one: a FIFO would be waited for.
func readCapabilities(path string, info fs.FileInfo) (modem.Capabilities, error) {
	if !info.Mode().IsRegular() {
		return modem.Capabilities{}, &fs.PathError{Op: "read", Path: path, Err: fs.ErrInvalid}
	}
	return modem.LoadCapabilities(path)
}
