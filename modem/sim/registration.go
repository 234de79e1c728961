package sim

import (
	"fmt"
	"strconv"
	"strings"
)

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
	case m.offline() && m.registration[domain] > 0:
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
