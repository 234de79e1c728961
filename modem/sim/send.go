package sim

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// sending is one AT+CMGS from the command to its final result.
type sending struct {
	length   int    // of the TPDU, as the command said
	to       string // of text mode
	text     bool
	payload  []byte
	tooEarly bool // bytes came before the prompt
}

// maxPayload is longer than any PDU's hexadecimal digits or text.
const maxPayload = 1024

// cmgs is AT+CMGS, TS 27.005 3.5.1 and 4.3.
func (m *Modem) cmgs(c command) outcome {
	if c.form == formTest {
		return answer()
	}
	s := &sending{text: m.textMode}
	if s.text {
		s.to = arguments(c.args)[0]
		if c.form != formSet || !allDigits(strings.TrimPrefix(s.to, "+")) {
			return m.cms(cmsInvalidText)
		}
	} else {
		values, ok := numbers(c.args)
		if c.form != formSet || !ok || len(values) != 1 || values[0] < 1 || values[0] > 255 {
			m.violate(ViolationArguments)
			return m.cms(cmsInvalidPDU)
		}
		s.length = values[0]
	}
	m.sending, m.state = s, statePrompt
	commanded := m.strike(OnCMGS, subject{})
	m.proceed(commanded, func() {
		if m.sending != s || commanded.answered(m) { // ESC may have ended it
			return
		}
		prompted := m.strike(OnPrompt, subject{})
		m.proceed(prompted, func() {
			if m.sending == s && !prompted.answered(m) {
				m.writePrompt(s, prompted)
			}
		})
	})
	return outcome{pending: true}
}

// writePrompt asks for the message. A late prompt comes whatever has happened
// meanwhile: the client may have given up, or be at its next message.
func (m *Modem) writePrompt(s *sending, st step) {
	if st.noPrompt {
		return
	}
	m.after(st.promptWait, func() {
		m.text(st.promptOr(m.config.Profile.Prompt))
		if m.sending == s && m.state == statePrompt {
			m.state, m.prompt = statePayload, m.chunk
		}
	})
}

// payloadByte takes one byte after AT+CMGS. What comes before the client can
// have seen the prompt is lost, as in modems that empty their input there.
func (m *Modem) payloadByte(c byte) {
	s := m.sending
	switch {
	case c == charEscape:
		m.finish(finalOK)
		return
	case m.state == statePrompt || m.prompt == m.chunk:
		if c > ' ' && !s.tooEarly {
			s.tooEarly = true
			m.violate(ViolationEarly)
		}
		return
	case c == charCtrlZ:
		m.submit(s)
		return
	}
	if m.echo {
		m.output = append(m.output, c)
	}
	switch {
	case len(s.payload) >= maxPayload:
	case s.text && c == charCR:
		s.payload = append(s.payload, '\n')
		m.text(m.config.Profile.Prompt)
	case s.text && c == charBackspace:
		s.payload = s.payload[:max(0, len(s.payload)-1)]
	case c == charCR:
		if findAT(string(s.payload)) >= 0 {
			m.violate(ViolationNoCtrlZ)
		}
	case c >= ' ':
		s.payload = append(s.payload, c)
	}
}

// submit sends what stands in front of Ctrl-Z.
func (m *Modem) submit(s *sending) {
	m.state = stateBusy
	submitted := time.Now()
	pdu, code := m.read(s, submitted)
	if code >= 0 {
		m.finish(m.cmsFinal(code))
		return
	}
	msg := Message{
		Modem: m.index, IMSI: m.config.IMSI, From: m.config.Number, To: pdu.To, Text: pdu.Text,
		PID: pdu.PID, DCS: pdu.DCS, VPFormat: pdu.VPFormat, VP: pdu.VP, Validity: pdu.Validity,
		StatusReport: pdu.StatusReport, UDH: pdu.UDH, Submitted: submitted.UTC(), recipient: pdu.destination, data: pdu.data,
	}
	st := m.strike(OnPayload, subject{to: msg.To})
	if st.secondPrompt {
		m.text(m.config.Profile.Prompt)
	}
	m.proceed(st, func() {
		if !st.answered(m) {
			m.after(m.airTime(), func() { m.taken(msg) })
		}
	})
}

// airTime is how long the message will be in the air: less by its setup if the
// link of the one before is still there, TS 27.005 3.5.6.
func (m *Modem) airTime() time.Duration {
	air := m.network.airTime()
	const once = 1
	held := m.cmms != 0 && time.Since(m.linkUsed) < m.network.config.LinkHeld
	if m.cmms == once && !held && !m.linkUsed.IsZero() {
		m.cmms = 0 // it was kept once, and is gone
	}
	if held {
		return max(0, air-m.network.config.Setup)
	}
	return air
}

// taken is the moment at which the network has the message.
func (m *Modem) taken(msg Message) {
	m.linkUsed = time.Now()
	m.messages++
	if cause := m.refuses(msg); cause >= 0 {
		m.finish(m.cmsFinal(cause))
		return
	}
	msg.MR = m.reference() // a modem counts for itself, whatever the PDU says
	p := m.plan(msg)
	m.network.accept(&msg, p)
	if p.early && len(p.statuses) > 0 && msg.StatusReport && !p.lost {
		early := incoming{report: newReceipt(msg, p.statuses[0]), as: p.as}
		if !m.place(early) {
			m.waiting = append(m.waiting, early)
		}
		p.told = true
	}
	m.network.fulfil(m, msg, p)
	st := m.strike(OnAccepted, subject{to: msg.To})
	m.proceed(st, func() {
		if !st.answered(m) {
			m.giveReference(msg, st)
		}
	})
}

// reference draws the next one.
func (m *Modem) reference() byte {
	if m.config.Profile.References == ReferencesZero {
		return 0
	}
	mr := m.mr
	m.mr++
	if m.config.Profile.References == ReferencesSkip {
		m.mr += mr % 3
	}
	return mr
}

// giveReference answers a message that was accepted. A fault may have the
// final result come first, and even be an error.
func (m *Modem) giveReference(msg Message, st step) {
	line := fmt.Sprintf("+CMGS: %d", msg.MR)
	if m.config.Profile.SubmitTime {
		line += `,"` + msg.Accepted.Format(textTime) + `"`
	}
	if st.referenceAfter > 0 {
		m.finish(cmp.Or(st.referenceFinal, finalOK))
		m.after(st.referenceAfter, func() { m.info(line) })
		return
	}
	m.info(line)
	m.finish(finalOK)
}

// read makes a Submit of what the client sent, or a +CMS code.
func (m *Modem) read(s *sending, now time.Time) (Submit, int) {
	var pdu Submit
	if s.text {
		pdu = m.textSubmit(s)
	} else {
		octets, err := hex.DecodeString(string(s.payload))
		if err != nil {
			m.violate(ViolationNotHex)
			return pdu, cmsInvalidPDU
		}
		if tpduLength(octets) != s.length {
			m.violate(ViolationLength)
			return pdu, cmsInvalidPDU
		}
		if pdu, err = DecodeSubmit(octets, now); err != nil {
			m.violate(ViolationPDU)
			return pdu, cmsInvalidPDU
		}
	}
	switch {
	case pdu.SCA == "" && m.config.SMSC == "":
		return pdu, cmsSMSCUnknown
	case !m.registered():
		return pdu, cmsNoNetwork
	default:
		return pdu, -1
	}
}

// textSubmit is a message of text mode, with the parameters of AT+CSMP.
func (m *Modem) textSubmit(s *sending) Submit {
	text := string(s.payload)
	if len(text) >= 20 && isHex(text) && m.cscs != "UCS2" && m.cscs != "HEX" {
		m.violate(ViolationTextMode)
	}
	if m.cscs == "UCS2" {
		if octets, err := hex.DecodeString(text); err == nil {
			text = ucs2Text(octets)
		}
	}
	pdu := Submit{
		To: s.to, Text: text, PID: byte(m.csmp[2]), DCS: byte(m.csmp[3]),
		StatusReport: m.csmp[0]&0x20 != 0, VPFormat: VPFormat(m.csmp[0] >> 3 & 3), destination: address(s.to),
	}
	if pdu.VPFormat == VPRelative {
		pdu.VP = []byte{byte(m.csmp[1])}
		pdu.Validity = relativeValidity(byte(m.csmp[1]))
	}
	return pdu
}
