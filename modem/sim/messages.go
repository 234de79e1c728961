package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// messageSettings are those of the message service, TS 27.005.
type messageSettings struct {
	textMode   bool
	csms, cmms int
	cnmi       [5]int // mode, mt, bm, ds, bfr
	csdh       int
	csmp       [4]int    // fo, vp, pid, dcs of text mode
	cpms       [3]string // names of the memories to read, to write, to receive
}

// isMessageCommand tells the commands whose errors are +CMS ERROR.
func isMessageCommand(name string) bool {
	switch name {
	case "+CSMS", "+CMGF", "+CSCA", "+CPMS", "+CNMI", "+CMGS", "+CMGR", "+CMGD", "+CMGL", "+CNMA", "+CMMS", "+CSMP", "+CSDH":
		return true
	}
	return false
}

func (m *Modem) setCSMS(c command) outcome {
	switch c.form {
	case formTest:
		return answer("+CSMS: (" + m.config.Profile.CSMS + ")")
	case formRead:
		return answer(fmt.Sprintf("+CSMS: %d,1,1,1", m.csms))
	}
	if o := m.setNumber(c, &m.csms, m.config.Profile.CSMS); o.final != "" {
		return o
	}
	return answer("+CSMS: 1,1,1")
}

func (m *Modem) setCMGF(c command) outcome {
	if !m.smsReady {
		return outcome{final: finalError}
	}
	mode := 0
	if m.textMode {
		mode = 1
	}
	o := m.setNumber(c, &mode, "0,1")
	m.textMode = mode == 1
	return o
}

func (m *Modem) setCMMS(c command) outcome { return m.setNumber(c, &m.cmms, "0-2") }

func (m *Modem) setCSDH(c command) outcome { return m.setNumber(c, &m.csdh, "0,1") }

func (m *Modem) setCSMP(c command) outcome {
	switch c.form {
	case formTest:
		return answer()
	case formRead:
		return answer("+CSMP: " + joinNumbers(m.csmp[:]))
	}
	values, ok := numbers(c.args)
	if c.form != formSet || !ok || len(values) > len(m.csmp) {
		return m.cms(cmsInvalidText)
	}
	if m.config.Profile.CSMPWipesSMSC {
		m.config.SMSC = ""
	}
	for i, v := range values {
		if v > 255 {
			return m.cms(cmsInvalidText)
		}
		if v >= 0 {
			m.csmp[i] = v
		}
	}
	return answer()
}

func joinNumbers(values []int) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = strconv.Itoa(v)
	}
	return strings.Join(parts, ",")
}

func (m *Modem) csca(c command) outcome {
	switch c.form {
	case formTest:
		return answer()
	case formRead:
		switch {
		case m.config.SMSC == "" && m.config.Profile.NoSMSC != "":
			return answer(m.config.Profile.NoSMSC)
		case m.config.SMSC == "":
			return answer()
		}
		typ := typeUnknown
		if strings.HasPrefix(m.config.SMSC, "+") {
			typ = typeInternational
		}
		return answer(fmt.Sprintf(`+CSCA: "%s",%d`, m.config.SMSC, typ))
	case formSet:
		number := arguments(c.args)[0]
		if !allDigits(strings.TrimPrefix(number, "+")) {
			return m.cms(cmsInvalidPDU)
		}
		m.config.SMSC = number
		return answer()
	default:
		return m.cms(cmsNotAllowed)
	}
}

// setCNMI is AT+CNMI, TS 27.005 3.4.1; numbers left out stay as they are.
func (m *Modem) setCNMI(c command) outcome {
	allowed, most := m.config.Profile.CNMI, m.config.Profile.CNMICount
	if most == 0 {
		most = len(m.cnmi)
	}
	switch c.form {
	case formTest:
		return answer("+CNMI: (" + strings.Join(allowed[:], "),(") + ")")
	case formRead:
		return answer("+CNMI: " + joinNumbers(m.cnmi[:]))
	case formExecute:
		m.cnmi = m.config.Profile.CNMIStart
		return answer()
	}
	values, ok := numbers(c.args)
	if !ok || len(values) > most {
		return m.cms(cmsInvalidPDU)
	}
	next := m.cnmi
	for i, v := range values {
		if v < 0 {
			continue
		}
		if !inSet(allowed[i], v) {
			return m.cms(cmsNotSupported)
		}
		next[i] = v
	}
	if !m.config.Profile.CNMIIgnored {
		m.cnmi = next
	}
	m.pumpSoon()
	return answer()
}

// cnma is AT+CNMA, TS 27.005 3.4.4: it acknowledges the last +CDS or +CMT
// where AT+CSMS=1.
func (m *Modem) cnma(c command) outcome {
	if c.form == formTest {
		return answer("+CNMA: (0-2)")
	}
	values, ok := numbers(c.args)
	switch {
	case m.unacked == nil:
		if m.csms != 1 || !m.ackLate {
			m.violate(ViolationAck)
		}
		m.ackLate = false // one that crossed the end of the window is no fault
		return m.cms(cmsNoAckExpected)
	case c.form == formSet && (!ok || len(values) != 1 || values[0] < 0 || values[0] > 2 || m.textMode):
		return m.cms(cmsNotSupported)
	case c.form == formSet && values[0] == ackRefused:
		const again = 30 * time.Second
		m.refuseUnacked()
		m.ackHold = true
		m.later(again, func() {
			m.ackHold = false
			m.pump()
		})
		return answer()
	}
	m.unacked = nil
	m.pumpSoon()
	return answer()
}

// ackRefused is <n> of AT+CNMA for an RP-ERROR: the service centre offers the
// message again later.
const ackRefused = 2

// pumpSoon lets waiting messages in once the command under way has answered.
func (m *Modem) pumpSoon() {
	m.later(0, m.pump)
}
