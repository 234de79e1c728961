package sim

import (
	"cmp"
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

// incoming is what the service centre has for the modem: a report or a
// message.
type incoming struct {
	report *Receipt
	as     reportForm
	sms    *deliver
}

// reportForm is how a delivery report comes; the zero value is as it should.
type reportForm struct {
	national bool          // TP-RA without the country code
	shift    time.Duration // TP-SCTS is wrong by that
	text     bool          // the one line of text mode, whatever AT+CMGF says
	// stored: in a memory, whatever <ds> says, and announced as announcement
	// says: "" is not at all.
	stored       bool
	announcement string
}

func (in incoming) pdu(smsc string) []byte {
	if in.report == nil {
		return in.sms.pdu()
	}
	recipient := in.report.Message.recipient
	if in.as.national {
		recipient = address(national(in.report.Message.To))
	}
	return statusReport{
		sca:       smsc,
		mr:        in.report.Message.MR,
		recipient: recipient,
		scts:      in.report.Message.Accepted.Add(in.as.shift),
		discharge: in.report.At.Add(in.as.shift),
		status:    in.report.Status,
	}.pdu()
}

// national is a number as its own country dials it: the last nine digits with
// the "0" of many countries in front.
func national(number string) string {
	digits := strings.TrimPrefix(number, "+")
	return "0" + digits[max(0, len(digits)-9):]
}

// receive takes what the service centre has for the modem; reports of a batch
// come together.
func (m *Modem) receive(in incoming, batch int) {
	m.mu.Lock()
	defer m.unlock()
	if m.closed {
		return
	}
	ready := []incoming{in}
	if batch > 0 {
		ready = m.shuffled(in, batch)
	}
	m.waiting = append(m.waiting, ready...)
	if over := len(m.waiting) - maxWaiting; over > 0 {
		m.waiting = append([]incoming(nil), m.waiting[over:]...)
	}
	m.pump()
}

// maxWaiting is how many messages the service centre keeps for one modem; the
// oldest are lost.
const maxWaiting = 10_000

// pump hands over what waits, in order, as far as the modem can take it. The
// service centre forgets nothing: what a modem can't take (no power, no
// registration, no route by AT+CNMI, no room, an acknowledgement still due) is
// offered again as soon as that changes. Real ones do so after minutes.
func (m *Modem) pump() {
	kept := m.waiting[:0]
	for _, in := range m.waiting {
		if !m.place(in) {
			kept = append(kept, in)
		}
	}
	clear(m.waiting[len(kept):])
	m.waiting = kept
}

// place hands over one message as AT+CNMI says, and tells whether it could.
func (m *Modem) place(in incoming) bool {
	const (
		modeBuffer = 0
		toMemory   = 1 // mt
		toClient   = 2 // mt
	)
	if !m.powered || m.hung || m.ackHold || m.main.prompted() || m.unacked != nil || !m.registered() {
		return false
	}
	mode, mt, ds := m.cnmi[0], m.cnmi[1], m.cnmi[3]
	switch {
	case in.report != nil && m.config.Profile.NoReports:
		return true
	case in.report != nil && in.as.stored:
		return m.placeReportInMemory(in)
	case in.report != nil && (ds == 0 || mode == modeBuffer):
		return false
	case in.report != nil && ds == 2:
		return m.placeReportInMemory(in)
	case in.report != nil:
		m.announce(m.direct("+CDS", in)...)
		m.awaitAck(in)
		m.reported(in)
		return true
	case mt == toClient && mode != modeBuffer:
		m.announce(m.direct("+CMT", in)...)
		m.awaitAck(in)
		return true
	default:
		slot, ok := m.store(m.cpms[2], in)
		if ok && mt >= toMemory && mode != modeBuffer {
			m.announceStored("+CMTI", m.cpms[2], slot, m.config.Profile.MessageAnnouncement)
		}
		return ok
	}
}

func (m *Modem) placeReportInMemory(in incoming) bool {
	memory := m.cpms[2]
	if m.memories["SR"] != nil {
		memory = "SR"
	}
	if own := m.config.Profile.ReportMemory; own != "" {
		memory = own
	}
	slot, ok := m.store(memory, in)
	if !ok {
		return false
	}
	instead := m.config.Profile.ReportAnnouncement
	if in.as.stored {
		instead = cmp.Or(in.as.announcement, NoAnnouncement)
	}
	m.announceStored("+CDSI", memory, slot, instead)
	m.reported(in)
	return true
}

// announceStored tells where a message was stored, or what the profile says
// instead.
func (m *Modem) announceStored(name, memory string, slot int, instead string) {
	switch instead {
	case NoAnnouncement:
	case "":
		m.announce(fmt.Sprintf(`%s: "%s",%d`, name, memory, slot))
	default:
		m.announce(name + ": " + instead)
	}
}

// announce tells of a message or report, where that is told.
func (m *Modem) announce(lines ...string) {
	c := m.main
	if after := m.config.Profile.URCsAfter; after != "" && !m.given[after] {
		c = m.secondary()
	}
	if c != nil {
		m.tell(c, lines...)
	}
}

func (m *Modem) reported(in incoming) {
	if m.network.config.OnReport != nil {
		m.network.config.OnReport(*in.report)
	}
}

// direct is a message as an unsolicited result code, in PDU or text mode.
func (m *Modem) direct(name string, in incoming) []string {
	if m.textMode || in.as.text {
		return in.text(name + ": ")
	}
	pdu := in.pdu(m.config.SMSC)
	alpha := ""
	if name == "+CMT" {
		alpha = ","
	}
	return []string{fmt.Sprintf("%s: %s%d", name, alpha, tpduLength(pdu)), fmt.Sprintf("%X", pdu)}
}

// textTime is a time stamp of text mode, TS 27.005 3.1, in UTC.
const textTime = "06/01/02,15:04:05+00"

// text is a message in text mode (TS 27.005 3.4.1): a line that begins with
// prefix, and for a message one with its text.
func (in incoming) text(prefix string) []string {
	if r := in.report; r != nil {
		number, typ := r.Message.To, typeUnknown
		if strings.HasPrefix(number, "+") {
			typ = typeInternational
		}
		return []string{fmt.Sprintf(`%s6,%d,"%s",%d,"%s","%s",%d`, prefix, r.Message.MR, number, typ,
			r.Message.Accepted.Add(in.as.shift).Format(textTime), r.At.Format(textTime), r.Status)}
	}
	return []string{fmt.Sprintf(`%s"%s",,"%s"`, prefix, in.sms.from, in.sms.scts.Format(textTime)), in.sms.text}
}

// awaitAck waits for AT+CNMA where AT+CSMS=1. Without it the modem refuses the
// message, which then comes again, and routes nothing more to the client (TS
// 27.005 3.4.4).
func (m *Modem) awaitAck(in incoming) {
	window := m.config.Profile.AckWindow
	if window == 0 {
		window = 15 * time.Second
	}
	if m.csms != 1 {
		return
	}
	m.unacked = &in
	m.ackRound++
	round := m.ackRound
	m.after(window, func() {
		if m.unacked == nil || m.ackRound != round {
			return
		}
		m.cnmi[1], m.cnmi[3] = 0, 0
		m.ackLate = true
		m.refuseUnacked()
		m.pump()
	})
}

// refuseUnacked gives back to the service centre what no AT+CNMA came for.
func (m *Modem) refuseUnacked() {
	if m.unacked != nil {
		m.waiting = append([]incoming{*m.unacked}, m.waiting...)
		m.unacked = nil
	}
}
