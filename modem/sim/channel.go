package sim

import (
	"fmt"
	"slices"
	"time"
)

// PortRole is what one port of a composite device is for.
type PortRole string

// The roles.
const (
	// RoleAT takes commands and is told what no command asked for; each modem
	// has one.
	RoleAT PortRole = "at"
	// RoleAT2 takes commands as well.
	RoleAT2 PortRole = "at2"
	// RoleNMEA streams what a GPS receiver says, and takes nothing.
	RoleNMEA PortRole = "nmea"
	// RoleDiag speaks Qualcomm's diagnostic protocol: binary frames of HDLC
	// that 0x7e ends.
	RoleDiag PortRole = "diag"
	// RoleMute takes everything and says nothing.
	RoleMute PortRole = "mute"
)

// ParseRoles reads the names of roles.
func ParseRoles(names []string) ([]PortRole, error) {
	var roles []PortRole
	for _, name := range names {
		roles = append(roles, PortRole(name))
	}
	return roles, checkRoles(roles)
}

func checkRoles(roles []PortRole) error {
	main := 0
	for _, r := range roles {
		if !slices.Contains([]PortRole{RoleAT, RoleAT2, RoleNMEA, RoleDiag, RoleMute}, r) {
			return fmt.Errorf("sim: no port is for %q; there are at, at2, nmea, diag and mute", string(r))
		}
		if r == RoleAT {
			main++
		}
	}
	if len(roles) > 0 && main != 1 {
		return fmt.Errorf("sim: exactly one port must be for %q", string(RoleAT))
	}
	return nil
}

// channel is one port of a modem: what a client of it has set, and the command
// or message that it is at. Ports of other roles than at and at2 use no more
// than the first three fields.
type channel struct {
	role PortRole
	port *port
	pty  *PTY

	eol                  string
	echo, verbose, quiet bool

	state   state
	line    []byte // of the command under way
	last    string // the command line before, for A/
	chunk   int    // counts reads of the port
	prompt  int    // the chunk in which the last prompt was written
	sending *sending
	held    [][]byte  // what came while the modem hung
	unsent  []string  // unsolicited lines held back while a prompt is open
	output  []byte    // written when mu is released
	saidAt  time.Time // when something last was
	heardAt time.Time // when something last came
}

// loses tells whether what comes now is lost: right behind what was said, or
// because it only wakes the modem up.
func (c *channel) loses(p *Profile, now time.Time) bool {
	deaf := now.Sub(c.saidAt) < p.Deaf
	slept := p.Sleeps > 0 && c.state == stateCommand && !c.heardAt.IsZero() && now.Sub(c.heardAt) >= p.Sleeps
	c.heardAt = now
	return deaf || slept
}

// takesCommands tells the ports with a command interpreter.
func (c *channel) takesCommands() bool { return c.role == RoleAT || c.role == RoleAT2 }

// prompted tells whether the client's next bytes belong to a message.
func (c *channel) prompted() bool { return c.state == statePrompt || c.state == statePayload }

// newChannels are the ports of a modem, and the main one among them.
func newChannels(roles []PortRole) ([]*channel, *channel) {
	if len(roles) == 0 {
		roles = []PortRole{RoleAT}
	}
	var all []*channel
	var main *channel
	for _, role := range roles {
		c := &channel{role: role}
		all = append(all, c)
		if role == RoleAT {
			main = c
		}
	}
	return all, main
}

// channelOf is the one that is served by p; nil if none is any more.
func (m *Modem) channelOf(p *port) *channel {
	i := slices.IndexFunc(m.channels, func(c *channel) bool { return c.port == p })
	if i < 0 {
		return nil
	}
	return m.channels[i]
}

// secondary is the first port with RoleAT2, nil without one.
func (m *Modem) secondary() *channel {
	i := slices.IndexFunc(m.channels, func(c *channel) bool { return c.role == RoleAT2 })
	if i < 0 {
		return nil
	}
	return m.channels[i]
}

// on does f as the port c.
func (m *Modem) on(c *channel, f func()) {
	was := m.channel
	m.channel = c
	f()
	m.channel = was
}

// portLink is the path of the port with the given index: the link itself where
// there is only one.
func (m *Modem) portLink(link string, index int) string {
	if len(m.channels) == 1 {
		return link
	}
	return fmt.Sprintf("%s.if%02d", link, index)
}

// Links are the paths of the modem's ports, in the order of their roles; the
// modem may be unplugged.
func (m *Modem) Links() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.links()
}

func (m *Modem) links() []string {
	var links []string
	for i := range m.channels {
		links = append(links, m.portLink(m.link, i))
	}
	return links
}

// foreignInput is what comes in at a port without a command interpreter.
func (m *Modem) foreignInput(c *channel, chunk []byte) {
	const badCommand = 0x13
	if c.role != RoleDiag {
		return
	}
	for _, b := range chunk {
		switch {
		case b == hdlcFlag:
			c.output = append(c.output, hdlcFrame(append([]byte{badCommand}, c.line...))...)
			c.line = c.line[:0]
		case len(c.line) < maxLine:
			c.line = append(c.line, b)
		}
	}
}

// stream lets the ports without a command interpreter say something each
// second.
func (m *Modem) stream() {
	if !slices.ContainsFunc(m.channels, func(c *channel) bool { return c.role == RoleNMEA || c.role == RoleDiag }) {
		return
	}
	m.after(time.Second, func() {
		for _, c := range m.channels {
			switch c.role {
			case RoleNMEA:
				c.output = append(c.output, nmeaSentence...)
			case RoleDiag:
				const logMessage = 0x10
				c.output = append(c.output, hdlcFrame([]byte{logMessage, 0, '~', '}', 0xff, 0x0d, 0x0a})...)
			}
		}
		m.stream()
	})
}

const nmeaSentence = "$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n"

const (
	hdlcFlag   = 0x7e
	hdlcEscape = 0x7d
)

// hdlcFrame is payload with its check sequence, escaped, and the flag behind.
func hdlcFrame(payload []byte) []byte {
	crc := crc16(payload)
	var frame []byte
	for _, b := range append(slices.Clone(payload), byte(crc), byte(crc>>8)) {
		if b == hdlcFlag || b == hdlcEscape {
			frame = append(frame, hdlcEscape, b^0x20)
			continue
		}
		frame = append(frame, b)
	}
	return append(frame, hdlcFlag)
}

// crc16 is the frame check sequence of ITU-T X.25.
func crc16(octets []byte) uint16 {
	crc := uint16(0xffff)
	for _, b := range octets {
		crc ^= uint16(b)
		for range 8 {
			odd := crc&1 != 0
			crc >>= 1
			if odd {
				crc ^= 0x8408
			}
		}
	}
	return ^crc
}
