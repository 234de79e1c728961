package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// domains are the registrations that a modem tells of, TS 27.007 7.2 and 10.1.
var domains = [...]string{"+CREG", "+CGREG", "+CEREG", "+C5GREG"}

// settings are what a client set and a reboot forgets.
type settings struct {
	cmee     int
	cregMode [len(domains)]int
	cscs     string
	cusdMode int
	messageSettings
}

// reset gives the settings after a start.
func (m *Modem) reset() {
	p := m.config.Profile
	for _, c := range m.channels {
		c.eol, c.echo, c.verbose, c.quiet = p.EOL, !p.EchoOff, true, false
	}
	m.settings = settings{
		cscs: "GSM",
		messageSettings: messageSettings{
			textMode: p.TextMode,
			csms:     p.CSMSStart,
			cnmi:     p.CNMIStart,
			csmp:     [4]int{17, 167, 0, 0},
			cpms:     p.memoriesAtStart(),
		},
	}
}

// commandTable is every command that the modem knows, by name.
func commandTable() map[string]handler {
	table := map[string]handler{
		"E": (*Modem).setEcho, "V": (*Modem).setVerbose, "Q": (*Modem).setQuiet, "Z": (*Modem).restore,
		"&F": (*Modem).restore, "I": (*Modem).identify, "D": (*Modem).dial, "O": (*Modem).dial, "H": (*Modem).accept,
		"&C": (*Modem).accept, "&D": (*Modem).accept, "&K": (*Modem).accept, "&W": (*Modem).accept, "&S": (*Modem).accept,
		"L": (*Modem).accept, "M": (*Modem).accept, "X": (*Modem).accept, "T": (*Modem).accept, "P": (*Modem).accept,
		"S": (*Modem).register, "S0": (*Modem).accept, "S3": (*Modem).accept, "S4": (*Modem).accept, "S5": (*Modem).accept,
		"S7": (*Modem).accept, "+IPR": (*Modem).accept, "+IFC": (*Modem).accept, "+ICF": (*Modem).accept, "+CMGL": (*Modem).cmgl,
		"+GCAP": (*Modem).gcap, "+CLAC": (*Modem).clac, "+CPAS": func(m *Modem, _ command) outcome { return answer("+CPAS: 0") },
		"+CGMI": (*Modem).identity, "+CGMM": (*Modem).identity, "+CGMR": (*Modem).identity, "+CGSN": (*Modem).identity,
		"+GMI": (*Modem).identity, "+GMM": (*Modem).identity, "+GMR": (*Modem).identity, "+GSN": (*Modem).identity,
		"+CIMI": (*Modem).identity, "+CCID": (*Modem).identity, "+ICCID": (*Modem).identity, "+CNUM": (*Modem).cnum,
		"+CPIN": (*Modem).cpin, "+CFUN": (*Modem).cfun, "+CMEE": (*Modem).setCMEE, "+COPS": (*Modem).cops,
		"+CSQ": (*Modem).csq, "+CSCS": (*Modem).setCSCS, "+CUSD": (*Modem).cusd,
		"+CSMS": (*Modem).setCSMS, "+CMGF": (*Modem).setCMGF, "+CSCA": (*Modem).csca, "+CPMS": (*Modem).setCPMS,
		"+CNMI": (*Modem).setCNMI, "+CMGS": (*Modem).cmgs, "+CMGR": (*Modem).cmgr, "+CMGD": (*Modem).cmgd,
		"+CNMA": (*Modem).cnma, "+CMMS": (*Modem).setCMMS, "+CSMP": (*Modem).setCSMP, "+CSDH": (*Modem).setCSDH,
	}
	for name := range triesCommands() {
		table[name] = (*Modem).pinTries
	}
	for i, name := range domains {
		table[name] = func(m *Modem, c command) outcome { return m.creg(i, c) }
	}
	return table
}

func (m *Modem) accept(command) outcome { return answer() }

func (m *Modem) setEcho(c command) outcome { return m.setFlag(c, &m.echo) }

func (m *Modem) setVerbose(c command) outcome { return m.setFlag(c, &m.verbose) }

func (m *Modem) setQuiet(c command) outcome { return m.setFlag(c, &m.quiet) }

func (m *Modem) setFlag(c command, flag *bool) outcome {
	if c.form != formExecute || c.args != "" && c.args != "0" && c.args != "1" {
		return outcome{final: finalError}
	}
	*flag = c.args == "1"
	return answer()
}

// restore is ATZ and AT&F: what is set per line, not the message service.
func (m *Modem) restore(command) outcome {
	m.echo, m.verbose, m.quiet, m.cmee = !m.config.Profile.EchoOff, true, false, 0
	return answer()
}

func (m *Modem) identify(command) outcome {
	p := m.config.Profile
	return answer(p.Manufacturer, p.Model, "Revision: "+p.Revision)
}

func (m *Modem) dial(command) outcome { return outcome{final: "NO CARRIER"} }

// register answers ATS3? and the like; ATSn=v is taken and ignored.
func (m *Modem) register(c command) outcome {
	values := map[string]string{"0": "000", "3": "013", "4": "010", "5": "008", "7": "060"}
	v, ok := values[c.args]
	if c.form != formRead || !ok {
		return outcome{final: finalError}
	}
	return answer(v)
}

func (m *Modem) gcap(command) outcome { return answer("+GCAP: +CGSM") }

func (m *Modem) clac(c command) outcome {
	if c.form != formExecute {
		return answer()
	}
	var names []string
	for name := range m.table {
		names = append(names, "AT"+name)
	}
	slices.Sort(names)
	return answer(names...)
}

func (m *Modem) identity(c command) outcome {
	if c.form == formTest {
		return answer()
	}
	p := m.config.Profile
	switch c.name {
	case "+CGMI", "+GMI":
		return answer(p.Manufacturer)
	case "+CGMM", "+GMM":
		return answer(p.Model)
	case "+CGMR", "+GMR":
		return answer(p.Revision)
	case "+CGSN", "+GSN":
		return answer(m.config.IMEI)
	case "+CIMI":
		return answer(m.config.IMSI)
	default:
		return answer(c.name + ": " + m.config.ICCID)
	}
}

func (m *Modem) cnum(c command) outcome {
	if c.form != formExecute {
		return answer()
	}
	return answer(fmt.Sprintf(`+CNUM: "","%s",145`, m.config.Number))
}

func (m *Modem) cpin(c command) outcome {
	switch c.form {
	case formTest:
		return answer()
	case formRead:
		if m.sim.cpin() == "" {
			return m.cme(cmeSIMNotInserted)
		}
		return answer("+CPIN: " + m.sim.cpin())
	case formSet:
		if m.sim.cpin() == "" {
			return m.cme(cmeSIMNotInserted)
		}
		if kind := m.sim.misuse(arguments(c.args)); kind != "" {
			m.violate(kind)
		}
		if code := m.sim.unlock(arguments(c.args)); code >= 0 {
			return m.cme(code)
		}
		m.simBusy = m.config.Profile.SIMBusy
		m.announceRegistration()
		return answer()
	default:
		return m.cme(cmeNotAllowed)
	}
}

func (m *Modem) cfun(c command) outcome {
	switch c.form {
	case formTest:
		return answer("+CFUN: (0,1,4),(0,1)")
	case formRead:
		return answer("+CFUN: " + strconv.Itoa(m.function))
	case formSet:
		values, ok := numbers(c.args)
		switch {
		case !ok || len(values) > 2 || !slices.Contains([]int{0, 1, 4}, values[0]):
			return m.cme(cmeNotAllowed)
		case len(values) == 2 && values[1] == 1:
			m.finish(finalOK)
			m.restart()
			return outcome{pending: true}
		}
		m.function = values[0]
		if m.function == 1 {
			m.functionBusy = m.config.Profile.FunctionBusy
		}
		m.announceRegistration()
		m.pump()
		return answer()
	default:
		return m.cme(cmeNotAllowed)
	}
}

func (m *Modem) setCMEE(c command) outcome { return m.setNumber(c, &m.cmee, "0-2") }

// setNumber serves the commands with one number, whose test form gives the
// allowed values: "0,1" or "0-2".
func (m *Modem) setNumber(c command, value *int, allowed string) outcome {
	switch c.form {
	case formTest:
		return answer(c.name + ": (" + allowed + ")")
	case formRead:
		return answer(c.name + ": " + strconv.Itoa(*value))
	case formSet:
		values, ok := numbers(c.args)
		if !ok || len(values) != 1 || !inSet(allowed, values[0]) {
			return m.refuse(c)
		}
		*value = values[0]
		return answer()
	default:
		*value = 0
		return answer()
	}
}

// refuse is the error for arguments out of range.
func (m *Modem) refuse(c command) outcome {
	if isMessageCommand(c.name) {
		return m.cms(cmsNotSupported)
	}
	return m.cme(cmeNotAllowed)
}

func (m *Modem) cops(c command) outcome {
	switch {
	case c.form == formTest:
		return answer(`+COPS: (2,"Simulated","SIM","00101",7),,(0,1,2,3,4),(0,1,2)`)
	case c.form == formRead && m.registered():
		return answer(`+COPS: 0,0,"Simulated",7`)
	case c.form == formRead:
		return answer("+COPS: 0")
	default:
		return answer()
	}
}

func (m *Modem) csq(c command) outcome {
	switch {
	case c.form == formTest:
		return answer("+CSQ: (0-31,99),(0-7,99)")
	case m.function == 1 && !m.searching:
		return answer(fmt.Sprintf("+CSQ: %d,99", m.signal))
	default:
		return answer("+CSQ: 99,99")
	}
}

// SetSignal sets <rssi> of AT+CSQ: 0 to 31, or 99 for not known.
func (m *Modem) SetSignal(rssi int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.signal = rssi
}

func (m *Modem) setCSCS(c command) outcome {
	known := []string{"GSM", "IRA", "UCS2", "HEX"}
	switch c.form {
	case formTest:
		return answer(`+CSCS: ("` + strings.Join(known, `","`) + `")`)
	case formRead:
		return answer(`+CSCS: "` + m.cscs + `"`)
	case formSet:
		args := arguments(c.args)
		if len(args) != 1 || !slices.Contains(known, args[0]) {
			return m.cme(cmeNotAllowed)
		}
		m.cscs = args[0]
		return answer()
	default:
		return m.cme(cmeNotAllowed)
	}
}

// creg serves AT+CREG and its kin; URCs come with mode 1 and 2.
func (m *Modem) creg(domain int, c command) outcome {
	if m.config.Profile.Registration[domain] < 0 {
		return m.unknown()
	}
	if c.form == formRead {
		return answer(fmt.Sprintf("%s: %d,%s", c.name, m.cregMode[domain], m.registrationText(domain)))
	}
	if c.form == formExecute {
		return m.cme(cmeNotAllowed)
	}
	modes := m.config.Profile.RegistrationModes[domain]
	if modes == "" {
		modes = "0-2"
	}
	return m.setNumber(c, &m.cregMode[domain], modes)
}

// stat is <stat> of one domain now: 0 off, 1 home, 2 searching, ….
func (m *Modem) stat(domain int) int {
	switch {
	case m.function != 1 || !m.smsReady || m.sim.cpin() != "READY":
		return 0
	case m.searching && m.registration[domain] > 0:
		return 2
	default:
		return max(m.registration[domain], 0)
	}
}

func (m *Modem) registrationText(domain int) string {
	const (
		denied   = 3
		location = 2 // the modes from which there is more than <stat>
		cause    = 3
		saving   = 4 // power saving instead of the cause
		both     = 5
	)
	stat, mode := m.stat(domain), m.cregMode[domain]
	text := strconv.Itoa(stat)
	switch {
	case mode >= location && usable(stat):
		text += m.cell(domain)
	case (mode == cause || mode == both) && stat == denied:
		return text + ",,,,0,15" // an EMM cause: no suitable cells
	}
	if mode == saving || mode == both {
		text += `,,,"00100010","00011111"`
	}
	return text
}

// cell is area, cell and access technology, TS 27.007 7.2, 10.1.20, 10.1.22
// and 10.1.47: a routing area for GPRS, slices for 5G.
func (m *Modem) cell(domain int) string {
	text := [len(domains)]string{`,"0001","00000001",7`, `,"0001","00000001",7,"01"`, `,"0001","00000001",7`, `,"000001","000000001",11,4,"01.D143A5"`}[domain]
	if m.config.Profile.RegistrationBare {
		return strings.ReplaceAll(text, `"`, "")
	}
	return text
}

// usable tells whether a registration carries messages: home, roaming, and the
// two that carry nothing but messages.
func usable(stat int) bool { return stat == 1 || stat >= 5 && stat <= 7 }

func (m *Modem) registered() bool {
	for domain := range domains {
		if usable(m.stat(domain)) {
			return true
		}
	}
	return false
}

// announceRegistration tells of the present registration where it was asked
// for.
func (m *Modem) announceRegistration() {
	for domain, name := range domains {
		if m.cregMode[domain] > 0 && m.config.Profile.Registration[domain] >= 0 {
			m.unsolicited(name + ": " + m.registrationText(domain))
		}
	}
}

// SetRegistration sets <stat> of all domains that the modem has, TS 27.007
// 7.2: 0 not searching, 1 home, 2 searching, 3 denied, 5 roaming, ….
func (m *Modem) SetRegistration(stat int) {
	m.mu.Lock()
	defer m.unlock()
	for domain := range domains {
		m.registration[domain] = stat
	}
	m.announceRegistration()
	m.pump()
}

// SetDomain sets <stat> of one domain alone: AT+CREG, +CGREG, +CEREG and
// +C5GREG are 0 to 3.
func (m *Modem) SetDomain(domain, stat int) {
	m.mu.Lock()
	defer m.unlock()
	m.registration[domain] = stat
	m.announceRegistration()
	m.pump()
}

// arguments splits "a","b",1 at the commas outside quotes, and unquotes.
func arguments(s string) []string {
	var args []string
	quoted := false
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] == '"' {
			quoted = !quoted
		}
		if i == len(s) || s[i] == ',' && !quoted {
			args = append(args, strings.Trim(strings.TrimSpace(s[start:i]), `"`))
			start = i + 1
		}
	}
	return args
}

// numbers reads a list of numbers; -1 stands for one that was left out.
func numbers(s string) ([]int, bool) {
	var values []int
	for _, arg := range arguments(s) {
		if arg == "" {
			values = append(values, -1)
			continue
		}
		v, err := strconv.Atoi(arg)
		if err != nil || v < 0 {
			return nil, false
		}
		values = append(values, v)
	}
	return values, true
}

// inSet tells whether v is in a set like "0-2" or "0,2,3".
func inSet(set string, v int) bool {
	for part := range strings.SplitSeq(set, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err1 == nil && err2 == nil && v >= from && v <= to {
			return true
		}
	}
	return false
}
