package modem

import "bytes"

// Telnet commands (RFC 854) and the options that matter here (RFC 856, 858,
// 2217).
const (
	telnetSE   = 240
	telnetSB   = 250
	telnetWill = 251
	telnetWont = 252
	telnetDo   = 253
	telnetDont = 254
	telnetIAC  = 255

	optionBinary   = 0
	optionNoGoAway = 3 // SUPPRESS-GO-AHEAD
	optionComPort  = 44
)

// Commands of COM-PORT-OPTION as a client sends them; the server confirms each
// under its number + 100 (RFC 2217 section 3).
const (
	comBaudRate   = 1
	comDataSize   = 2
	comParity     = 3
	comStopSize   = 4
	comControl    = 5
	comModemMask  = 11
	comPurge      = 12
	comServerBase = 100
)

// framing is how the octets of a remote port are wrapped.
type framing int

const (
	// undecided: raw unless telnet commands come among the first octets.
	undecided framing = iota
	raw
	telnetFraming
)

const (
	// maxBanner is how far into the stream the first telnet command may be: a
	// server may greet in words first.
	maxBanner = 512
	// maxSubnegotiation is what is kept of one; those that matter are shorter.
	maxSubnegotiation = 32
	// maxReplies bounds what a server can make us say: none that is sane
	// negotiates that often.
	maxReplies = 1024
)

// telnet is the client's half of a stream to a serial port server: it takes
// telnet's commands out, and agrees to be RFC 2217's client. It does no I/O:
// replies gather in reply, for whoever reads to send.
type telnet struct {
	framing framing
	reply   []byte

	state   telnetState
	verb    byte   // of the option command under way
	sub     []byte // of the subnegotiation under way, cut to maxSubnegotiation
	seen    int    // octets while undecided
	half    bool   // the last of them was an IAC
	replies int

	us, them     [256]bool // options in force at either end
	asked, asks  [256]bool // those that we offered, and asked for, unanswered
	refused      bool      // the server knows no COM-PORT-OPTION
	configured   bool      // the settings were sent
	unconfirmed  int       // settings that the server has not confirmed yet
	spoken       bool      // it has confirmed one, which no echo of ours does
	hostileReply bool      // more than maxReplies
}

type telnetState int

const (
	inData telnetState = iota
	afterIAC
	afterVerb
	inSub
	inSubAfterIAC
)

// offer opens the negotiation.
func (t *telnet) offer() {
	t.framing = telnetFraming
	for _, option := range [...]byte{optionBinary, optionNoGoAway} {
		t.send(telnetWill, option)
		t.send(telnetDo, option)
		t.asked[option], t.asks[option] = true, true
	}
	t.send(telnetWill, optionComPort)
	t.asked[optionComPort] = true
}

// settled tells whether the port has its settings, or never will.
func (t *telnet) settled() bool { return t.refused || t.configured && t.unconfirmed == 0 }

// decode takes the commands out of what has come. The result shares in's
// memory.
func (t *telnet) decode(in []byte) []byte {
	if t.framing == undecided {
		if in = t.decide(in); t.framing != telnetFraming {
			return in
		}
	}
	if t.framing == raw {
		return in
	}
	out := in[:0]
	for _, c := range in {
		switch t.state {
		case inData:
			if c == telnetIAC {
				t.state = afterIAC
			} else {
				out = append(out, c)
			}
		case afterIAC:
			t.state = inData
			switch {
			case c == telnetIAC:
				out = append(out, c)
			case c >= telnetWill:
				t.verb, t.state = c, afterVerb
			case c == telnetSB:
				t.sub, t.state = t.sub[:0], inSub
			}
		case afterVerb:
			t.state = inData
			t.negotiate(t.verb, c)
		case inSub:
			if c == telnetIAC {
				t.state = inSubAfterIAC
			} else {
				t.keep(c)
			}
		case inSubAfterIAC:
			t.endSub(c)
		}
	}
	return out
}

// decide looks for the first telnet command, which makes the server one that
// speaks telnet. The modem's own octets hold none: it speaks ASCII, and a 255
// at the end of what has come, which may be half a command, is never its.
func (t *telnet) decide(in []byte) []byte {
	for i, c := range in[:min(len(in), maxBanner-t.seen)] {
		if t.half && c >= telnetSB && c < telnetIAC {
			if i == 0 { // the other half came before
				t.state = afterIAC
			}
			t.offer()
			return in
		}
		t.half = c == telnetIAC
	}
	if t.seen += len(in); t.seen >= maxBanner {
		t.framing = raw
	} else if t.half {
		in = in[:len(in)-1]
	}
	return in
}

func (t *telnet) keep(c byte) {
	if len(t.sub) < maxSubnegotiation {
		t.sub = append(t.sub, c)
	}
}

// endSub handles the octet behind an IAC inside a subnegotiation.
func (t *telnet) endSub(c byte) {
	switch {
	case c == telnetIAC:
		t.keep(c)
		t.state = inSub
	case c >= telnetWill: // it was broken off
		t.verb, t.state = c, afterVerb
	default:
		t.state = inData
		if c == telnetSE && len(t.sub) > 1 && t.sub[0] == optionComPort {
			t.confirmed(t.sub[1])
		}
	}
}

// confirmed counts the server's answers to the settings. What it really has
// set is not looked at: a modem on USB has no line speed, and one that really
// can't be heard is mute. Notices of line and modem state have other numbers.
func (t *telnet) confirmed(command byte) {
	switch command {
	case comServerBase + comBaudRate, comServerBase + comDataSize, comServerBase + comParity,
		comServerBase + comStopSize, comServerBase + comControl, comServerBase + comPurge:
		t.unconfirmed, t.spoken = max(0, t.unconfirmed-1), true
	}
}

// negotiate answers an option command, by RFC 854's rule that what is in
// force already is not answered.
func (t *telnet) negotiate(verb, option byte) {
	ours := option == optionBinary || option == optionNoGoAway || option == optionComPort
	switch verb {
	case telnetDo:
		if !t.us[option] && !t.asked[option] {
			t.answer(telnetWill, telnetWont, option, ours)
		}
		t.us[option], t.asked[option] = ours, false
		if option == optionComPort && !t.configured {
			t.configure()
		}
	case telnetDont:
		if t.us[option] {
			t.send(telnetWont, option)
		}
		t.us[option], t.asked[option] = false, false
		if option == optionComPort {
			t.refused = true
		}
	case telnetWill:
		// COM-PORT-OPTION is the client's to announce; a server that does so too
		// is let.
		if !t.them[option] && !t.asks[option] {
			t.answer(telnetDo, telnetDont, option, ours)
		}
		t.them[option], t.asks[option] = ours, false
	case telnetWont:
		if t.them[option] {
			t.send(telnetDont, option)
		}
		t.them[option], t.asks[option] = false, false
	}
}

func (t *telnet) answer(yes, no, option byte, agreed bool) {
	if agreed {
		t.send(yes, option)
	} else {
		t.send(no, option)
	}
}

func (t *telnet) send(verb, option byte) {
	if t.replies++; t.replies > maxReplies {
		t.hostileReply = true
		return
	}
	t.reply = append(t.reply, telnetIAC, verb, option)
}

// configure sends the settings: 115200 8N1 without flow control, DTR and RTS
// on as a local open sets them, no notices of the modem lines, and what waits
// from before dropped.
func (t *telnet) configure() {
	t.configured = true
	for _, setting := range [...]struct {
		command byte
		value   []byte
	}{
		{comBaudRate, []byte{0x00, 0x01, 0xc2, 0x00}},
		{comDataSize, []byte{8}},
		{comParity, []byte{1}},
		{comStopSize, []byte{1}},
		{comControl, []byte{1}},  // no flow control
		{comControl, []byte{8}},  // DTR on
		{comControl, []byte{11}}, // RTS on
		{comPurge, []byte{3}},
	} {
		t.subnegotiate(setting.command, setting.value)
		t.unconfirmed++
	}
	t.subnegotiate(comModemMask, []byte{0}) // which not all servers confirm
}

func (t *telnet) subnegotiate(command byte, value []byte) {
	t.reply = append(t.reply, telnetIAC, telnetSB, optionComPort, command)
	t.reply = append(t.reply, escapeIAC(value)...)
	t.reply = append(t.reply, telnetIAC, telnetSE)
}

// escapeIAC doubles each octet 255.
func escapeIAC(octets []byte) []byte {
	if bytes.IndexByte(octets, telnetIAC) < 0 {
		return octets
	}
	return bytes.ReplaceAll(octets, []byte{telnetIAC}, []byte{telnetIAC, telnetIAC})
}
