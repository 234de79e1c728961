package sim

import (
	"fmt"
	"slices"
	"strings"
)

// simCard is the SIM as the modem sees it, TS 27.007 8.3.
type simCard struct {
	present  bool
	pin, puk string
	locked   bool // the PIN is still to be given
	tries    int  // of the PIN that are left
	pukTries int
	wrong    string // the PIN that was refused last
}

func newSIM(c ModemConfig) simCard {
	s := simCard{present: true, pin: c.PIN, puk: c.PUK, tries: 3, pukTries: 10}
	s.removePIN()
	return s
}

// removePIN is what a loss of power does.
func (s *simCard) removePIN() { s.locked = s.pin != "" }

// cpin is the state in the words of AT+CPIN?; "" without a SIM.
func (s *simCard) cpin() string {
	switch {
	case !s.present:
		return ""
	case s.tries == 0:
		return "SIM PUK"
	case s.locked:
		return "SIM PIN"
	default:
		return "READY"
	}
}

// misuse is what a driver does wrong by trying codes now, "" for nothing.
func (s *simCard) misuse(codes []string) ViolationKind {
	switch {
	case s.cpin() != "SIM PIN" || len(codes) != 1:
		return ""
	case s.wrong != "" && codes[0] == s.wrong:
		return ViolationSamePIN
	case s.tries == 1:
		return ViolationLastTry
	default:
		return ""
	}
}

// unlock tries codes, one PIN or a PUK and a new PIN, and returns a +CME code
// or -1.
func (s *simCard) unlock(codes []string) int {
	switch {
	case s.cpin() == "SIM PIN" && len(codes) == 1:
		if codes[0] != s.pin {
			s.tries--
			s.wrong = codes[0]
			return cmeIncorrectPassword
		}
		s.tries, s.locked = 3, false
		return -1
	case s.cpin() == "SIM PUK" && s.pukTries == 0:
		return cmeSIMFailure
	case s.cpin() == "SIM PUK" && len(codes) == 2:
		if codes[0] != s.puk {
			s.pukTries--
			return cmeIncorrectPassword
		}
		s.pin, s.tries, s.pukTries, s.locked, s.wrong = codes[1], 3, 10, false, ""
		return -1
	case s.cpin() == "SIM PUK":
		return cmeSIMPUK
	default:
		return cmeNotAllowed
	}
}

// PINTries are how many attempts at the PIN are left.
func (m *Modem) PINTries() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sim.tries
}

// simRefuses answers a command that needs the SIM when the SIM can't be used:
// AT+CMS errors for messages, AT+CME for the rest (TS 27.005 3.2.5, 27.007 9.2).
func (m *Modem) simRefuses(c command) (outcome, bool) {
	always := []string{
		"+CPIN", "+CFUN", "+CMEE", "+CGMI", "+CGMM", "+CGMR", "+CGSN", "+GMI", "+GMM", "+GMR", "+GSN",
		"+CSQ", "+CREG", "+CGREG", "+CEREG", "+C5GREG", "+COPS", "+CSCS", "+GCAP", "+CLAC", "+IPR", "+CPAS",
	}
	_, tries := triesCommands()[c.name]
	if m.simBusy > 0 && (c.name == "+CPIN" || c.name == "+CIMI" || isMessageCommand(c.name)) && m.sim.present {
		m.simBusy--
		if isMessageCommand(c.name) {
			return m.cms(cmsSIMBusy), true
		}
		return m.cme(cmeSIMBusy), true
	}
	if c.name[0] != '+' || tries || slices.Contains(always, c.name) {
		return outcome{}, false
	}
	cme, cms := cmeSIMNotInserted, cmsSIMNotInserted
	switch m.sim.cpin() {
	case "READY":
		return outcome{}, false
	case "SIM PIN":
		if c.name == "+CCID" || c.name == "+ICCID" {
			return outcome{}, false // no PIN guards EF_ICCID, TS 102 221 13.2
		}
		if final := m.config.Profile.PINRequired; final != "" {
			return outcome{final: final}, true
		}
		cme, cms = cmeSIMPIN, cmsSIMPIN
	case "SIM PUK":
		cme, cms = cmeSIMPUK, cmsSIMPUK
	}
	if isMessageCommand(c.name) {
		return m.cms(cms), true
	}
	return m.cme(cme), true
}

// triesCommands are the commands of several makers that tell how often PIN,
// PUK and their second ones may be tried, and the form of the answer: state,
// then the tries of PIN, PUK, PIN2 and PUK2.
func triesCommands() map[string]string {
	return map[string]string{
		"+CPINR":   "+CPINR: SIM PIN,%[2]d,3\r\n+CPINR: SIM PUK,%[3]d,10\r\n+CPINR: SIM PIN2,%[4]d,3\r\n+CPINR: SIM PUK2,%[5]d,10",
		"+CPINC":   "+CPINC: %[2]d,%[4]d,%[3]d,%[5]d",
		"^CPIN":    "^CPIN: %[1]s,%[2]d,%[3]d,%[2]d,%[5]d,%[4]d",
		"+QPINC":   "+QPINC: \"SC\",%[2]d,%[3]d\r\n+QPINC: \"P2\",%[4]d,%[5]d",
		"+SPIC":    "+SPIC: %[2]d,%[3]d,%[4]d,%[5]d",
		"^SPIC":    "^SPIC: %[2]d",
		"#PCT":     "#PCT: %[2]d",
		"+UPINCNT": "+UPINCNT: %[2]d,%[4]d,%[3]d,%[5]d",
	}
}

// pinTries answers the one that the profile knows, whatever its form.
func (m *Modem) pinTries(c command) outcome {
	switch {
	case c.name != m.config.Profile.PINTries:
		return m.unknown()
	case c.form == formTest:
		return answer()
	case m.sim.cpin() == "":
		return m.cme(cmeSIMNotInserted)
	}
	lines := strings.Split(fmt.Sprintf(triesCommands()[c.name], m.sim.cpin(), m.sim.tries, m.sim.pukTries, 3, 10), "\r\n")
	if c.form == formSet { // about one of them
		which := arguments(c.args)[0]
		lines = slices.DeleteFunc(lines, func(line string) bool {
			return !strings.Contains(line, " "+which+",") && !strings.Contains(line, `"`+which+`"`)
		})
	}
	return answer(lines...)
}

// SetSIMPresent inserts the SIM or takes it out.
func (m *Modem) SetSIMPresent(present bool) {
	m.mu.Lock()
	defer m.unlock()
	m.setSIMPresent(present)
}

func (m *Modem) setSIMPresent(present bool) {
	m.sim.present = present
	m.sim.removePIN()
	if present {
		m.unsolicited("+CPIN: " + m.sim.cpin())
	} else {
		m.unsolicited("+CPIN: NOT INSERTED")
	}
	m.announceRegistration()
	m.pump()
}
