package wire

import (
	"fmt"
	"slices"
	"strings"
)

// exchange is a legal dialogue of one command: what is asked, and the lines of
// the answer, the last one final.
type exchange struct {
	cmd, payload string
	answers      []string
}

// token is a piece of what the modem says: a line, or raw octets.
type token struct {
	text   string
	urc    string // the unsolicited message that is whole with it: line|body
	raw    bool
	prompt bool
	opens  bool // a second line belongs to it, which closes it
	closes bool
	bound  bool // nothing comes between it and the next one
}

// scenario is a dialogue as some modem would hold it, whatever else it says
// meanwhile.
type scenario struct {
	exchange
	toCmd, toPayload string   // what the modem says to each
	urcs             []string // all unsolicited messages in it, in order
	pieces           []int    // the sizes of the pieces it comes in
}

// plain is the same dialogue on a modem by the book.
func (x exchange) plain() scenario {
	s := scenario{exchange: x, pieces: []int{4096}}
	lines := ""
	for _, line := range x.answers {
		lines += "\r\n" + line + "\r\n"
	}
	if s.toCmd = lines; x.payload != "" {
		s.toCmd, s.toPayload = "\r\n> ", lines
	}
	return s
}

// source draws a number from 0 to n-1.
type source func(n int) int

// octets draws from data, and 0 once they are used up.
func octets(data []byte) source {
	return func(n int) int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b) % n
	}
}

func pick[T any](draw source, of ...T) T { return of[draw(len(of))] }

func chance(draw source, of int) bool { return draw(of) == of-1 }

// hexPDU is a message of n octets behind its service centre.
func hexPDU(draw source, n int) string {
	tpdu, first := make([]byte, n), draw(256)
	for i := range tpdu {
		tpdu[i] = byte(first + 37*i)
	}
	return fmt.Sprintf("%s%X", pick(draw, "00", "07913316325476F8", "07911326880736F4"), tpdu)
}

// drawExchange draws any command that the driver uses and a legal answer.
func drawExchange(draw source) exchange {
	n := func(most int) int { return draw(most + 1) }
	reg := pick(draw, "+CREG", "+CGREG", "+CEREG", "+C5GREG")
	octets := 2 + draw(59)
	var x exchange
	switch n(11) {
	case 0:
		x.cmd = pick(draw, "", "E0", "+CMGF=0", "+CNMI=2,1,0,1,0", "+CMEE=1", "+CMGD=3", "+CMMS=2", "+CREG=2", "+CFUN=1", `+CPIN="1234"`, `+CUSD=1,"*100#",15`, "^CURC=0", "+CNMA")
	case 1:
		x.cmd, x.answers = "+CSQ", []string{fmt.Sprintf("+CSQ: %d,99", n(31))}
	case 2:
		x.cmd = reg + "?"
		x.answers = []string{pick(draw, fmt.Sprintf("%s: 0,%d", reg, n(10)), reg+`: 2,1,"4048","0B78"`, reg+`: 2,5,"4048","0B78",7`, fmt.Sprintf("%s: %d", reg, n(5)))}
	case 3:
		x.cmd, x.answers = "+CPIN?", []string{"+CPIN: " + pick(draw, "READY", "SIM PIN", "SIM PUK", "PH-NET PIN")}
	case 4:
		q := pick(draw, "+CFUN?|+CFUN: 4", "+CMGF?|+CMGF: 0", `+CSCA?|+CSCA: "+33609001390",145`, `+CSCA?|+CSCA: "",129`, `+COPS?|+COPS: 0,0,"F SFR",7`,
			`+COPS?|+COPS: 0`, `+CSCS?|+CSCS: "IRA"`, "+CSMS?|+CSMS: 0,1,1,1", "+CNMI?|+CNMI: 2,1,0,1,0", "+CNMI=?|+CNMI: (0-3),(0,1,2),(0,2),(0,1),(0,1)",
			`+CPMS?|+CPMS: "SM",3,20,"SM",3,20,"SR",0,20`, `+CPMS=?|+CPMS: ("SM","ME"),("SM"),("SM","SR")`, `+CPMS?|+CPMS: ,,,,,,,,`, `^ICCID?|^ICCID: 89330123456789012345`)
		cmd, line, _ := strings.Cut(q, "|")
		x.cmd, x.answers = cmd, []string{line}
	case 5:
		x.cmd, x.answers = `+CPMS="SM"`, []string{fmt.Sprintf("+CPMS: %d,20,%d,20,0,20", n(20), n(20))}
	case 6:
		x.cmd, x.answers = `+CPINR="SIM PIN"`, []string{"+CPINR: SIM PIN,3", "+CPINR: SIM PUK,10"}[:1+n(1)]
	case 7:
		x.cmd = pick(draw, "+CGMI", "+CGMM", "+CGMR", "I", "+GMR")
		words := []string{"huawei", "SIMCOM_Ltd", "V ICPR72_08w44.1", "24-11-08", "RM-348", "(c) Nokia", "11.049", "Revision: M26FBR03A06-TTS", "FOXCOM MODEM", "Quectel_M26", "E1750"}
		x.answers = slices.Clone(words[n(5):][:1+n(4)])
	case 8:
		x.cmd, x.answers = pick(draw, "+CGSN", "+GSN", "+CIMI", "+CGSN=1", "+CCID"), []string{pick(draw, "490154203237518", `"490154203237518"`, "208101234567890", "IMEI: 490154203237518")}
	case 9:
		x.cmd, x.answers = "+CMGR=3", []string{fmt.Sprintf(pick(draw, "+CMGR: 0,,%d", "+CMGR: 1,\"\",%d", "+CMGR: 0,%d"), octets), hexPDU(draw, octets)}
	default:
		x.cmd, x.payload = "+CMGS=18", pdu
		x.answers = []string{fmt.Sprintf("+CMGS: %d", n(255))}
		if chance(draw, 4) {
			x.answers[0] += `,"25/11/23,16:00:00+00"`
		}
	}
	if chance(draw, 4) {
		x.answers = []string{pick(draw, "ERROR", "+CME ERROR: 14", "+CME ERROR: SIM not inserted", "+CMS ERROR: 38", "+CMS ERROR: 500")}
	} else {
		x.answers = append(x.answers, "OK")
	}
	return x
}

// drawUnasked draws what a modem may say at any time, as tokens of its lines.
// Words without prefix that are known to nobody are told from an answer only
// if that has a form (formed).
func drawUnasked(draw source, formed bool) []token {
	single := func(line string) []token { return []token{{text: line, urc: line}} }
	switch draw(10) {
	case 0, 1, 2:
		return single(pick(draw, "^RSSI:26", "^BOOT:123,0,0,0,6", `^HCSQ:"LTE",60,52,106,24`, "*PSUTTZ: 25,11,23,19,0,0,\"+4\",0", "$QCSIMSTAT: 1", "+CEREX: 1",
			"+CNSMOD: 4", `+CMTI: "SM",3`, "+CMTI: ,-1", `+CDSI: "SR",8`, "#QSS: 1", "+PACSP1", "^^SRVST:2", "_OSIGQ: 18,0", "%CTZV: +04", "!GSTATUS: 1", "^SIMST:1", "+ZPASR: \"HSPA\""))
	case 3:
		return single(pick(draw, "RING", "STIN: 25", "DST: 1", "Call Ready", "SMS Ready", "PB DONE", "UNDER-VOLTAGE WARNNING", "NO CARRIER", "READY", "VOICE CALL: END: 000017"))
	case 4:
		if formed {
			return single(pick(draw, "Battery low", "OVER-TEMP", "WLAN:UP", "hello", "[ota] idle", "FOTA 3%"))
		}
	case 5:
		line, text := `+CMT: "+33612345678",,"25/11/23,16:00:00+00"`, pick(draw, "OK", "ERROR", "> ", ">", "> OK", "+CMGS: 9", "AT", "AT+CMGS=18", "+CMT: ,4", "+CUSD: 0,\"", "RDY", "\u00c9t\u00e9", "+CMS ERROR: 38", "0011")
		return []token{{text: line, bound: true}, {text: text, urc: line + "|" + strings.TrimSpace(text)}}
	case 6:
		lines := []string{`+CUSD: 1,"` + pick(draw, "Menu", "", "Say \"hi\"")}
		for range 1 + draw(4) {
			lines = append(lines, pick(draw, "1 Balance", "> 2 More", "OK", "ERROR", ">", "+CMS ERROR: 38", "AT+CSQ", "\u00e9t\u00e9", "RDY", "0011223344"))
		}
		lines[len(lines)-1] += pick(draw, `",15`, `"`, `", 72`)
		if whole := strings.Join(lines, "\n"); strings.Count(whole, `"`)%2 == 0 || !strings.HasSuffix(whole, `"`) {
			tokens := make([]token, len(lines))
			for i, line := range lines {
				tokens[i] = token{text: line, bound: i < len(lines)-1}
			}
			tokens[len(lines)-1].urc = whole
			return tokens
		}
	case 7:
		return single(`+CUSD: ` + pick(draw, `2`, `0,"Your balance is 5",15`, `0,"004F004B",72`, `4`))
	}
	n := 4 + draw(57)
	head, body := fmt.Sprintf(pick(draw, "+CDS: %d", "+CMT: ,%d", `+CMT: "a,b",%d`, "+CBM: %d", "+CDS:%d"), n), hexPDU(draw, n)
	return []token{{text: head, opens: true}, {text: body, urc: head + "|" + body, closes: true}}
}

// drawScenario draws a dialogue in some dialect, with anything unasked at any
// place where lines can come.
func drawScenario(draw source) scenario {
	x := drawExchange(draw)
	s := scenario{exchange: x}
	c := newCommand("AT"+x.cmd, x.payload != "")
	formed := c.shape != freeText
	lead := pick(draw, "\r\n", "", "\x00\r\n", "\n")
	end := pick(draw, "\r\n", "\r\r\n", "\n", "\r")
	echoes := chance(draw, 2)
	say := func(tokens []token, most int) []token {
		for range draw(most + 1) {
			tokens = append(tokens, drawUnasked(draw, formed)...)
			if chance(draw, 10) {
				tokens = append(tokens, token{text: pick(draw, "$GPGGA,1,2,3*47", "$GNRMC,,V*4D", "\x7e\x10\xff\xfe\x80ab\xff", "")})
			}
		}
		return tokens
	}

	var all []token
	all = say(all, 1)
	if echoes {
		all = append(all, drawEcho(draw, "AT"+x.cmd, end)...)
	}
	if x.payload != "" {
		all = append(say(all, 1), token{text: lead + pick(draw, "> ", ">"), raw: true, prompt: true})
		if echoes {
			all = append(all, drawEcho(draw, x.payload+"\x1a", end)...)
		}
		all = wrap(draw, append(all, s.drawAnswer(draw, c.shape, say)...))
		prompt := 1 + slices.IndexFunc(all, func(k token) bool { return k.prompt })
		s.toCmd, s.toPayload = s.render(draw, all[:prompt], lead, end), s.render(draw, all[prompt:], lead, end)
	} else {
		all = wrap(draw, append(all, s.drawAnswer(draw, c.shape, say)...))
		s.toCmd = s.render(draw, all, lead, end)
	}
	for range 1 + draw(6) {
		s.pieces = append(s.pieces, 1+draw(24))
	}
	return s
}

// drawAnswer draws the tokens of the answer with what comes between.
func (s *scenario) drawAnswer(draw source, of shape, say func([]token, int) []token) []token {
	var all []token
	name, _, _ := strings.Cut(s.answers[0], ":")
	lines, final := s.answers[:len(s.answers)-1], s.answers[len(s.answers)-1]
	for i, line := range lines {
		all = say(all, 2)
		if of == oneLine && chance(draw, 2) {
			twin := drawTwin(draw, name)
			all = append(all, token{text: twin, urc: twin})
		}
		k := token{text: line, opens: of == messages && i == 0, closes: of == messages && i == 1}
		if of != freeText && chance(draw, 4) {
			k.text = strings.Replace(line, ": ", ":", 1)
		}
		if of == oneLine && reportsRegistration([]byte(line)) {
			k.urc = k.text // it goes both ways
		}
		all = append(all, k)
	}
	all = say(all, 2)
	if of == oneLine && len(lines) > 0 && strings.HasSuffix(name, "REG") && !reportsRegistration([]byte(lines[0])) && chance(draw, 2) {
		// Behind the answer only what does not look like one is told from it.
		twin := name + pick(draw, ": 5", `: 1,"4048","0B78"`)
		all = append(all, token{text: twin, urc: twin})
	}
	switch {
	case final == "OK" && len(lines) > 0 && (of == oneLine || s.payload != "") && chance(draw, 6):
		return all // no final result at all
	case final == "ERROR":
		final = pick(draw, "ERROR", "COMMAND NOT SUPPORT", "TOO MANY PARAMETERS", "NA", "MODEM ERROR: 4", "Invalid command", "+EXT ERROR: 6")
	case final != "OK":
		final = strings.Replace(final, "ERROR: ", pick(draw, "ERROR: ", "ERROR:", "ERROR : ", "ERROR "), 1)
	}
	return say(append(all, token{text: final}), 1)
}

// drawTwin draws an unsolicited line with the prefix of the answer.
func drawTwin(draw source, name string) string {
	switch {
	case strings.HasSuffix(name, "REG"):
		return name + pick(draw, ": 5", ": 1", `: 1,"4048","0B78"`, `: 5,"4048","0B78",7`)
	case name == "+CPIN":
		return pick(draw, "+CPIN: READY", "+CPIN: NOT READY")
	case name == "+CFUN":
		return "+CFUN: 0"
	}
	return name + ": 11,99"
}

// drawEcho draws the tokens of an echo, whole or cut by unsolicited lines.
func drawEcho(draw source, text, end string) []token {
	var all []token
	for len(text) > 1 && chance(draw, 4) {
		n := 1 + draw(len(text)-1)
		u := pick(draw, "^RSSI:26", "+CREG: 5", "+CSQ: 3,99", "*PSUTTZ: 1", "#QSS: 1")
		// In the same line, or in one of its own.
		behind := token{text: pick(draw, "", end) + u + end, raw: true, urc: u, bound: true}
		all, text = append(all, token{text: text[:n], raw: true, bound: true}, behind), text[n:]
	}
	return append(all, token{text: text + "\r", raw: true})
}

// wrap puts messages around other lines: their second line comes later.
func wrap(draw source, all []token) []token {
	for range draw(3) {
		from := draw(len(all) + 1)
		to := min(len(all), from+1+draw(4))
		if !wrappable(all, from, to) {
			continue
		}
		n := 4 + draw(57)
		head, body := fmt.Sprintf("+CDS: %d", n), hexPDU(draw, n)
		all = slices.Insert(all, to, token{text: body, urc: head + "|" + body, closes: true})
		all = slices.Insert(all, from, token{text: head, opens: true})
	}
	return all
}

// wrappable tells whether a message can begin before all[from] and go on before
// all[to]: what is between is whole.
func wrappable(all []token, from, to int) bool {
	depth := 0
	for i, k := range all {
		if k.bound && (i+1 == from || i+1 == to) {
			return false
		}
		if i < from || i >= to {
			continue
		}
		if k.closes {
			depth--
		}
		if depth < 0 {
			return false
		}
		if k.opens {
			depth++
		}
	}
	return depth == 0
}

// render writes the tokens and notes the unsolicited messages.
func (s *scenario) render(draw source, all []token, lead, end string) string {
	var b strings.Builder
	for _, k := range all {
		if k.urc != "" {
			s.urcs = append(s.urcs, k.urc)
		}
		if k.raw {
			b.WriteString(k.text)
			continue
		}
		b.WriteString(lead + k.text + pick(draw, "", "", " ") + end)
	}
	return b.String()
}
