package modem

import (
	"errors"
	"testing"
)

// sight is one step of a test of the registry: worker w finds a modem, or
// loses it.
type sight struct {
	w         int
	imei      string
	imsi      string
	usb       string
	serial    string
	path      string
	away      bool
	partly    bool // the SIM is not known yet
	gone      bool // released after it
	name      string
	err       error
	moved     bool
	changed   bool
	movedFrom string // SIM
}

func TestIdentity(t *testing.T) {
	const (
		a, b = "490154203237518", "490154203237526"
		none = "000000000000000"
		s1   = "001010000000001"
		s2   = "001010000000002"
		s3   = "001010000000003"
	)
	for _, c := range []struct {
		name  string
		steps []sight
	}{
		{"back under another name", []sight{
			{w: 0, imei: a, imsi: s1, path: "p0", name: "w0", gone: true},
			{w: 0, imei: a, imsi: s1, path: "p5", away: true, name: "w0", moved: true},
		}},
		{"swapped", []sight{
			{w: 0, imei: a, imsi: s1, path: "p0", name: "w0", gone: true},
			{w: 1, imei: b, imsi: s2, path: "p1", name: "w1", gone: true},
			{w: 0, imei: b, imsi: s2, path: "p0", name: "w1", moved: true},
			{w: 1, imei: a, imsi: s1, path: "p1", name: "w0", moved: true},
		}},
		{"another modem next door", []sight{
			{w: 0, imei: a, imsi: s1, path: "p0", name: "w0", gone: true},
			{w: 0, imei: b, imsi: s2, path: "p5", away: true, err: errStranger},
		}},
		{"twins", []sight{
			{w: 0, imei: a, imsi: s1, path: "p0", name: "w0"},
			{w: 1, imei: a, path: "p1", partly: true},
			{w: 1, imei: a, imsi: s1, path: "p1", err: errTwin},
		}},
		{"twins by their USB device, without a word of the SIM", []sight{
			{w: 0, imei: a, imsi: s1, usb: "1-1", path: "p0", name: "w0"},
			{w: 1, imei: a, usb: "1-1", path: "p1", partly: true, err: errTwin},
		}},
		{"twins without SIM", []sight{
			{w: 0, imei: a, path: "p0", name: "w0"},
			{w: 1, imei: a, path: "p1", err: errTwin},
		}},
		{"twins without IMEI", []sight{
			{w: 0, imsi: s1, path: "p0", name: "w0"},
			{w: 1, imsi: s1, path: "p1", err: errTwin},
		}},
		{"one IMEI, two SIMs", []sight{
			{w: 0, imei: a, imsi: s1, path: "p0", name: "w0"},
			{w: 1, imei: a, imsi: s2, path: "p1", name: "w1"},
		}},
		{"one IMEI, two SIMs, swapped", []sight{
			{w: 0, imei: a, imsi: s1, path: "p0", name: "w0"},
			{w: 1, imei: a, imsi: s2, path: "p1", name: "w1", gone: true},
			{w: 0, imei: a, imsi: s1, path: "p0", name: "w0", gone: true},
			{w: 0, imei: a, path: "p0", partly: true},
			{w: 0, imei: a, imsi: s2, path: "p0", name: "w1", moved: true},
			{w: 1, imei: a, imsi: s1, path: "p1", name: "w0", moved: true},
		}},
		{"one IMEI, two devices without SIM", []sight{
			{w: 0, imei: a, usb: "1-1", path: "p0", name: "w0"},
			{w: 1, imei: a, usb: "1-2", path: "p1", name: "w1"},
		}},
		{"one IMEI, the first one's SIM not known yet", []sight{
			{w: 0, imei: a, path: "p0", partly: true, name: "w0"},
			{w: 1, imei: a, imsi: s2, path: "p1", err: errUndecided},
			{w: 0, imei: a, imsi: s1, path: "p0", name: "w0"},
			{w: 1, imei: a, imsi: s2, path: "p1", name: "w1"},
		}},
		{"an IMEI that is none", []sight{
			{w: 0, imei: none, imsi: s1, path: "p0", name: "w0"},
			{w: 1, imei: none, imsi: s2, path: "p1", name: "w1", gone: true},
			{w: 0, imei: none, imsi: s1, path: "p0", name: "w0", gone: true},
			{w: 0, imei: none, imsi: s2, path: "p0", name: "w1", moved: true},
		}},
		{"no IMEI and no SIM: the place", []sight{
			{w: 0, path: "p0", partly: true},
			{w: 0, path: "p0", name: "w0", gone: true},
			{w: 1, path: "p1", name: "w1", gone: true},
			{w: 0, path: "p0", name: "w0"},
		}},
		{"no IMEI, by serial number at another port", []sight{
			{w: 0, usb: "1-1", serial: "S7", path: "p0", name: "w0", gone: true},
			{w: 0, usb: "1-4", serial: "S8", path: "p4", away: true, err: errStranger},
			{w: 0, usb: "1-5", serial: "S7", path: "p5", away: true, name: "w0", moved: true},
		}},
		{"SIM exchanged", []sight{
			{w: 0, imei: a, imsi: s1, path: "p0", name: "w0", gone: true},
			{w: 0, imei: a, path: "p0", partly: true, name: "w0"},
			{w: 0, imei: a, imsi: s3, path: "p0", name: "w0", changed: true},
			{w: 0, imei: a, imsi: s3, path: "p0", name: "w0"},
		}},
		{"SIM moved to another modem", []sight{
			{w: 0, imei: a, imsi: s1, path: "p0", name: "w0", gone: true},
			{w: 1, imei: b, imsi: s1, path: "p1", name: "w1", movedFrom: "w0"},
		}},
		{"SIMs swapped", []sight{
			{w: 0, imei: a, imsi: s1, path: "p0", name: "w0", gone: true},
			{w: 1, imei: b, imsi: s2, path: "p1", name: "w1", gone: true},
			{w: 0, imei: a, imsi: s2, path: "p0", name: "w0", changed: true, movedFrom: "w1"},
			{w: 1, imei: b, imsi: s1, path: "p1", name: "w1", changed: true, movedFrom: "w0"},
		}},
		{"SIM and port changed at once", []sight{
			{w: 0, imei: a, imsi: s1, path: "p0", name: "w0", gone: true},
			{w: 0, imei: a, imsi: s3, path: "p5", away: true, name: "w0", moved: true, changed: true},
		}},
		{"replaced at its port", []sight{
			{w: 0, imei: a, imsi: s1, path: "p0", name: "w0", gone: true},
			{w: 0, imei: b, imsi: s2, path: "p0", name: "w0"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRegistry()
			workers := []*worker{{explicit: true}, {explicit: true}}
			for i, s := range c.steps {
				w := workers[s.w]
				got, err := r.claim(w, sighting{
					imei: s.imei, imsi: s.imsi, usb: s.usb, serial: s.serial, path: s.path,
					wanted: [...]string{"w0", "w1"}[s.w], away: s.away, complete: !s.partly,
				})
				if !errors.Is(err, s.err) || (err == nil) != (s.err == nil) {
					t.Fatalf("step %d: %v", i, err)
				}
				if got.name != s.name || (got.movedFrom != "") != s.moved || got.simChanged != s.changed || got.simFrom != s.movedFrom {
					t.Fatalf("step %d: %+v", i, got)
				}
				if s.gone {
					r.release(w)
				}
			}
		})
	}
}

// TestRegistryIsBounded: modems that never come back are forgotten in the end.
func TestRegistryIsBounded(t *testing.T) {
	r := newRegistry()
	w := &worker{}
	for i := range maxBound + 50 {
		digits := []byte("490000000000000")
		for n, at := i, 14; n > 0; n, at = n/10, at-1 {
			digits[at] = byte('0' + n%10)
		}
		if _, err := r.claim(w, sighting{imei: string(digits), imsi: string(digits), path: "p", wanted: "w", complete: true}); err != nil {
			t.Fatal(err)
		}
		r.release(w)
	}
	if len(r.bound) > maxBound || len(r.sims) > maxBound {
		t.Errorf("%d modems, %d SIMs", len(r.bound), len(r.sims))
	}
}
