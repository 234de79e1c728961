package modem

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func TestCapabilitiesAreRemembered(t *testing.T) {
	path := filepath.Join(t.TempDir(), CapabilitiesFile)
	const imei, imsi = "356938035643809", "208011234567890"
	if c, err := LoadCapabilities(path); err != nil || len(c.Modems) != 0 {
		t.Fatalf("without a file: %v %v", c, err)
	}
	tested := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, l := range []Loopback{
		{IMEI: imei, IMSI: "208019999999999", Sent: Refuted, Tested: tested},
		{IMEI: imei, IMSI: imsi, Sent: Refuted, Tested: tested},
		{IMEI: imei, IMSI: imsi, Sent: Proven, Enhanced: Proven, Replace: Refuted, Tested: tested},
	} {
		if err := Remember(path, l); err != nil {
			t.Fatal(err)
		}
	}
	c, err := LoadCapabilities(path)
	if err != nil || len(c.Modems) != 2 {
		t.Fatalf("%v %v", c, err)
	}
	known, ok := c.Of(imei, imsi)
	if !ok || known.Sends != Proven || known.EnhancedValidity != Proven || known.ReplaceTypes != Refuted || !known.TestedAt.Equal(tested) {
		t.Errorf("%+v %t", known, ok)
	}
	if _, ok := c.Of(imei, ""); ok {
		t.Error("a modem without its SIM is known")
	}
	raw, err := os.ReadFile(path)
	if err != nil || bytes.Contains(raw, []byte(imei)) || bytes.Contains(raw, []byte(imsi)) {
		t.Errorf("identities are in the file: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	for _, spoilt := range []string{"", "{", `{"version":2}`, `[]`} {
		if err := os.WriteFile(path, []byte(spoilt), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadCapabilities(path); err == nil {
			t.Errorf("%q is taken", spoilt)
		}
		if err := Remember(path, Loopback{}); err == nil {
			t.Errorf("%q is written over", spoilt)
		}
	}
}

func TestLikelyModems(t *testing.T) {
	ports := []USBPort{
		{Path: "/dev/ttyUSB0", Device: "1-1", ID: "2c7c:0125", Interface: 0, Driver: "option"},
		{Path: "/dev/ttyUSB1", Device: "1-1", ID: "2c7c:0125", Interface: 1, Driver: "option"},
		{Path: "/dev/ttyUSB2", Device: "1-1", ID: "2c7c:0125", Interface: 2, Driver: "option"},
		{Path: "/dev/ttyUSB3", Device: "1-1", ID: "2c7c:0125", Interface: 3, Driver: "option"},
		{Path: "/dev/ttyUSB4", Device: "1-2", ID: "0403:6001", Driver: "ftdi_sio"},
		{Path: "/dev/ttyACM0", Device: "1-3", ID: "2341:0043", Driver: "cdc_acm"},
		{Path: "/dev/ttyACM1", Device: "1-4", ID: "f00d:0001", Driver: "cdc_acm"},
		{Path: "/dev/ttyACM2", Device: "1-5", ID: "f00d:0002", Interface: 0, Driver: "cdc_acm"},
		{Path: "/dev/ttyACM3", Device: "1-5", ID: "f00d:0002", Interface: 2, Driver: "cdc_acm"},
		{Path: "/dev/ttyUSB5", Device: "1-6", ID: "f00d:0003", Driver: "option"},
	}
	modems, others := LikelyModems(ports)
	if len(modems) != 3 || modems[0][0] != "/dev/ttyUSB2" || modems[0][1] != "/dev/ttyUSB3" || len(modems[0]) != 4 ||
		!reflect.DeepEqual(modems[1], []string{"/dev/ttyACM2", "/dev/ttyACM3"}) || !reflect.DeepEqual(modems[2], []string{"/dev/ttyUSB5"}) {
		t.Errorf("modems: %v", modems)
	}
	if !reflect.DeepEqual(others, []string{"/dev/ttyUSB4", "/dev/ttyACM0", "/dev/ttyACM1"}) {
		t.Errorf("others: %v", others)
	}
	if modems, others := LikelyModems(nil); len(modems)+len(others) != 0 {
		t.Errorf("of none: %v %v", modems, others)
	}
}

// The enhanced format is 7 octets in place of 1, and nothing else changes.
func TestEnhancedValidity(t *testing.T) {
	sub := Submission{To: "33612345678", Text: "hello", Report: true}
	plain, octets, err := encodeSubmit(sub)
	if err != nil {
		t.Fatal(err)
	}
	sub.Enhanced, sub.Life = true, 240*time.Second+time.Millisecond
	enhanced, longer, err := encodeSubmit(sub)
	if err != nil || longer != octets+6 {
		t.Fatalf("%d octets, not %d: %v", longer, octets+6, err)
	}
	a, _ := hex.DecodeString(plain)
	b, _ := hex.DecodeString(enhanced)
	at := 1 + validityOffset(sub.To)
	want := append(bytes.Clone(a[:at]), 0x02, 240, 0, 0, 0, 0, 0)
	want = append(want, a[at+1:]...)
	want[1] = a[1]&^0x18 | 0x08 // TP-VPF 01
	if !bytes.Equal(b, want) {
		t.Errorf("%x\n%x", b, want)
	}
}
