package sim

import "time"

// Violation is one breach of protocol by whoever has the modem's port open.
type Violation struct {
	Modem int
	Kind  ViolationKind
	At    time.Time
}

// ViolationKind says what was done that a driver must never do.
type ViolationKind string

// The kinds of violations.
const (
	// ViolationNoPrompt: a PDU or Ctrl-Z where no message was asked for.
	ViolationNoPrompt ViolationKind = "payload without AT+CMGS"
	// ViolationEarly: message bytes before the prompt had come.
	ViolationEarly ViolationKind = "payload before the prompt"
	// ViolationBusy: a command while another was at work.
	ViolationBusy ViolationKind = "command during another"
	// ViolationNotHex: a PDU with other characters than hexadecimal digits.
	ViolationNotHex ViolationKind = "PDU is not hexadecimal"
	// ViolationNoCtrlZ: a command in the middle of a message.
	ViolationNoCtrlZ ViolationKind = "message not ended by Ctrl-Z"
	// ViolationLength: AT+CMGS=<length> and the PDU disagree.
	ViolationLength ViolationKind = "wrong length in AT+CMGS"
	// ViolationPDU: what was sent is no SMS-SUBMIT.
	ViolationPDU ViolationKind = "invalid SMS-SUBMIT"
	// ViolationTextMode: a PDU sent as the text of a message.
	ViolationTextMode ViolationKind = "PDU in text mode"
	// ViolationHangs: the whole list of messages where the profile says that
	// the modem stands still over it.
	ViolationHangs ViolationKind = "AT+CMGL of all where that hangs"
	// ViolationAck: AT+CNMA where nothing waits for it, and nothing did until
	// lately.
	ViolationAck ViolationKind = "AT+CNMA with nothing to acknowledge"
	// ViolationLastTry: a PIN while only one try is left.
	ViolationLastTry ViolationKind = "PIN at its last try"
	// ViolationSamePIN: the wrong PIN of the last time once more.
	ViolationSamePIN ViolationKind = "the same wrong PIN again"
	// ViolationArguments: AT+CMGS without a length in PDU mode.
	ViolationArguments ViolationKind = "AT+CMGS without a length"
)

// Unheard is how many command lines came while the modem was starting. Real
// modems lose them as well; a driver that waits for an answer and asks again
// does no wrong.
func (m *Modem) Unheard() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unheard
}

// ViolationCount is how many there were, of all kinds and modems, also those
// that are no longer kept.
func (n *Network) ViolationCount() map[ViolationKind]int {
	all := map[ViolationKind]int{}
	for _, m := range n.Modems() {
		m.mu.Lock()
		for kind, count := range m.violated {
			all[kind] += count
		}
		m.mu.Unlock()
	}
	return all
}

// violate notes a violation, of which the newest are kept.
func (m *Modem) violate(kind ViolationKind) {
	const maxViolations = 1000
	v := Violation{Modem: m.index, Kind: kind, At: time.Now().UTC()}
	m.violated[kind]++
	m.violation = append(m.violation, v)
	if len(m.violation) > maxViolations {
		m.violation = m.violation[1:]
	}
	m.network.config.Logger.Warn("protocol violation", "modem", m.index, "kind", string(kind))
	if m.network.config.OnViolation != nil {
		m.network.config.OnViolation(v)
	}
}
