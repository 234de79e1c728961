package sim

import (
	"errors"
	"strings"
	"time"
)

// service is what the network does with one SIM.
type service struct {
	ban     int  // the cause that it refuses messages with; 0: none
	swallow bool // it takes messages, and nothing comes of them
	outage  bool // it has lost the modem
	// down: so has its whole operator, Network.Outage.
	down bool
}

// ErrCause: no network refuses a message with that.
var ErrCause = errors.New("sim: a cause is 1 to 255")

// Ban has the network refuse all messages of the SIM with +CMS ERROR: cause, as
// it does with one that has no credit (21, 50) or is barred (8, 10): an RP cause
// of TS 24.011 8.2.5.4, or from 128 on a TP-FCS of TS 23.040 9.2.3.22. A cause of
// 0 lifts it.
func (m *Modem) Ban(cause int) error {
	if cause < 0 || cause > 255 {
		return ErrCause
	}
	m.mu.Lock()
	defer m.unlock()
	m.service.ban = cause
	return nil
}

// Swallow has the network take the SIM's messages as always, while no phone gets
// them and no report is sent.
func (m *Modem) Swallow(on bool) {
	m.mu.Lock()
	defer m.unlock()
	m.service.swallow = on
}

// Operator is the MCC and MNC of the SIM's network, TS 23.003 2.2.
func (m *Modem) Operator() string { return m.config.Operator }

// Outage takes the network of an operator, its MCC and MNC, away from all its
// modems and gives it back: they lose their registration, and what is in the air
// is not taken (+CMS ERROR: 332).
func (n *Network) Outage(operator string, on bool) {
	n.mu.Lock()
	n.outages[operator] = on
	n.mu.Unlock()
	for _, m := range n.Modems() {
		if m.config.Operator == operator {
			m.mu.Lock()
			m.loses(&m.service.down, on)
			m.unlock()
		}
	}
}

// loses takes the network away for a reason, and gives it back.
func (m *Modem) loses(reason *bool, on bool) {
	*reason = on
	m.announceRegistration()
	m.pump()
}

// offline: there is no network to be found.
func (m *Modem) offline() bool { return m.searching || m.service.outage || m.service.down }

// refuses is the +CMS code that a message of the SIM ends with, -1 if the network
// takes it.
func (m *Modem) refuses(msg Message) int {
	switch {
	case m.service.outage || m.service.down:
		return cmsNetworkTimeout
	case m.service.ban > 0:
		return m.service.ban
	default:
		return m.network.refuses(msg)
	}
}

// checkOperator tells what is wrong with a SIM's network.
func checkOperator(c ModemConfig) error {
	if n := len(c.Operator); n < 5 || n > 6 || !allDigits(c.Operator) {
		return errors.New("sim: an operator is 5 or 6 digits, MCC and MNC")
	}
	if !strings.HasPrefix(c.IMSI, c.Operator) {
		return errors.New("sim: an IMSI begins with its operator's MCC and MNC")
	}
	return nil
}

// operatorName is what AT+COPS? calls the network.
func operatorName(operator string) string {
	if operator == testNetwork {
		return "Simulated"
	}
	return "Simulated " + operator
}

// testNetwork is the MCC and MNC that ITU-T E.212 keeps for tests.
const testNetwork = "00101"

// keeps is how long the service centre tries to deliver a message from now on.
func (n *Network) keeps(msg Message) time.Duration {
	validity := msg.Validity
	if validity == 0 {
		validity = n.config.Validity
	}
	return time.Until(msg.Accepted.Add(validity))
}
