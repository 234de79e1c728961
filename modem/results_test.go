package modem

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/warthog618/modem/at"

	"smsotpd/modem/wire"
)

func TestTablesAreSorted(t *testing.T) {
	byNumber := func(a, b meaning) int { return cmp.Compare(a.n, b.n) }
	for name, table := range map[string][]meaning{"CMS": cmsMeanings, "CME": cmeMeanings} {
		if !slices.IsSortedFunc(table, byNumber) {
			t.Errorf("%s is not sorted", name)
		}
		for i, m := range table {
			if i > 0 && table[i-1].n == m.n {
				t.Errorf("%s %d twice", name, m.n)
			}
			if m.words == "" || m.words != strings.TrimSpace(m.words) {
				t.Errorf("%s %d has words %q", name, m.n, m.words)
			}
		}
	}
	if !slices.IsSortedFunc(statusMeanings, func(a, b statusMeaning) int { return cmp.Compare(a.n, b.n) }) {
		t.Error("TP-Status is not sorted")
	}
}

// TestClassesAsPublished: what smstools, gammu and ModemManager have met.
func TestClassesAsPublished(t *testing.T) {
	for class, numbers := range map[Class][]int{
		Destination: {1, 30, 195, 196},
		Ours:        {81, 95, 96, 97, 98, 99, 128, 129, 130, 143, 144, 145, 159, 160, 161, 175, 176, 303, 304, 305},
		SIM: {
			8, 10, 21, 28, 29, 50, 69, 193, 208, 209, 210, 211, 212, 213, 301, 302, 310, 311, 312, 313,
			315, 316, 317, 318, 320, 321, 322, 330,
		},
		Temporary: {41, 42, 47, 192, 194, 38, 27, 17, 22, 111, 127, 255, 314, 331, 514, 515},
		Ambiguous: {300, 332, 350, 500, 513, 512, 340, 600, 65535, -1},
		Accepted:  {197},
	} {
		for _, n := range numbers {
			if got := cmsClass(n); got != class {
				t.Errorf("CMS %d is %s, want %s", n, got, class)
			}
		}
	}
	for n := range 256 {
		if cmsClass(n) == Ambiguous {
			t.Errorf("CMS %d, a refusal by the network, is in doubt", n)
		}
	}
	for class, numbers := range map[Class][]int{
		Ours: {24, 25, 26, 27},
		SIM: {
			5, 6, 7, 10, 11, 12, 13, 15, 16, 17, 18, 20, 23, 40, 41, 42, 43, 44, 45, 46, 47, 48,
			103, 106, 111, 112, 113, 262, 770, 772,
		},
		Temporary: {14, 30, 256, 515},
		Ambiguous: {31, 100, 0, 3, 4, 50, 999, -1},
	} {
		for _, n := range numbers {
			if got := cmeClass(n); got != class {
				t.Errorf("CME %d is %s, want %s", n, got, class)
			}
		}
	}
}

func TestVerboseErrors(t *testing.T) {
	for _, c := range []struct {
		said string
		cms  int
		cme  int
	}{
		{"310", 310, 310},
		{" 42 ", 42, 42},
		{"SIM not inserted", 310, 10},
		{"(U)SIM not inserted", 310, 10},
		{"SIM PIN necessary", 311, 11},
		{"PH-SIM PIN required", 312, 5},
		{"Memory full", 322, 20},
		{"SMSC address unknown", 330, -1},
		{"SMS center address unknown", 330, -1},
		{"No network service", 331, 30},
		{"Network Timeout", 332, 31},
		{"Network time-out", 332, 31},
		{"unknown error", 500, 100},
		{"unknown", -1, 100},
		{"Operation not allowed", 302, 3},
		{"ME failure", 300, -1},
		{"SMS ME reserved", 301, -1},
		{"Unassigned (unallocated) number", 1, -1},
		{"Destination out of order", 27, -1},
		{"no such words", -1, -1},
		{"", -1, -1},
		{"70000", -1, -1},
		{"-1", -1, -1},
	} {
		if got := errorNumber(c.said, cmsTexts); got != c.cms {
			t.Errorf("CMS %q is %d, want %d", c.said, got, c.cms)
		}
		if got := errorNumber(c.said, cmeTexts); got != c.cme {
			t.Errorf("CME %q is %d, want %d", c.said, got, c.cme)
		}
	}
}

func TestExplain(t *testing.T) {
	for cause, want := range map[string]string{
		"cms-38":      "network out of order",
		"cms-77":      "refused by the network, which gives no known reason",
		"cms-600":     "an error of the modem's own, whose meaning is not known",
		"cme-10":      "SIM not inserted",
		"cme-999":     "an error of the modem's own, whose meaning is not known",
		"timeout":     "the modem did not answer in time",
		"cms-unknown": "",
		"":            "",
		"foo-1":       "",
	} {
		if got := Explain(cause); got != want {
			t.Errorf("%q: %q, want %q", cause, got, want)
		}
	}
	for _, c := range []wire.Cause{wire.NoPrompt, wire.Aborted, wire.Restart, wire.Timeout, wire.WriteFailed, wire.Gone} {
		if Explain(causeWord(c)) == "" {
			t.Errorf("%s has no words", causeWord(c))
		}
	}
}

func TestStatusWords(t *testing.T) {
	for status, want := range map[byte]string{
		0: "received by the recipient's phone", 31: "completed", 33: "busy; still", 63: "still trying",
		70: "expired", 95: "failed", 99: "given up", 127: "given up", 128: "given up", 255: "given up",
	} {
		if got := (Report{Status: status}).Explain(); !strings.Contains(got, want) {
			t.Errorf("status %d: %q", status, got)
		}
	}
	for n := range 256 { // the words and the outcome agree
		r := Report{Status: byte(n)}
		words := r.Explain()
		if strings.Contains(words, "still trying") != (r.Outcome() == Trying) || strings.Contains(words, "given up") != (r.Outcome() == GaveUp) {
			t.Errorf("status %d is %s: %q", n, r.Outcome(), words)
		}
	}
}

// TestSick: three messages in a row of which the network says nothing make a
// modem sick; a word of the network begins anew, and what is not the network's
// silence doesn't count.
func TestSick(t *testing.T) {
	silent := []Result{
		{Class: Ambiguous, Cause: "timeout", CMS: -1, CME: -1},
		{Class: Ambiguous, Cause: "cms-500", CMS: 500, CME: -1},
		{Class: Temporary, Cause: "no-prompt", CMS: -1, CME: -1},
		{Class: Ambiguous, Cause: "cms-513", CMS: 513, CME: -1},
		{Class: Ambiguous, Cause: "reboot", CMS: -1, CME: -1},
		{Class: Temporary, Cause: "error", CMS: -1, CME: -1},
	}
	neither := []Result{
		{Class: Ambiguous, Cause: "eof", CMS: -1, CME: -1},
		{Class: Temporary, Cause: "write", CMS: -1, CME: -1},
		{Class: Temporary, Cause: "canceled", CMS: -1, CME: -1},
		{Class: Temporary, Cause: "closed", CMS: -1, CME: -1},
		{Class: Ours, Cause: "encode", CMS: -1, CME: -1},
		{Class: SIM, Cause: "cms-310", CMS: 310, CME: -1},
		{Class: Temporary, Cause: "cms-314", CMS: 314, CME: -1},
	}
	heard := []Result{
		{Class: Accepted, CMS: -1, CME: -1},
		{Class: Temporary, Cause: "cms-38", CMS: 38, CME: -1},
		{Class: Destination, Cause: "cms-1", CMS: 1, CME: -1},
		{Class: SIM, Cause: "cms-50", CMS: 50, CME: -1},
	}
	for _, r := range silent {
		l := &Line{session: &session{}}
		last := errSick
		if r.Cause == "reboot" {
			last = errWeak
		}
		for i, want := range []error{nil, nil, last} {
			for _, other := range neither {
				if err := l.sick(other); err != nil {
					t.Fatalf("%v by %s", err, other.Cause)
				}
			}
			if got := l.sick(r); !errors.Is(got, want) {
				t.Errorf("%s for the %d. time: %v", r.Cause, i+1, got)
			}
		}
	}
	for _, r := range heard {
		l := &Line{session: &session{unanswered: 2}}
		if l.sick(r) != nil || l.sick(silent[0]) != nil || l.sick(silent[0]) != nil || l.sick(silent[0]) == nil {
			t.Errorf("%s does not begin anew", cmp.Or(r.Cause, "success"))
		}
	}
}

func TestGivenBack(t *testing.T) {
	for _, c := range []struct {
		r    Result
		want bool
	}{
		{Result{Cause: "closed"}, true},
		{Result{Cause: "canceled"}, true},
		{Result{Cause: "canceled", Committed: true}, false},
		{Result{Cause: "no-prompt"}, false},
		{Result{}, false},
	} {
		if c.r.GivenBack() != c.want {
			t.Errorf("%+v", c.r)
		}
	}
}

// FuzzClassify: whatever a modem answers, a message counts as accepted by its
// reference or by CMS 197 alone, and nothing is in doubt that was not committed.
func FuzzClassify(f *testing.F) {
	for _, line := range []string{
		"+CMGS: 7", "+CMGS:7", "+CMGS: 124,\"25/11/23,16:00:00+00\"", "+CMGS: 256", "+CMGS", "+CMGS: ", "+CMGS: -1",
		"+CMGSX: 4", "+CMGS : 9", "310", "unknown", "SIM PIN necessary", "(U)SIM busy", "9999999999", "197", "\x00",
	} {
		f.Add(line, line, byte(0), true)
	}
	f.Fuzz(func(t *testing.T, line, number string, kind byte, committed bool) {
		flight := wire.Flight{Committed: committed, Cause: wire.Cause(kind / 16 % 9)}
		var err error
		switch kind % 5 {
		case 1:
			err = at.CMSError(number)
		case 2:
			err = at.CMEError(number)
		case 3:
			err = at.ErrError
		case 4:
			err = at.ErrClosed
		}
		r, sound := classify(noVendor, []string{line}, err, flight)
		mr, referred := submitReference([]string{line})
		duplicate := kind%5 == 1 && errorNumber(number, cmsTexts) == 197
		switch {
		case r.Class == "" || r.Cause == "" && r.Class != Accepted:
			t.Fatalf("no verdict: %+v", r)
		case !committed && (r.Class != SIM && r.Class != Temporary || sound || r.NoMR):
			t.Fatalf("not committed: %+v, sound %v", r, sound)
		case r.Class == Accepted && r.NoMR && r.Cause != "cms-197" && mr >= 0,
			r.Class == Accepted && !r.NoMR && (!referred || int(r.MR) != mr),
			r.Class == Accepted && r.NoMR && !duplicate && !referred:
			t.Fatalf("accepted by %q and %v: %+v", line, err, r)
		case sound && flight.Cause != wire.Answered:
			t.Fatalf("sound although it ended by %d", flight.Cause)
		case referred && !strings.HasPrefix(line, "+CMGS"):
			t.Fatalf("a reference in %q", line)
		}
		_ = Explain(r.Cause)
		if n := errorNumber(number, cmsTexts); n < -1 || n > 65535 {
			t.Fatalf("%q is %d", number, n)
		}
	})
}
