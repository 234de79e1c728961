package sim

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// USSD is what the network answers to one code, or to one choice in a menu
// (TS 27.007 7.15, TS 22.090).
type USSD struct {
	// Code is what the client asks, "*100#", or its choice in a menu, "1".
	Code string
	// Text is the answer; it may have several lines.
	Text string
	// DCS is the data coding scheme of cell broadcasts (TS 23.038 clause 5): 0
	// means 15, the default alphabet; 72 is UCS-2.
	DCS int
	// M is <m> of +CUSD: 0 done, 1 a reply is wanted, 2 ended by the network, 4
	// not supported, 5 timed out. A Menu makes it 1.
	M int
	// After is how long the answer takes. Early: it comes in front of OK.
	After time.Duration
	Early bool
	// Silent: no answer ever comes.
	Silent bool
	// Menu are the answers to what the client replies; a code that is not
	// among them ends the session.
	Menu []USSD
}

// defaultUSSD are the answers of a network that was told none.
func defaultUSSD() []USSD {
	return []USSD{
		{Code: "*100#", Text: "Your balance is 12.34 EUR.", After: 300 * time.Millisecond},
		{Code: "*101#", Text: "1 Balance\n2 Own number", After: 300 * time.Millisecond, Menu: []USSD{
			{Code: "1", Text: "Your balance is 12.34 EUR.", After: 300 * time.Millisecond},
			{Code: "2", Text: "Ask again in a year.", After: 300 * time.Millisecond},
		}},
	}
}

// Validate tells what a USSD answer has wrong.
func (u USSD) Validate() error {
	if u.DCS < 0 || u.DCS > 255 || u.alphabet() == alphabetReserved {
		return fmt.Errorf("sim: ussd: dcs %d is not known", u.DCS)
	}
	if u.M < 0 || u.M > 5 || u.After < 0 {
		return fmt.Errorf("sim: ussd: m is 0 to 5, and after not negative")
	}
	if _, fits := gsm7Septets(u.Text); !fits && u.alphabet() == alphabetGSM7 {
		return fmt.Errorf("sim: ussd: the text does not fit the default alphabet; dcs = 72 is UCS-2")
	}
	for _, choice := range u.Menu {
		if choice.Code == "" {
			return fmt.Errorf("sim: ussd: a choice in a menu needs its code")
		}
		if err := choice.Validate(); err != nil {
			return err
		}
	}
	return nil
}

func (u USSD) dcs() byte {
	if u.DCS == 0 {
		return dcsDefaultAlphabet
	}
	return byte(u.DCS)
}

// alphabet is TS 23.038 clause 5 without the two schemes that put a language
// in front of the text.
func (u USSD) alphabet() alphabet {
	dcs := u.dcs()
	general := [...]alphabet{alphabetGSM7, alphabet8Bit, alphabetUCS2, alphabetReserved}[dcs>>2&3]
	switch group := dcs >> 4; {
	case group == 0 || group == 2 || group == 3:
		return alphabetGSM7
	case group == 4 || group == 5 || group == 9:
		return general
	case group == 0xf && dcs&4 == 0:
		return alphabetGSM7
	case group == 0xf:
		return alphabet8Bit
	default:
		return alphabetReserved
	}
}

const dcsDefaultAlphabet = 0x0f

// ussdSession is the dialogue with the network that is under way.
type ussdSession struct {
	menu    []USSD // not nil: a reply is wanted
	waiting bool   // for an answer
	round   int    // counts dialogues, so that a late answer to an old one is dropped
}

// cusd is AT+CUSD, TS 27.007 7.15: 0 and 1 set whether answers are shown and
// may carry a code, 2 ends the dialogue.
func (m *Modem) cusd(c command) outcome {
	switch c.form {
	case formTest:
		return answer("+CUSD: (0-2)")
	case formRead:
		return answer("+CUSD: " + strconv.Itoa(m.cusdMode))
	case formExecute:
		m.cusdMode = 0
		return answer()
	}
	args := arguments(c.args)
	mode, err := strconv.Atoi(args[0])
	switch {
	case err != nil || mode < 0 || mode > 2 || len(args) > 3:
		return m.cme(cmeParameters)
	case mode == 2:
		m.ussd = ussdSession{round: m.ussd.round + 1}
		return answer()
	}
	m.cusdMode = mode
	if len(args) == 1 {
		return answer()
	}
	dcs := dcsDefaultAlphabet
	if len(args) == 3 {
		if dcs, err = strconv.Atoi(args[2]); err != nil || dcs < 0 || dcs > 255 {
			return m.cme(cmeParameters)
		}
	}
	code, ok := m.ussdRequest(args[1], USSD{DCS: dcs}.alphabet())
	switch {
	case !ok:
		return m.cme(cmeParameters)
	case !m.registered():
		return m.cme(cmeNoNetwork)
	case m.ussd.waiting:
		return m.cme(cmeNotAllowed)
	}
	m.ask(code)
	return answer()
}

// ask looks up what the network says to a code and lets it say so.
func (m *Modem) ask(code string) {
	known := m.ussd.menu
	if known == nil {
		known = m.config.USSD
	}
	reply := USSD{M: 4}
	if i := slices.IndexFunc(known, func(u USSD) bool { return u.Code == code }); i >= 0 {
		reply = known[i]
	}
	m.ussd = ussdSession{waiting: !reply.Early, round: m.ussd.round + 1}
	round := m.ussd.round
	switch {
	case reply.Early:
		m.tellUSSD(reply)
	case !reply.Silent:
		m.after(max(reply.After, time.Nanosecond), func() { // OK comes first
			if m.ussd.round == round {
				m.tellUSSD(reply)
			}
		})
	}
}

// tellUSSD shows an answer to the client, if it wants to see any.
func (m *Modem) tellUSSD(u USSD) {
	m.ussd.menu, m.ussd.waiting = u.Menu, false
	if len(u.Menu) > 0 {
		u.M = 1
	}
	if m.cusdMode == 0 {
		return
	}
	line := "+CUSD: " + strconv.Itoa(u.M)
	if u.Text != "" {
		line += fmt.Sprintf(`,"%s",%d`, m.ussdText(u), u.dcs())
	}
	m.unsolicited(line)
}

// PushUSSD is an answer that nobody asked for: the network opens the dialogue.
func (m *Modem) PushUSSD(u USSD) error {
	if err := u.Validate(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.unlock()
	m.ussd.round++
	m.tellUSSD(u)
	return nil
}

// AddUSSD makes the network know one more code, or answer it otherwise.
func (m *Modem) AddUSSD(u USSD) error {
	if err := u.Validate(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.config.USSD = append([]USSD{u}, m.config.USSD...)
	return nil
}

// ussdRequest is the code that a client asks, from the form that the modem
// takes it in: as text in the set of AT+CSCS, octets in hexadecimal where the
// alphabet has octets, or packed septets in hexadecimal.
func (m *Modem) ussdRequest(s string, a alphabet) (string, bool) {
	if m.config.Profile.USSDPacked || a == alphabetUCS2 || m.cscs == "UCS2" || m.cscs == "HEX" {
		octets, err := hex.DecodeString(s)
		switch {
		case err != nil || len(octets) == 0:
			return "", false
		case a == alphabetUCS2 || m.cscs == "UCS2" && !m.config.Profile.USSDPacked:
			return ucs2Text(octets), len(octets)%2 == 0
		case m.config.Profile.USSDPacked:
			septets := unpack7(octets, 8*len(octets)/7, 0)
			return strings.TrimRight(gsm7Text(septets), "\r"), true
		default:
			return gsm7Text(octets), true
		}
	}
	return s, s != ""
}

// ussdText is the inverse for an answer.
func (m *Modem) ussdText(u USSD) string {
	septets, _ := gsm7Septets(u.Text)
	switch a := u.alphabet(); {
	case a == alphabetUCS2:
		return fmt.Sprintf("%X", ucs2Octets(u.Text))
	case a == alphabet8Bit:
		return fmt.Sprintf("%X", u.Text)
	case m.config.Profile.USSDPacked:
		return fmt.Sprintf("%X", pack7(padUSSD(septets)))
	case m.cscs == "UCS2":
		return fmt.Sprintf("%X", ucs2Octets(u.Text))
	case m.cscs == "HEX":
		return fmt.Sprintf("%X", septets)
	case m.cscs == "GSM":
		return string(septets)
	default:
		return u.Text
	}
}

// padUSSD keeps seven spare bits from being read as "@", TS 23.038 6.1.2.3.1.
func padUSSD(septets []byte) []byte {
	if len(septets)%8 == 7 {
		return append(septets, '\r')
	}
	return septets
}
