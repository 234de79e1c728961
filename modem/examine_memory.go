package modem

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Capability is what a loopback has shown of one modem with one SIM.
type Capability struct {
	// TestedAt is when.
	TestedAt time.Time `json:"tested_at"`
	// Sends, Receives and Reports are whether a message was accepted, came,
	// and was reported.
	Sends    Proof `json:"sends"`
	Receives Proof `json:"receives"`
	Reports  Proof `json:"reports"`
	// EnhancedValidity, ReplaceTypes, ReportReferences and
	// ConsecutiveReferences are as in Loopback.
	EnhancedValidity      Proof `json:"enhanced_validity"`
	ReplaceTypes          Proof `json:"replace_types"`
	ReportReferences      Proof `json:"report_references"`
	ConsecutiveReferences Proof `json:"consecutive_references"`
}

// Capabilities are what is known of modems and their SIMs. The keys are
// SHA-256 over both identities: they can't be read back without trying the
// some 10^16 pairs that one type of modem and one network have.
type Capabilities struct {
	Version int                   `json:"version"`
	Modems  map[string]Capability `json:"modems"`
}

// capabilitiesVersion is the only one so far.
const capabilitiesVersion = 1

// CapabilitiesFile is the name of their file in the state directory.
const CapabilitiesFile = "capabilities.json"

func capabilityKey(imei, imsi string) string {
	sum := sha256.Sum256([]byte("smsotpd capability\x00" + imei + "\x00" + imsi))
	return hex.EncodeToString(sum[:])
}

// Of is what is known of the modem with the SIM in it.
func (c Capabilities) Of(imei, imsi string) (Capability, bool) {
	known, ok := c.Modems[capabilityKey(imei, imsi)]
	return known, ok
}

// LoadCapabilities reads the file at path. One that does not exist is empty.
func LoadCapabilities(path string) (Capabilities, error) {
	c := Capabilities{Version: capabilitiesVersion, Modems: map[string]Capability{}}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return Capabilities{}, fmt.Errorf("%s: %w", path, err)
	}
	if c.Version != capabilitiesVersion {
		return Capabilities{}, fmt.Errorf("%s: version %d is not known", path, c.Version)
	}
	if c.Modems == nil {
		c.Modems = map[string]Capability{}
	}
	return c, nil
}

// Remember puts what a loopback has shown into the file at path, in place of
// what was known of that modem and SIM. The file appears whole or not at all,
// for its owner alone.
func Remember(path string, l Loopback) error {
	c, err := LoadCapabilities(path)
	if err != nil {
		return err
	}
	c.Modems[capabilityKey(l.IMEI, l.IMSI)] = Capability{
		TestedAt: l.Tested, Sends: l.Sent, Receives: l.Received, Reports: l.Reported,
		EnhancedValidity: l.Enhanced, ReplaceTypes: l.Replace,
		ReportReferences: l.ReportReference, ConsecutiveReferences: l.Consecutive,
	}
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".capabilities-*") // its mode is 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it has its own name by then, unless something failed
	_, err = f.Write(append(raw, '\n'))
	if err = cmp.Or(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
