package sim

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

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
