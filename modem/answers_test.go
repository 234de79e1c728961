package modem

import (
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
