package modem

import (
	"slices"
	"testing"
)

func TestParseRegistration(t *testing.T) {
	for _, c := range []struct {
		info   []string
		id     string
		stat   registration
		usable bool
	}{
		{[]string{`+CREG: 2,1,"4048","0B78"`}, "+CREG", 1, true},
		{[]string{`+CREG: 0,1`}, "+CREG", 1, true},
		{[]string{`+CREG:0,5`}, "+CREG", 5, true},
		{[]string{`+CREG: 5`}, "+CREG", 5, true},
		{[]string{`+CREG: 1,"4048","0B78",7`}, "+CREG", 1, true},
		{[]string{`+CREG: 1,4048,0B78`}, "+CREG", 1, true},
		{[]string{`+CREG: 2,2,4048,0B78`}, "+CREG", 2, false},
		{[]string{`+CREG: 0, 1`}, "+CREG", 1, true},
		{[]string{`+CEREG: 0,6`}, "+CEREG", 6, true},
		{[]string{`+CREG: 0,2`}, "+CREG", 2, false},
		{[]string{`+CREG: 0,3`}, "+CREG", 3, false},
		{[]string{`+CREG: 0,4`}, "+CREG", 4, false},
		{[]string{`+CREG: 0,8`}, "+CREG", 8, false},
		{[]string{`+CREG: 0,2`, `+CREG: 1`}, "+CREG", 1, true},
		{[]string{`+CREG: `}, "+CREG", regUnknown, false},
		{[]string{"OK?"}, "+CREG", regUnknown, false},
		{nil, "+CREG", regUnknown, false},
	} {
		got := parseRegistration(c.info, c.id)
		if got != c.stat || got.usable() != c.usable {
			t.Errorf("%q: got %d, %v", c.info, got, got.usable())
		}
		if !got.usable() && got.reason() == "" {
			t.Errorf("%d has no reason", got)
		}
	}
}

func TestIndications(t *testing.T) {
	for _, c := range []struct {
		advertised, first string
	}{
		{"(0-3),(0-3),(0,2),(0,1),(0,1)", "2,2,0,1,0"},
		{"(0,1,2),(0,1),(0),(0,2),(1)", "2,1,0,2,1"},
		{"(0-3),(0-3),(0,2,3),(0-2),(1)", "2,2,0,1,1"},
		{"(1),(0-3),(0),(0),(0)", "1,2,0,0,0"},
		{"", "2,2,0,1,0"},
		{"nonsense", "2,2,0,1,0"},
	} {
		got := indications(c.advertised)
		if got[0] != c.first {
			t.Errorf("%s: first %s", c.advertised, got[0])
		}
		if !slices.Contains(got, "2,1,0,2,0") || len(got) > 40 {
			t.Errorf("%s: %d tries, %q", c.advertised, len(got), got)
		}
		slices.Sort(got)
		if len(slices.Compact(got)) != len(got) {
			t.Errorf("%s: a setting twice", c.advertised)
		}
	}
}

func TestDigits(t *testing.T) {
	for _, c := range []struct {
		info []string
		want string
	}{
		{[]string{"490154203237518"}, "490154203237518"},
		{[]string{`+CGSN: "490154203237518"`}, "490154203237518"},
		{[]string{"+CGSN:490154203237518"}, "490154203237518"},
		{[]string{"0123", "490154203237518,79"}, "490154203237518"},
		{[]string{"RING"}, ""},
		{nil, ""},
	} {
		if got := digits(c.info, 14, 17); got != c.want {
			t.Errorf("%q: got %q", c.info, got)
		}
	}
}

func TestStoredIndex(t *testing.T) {
	for _, c := range []struct {
		line, mem string
		index     int
		ok        bool
	}{
		{`+CMTI: "SM",3`, "SM", 3, true},
		{`+CDSI:"SR",8`, "SR", 8, true},
		{`+CMTI: ,4`, "", 4, true},
		{`+CMTI: ,-1`, "", 0, false},
		{`+CMTI: "SM"`, "", 0, false},
		{`+CMTI: "S;+CFUN=0",1`, "", 1, false},
		{`+CMTI:`, "", 0, false},
	} {
		mem, index, ok := storedIndex(c.line)
		if ok != c.ok || ok && (mem != c.mem || index != c.index) {
			t.Errorf("%s: got %q, %d, %v", c.line, mem, index, ok)
		}
	}
}

func TestOperatorAndSignal(t *testing.T) {
	if got := operatorName([]string{`+COPS: 0,0,"Free, Mobile",7`}); got != "Free, Mobile" {
		t.Errorf("operator %q", got)
	}
	if got := operatorName([]string{"+COPS: 2"}); got != "" {
		t.Errorf("operator %q", got)
	}
	for s, want := range map[string]int{"+CSQ: 28,99": -57, "+CSQ:0,0": -113, "+CSQ: 99,99": 0, "+CSQ: 199,99": 0, "+CSQ: 150,99": -66, "+CSQ: x": 0, "+CSQ:": 0} {
		if got := dBm([]string{s}); got != want {
			t.Errorf("%s: %d dBm", s, got)
		}
	}
}
