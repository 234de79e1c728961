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

// TestValue: numbers are read as modems write them, and what is none is not 0.
func TestValue(t *testing.T) {
	for s, want := range map[string]int{
		"0": 0, "00": 0, `"0"`: 0, "(0)": 0, " 1 ": 1, "1;": 1, "1.": 1, "1 registered": 1, `("1")`: 1, "(1": 1, "1)": 1, "-1": -1, "255": 255,
	} {
		if got, ok := value(s); !ok || got != want {
			t.Errorf("%q: %d, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "-", "x", "0B78", "0-3", "(0,1)", "1registered", "registered 1", "()", `""`, "99999999999999999999"} {
		if got, ok := value(s); ok {
			t.Errorf("%q: %d", s, got)
		}
	}
	for line, want := range map[string]int{"+CMGF: 0,1": 0, "+CMGF:00": 0, `+CMGF: "0"`: 0, "+CMGF: (0)": 0, "+CFUN: 1,0": 1} {
		if got, ok := number([]string{line}, line[:5]); !ok || got != want {
			t.Errorf("%q: %d, %v", line, got, ok)
		}
	}
}

// TestTellsFull: a memory that the modem says is not full is not.
func TestTellsFull(t *testing.T) {
	for line, want := range map[string]bool{
		`^SMMEMFULL: "SM"`: true, `+CIEV: "SMSFULL",1`: true, `+CIEV: smsfull, 1`: true, `+QIND: "smsfull","ME"`: true, "+SMS FULL": true,
		"%SMSMEMFULL": true, `+CIEV: "sms_full",1`: true, "*MEMORY FULL: 1": true,
		`+CIEV: "SMSFULL",0`: false, `+CIEV: smsfull,0`: false, `+CIEV: "SMSFULL",(0)`: false, `+CIEV: "MESSAGE",1`: false, "+CSQ: 20,99": false, "RING": false,
	} {
		if tellsFull(line) != want {
			t.Errorf("%s: %v", line, !want)
		}
	}
}

// TestInPDUMode: AT+CMGF? however it is answered.
func TestInPDUMode(t *testing.T) {
	for says, want := range map[string][2]bool{ // PDU mode, told
		"+CMGF: 0": {true, true}, "+CMGF:00": {true, true}, `+CMGF: "0"`: {true, true}, "+CMGF: 1": {false, true}, "+CMGF: (1)": {false, true},
		"+CMGF: PDU": {true, true}, "+CMGF: text mode": {false, true}, "+CMGF: ?": {false, false}, "+CREG: 0,1": {false, false}, "": {false, false},
	} {
		if pdu, told := inPDUMode([]string{says}); pdu != want[0] || told != want[1] {
			t.Errorf("%q: %v, told %v", says, pdu, told)
		}
	}
}
