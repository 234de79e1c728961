package modem

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/warthog618/modem/at"
)

// TestRegistrationShapes: every shape of the standard and of modems that bend
// it, for all numbers.
func TestRegistrationShapes(t *testing.T) {
	for stat := range 12 {
		for n := range maxReportMode + 1 {
			for _, rest := range []string{
				"", `,"4048","0B78"`, `,"4048","0B78",7`, `,"4048","0000B780",13,0,17`, ",4048,0B78", ",4048,0000B780,7",
				`,"","",0`, ",,,7", `,"1F","A1",7,"00"`,
			} {
				for _, shape := range []string{"+CEREG: %d,%d%s", "+CEREG:%d,%d%s", "+CEREG: %d, %d%s", `+CEREG: "%d","%d"` + "%s"} {
					if strings.Contains(shape, `"`) && rest != "" {
						continue // with quoted numbers nobody has been met who says more
					}
					line := fmt.Sprintf(shape, n, stat, rest)
					if got := parseRegistration([]string{line}, "+CEREG"); int(got) != stat {
						t.Errorf("%s: %d", line, got)
					}
				}
			}
		}
		for _, rest := range []string{"", `,"4048","0B78"`, `,"4048","0B78",7`, ",4048,0B78,7", `,"1F","A1",7`} {
			line := fmt.Sprintf("+CREG: %d%s", stat, rest)
			if got := parseRegistration([]string{line}, "+CREG"); int(got) != stat {
				t.Errorf("%s: %d", line, got)
			}
		}
		if r := registration(stat); r.usable() != slices.Contains([]int{1, 5, 6, 7, 9, 10}, stat) || !r.usable() && r.reason() == "" {
			t.Errorf("%d: usable %v", stat, r.usable())
		}
	}
	for line, want := range map[string]registration{
		"+CREG: 0,1;": 1, "+CREG: 0,1 registered": 1, `+CREG: 2,1 home,"4048","0B78"`: 1, "+CREG: (0),(1)": 1, "+CREG: (0,1)": 1, "+CREG: 00,01": 1,
		"+CREG: 1,0B,0C": 1, "+CREG: 2,,": 2, `+CREG: 5,"10","11"`: 5,
	} {
		if got := parseRegistration([]string{line}, "+CREG"); got != want {
			t.Errorf("%s: %d", line, got)
		}
	}
	// What can't be read is unknown, and no stat that says no.
	for _, line := range []string{"+CREG", "+CREG:", "+CREG: x", "+CREG: -1", "+CREGX: 0,1", "+CREG: ,1", "+CREG: 0,home", "+CREG: 0,99", "+CREG: 12"} {
		if got := parseRegistration([]string{line}, "+CREG"); got != regUnknown {
			t.Errorf("%s: %d", line, got)
		}
	}
}

func TestParseServiceCentre(t *testing.T) {
	for _, c := range []struct {
		line, address string
		told          bool
	}{
		{`+CSCA: "+33609001390",145`, "+33609001390", true},
		{`+CSCA:"33609001390",145`, "+33609001390", true},
		{`+CSCA: "0609001390",129`, "0609001390", true},
		{`+CSCA: "0609001390"`, "0609001390", true},
		{`+CSCA: +33609001390`, "+33609001390", true},
		{`+CSCA: "` + inUCS2("+33609001390") + `",145`, "+33609001390", true},
		{`+CSCA: "0033609001390012",129`, "0033609001390012", true}, // no UCS-2
		{`+CSCA: "",129`, "", true},
		{`+CSCA: ,`, "", true},
		{`+CSCA: "nonsense",145`, "", false},
		{"OK", "", false},
	} {
		address, told := parseServiceCentre([]string{c.line})
		if address != c.address || told != c.told {
			t.Errorf("%s: %q, %v", c.line, address, told)
		}
	}
}

func TestParsePINTries(t *testing.T) {
	for _, c := range []struct {
		cmd  string
		info []string
		left int
	}{
		{`+CPINR="SIM PIN"`, []string{"+CPINR: SIM PIN,3,3"}, 3},
		{"+CPINR", []string{`+CPINR: "SIM PUK",10,10`, `+CPINR: "SIM PIN2",3`, `+CPINR: "SIM PIN",2`}, 2},
		{"^CPIN?", []string{"^CPIN: SIM PIN,1,10,1,10,3"}, 1},
		{"^CPIN?", []string{"^CPIN: SIM PUK,10,10,0,10,3"}, -1},
		{`+QPINC="SC"`, []string{`+QPINC: "SC",3,10`}, 3},
		{"+QPINC?", []string{`+QPINC: "P2",2,10`, `+QPINC: "SC",3,10`}, 3},
		{"+SPIC", []string{"+SPIC: 3,10,0,10"}, 3},
		{"+CPINC?", []string{"+CPINC: 3, 3, 10, 10"}, 3},
		{"#PCT", []string{"#PCT: 1"}, 1},
		{"+UPINCNT", []string{"+UPINCNT: 0,3,10,10"}, 0},
		{"+ZPINPUK=?", []string{"+ZPINPUK: 1,10"}, 1},
		{"+ZPINPUK=?", []string{"+ZPINPUK: (2),(10)"}, 2},
		{"%PINNUM?", []string{"%PINNUM: 3, 10, 3, 10"}, 3},
		{"_OERCN?", []string{"_OERCN: 1, 10"}, 1},
		{"+CPNNUM", []string{"PIN1=1; PUK1=10; PIN2=3; PUK2=10"}, 1},
		{"+CPNNUM", []string{"PIN1=; PUK1=10"}, -1},
		{"+SPIC", []string{"+SPIC:"}, -1},
		{"+SPIC", []string{"+CPIN: SIM PIN"}, -1},
		{"+SPIC", nil, -1},
	} {
		left, told := parsePINTries(c.info, c.cmd)
		if told != (c.left >= 0) || told && left != c.left {
			t.Errorf("%s %q: %d, %v", c.cmd, c.info, left, told)
		}
	}
}

func TestParseICCID(t *testing.T) {
	for line, want := range map[string]string{
		"+CCID: 8944000000000000018":            "8944000000000000018",
		`+CCID: "89440000000000000187"`:         "89440000000000000187",
		"89440000000000000187":                  "89440000000000000187",
		"+ICCID: 8944000000000000018F":          "8944000000000000018",
		"^ICCID: 984400000000000010F8":          "8944000000000000018",
		`+CRSM: 144,0,"98440000000000001078"`:   "89440000000000000187",
		`+CRSM: 106,130,""`:                     "",
		"+CCID: 1234567890123456789":            "",
		"+CCID: 89ABCDEF000000000018":           "",
		"ERROR":                                 "",
		"+CCID: 894400000000000001800000000000": "",
	} {
		if got := parseICCID([]string{line}); got != want {
			t.Errorf("%s: %q", line, got)
		}
	}
	if !sameICCID("8944000000000000018", "89440000000000000187") || sameICCID("8944000000000000018", "8944000000000000029") || sameICCID("", "") {
		t.Error("ICCIDs are compared wrongly")
	}
}

func TestExtendedSignal(t *testing.T) {
	for line, want := range map[string]int{
		"+CESQ: 99,99,255,255,20,80":             -61,
		"+CESQ: 99,99,40,30,255,255":             -81,
		"+CESQ: 30,0,255,255,255,255":            -81,
		"+CESQ: 99,99,255,255,255,255":           0,
		"+CESQ: 99,99,255,255,255,255,60,80,100": -77,
		"+CESQ: 99":                              0,
		"+CESQ: x":                               0,
		"+CSQ: 20,99":                            0,
	} {
		if got := extendedDBm([]string{line}); got != want {
			t.Errorf("%s: %d dBm", line, got)
		}
	}
}

func TestOperatorNames(t *testing.T) {
	for line, want := range map[string]string{
		`+COPS: 0,0,"Free, Mobile",7`:               "Free, Mobile",
		`+COPS: 0,0,"` + inUCS2("Vodafone") + `",2`: "Vodafone",
		`+COPS: 0,0,"` + inUCS2("中国移动") + `",7`:     "中国移动",
		`+COPS: 0,2,"20801",7`:                      "20801",
		`+COPS: 0,2,"00101010",7`:                   "00101010",
		"+COPS: 0,0,\"a\x1b[2Jb\",7":                "a[2Jb",
		"+COPS: 0":                                  "",
		"+COPS:":                                    "",
	} {
		if got := operatorName([]string{line}); got != want {
			t.Errorf("%q: %q", line, got)
		}
	}
}

func TestRangesAreBounded(t *testing.T) {
	for _, s := range []string{"(9223372036854775807)", "(0-9223372036854775807)", "(9223372036854775800-9223372036854775807)", "(-5)", "(0--1)"} {
		for _, set := range ranges(s) {
			if len(set) != 0 {
				t.Errorf("%s: %d values", s, len(set))
			}
		}
	}
}

// FuzzRegistration holds the parser to shapes that it must read right, and to
// anything else without panic.
func FuzzRegistration(f *testing.F) {
	f.Add(byte(0), byte(1), byte(0), uint16(0x4048), "")
	f.Add(byte(2), byte(5), byte(3), uint16(0x0b78), `+CREG: 0,"1",,`)
	f.Fuzz(func(t *testing.T, n, stat, shape byte, lac uint16, free string) {
		n, stat = n%(maxReportMode+1), stat%12
		lines := [...]string{
			fmt.Sprintf("+CREG: %d,%d", n, stat),
			fmt.Sprintf(`+CREG:%d,%d,"%04X","%04X",7`, n, stat, lac, lac),
			fmt.Sprintf("+CREG: %d, %d,%04X,%08X", n, stat, lac, lac),
			fmt.Sprintf("+CREG: %d", stat),
			fmt.Sprintf(`+CREG: %d,"%04X","%04X"`, stat, lac, lac),
			fmt.Sprintf("+CREG: %d,%04X,%04X,2", stat, lac, lac),
		}
		line := lines[int(shape)%len(lines)]
		if got := parseRegistration([]string{line}, "+CREG"); int(got) != int(stat) {
			t.Errorf("%s: %d", line, got)
		}
		got := parseRegistration([]string{"+CREG" + free}, "+CREG")
		if got < regUnknown || got.reason() == "" {
			t.Errorf("%q: %d", free, got)
		}
	})
}

// FuzzSIMAnswers: whatever a modem says of its SIM, what is believed of it has
// the form that it must have.
func FuzzSIMAnswers(f *testing.F) {
	for _, s := range []string{
		`: "+33609001390",145`, `: "002B0033",145`, ": 8944000000000000018F", `: 144,0,"98440000000000001078"`,
		`: "SIM PIN",3,3`, ": SIM PIN,3,10,3,10,3", `: "SC",3,10`, ": 3,10,0,10", ": 001010000000001",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		info := strings.Split("+CSCA"+s, "\n")
		if address, told := parseServiceCentre(info); address != "" && (!told || !isAddress(address)) {
			t.Errorf("service centre %q", address)
		}
		if left, told := parsePINTries(info, "+CSCA?"); told && (left < 0 || left > 99) {
			t.Errorf("%d tries", left)
		}
		if id := parseICCID(info); id != "" && (len(id) < minICCID || len(id) > 20 || !isAddress(id)) {
			t.Errorf("ICCID %q", id)
		}
		if d := digits(info, 6, 15); d != "" && (len(d) < 6 || len(d) > 15 || !isAddress(d)) {
			t.Errorf("IMSI %q", d)
		}
		if w := lockTrouble(strings.ToUpper(s)); w.state == "" && w.reason != "" || w.state == Ready {
			t.Errorf("%q: %+v", s, w)
		}
	})
}

// FuzzNetworkAnswers: names are fit for a terminal, signals possible.
func FuzzNetworkAnswers(f *testing.F) {
	for _, s := range []string{`: 0,0,"Free, Mobile",7`, `: 0,0,"0056006F",2`, ": 28,99", ": 99,99,255,255,20,80", ": 1,0", "(0-3),(0,1,2),(1),(0-2),()"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := operatorName([]string{"+COPS" + s})
		if !utf8.ValidString(name) || len(name) > 40 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("operator %q", name)
		}
		if d := dBm([]string{"+CSQ" + s}); d > -25 && d != 0 || d < -157 {
			t.Errorf("%d dBm", d)
		}
		if d := extendedDBm([]string{"+CESQ" + s}); d > -25 && d != 0 || d < -157 {
			t.Errorf("%d dBm", d)
		}
		for _, set := range ranges(s) {
			for n := range set {
				if n < 0 || n > maxParameter {
					t.Errorf("%d is in a range", n)
				}
			}
		}
		if v := text([]string{s}, "+CGMM"); len(v) > 60 {
			t.Errorf("model %q", v)
		}
	})
}

// TestLockState: what AT+CPIN? answers means the same to the daemon and to
// whoever examines a port.
func TestLockState(t *testing.T) {
	for lock, want := range map[string]SIMState{
		"READY": SIMReady, `"READY"`: SIMReady, "SIM PIN2": SIMReady, "SIM PUK2": SIMReady,
		"SIM PIN": SIMPIN, `"SIM PIN"`: SIMPIN, "sim_pin": SIMPIN, "(READY)": SIMReady, "READY;": SIMReady, "READY,1": SIMReady,
		"USIM PIN": SIMPIN, "SIM PIN1": SIMPIN, "(SIM PIN)": SIMPIN, "SIM  PIN": SIMPIN, "USIM PUK": SIMPUK, "SIM PUK1": SIMPUK,
		"SIM PIN2;": SIMReady, "PH-USIM PIN": SIMLocked,
		"SIM PUK": SIMPUK, "NOT INSERTED": SIMAbsent, "SIM REMOVED": SIMAbsent, "NO SIM": SIMAbsent,
		"NOT READY": SIMBusy, "": SIMBusy, "SIM BUSY": SIMBusy, "SIM FAILURE": SIMFailure,
		"PH-NET PIN": SIMLocked, "PH-SIM PIN": SIMLocked, "PH-NETSUB PUK": SIMLocked, "SIM BLOCKED": SIMBlocked,
	} {
		got, trouble := simStateOf([]string{"+CPIN: " + lock}, nil)
		if got != want || trouble != lockTrouble(lock).reason {
			t.Errorf("%s: %s, not %s: %s", lock, got, want, trouble)
		}
		waits := lockTrouble(lock) != wait{}
		if waits != (want != SIMReady && want != SIMPIN) {
			t.Errorf("%s: %+v", lock, lockTrouble(lock))
		}
	}
	for n, want := range map[at.CMEError]SIMState{
		"10": SIMAbsent, "11": SIMPIN, "12": SIMPUK, "13": SIMFailure, "14": SIMBusy, "515": SIMBusy,
		"SIM not inserted": SIMAbsent, "5": SIMLocked, "262": SIMBlocked, "100": SIMUnknown,
	} {
		if got, _ := simStateOf(nil, n); got != want {
			t.Errorf("CME %s: %s, not %s", n, got, want)
		}
	}
}
