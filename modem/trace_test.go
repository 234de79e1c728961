package modem

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/warthog618/sms/encoding/gsm7"
	"github.com/warthog618/sms/encoding/semioctet"
)

// trace is what a tracer has told.
func trace(name string) (*tracer, *[]string) {
	var lines []string
	// A clock that shows no digit but 0.
	now := func() time.Time { return time.Time{} }
	return newTracer(func(_, line string) { lines = append(lines, strings.TrimPrefix(line, "00:00:00.000 ")) },
		func() string { return name }, now), &lines
}

// TestTraceShows: what a bug report needs is there.
func TestTraceShows(t *testing.T) {
	for _, c := range []struct {
		name string
		talk []string // "> sent" and "< received", or "<-" for what has no line's end
		want []string
	}{
		{
			"a query",
			[]string{"> AT+CREG?", "< +CREG: 2,1,\"4048\",\"0B78\",7", "< OK"},
			[]string{"> AT+CREG?", `< +CREG: 2,1,"«4 digits»","«4 hex digits»",7`, "< OK"},
		},
		{
			"an echo",
			[]string{"> AT+CSQ", "< AT+CSQ", "< +CSQ: 28,99", "< OK"},
			[]string{"> AT+CSQ", "< AT+CSQ", "< +CSQ: 28,99", "< OK"},
		},
		{
			"ranges",
			[]string{"> AT+CNMI=?", "< +CNMI: (0-3),(0,1,2),(0,2),(0-1),(0,1)", "> AT+CNMI=2,1,0,1,0", "< +CMS ERROR: 303"},
			[]string{"> AT+CNMI=?", "< +CNMI: (0-3),(0,1,2),(0,2),(0-1),(0,1)", "> AT+CNMI=2,1,0,1,0", "< +CMS ERROR: 303"},
		},
		{
			"who it is",
			[]string{"> AT+CGMI", "< Quectel", "> AT+CGMR", "< EC25EFAR06A06M4G", "> AT+CGSN", "< 861234567890123", "> AT+CIMI", "< 208011234567890"},
			[]string{"> AT+CGMI", "< Quectel", "> AT+CGMR", "< EC25EFAR06A06M4G", "> AT+CGSN", "< 86123«10 digits»", "> AT+CIMI", "< 20801«10 digits»"},
		},
		{
			"a PIN",
			[]string{`> AT+CPIN="1234"`, `< AT+CPIN="1234"`, "> AT+CPIN=1234", "< +CPIN: READY", "< +CPIN:READY", "< +CME ERROR: SIM PIN required"},
			[]string{`> AT+CPIN="«4 digits»"`, `< AT+CPIN="«4 digits»"`, "> AT+CPIN=«4 digits»", "< +CPIN: READY", "< +CPIN: READY", "< +CME ERROR: SIM PIN required"},
		},
		{
			"operator and memories",
			[]string{`< +COPS: 0,0,"Orange F",7`, `< +COPS: 0,2,"20801",7`, `< +CPMS: "SM",3,20,"SR",0,10`, `< +CMTI: "SM",12`, `< +CSCA: "+33609001390",145`},
			[]string{`< +COPS: 0,0,"Orange F",7`, `< +COPS: 0,2,"«5 digits»",7`, `< +CPMS: "SM",3,20,"SR",0,10`, `< +CMTI: "SM",12`, `< +CSCA: "«12 characters»",145`},
		},
		{
			"vendor lines",
			[]string{"< RDY", "< ^RSSI:26", `< ^HCSQ:"LTE",60,52,106,24`, "< ^BOOT:20952548,0,0,0,72", "< Call Ready"},
			[]string{"< RDY", "< ^RSSI: 26", `< ^HCSQ: "LTE",60,52,106,24`, "< ^BOOT: «8 digits»,0,0,0,72", "< Call Ready"},
		},
		{
			"a report",
			[]string{"< +CDS: 25", "< 0006D60B911326880736F4111011719551401110117195714000"},
			[]string{"< +CDS: 25", "< «PDU: SMSC 0 octets, first octet 06, MR 214, address of 11, type 91, status 00»"},
		},
		{
			"a text-mode message",
			[]string{`< +CMT: "+33612345678",,"26/11/23,19:10:27+04"`, "< OK", "< the second line"},
			[]string{`< +CMT: "«12 characters»",,"«20 characters»"`, "< OK", "< «15 characters»"},
		},
		{
			"USSD over lines",
			[]string{`< +CUSD: 0,"Balance`, "< OK", "< 123", `< end",15`, "> AT", "< OK", "> AT", "< RDY"},
			[]string{`< +CUSD: 0,"«7 characters»"`, "< OK", "< «3 digits»", "< «7 characters»", "> AT", "< OK", "> AT", "< RDY"},
		},
		{
			"a text whose second line comes behind a command",
			[]string{
				`< +CMT: "+33612345678",,"26/11/23,19:10:27+04"`, "< hello", "< OK", "> AT+CGMR", "< PIN 4711 for Marie Dupont 06.55.54.44.33", "< OK",
				"> AT+CGMR", "< EC25EFAR06A03M4G", "< Marie Dupont", "< OK",
			},
			[]string{
				`< +CMT: "«12 characters»",,"«20 characters»"`, "< «5 characters»", "< OK", "> AT+CGMR", "< «40 characters»", "< OK",
				"> AT+CGMR", "< EC25EFAR06A03M4G", "< «12 characters»", "< OK",
			},
		},
		{
			"a text alone, behind a command",
			[]string{"> AT+CGMR", "< PIN 4711 for Marie, 06.55.54.44.33 or 06 55 5-44-433", "< OK"},
			[]string{"> AT+CGMR", "< PIN «4 digits» for Marie, «14 characters» or «14 characters»", "< OK"},
		},
		{
			"noise",
			[]string{"< \x00\x00\x01", "< $GPGGA,123519,4807.038,N", "< \xff\xfe~}"},
			[]string{"< «and 3 control octets»", "< $GPGGA: x"},
		},
	} {
		tr, lines := trace("m")
		for _, said := range c.talk {
			if text, ok := strings.CutPrefix(said, "> "); ok {
				tr.toModem([]byte(text + "\r"))
			} else {
				tr.fromModem([]byte("\r\n" + strings.TrimPrefix(said, "< ") + "\r\n"))
			}
		}
		if c.name == "noise" {
			for _, line := range *lines {
				if strings.Contains(line, "4807") || strings.Contains(line, "\xff") {
					t.Errorf("%s: %q", c.name, line)
				}
			}
			continue
		}
		if got, want := strings.Join(*lines, "\n"), strings.Join(c.want, "\n"); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, want)
		}
	}
}

// Names of makers, models and versions stay readable.
func TestTraceShowsNames(t *testing.T) {
	for _, name := range []string{
		"EC25EFAR06A03M4G", "Revision: M26FBR03A06-TTS", "Revision:1418B05SIM800L24", "LE20B04SIM7600M22", "SIM7600E_V2.0", "REVISION 02.000",
		"25.30.223", "huawei", "E3372", "Sierra Wireless, Incorporated", "MC7455", "SARA-U201", "1.0", "Raw 1", "SIMCOM_Ltd",
	} {
		if got := makersWords(name); got != name {
			t.Errorf("%s: %s", name, got)
		}
	}
	for path, want := range map[string]string{
		"tcp://10.0.0.7:4001": "tcp://10.0.0.7:4001", "/dev/ttyUSB12": "/dev/ttyUSB12",
		"/dev/serial/by-id/usb-Acme_861234567890123-if02-port0": "/dev/serial/by-id/usb-Acme_«15 digits»-if02-port0",
	} {
		if got := pathWords(path); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// TestTraceOfASend: command, prompt, payload and answer come in order, and the
// payload as its structure.
func TestTraceOfASend(t *testing.T) {
	tr, lines := trace("m")
	// 23.040's fields by hand: SMS-SUBMIT with relative TP-VP to +33612345678,
	// three septets of text.
	const pdu = "0031000B913316325476F8000000036131D9"
	tr.toModem([]byte(fmt.Sprintf("AT+CMGS=%d\r", len(pdu)/2-1)))
	tr.fromModem([]byte("\r\n> "))
	tr.toModem([]byte(pdu[:16]))
	tr.toModem([]byte(pdu[16:] + "\x1a"))
	tr.fromModem([]byte("\r\n+CMGS: 7\r\n\r\nOK\r\n"))
	want := []string{
		"> AT+CMGS=17", "< >",
		"> «PDU: SMSC 0 octets, first octet 31, MR 0, address of 11, type 91, PID 00, DCS 00, VP 00, user data of 3 in 3 octets» <Ctrl-Z>",
		"< +CMGS: 7", "< OK",
	}
	if got := strings.Join(*lines, "\n"); got != strings.Join(want, "\n") {
		t.Error(got)
	}
}

// TestTraceBeforeTheName: what a modem said before it was known by its name is
// told under that name too.
func TestTraceBeforeTheName(t *testing.T) {
	var got []string
	name := "ttyUSB5"
	tr := newTracer(func(modem, line string) { got = append(got, modem+" "+line[len("00:00:00.000 "):]) },
		func() string { return name }, func() time.Time { return time.Time{} })
	tr.toModem([]byte("AT\r"))
	name = "left"
	tr.fromModem([]byte("OK\r\n"))
	if want := "ttyUSB5 > AT|left > AT|left < OK"; strings.Join(got, "|") != want {
		t.Error(got)
	}
}

// TestTraceOfHalfLines: half a line is told by its length alone, and so is its
// other half.
func TestTraceOfHalfLines(t *testing.T) {
	var got []string
	now := time.Time{}
	tr := newTracer(func(_, line string) { got = append(got, line[len("00:00:00.000 "):]) },
		func() string { return "m" }, func() time.Time { return now })
	tr.fromModem([]byte("+CLIP: \"+3361"))
	now = now.Add(2 * time.Second)
	tr.toModem([]byte("AT\r"))
	tr.fromModem([]byte("2345678\"\r\nOK\r\n"))
	tr.fromModem(bytes.Repeat([]byte{'1'}, 3*maxTraceLine))
	tr.fromModem([]byte("\r\n+CSQ: 1"))
	tr.note("the port is closed")
	want := "< «13 octets without a line's end»|> AT|< «8 octets of a longer line»|< OK|< «12288 octets of a longer line»|< «7 octets without a line's end»|# the port is closed"
	if strings.Join(got, "|") != want {
		t.Errorf("%q", got)
	}
}

// inUCS2 is UCS-2 in hexadecimal digits.
func inUCS2(s string) string {
	var hex strings.Builder
	for _, unit := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&hex, "%04X", unit)
	}
	return hex.String()
}

// forms are those that something that must not be in a trace has on the wire.
func forms(t *testing.T, secret string) []string {
	t.Helper()
	all := []string{secret}
	septets, err := gsm7.Encode([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	// Packed text looks otherwise at each of its eight positions; its middle
	// is searched for.
	for shift := range 7 {
		packed := pack(append(make([]byte, shift), septets...))
		if len(packed) > shift+3 {
			all = append(all, fmt.Sprintf("%X", packed[shift+1:len(packed)-1]))
		}
	}
	all = append(all, inUCS2(secret), fmt.Sprintf("%X", secret))
	if strings.Trim(secret, "0123456789") == "" {
		octets, err := semioctet.Encode([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.TrimRight(fmt.Sprintf("%X", octets), "F"))
	}
	return all
}

// pack puts septets into octets: TS 23.038 6.1.2.1.
func pack(septets []byte) []byte {
	packed := make([]byte, (7*len(septets)+7)/8)
	for i, septet := range septets {
		for bit := range 7 {
			if at := 7*i + bit; septet>>bit&1 == 1 {
				packed[at/8] |= 1 << (at % 8)
			}
		}
	}
	return packed
}

// TestTraceGivesNothingAway: whatever carries a number, a code, a PIN or a
// text, and however it is cut, none of it is in the trace.
func TestTraceGivesNothingAway(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 7))
		digits := func(n int) string {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte('0' + rng.IntN(10))
			}
			return string(b)
		}
		letters := func(n int) string {
			b := make([]byte, n)
			for i := range b {
				b[i] = "ghjkmnpqrstvwxyz"[rng.IntN(16)]
			}
			return string(b)
		}
		number, code, pin, words := digits(11), digits(4+rng.IntN(5)), digits(4+rng.IntN(5)), letters(9)
		imei, imsi, iccid := "35693"+digits(10), "20801"+digits(10), "89330"+digits(14)
		text := words + " " + code
		var grouped strings.Builder
		for i := range 5 {
			grouped.WriteString(number[2*i:2*i+2] + string(" .-/"[rng.IntN(4)]))
		}
		hexOf := func(s string) string { return fmt.Sprintf("%X", s) }
		septets, err := gsm7.Encode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		packed := pack(septets)
		address, err := semioctet.Encode([]byte(number))
		if err != nil {
			t.Fatal(err)
		}
		submit := fmt.Sprintf("0031000B91%X000000%02X%X", address, len(septets), packed)
		deliver := fmt.Sprintf("00040B91%X000062113291017240%02X%X", address, len(septets), packed)
		report := fmt.Sprintf("0006D60B91%X1110117195514011101171957140%02X", address, 0)
		length := func(pdu string) int { return len(pdu)/2 - 1 }
		payload := func(command, body string) func(*tracer) {
			return func(tr *tracer) {
				tr.toModem([]byte(command + "\r"))
				tr.fromModem([]byte("\r\n> "))
				chop(rng, []byte(body+"\x1a"), tr.toModem)
				chop(rng, []byte("> "+body+"\r\n"), tr.fromModem)
			}
		}
		says := func(lines ...string) func(*tracer) {
			return func(tr *tracer) {
				for _, line := range lines {
					chop(rng, []byte("\r\n"+line+"\r\n"), tr.fromModem)
				}
			}
		}
		commands := func(lines ...string) func(*tracer) {
			return func(tr *tracer) {
				for _, line := range lines {
					chop(rng, []byte(line+"\r"), tr.toModem)
					chop(rng, []byte(line+"\r\r\n"), tr.fromModem)
				}
			}
		}
		carriers := []func(*tracer){
			payload(fmt.Sprintf("AT+CMGS=%d", length(submit)), submit),
			payload("AT+CMGS=23", submit),
			payload(`AT+CMGS="+`+number+`"`, text),
			payload(`AT+CMGS="`+inUCS2(number)+`"`, inUCS2(text)),
			says(fmt.Sprintf("+CMT: ,%d", length(deliver)), deliver),
			says(fmt.Sprintf("+CMT: ,%d", length(deliver)+1), deliver),
			says(fmt.Sprintf("+CMGR: 1,,%d", length(deliver)), deliver, "OK"),
			says(fmt.Sprintf(`+CMGL: 1,1,"%s",%d`, words, length(deliver)), deliver, "OK"),
			says(fmt.Sprintf("+CDS: %d", length(report)), report),
			says(deliver), says(submit), says(report), says(text), says(hexOf(text)), says(inUCS2(text)), says(code), says(number),
			says(`+CMT: "+`+number+`",,"26/11/23,19:10:27+04"`, text),
			says(`+CMT: "+`+number+`",,"26/11/23,19:10:27+04",145,4,0,0,"+`+number+`",145,12`, words+`"`+code, text),
			says(`+CMGR: "REC UNREAD","+`+number+`",,"26/11/23,19:10:27+04"`, text, "+"+words+": "+code, "OK"),
			says(`+CDS: 6,214,"+` + number + `",145,"26/11/23,19:10:27+04","26/11/23,19:10:27+04",0`),
			says(`+CUSD: 0,"` + text + `",15`), says(`+CUSD: 0,"` + inUCS2(text) + `",72`), says(`+CUSD: 0,` + text), says(`+CUSD: 0,"` + hexOf(string(packed)) + `",15`),
			says(`+CUSD: 0,"`+words, code, `+CSQ: `+code, number+`",15`), says(`+CUSD: 2,`+words, code, number),
			says(`+CLIP: "+` + number + `",145`), says(`+CNUM: "` + words + `","` + number + `",129`), says(`+CPBR: 1,"` + number + `",129,"` + words + `"`),
			says(`+CSCA: "+` + number + `",145`), says(`+CSCA: ` + number), says(`^SMS: ` + number + `,` + text), says(`%` + words + `: ` + text),
			says(`+CPIN: ` + pin), says(`+CME ERROR: ` + text), says(`ERROR ` + text), says("> " + text), says("RING " + number),
			commands(`AT+CPIN="`+pin+`"`, `AT+CPIN=`+pin, `AT+CLCK="SC",0,"`+pin+`"`, `AT+CPWD="SC","`+pin+`","`+code+`"`),
			commands(`AT+CSCA="+`+number+`",145`, `ATD+`+number+`;`, `ATD*`+code+`#;`, `AT+CUSD=1,"*`+code+`#",15`, `AT+CPBW=1,"`+number+`",129,"`+words+`"`),
			commands("AT+CGSN"), says(imei, "OK"), commands("AT+CIMI"), says(imsi, "OK"), commands("AT+CCID"), says("+CCID: "+iccid, "OK"),
			says("+CGSN: \"" + imei + "\""), says("+CGMR: " + number), says("+CGMR: " + submit),
			// A text that comes alone as the answer of AT+CGMR can't be told from
			// a firmware's name; only its numbers are hidden.
			func(tr *tracer) {
				commands("AT+CGMR")(tr)
				says(number, deliver, code, "OK")(tr)
				commands("AT")(tr)
			},
			func(tr *tracer) {
				commands("AT+CGMR")(tr)
				says("PIN "+pin+" at "+grouped.String(), words, text, "OK")(tr)
				commands("AT")(tr)
			},
			// The second line of a text, behind a command that came between.
			func(tr *tracer) {
				says(`+CMT: "+` + number + `",,"26/11/23,19:10:27+04"`)(tr)
				if rng.IntN(2) == 0 {
					says(words)(tr)
				}
				commands([]string{"AT+CGMR", "AT+CGMI", "ATI", "AT"}[rng.IntN(4)])(tr)
				says(words+" "+code+" "+grouped.String(), "OK")(tr)
			},
		}
		tr, lines := trace("m")
		for range 12 {
			carriers[rng.IntN(len(carriers))](tr)
		}
		tr.note("the port is closed")
		all := strings.ToUpper(strings.Join(*lines, "\n"))
		all = strings.NewReplacer("35693«", "", "20801«", "", "89330«", "").Replace(all) // beginnings are shown
		for _, secret := range []string{number, number[4:], code, pin, words, text, grouped.String(), grouped.String()[3:11], imei[5:], imsi[5:], iccid[5:]} {
			for _, form := range forms(t, secret) {
				if len(form) >= 4 && strings.Contains(all, strings.ToUpper(form)) {
					t.Fatalf("seed %d: %q of %q is in\n%s", seed, form, secret, strings.Join(*lines, "\n"))
				}
			}
		}
	}
}

// FuzzTrace: no octets, however they come, bring the tracer down or a longer
// number into a trace.
func FuzzTrace(f *testing.F) {
	f.Add([]byte("AT+CMGS=17\r"), []byte("\r\n> "), []byte("0031000B913316325476F8000000036131D9\x1a"), []byte("\r\n+CMGS: 7\r\n\r\nOK\r\n"), 5)
	f.Add([]byte("AT+CGMR\r"), []byte("+CDS: 25\r\n"), []byte("\x1bAT\r"), []byte("0006D60B911326880736F4111011719551401110117195714000\r\n"), 1)
	f.Add([]byte("AT+CPIN=\"1234\"\r"), []byte("+CUSD: 0,\"123456\r\n"), []byte("ATI\r"), []byte("789012345\",15\r\nOK\r\n"), 3)
	f.Fuzz(func(t *testing.T, sent, received, then, answer []byte, chunk int) {
		tr, lines := trace("m")
		say := func(octets []byte, to func([]byte)) {
			for len(octets) > 0 {
				n := min(max(chunk, 1), len(octets))
				to(octets[:n])
				octets = octets[n:]
			}
		}
		say(sent, tr.toModem)
		say(received, tr.fromModem)
		say(then, tr.toModem)
		say(answer, tr.fromModem)
		tr.note("the port is closed")
		run := 0
		for _, line := range *lines {
			for i := range len(line) {
				if !isDigit(line[i]) {
					run = 0
				} else if run++; run > 5 {
					t.Fatalf("a number in %q", line)
				}
			}
			if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' }) {
				t.Fatalf("not one line: %q", line)
			}
		}
	})
}

// chop hands octets on in pieces of random sizes.
func chop(rng *rand.Rand, octets []byte, to func([]byte)) {
	for len(octets) > 0 {
		n := 1 + rng.IntN(min(len(octets), 40))
		to(octets[:n])
		octets = octets[n:]
	}
}

// BenchmarkTrace: a line of a trace.
func BenchmarkTrace(b *testing.B) {
	tr := newTracer(func(string, string) {}, func() string { return "m" }, time.Now)
	line := []byte("\r\n+CREG: 2,1,\"4048\",\"0B78\",7\r\n")
	b.ReportAllocs()
	for b.Loop() {
		tr.fromModem(line)
	}
}
