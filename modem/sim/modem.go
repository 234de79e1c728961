package sim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"
)

// What callers branch on.
var (
	// ErrUnplugged: the modem is not plugged in.
	ErrUnplugged = fmt.Errorf("sim: modem is unplugged: %w", fs.ErrNotExist)
	// ErrInUse: somebody else has the modem's port open.
	ErrInUse = errors.New("sim: port is in use")
)

// ModemConfig describes one modem and the SIM in it. The zero value is usable:
// everything has a default that is distinct for each modem of a network.
type ModemConfig struct {
	// Profile is the kind of modem; default Generic.
	Profile Profile
	// IMEI, IMSI and ICCID identify the device and its SIM.
	IMEI, IMSI, ICCID string
	// Operator is MCC and MNC of the SIM's network, as "20801", which its IMSI
	// begins with; default those of IMSI, taken for five digits, or else 00101.
	Operator string
	// Number is the SIM's own, "+" and digits: messages to it from any modem
	// of the network arrive here.
	Number string
	// SMSC is the service centre's number on the SIM; "none" for none.
	SMSC string
	// PIN locks the SIM where it is set; PUK unlocks it after three wrong
	// ones, and defaults to "12345678".
	PIN, PUK string
	// FirstMR is the reference of the first message.
	FirstMR byte
	// USSD is what the network answers to codes; nil for a few that every
	// network here knows.
	USSD []USSD
	// Ports are the roles of a composite device's ports, exactly one of them
	// RoleAT; nil for a single one. They share power and fate.
	Ports []PortRole
	// Faults are what goes wrong; those for other modems are left out.
	Faults []Fault
}

// state is what the modem makes of the next byte.
type state int

const (
	stateDeaf    state = iota // off or starting: bytes are lost
	stateCommand              // part of a command line
	stateBusy                 // a command is at work: bytes are lost
	statePrompt               // AT+CMGS was taken, its prompt is still to come
	statePayload              // after the prompt: part of a message
)

// Modem is one simulated modem with its SIM. Its port is a pty (Plug), in
// memory (Dial) or any byte stream (Serve); one client at a time has it. Its
// methods may be called at once from many goroutines.
type Modem struct {
	network *Network
	index   int
	config  ModemConfig
	serving sync.WaitGroup
	table   map[string]handler

	mu     sync.Mutex
	faults []*faultState
	closed bool
	// life changes whenever the modem loses power or starts anew; what was
	// under way then never goes on.
	life    int
	powered bool
	outages int // how often the power was taken away
	link    string

	// channels are the ports and main the one with RoleAT; the embedded one is
	// that at work, which is main but while something else has mu.
	*channel
	main     *channel
	channels []*channel

	settings
	sim      simCard
	memories map[string]*memory
	ussd     ussdSession

	hung bool // input is held until the modem comes back

	function     int // AT+CFUN
	simBusy      int // commands that are still to be refused
	functionBusy int
	given        map[string]bool // commands since the start that a profile waits for
	signal       int
	smsReady     bool
	searching    bool // not registered whatever registration says
	service      service
	messages     int // that have reached the network, or not for want of one
	registration [len(domains)]int
	mr           byte
	linkUsed     time.Time // when the last message had its result

	waiting   []incoming // what the service centre could not hand over yet
	shuffle   []incoming
	unacked   *incoming // +CDS or +CMT whose AT+CNMA is still to come
	ackRound  int
	ackLate   bool // the last window has passed without AT+CNMA
	ackHold   bool // after an RP-ERROR
	violation []Violation
	violated  map[ViolationKind]int
	unheard   int
}

// NewModem adds a modem to the network: plugged in, started, registered.
func (n *Network) NewModem(config ModemConfig) (*Modem, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := &Modem{network: n, index: len(n.modems), powered: true}
	config.fill(m.index)
	if err := errors.Join(checkRoles(config.Ports), checkOperator(config), n.config.Reports.Validate()); err != nil {
		return nil, err
	}
	m.service.down = n.outages[config.Operator]
	m.channels, m.main = newChannels(config.Ports)
	m.channel = m.main
	m.config = config
	m.mr = config.FirstMR
	m.given = map[string]bool{}
	m.violated = map[ViolationKind]int{}
	m.signal = config.Profile.Signal
	m.table = commandTable()
	m.memories = config.Profile.newMemories()
	m.sim = newSIM(config)
	for _, u := range config.USSD {
		if err := u.Validate(); err != nil {
			return nil, err
		}
	}
	for _, f := range slices.Concat(config.Profile.Faults, config.Faults) {
		if err := m.addFault(f); err != nil {
			return nil, err
		}
	}
	m.reset()
	m.ready()
	if n.closed {
		return nil, ErrUnplugged
	}
	n.modems = append(n.modems, m)
	if _, taken := n.numbers[config.Number]; !taken {
		n.numbers[config.Number] = m
	}
	m.startTimedFaults()
	return m, nil
}

// Index is the modem's place among those of its network, from 0.
func (m *Modem) Index() int { return m.index }

// IMEI identifies the device.
func (m *Modem) IMEI() string { return m.config.IMEI }

// IMSI identifies the SIM.
func (m *Modem) IMSI() string { return m.config.IMSI }

// Number is the SIM's own, "+" and digits.
func (m *Modem) Number() string { return m.config.Number }

// Violations are the breaches of protocol that clients committed, oldest
// first; the newest maxViolations are kept.
func (m *Modem) Violations() []Violation {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Violation(nil), m.violation...)
}

// Close unplugs the modem for good and waits for what serves its port.
func (m *Modem) Close() {
	m.mu.Lock()
	m.closed = true
	m.powerOff()
	m.mu.Unlock()
	m.serving.Wait()
}

// Unplug takes the power away: the client's port ends, its link vanishes, and
// a message that is still in the air is lost.
func (m *Modem) Unplug() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.powerOff()
}

// Plug gives the modem power again, and a new pty behind the symbolic link;
// an empty link means in memory only, for Dial. It starts as after a reboot.
func (m *Modem) Plug(link string) error {
	m.mu.Lock()
	defer m.unlock()
	if err := m.plug(link); err != nil {
		return err
	}
	m.boot()
	return nil
}

// Reboot starts the modem anew, as AT+CFUN=1,1 does.
func (m *Modem) Reboot() error {
	m.mu.Lock()
	defer m.unlock()
	if !m.powered {
		return ErrUnplugged
	}
	m.restart()
	return nil
}

// Open is Plug for a modem that had power all the time: it stays as it is.
func (m *Modem) Open(link string) error {
	m.mu.Lock()
	defer m.unlock()
	return m.plug(link)
}

// Link is the symbolic link that leads to the modem's pty, or last did.
func (m *Modem) Link() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.link
}

func (m *Modem) plug(link string) error {
	if m.closed {
		return ErrUnplugged
	}
	if slices.ContainsFunc(m.channels, func(c *channel) bool { return c.pty != nil || c.port != nil }) {
		return ErrInUse
	}
	if link != "" {
		if err := m.openPorts(link); err != nil {
			return err
		}
		m.link = link
	}
	m.powered = true
	return nil
}

// openPorts makes a pty for each port, or for none.
func (m *Modem) openPorts(link string) error {
	opens, err := m.network.watch()
	if err != nil {
		return err
	}
	var made []*PTY
	for i := range m.channels {
		pty, err := opens.openPTY(m.portLink(link, i))
		if err != nil {
			for _, before := range made {
				err = errors.Join(err, before.Close())
			}
			return err
		}
		made = append(made, pty)
	}
	for i, c := range m.channels {
		c.pty = made[i]
		m.startServing(c, c.pty)
	}
	return nil
}

func (m *Modem) powerOff() {
	m.life++
	m.outages++
	m.powered = false
	m.hung = false
	for _, c := range m.channels {
		c.state = stateDeaf
		c.held, c.output = nil, nil
		if c.port != nil {
			c.port.close()
			c.port = nil
		}
		c.pty = nil
	}
}

// Dial opens the port in memory, as a client opens a serial port. It fails
// while another client has it, or without power. The connection behaves like a
// *os.File on a tty as to deadlines and Close, and ends with io.EOF when the
// modem is unplugged.
func (m *Modem) Dial() (*Conn, error) { return m.dialChannel(m.main) }

// DialPort is Dial for one of several ports, counted from 0.
func (m *Modem) DialPort(index int) (*Conn, error) {
	if index < 0 || index >= len(m.channels) {
		return nil, ErrUnplugged
	}
	return m.dialChannel(m.channels[index])
}

func (m *Modem) dialChannel(c *channel) (*Conn, error) {
	for {
		client, device := Pipe()
		m.mu.Lock()
		current := c.port
		if current == nil {
			defer m.mu.Unlock()
			if !m.powered {
				return nil, ErrUnplugged
			}
			m.startServing(c, device)
			return client, nil
		}
		m.mu.Unlock()
		if conn, ok := current.stream.(*Conn); !ok || !conn.abandoned() {
			return nil, ErrInUse
		}
		<-current.gone // the client before has closed; its end is being noticed
	}
}

// Serve lets one client use the modem over stream until reading it fails, and
// then closes it if it is an io.Closer.
func (m *Modem) Serve(stream io.ReadWriter) error {
	m.mu.Lock()
	switch {
	case !m.powered:
		m.mu.Unlock()
		return ErrUnplugged
	case m.main.port != nil:
		m.mu.Unlock()
		return ErrInUse
	}
	p := m.startServing(m.main, stream)
	m.mu.Unlock()
	<-p.gone
	return nil
}

// startServing is called with mu held.
func (m *Modem) startServing(c *channel, stream io.ReadWriter) *port {
	p := newPort(stream)
	c.port = p
	m.serving.Go(func() {
		p.serve(func(chunk []byte) { m.input(p, chunk) })
		m.mu.Lock()
		if c.port == p {
			c.port = nil
		}
		m.mu.Unlock()
		close(p.gone)
	})
	return p
}

// unlock hands on what was written while mu was held, and releases it.
func (m *Modem) unlock() {
	for _, c := range m.channels {
		if c.port != nil && len(c.output) > 0 {
			c.port.write(c.output)
			c.saidAt = time.Now()
		}
		c.output = c.output[:0]
	}
	m.channel = m.main
	m.mu.Unlock()
}

// after runs f under mu, as the same port, when d has passed, unless the modem
// lost power or started anew meanwhile. A d of 0 is at once.
func (m *Modem) after(d time.Duration, f func()) {
	if d <= 0 {
		f()
		return
	}
	life, c := m.life, m.channel
	time.AfterFunc(d, func() {
		m.mu.Lock()
		defer m.unlock()
		if m.life == life {
			m.channel = c
			f()
		}
	})
}

// later is after that outlives a loss of power, though not Close; it is at the
// main port.
func (m *Modem) later(d time.Duration, f func()) {
	time.AfterFunc(d, func() {
		m.mu.Lock()
		defer m.unlock()
		if !m.closed {
			f()
		}
	})
}
