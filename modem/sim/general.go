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
		return answer(fmt.Sprintf(`+COPS: (2,"%s","SIM","%s",7),,(0,1,2,3,4),(0,1,2)`, operatorName(m.config.Operator), m.config.Operator))
	case c.form == formRead && m.registered():
		return answer(fmt.Sprintf(`+COPS: 0,0,"%s",7`, operatorName(m.config.Operator)))
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
	case m.function == 1 && !m.offline():
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
