package sim

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const controlHelp = `commands, with modems counted from 0:
  list                      the modems and their ports
  unplug N                  take modem N away
  plug N [PATH]             bring it back, perhaps under another path
  reboot N                  start it anew
  in N NUMBER TEXT          send it a message from NUMBER
  message N KEY = VALUE, …  send it one of several parts, or otherwise encoded:
                            message 0 from = "Bank", text = "…", ucs2 = true, wide = true, ref = 7, order = [2, 1],
                            locking = 1, single = 1 (1 Turkish, 2 Spanish, 3 Portuguese), data = "00ff"
  pdu N HEX                 send it a TPDU, whatever that is
  network N on|off|STAT     register it, lose the network, or <stat> of AT+CREG
  outage OPERATOR on|off    take the network from all modems of an operator, as 00101, and give it back
  ban N CAUSE|off           have the network refuse its messages with +CMS ERROR: CAUSE, as 21 or 50
  swallow N on|off          have the network take its messages, and nothing come of them
  signal N RSSI             its signal, 0 to 31 or 99
  sim N in|out              put the SIM in, take it out
  ussd N KEY = VALUE, …     answer a USSD code, as in a script: ussd 0 code = "*100#", text = "12.34 EUR";
                            without a code: the network says so now
  fault [KEY = VALUE, …]    add a fault, as in a script: fault on = "payload", do = "hang", for = "90s"
  phone NUMBER on|off       turn a phone off: what is sent to it waits, as long as its validity lasts
  reports [KEY = VALUE, …]  treat delivery reports as badly as a script says: reports drop = 0.1, double = 0.05,
                            late = 0.2, after = "10m/1h", shuffle = 5; without: as they should be
  clear N                   forget the faults of modem N
  violations                what clients did against the protocol
  help                      this
  quit                      stop the simulator
`

// errQuit ends the simulator by its own command.
var errQuit = errors.New("sim: quit")

// control carries out the commands read from in, until it ends or one of them
// is quit; what they answer goes to say.
func (n *Network) control(ctx context.Context, in io.Reader, say func(string)) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() && ctx.Err() == nil {
		reply, err := n.Command(lines.Text())
		switch {
		case errors.Is(err, errQuit):
			return err
		case err != nil:
			say(strings.TrimPrefix(err.Error(), "sim: ") + "\n")
		case reply != "":
			say(reply)
		}
	}
	return lines.Err()
}

// Command carries out one line of live control ("help" tells which there are)
// and returns what there is to say.
func (n *Network) Command(line string) (string, error) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	switch verb {
	case "":
		return "", nil
	case "help":
		return controlHelp, nil
	case "quit":
		return "", errQuit
	case "list":
		return n.describe(), nil
	case "violations":
		return n.describeViolations(), nil
	case "fault":
		return "", n.addFaults(rest)
	case "outage", "phone":
		return "", n.switchCommand(verb, rest)
	case "reports":
		chaos, err := ParseReports(rest)
		if err != nil {
			return "", err
		}
		return "", n.SetReports(chaos)
	}
	index, rest, _ := strings.Cut(rest, " ")
	i, err := strconv.Atoi(index)
	if modems := n.Modems(); err == nil && i >= 0 && i < len(modems) {
		return "", modems[i].command(verb, strings.TrimSpace(rest))
	}
	return "", fmt.Errorf("sim: %q needs the number of a modem; try help", verb)
}

// switchCommand is "outage OPERATOR on|off" or "phone NUMBER on|off".
func (n *Network) switchCommand(verb, rest string) error {
	which, state, _ := strings.Cut(rest, " ")
	state = strings.TrimSpace(state)
	if which == "" || state != "on" && state != "off" {
		return errors.New("sim: outage OPERATOR on|off, phone NUMBER on|off")
	}
	switch on := state == "on"; verb {
	case "phone":
		n.Handset(which).Switch(on)
	default:
		n.Outage(which, on)
	}
	return nil
}

func (n *Network) addFaults(inline string) error {
	f, err := ParseFault(inline)
	if err != nil {
		return err
	}
	for _, m := range n.Modems() {
		if err := m.AddFault(f); err != nil {
			return err
		}
	}
	return nil
}

func (m *Modem) command(verb, rest string) error {
	switch verb {
	case "unplug":
		m.Unplug()
	case "plug":
		if rest == "" {
			rest = m.Link()
		}
		return m.Plug(rest)
	case "reboot":
		return m.Reboot()
	case "in":
		from, text, _ := strings.Cut(rest, " ")
		if from == "" || text == "" {
			return errors.New("sim: in N NUMBER TEXT")
		}
		m.Receive(from, text)
	case "message":
		in, err := ParseInbound(rest)
		if err != nil {
			return err
		}
		return m.ReceiveMessage(in)
	case "pdu":
		tpdu, err := hex.DecodeString(rest)
		if err != nil || len(tpdu) == 0 || len(tpdu) > 255 {
			return errors.New("sim: pdu N HEX, with at most 255 octets")
		}
		m.ReceiveTPDU(tpdu)
	case "network":
		return m.networkCommand(rest)
	case "ban":
		cause, err := strconv.Atoi(rest)
		if rest != "off" && (err != nil || cause < 1) {
			return errors.New("sim: ban N CAUSE|off")
		}
		return m.Ban(cause)
	case "swallow":
		if rest != "on" && rest != "off" {
			return errors.New("sim: swallow N on|off")
		}
		m.Swallow(rest == "on")
	case "signal":
		rssi, err := strconv.Atoi(rest)
		if err != nil || rssi < 0 || rssi > 99 {
			return errors.New("sim: signal N RSSI")
		}
		m.SetSignal(rssi)
	case "sim":
		if rest != "in" && rest != "out" {
			return errors.New("sim: sim N in|out")
		}
		m.SetSIMPresent(rest == "in")
	case "ussd":
		u, err := ParseUSSD(rest)
		switch {
		case err != nil:
			return err
		case u.Code == "":
			return m.PushUSSD(u)
		default:
			return m.AddUSSD(u)
		}
	case "clear":
		m.ClearFaults()
	default:
		return fmt.Errorf("sim: no command %q; try help", verb)
	}
	return nil
}

func (m *Modem) networkCommand(what string) error {
	stat, err := strconv.Atoi(what)
	switch {
	case what == "on":
		stat = 1
	case what == "off":
		stat = 2
	case err != nil || stat < 0 || stat > 10:
		return errors.New("sim: network N on|off|STAT")
	}
	m.SetRegistration(stat)
	return nil
}

func (n *Network) describe() string {
	var s strings.Builder
	for _, m := range n.Modems() {
		m.mu.Lock()
		state := "plugged in"
		if !m.powered {
			state = "unplugged"
		}
		fmt.Fprintf(&s, "modem %d at %s: %s, IMEI %s, IMSI %s, number %s, %s\n",
			m.index, m.ports(), m.config.Profile.Name, m.config.IMEI, m.config.IMSI, m.config.Number, state)
		m.mu.Unlock()
	}
	return s.String()
}

// ports are the paths of the modem's ports, with their roles where there are
// several; it is called with mu held.
func (m *Modem) ports() string {
	links := m.links()
	if len(links) == 1 {
		return links[0]
	}
	for i, c := range m.channels {
		links[i] += " (" + string(c.role) + ")"
	}
	return strings.Join(links, ", ")
}

func (n *Network) describeViolations() string {
	var s strings.Builder
	for _, m := range n.Modems() {
		for _, v := range m.Violations() {
			fmt.Fprintf(&s, "%s modem %d: %s\n", v.At.Format("15:04:05.000"), v.Modem, v.Kind)
		}
	}
	if s.Len() == 0 {
		return "none\n"
	}
	return s.String()
}
