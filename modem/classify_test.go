package modem

import (
	"testing"
	"time"

	"github.com/warthog618/modem/at"

	"smsotpd/modem/wire"
)

func TestClassify(t *testing.T) {
	began := time.Date(2025, 11, 23, 16, 0, 0, 0, time.UTC)
	flight := func(after time.Duration) wire.Flight {
		return wire.Flight{Committed: true, Began: began, CommittedAt: began, Ended: began.Add(after)}
	}
	ended := func(f wire.Flight, c wire.Cause) wire.Flight { f.Cause = c; return f }
	adrift := func(f wire.Flight) wire.Flight { f.Adrift = true; return f }
	prompts := func(f wire.Flight) wire.Flight { f.ExtraPrompts = 1; return f }
	unwritten := wire.Flight{Began: began, Ended: began}
	for _, c := range []struct {
		name   string
		info   []string
		err    error
		flight wire.Flight
		class  Class
		cause  string
		mr     byte
		sound  bool
	}{
		{"accepted", []string{"+CMGS: 7"}, nil, flight(0), Accepted, "", 7, true},
		{"no space", []string{"+CMGS:7"}, nil, flight(0), Accepted, "", 7, true},
		{"zero", []string{"+CMGS: 0"}, nil, flight(0), Accepted, "", 0, true},
		{"with time stamp", []string{`+CMGS: 124,"25/11/23,16:00:00+00"`}, nil, flight(0), Accepted, "", 124, true},
		{"then the port was gone", []string{"+CMGS: 7"}, at.ErrClosed, ended(flight(0), wire.Gone), Accepted, "", 7, false},
		{"reference without final", []string{"+CMGS: 7"}, nil, ended(flight(0), wire.Unfinished), Accepted, "", 7, false},
		{"reference and error", []string{"+CMGS: 7"}, at.CMSError("38"), flight(0), Temporary, "cms-38", 0, false},
		{"OK alone", nil, nil, flight(0), Ambiguous, "no-reference", 0, false},
		{"reference without number", []string{"+CMGS:"}, nil, flight(0), Accepted, "", 0, true},
		{"reference in quotes", []string{`+CMGS: "7"`}, nil, flight(0), Accepted, "", 7, true},
		{"reference in parentheses", []string{"+CMGS: (7)"}, nil, flight(0), Accepted, "", 7, true},
		{"reference in hex", []string{"+CMGS: 0x1F"}, nil, flight(0), Accepted, "", 31, true},
		{"reference with zeros", []string{"+CMGS: 010"}, nil, flight(0), Accepted, "", 10, true},
		{"reference of a signed octet", []string{"+CMGS: -56"}, nil, flight(0), Accepted, "", 200, true},
		{"reference like a setting", []string{"+CMGS=7"}, nil, flight(0), Accepted, "", 7, true},
		{"perhaps another's", []string{"+CMGS: 7"}, nil, adrift(ended(flight(0), wire.Unfinished)), Accepted, "", 0, false},
		{"perhaps another's, then gone", []string{"+CMGS: 7"}, at.ErrClosed, adrift(ended(flight(0), wire.Gone)), Ambiguous, "eof", 0, false},
		{"time-out", nil, at.ErrClosed, ended(flight(0), wire.Timeout), Ambiguous, "timeout", 0, false},
		{"port gone", nil, at.ErrClosed, ended(flight(0), wire.Gone), Ambiguous, "eof", 0, false},
		{"restart", nil, at.ErrError, ended(flight(0), wire.Restart), Ambiguous, "reboot", 0, false},
		{"bare ERROR at once", nil, at.ErrError, flight(time.Second), Temporary, "error", 0, false},
		{"bare ERROR late", nil, at.ErrError, flight(3 * time.Second), Ambiguous, "error", 0, false},
		{"bare ERROR after a second prompt", nil, at.ErrError, prompts(flight(0)), Ambiguous, "error", 0, false},
		{"duplicate rejected", nil, at.CMSError("197"), flight(0), Accepted, "cms-197", 0, true},
		{"destination", nil, at.CMSError("1"), flight(0), Destination, "cms-1", 0, true},
		{"ours", nil, at.CMSError("304"), flight(0), Ours, "cms-304", 0, true},
		{"SIM", nil, at.CMSError("21"), flight(0), SIM, "cms-21", 0, true},
		{"unknown refusal by the network", nil, at.CMSError("77"), flight(0), Temporary, "cms-77", 0, true},
		{"unknown of the modem", nil, at.CMSError("350"), flight(0), Ambiguous, "cms-350", 0, false},
		{"vendor", nil, at.CMSError("512"), flight(0), Ambiguous, "cms-512", 0, false},
		{"bare CMS", nil, at.CMSError("unknown"), flight(0), Ambiguous, "cms-unknown", 0, false},
		{"CMS text", nil, at.CMSError("SIM failure"), flight(0), SIM, "cms-313", 0, true},
		{"CME", nil, at.CMEError("14"), flight(0), Temporary, "cme-14", 0, true},
		{"CME unknown", nil, at.CMEError("100"), flight(0), Ambiguous, "cme-100", 0, false},
		{"no network", nil, at.CMSError("331"), flight(0), Temporary, "cms-331", 0, false},
		{"CME text", nil, at.CMEError("No network service"), flight(0), Temporary, "cme-30", 0, false},
		{"no prompt", nil, at.ErrError, ended(unwritten, wire.NoPrompt), Temporary, "no-prompt", 0, false},
		{"aborted", nil, at.ErrError, ended(unwritten, wire.Aborted), Temporary, "canceled", 0, false},
		{"blocked", nil, at.ErrClosed, ended(unwritten, wire.WriteFailed), Temporary, "write", 0, false},
		{"gone before Ctrl-Z", nil, at.ErrClosed, ended(unwritten, wire.Gone), Temporary, "eof", 0, false},
		{"destination before Ctrl-Z", nil, at.CMSError("1"), unwritten, Temporary, "cms-1", 0, false},
		{"SIM before Ctrl-Z", nil, at.CMSError("310"), unwritten, SIM, "cms-310", 0, false},
		{"reference of another before Ctrl-Z", []string{"+CMGS: 9"}, nil, unwritten, Temporary, "no-reference", 0, false},
	} {
		r, sound := classify(noVendor, c.info, c.err, c.flight)
		if r.Class != c.class || r.Cause != c.cause || r.MR != c.mr || sound != c.sound {
			t.Errorf("%s: got %s, %q, MR %d, sound %v", c.name, r.Class, r.Cause, r.MR, sound)
		}
		if r.Committed != c.flight.Committed || r.Ended != c.flight.Ended {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
	if r, _ := classify(siemens, nil, at.CMSError("514"), flight(0)); r.Class != Ours {
		t.Errorf("Siemens 514 is %s", r.Class)
	}
	if r, _ := classify(noVendor, nil, at.CMSError("38"), flight(0)); !r.OtherSIM || r.CMS != 38 || r.CME != -1 {
		t.Errorf("%+v", r)
	}
	if r, _ := classify(noVendor, nil, at.CMSError("42"), flight(0)); r.Soon != 2*time.Second {
		t.Errorf("%+v", r)
	}
}

func noVendor(int) (Class, bool) { return "", false }

func siemens(n int) (Class, bool) { return Ours, n > 512 }
