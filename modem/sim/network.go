package sim

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// NetworkConfig describes the radio network, its service centre and what is
// told of them. The zero value is usable.
type NetworkConfig struct {
	// Air is how long a message is in the air before the network has taken
	// it; default log-normal with median 3 s and 95th percentile 8 s.
	Air Delay
	// Report is how long after that the handset has the message and a
	// delivery report is on its way; default log-normal, 400 ms and 2 s.
	Report Delay
	// Setup is the part of the air time that a message saves whose modem keeps
	// its link from the one before (AT+CMMS), which it does for LinkHeld after
	// a result; default none, and 3 s.
	Setup, LinkHeld time.Duration
	// NoEnhancedValidity and NoReplace: the service centre refuses messages
	// with TP-VPF enhanced (cause 198), or with a replace-type TP-PID (143).
	NoEnhancedValidity, NoReplace bool
	// Reports is how badly delivery reports are treated; not at all by default.
	Reports ReportChaos
	// Validity is how long the service centre tries to deliver a message that
	// does not say; default 48 h.
	Validity time.Duration
	// Seed makes what is drawn repeatable.
	Seed uint64
	// Keep is how many messages Messages remembers, and how many handsets
	// that nobody has asked for; default 10,000.
	Keep int
	// OnMessage is called once for each message that the network takes,
	// before the modem answers. It must return soon and not call back.
	OnMessage func(Message)
	// OnReport is called when a modem is handed a delivery report.
	OnReport func(Receipt)
	// OnDeliver is called when a handset has a message.
	OnDeliver func(Message)
	// OnViolation is called for each breach of protocol by a driver.
	OnViolation func(Violation)
	// Logger is told what modems and faults do, without numbers and texts;
	// default none.
	Logger *slog.Logger
}

// Message is one SMS that the network took from a modem.
type Message struct {
	Modem int
	IMSI  string
	// From is the modem's own number, To the recipient: "+" and digits where
	// the PDU says international.
	From, To, Text string
	// MR is the message reference that the modem gave it.
	MR       byte
	PID, DCS byte
	VPFormat VPFormat
	// VP is TP-VP as it came, Validity what it means (0: none).
	VP       []byte
	Validity time.Duration
	// StatusReport is TP-SRR.
	StatusReport bool
	// UDH is the user data header without its length octet.
	UDH []byte
	// Submitted is when the modem had the whole PDU, Accepted when the
	// network took it: the service centre's time stamp.
	Submitted, Accepted time.Time
	// Reports are the TP-ST that the service centre reports or would report,
	// in their order; empty if what became of it stays unknown. They are those
	// planned when it was taken: one that expires ends with 70 instead.
	Reports []byte

	recipient []byte // TP-RA
	data      []byte // TP-UDL and TP-UD as they came; nil in text mode
}

// String keeps numbers and texts out of logs.
func (m Message) String() string { return "message" }

// GoString keeps numbers and texts out of logs.
func (m Message) GoString() string { return m.String() }

// LogValue keeps numbers and texts out of logs.
func (m Message) LogValue() slog.Value { return slog.StringValue(m.String()) }

// Receipt is one delivery report on its way to a modem.
type Receipt struct {
	Message Message
	// Status is TP-ST, TS 23.040 9.2.3.15.
	Status byte
	At     time.Time
}

func newReceipt(msg Message, status byte) *Receipt {
	return &Receipt{Message: msg, Status: status, At: time.Now().UTC()}
}

// Network is a radio network with a service centre and the handsets in it,
// shared by any number of modems. Its methods may be called at once from many
// goroutines.
type Network struct {
	config NetworkConfig

	mu       sync.Mutex
	random   *rand.Rand
	modems   []*Modem
	numbers  map[string]*Modem
	log      []Message
	total    int
	handsets map[string]*Handset
	outages  map[string]bool // operators whose network is away
	passing  []string        // numbers whose handset nobody has asked for, oldest first
	opens    *opens          // of all ptys; nil until there is one
	closed   bool
}

// NewNetwork starts an empty network.
func NewNetwork(config NetworkConfig) *Network {
	config.Air = config.Air.or(LogNormal(3*time.Second, 8*time.Second))
	config.Report = config.Report.or(LogNormal(400*time.Millisecond, 2*time.Second))
	if config.LinkHeld == 0 {
		config.LinkHeld = 3 * time.Second
	}
	if config.Validity == 0 {
		config.Validity = 48 * time.Hour
	}
	if config.Keep == 0 {
		config.Keep = 10_000
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Network{
		config:   config,
		random:   rand.New(rand.NewPCG(config.Seed, 0)),
		numbers:  map[string]*Modem{},
		handsets: map[string]*Handset{},
		outages:  map[string]bool{},
	}
}

// Modems are those that were made, in order.
func (n *Network) Modems() []*Modem {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.modems)
}

// Messages are the latest that the network took, oldest first.
func (n *Network) Messages() []Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.log[max(0, len(n.log)-n.config.Keep):])
}

// Total is how many messages the network took.
func (n *Network) Total() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.total
}

// Close closes all modems and waits for them.
func (n *Network) Close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	for _, m := range n.Modems() {
		m.Close()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.opens != nil {
		_ = n.opens.close()
		n.opens = nil
	}
}

// watch is what tells of clients that open the ptys.
func (n *Network) watch() (*opens, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.opens != nil {
		return n.opens, nil
	}
	opens, err := newOpens()
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	n.opens = opens
	return opens, nil
}

// airTime draws how long one message will be in the air.
func (n *Network) airTime() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.config.Air.draw(n.random)
}

// refuses is the cause for which the service centre does not take a message
// (TS 24.011 8.2.5.4, TS 23.040 9.2.3.22), -1 if it takes it.
func (n *Network) refuses(msg Message) int {
	switch {
	case n.config.NoEnhancedValidity && msg.VPFormat == VPEnhanced:
		return fcsValidityFormat
	case n.config.NoReplace && msg.PID >= 0x41 && msg.PID <= 0x47:
		return fcsProtocol
	default:
		return -1
	}
}

// intN draws from 0 to below n.
func (n *Network) intN(below int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.random.IntN(below)
}

// plan is what the service centre will make of one message.
type plan struct {
	// statuses are the TP-ST to come, each delay after the one before.
	statuses []byte
	delay    Delay
	copies   int
	// late is how much later than they should the modem gets its reports.
	late time.Duration
	// lost: the modem is sent no report at all.
	lost bool
	// early: the first report comes before the answer to AT+CMGS; told: it
	// has come already.
	early, told bool
	// as is the form of the reports.
	as reportForm
	// batch: reports wait for so many of their kind, and are shuffled.
	batch int
	// arrived: the handset has the message.
	arrived bool
}

// accept enters a message into the log.
func (n *Network) accept(msg *Message, p plan) {
	msg.Accepted = time.Now().UTC()
	msg.Reports = p.statuses
	n.mu.Lock()
	n.total++
	n.log = append(n.log, *msg)
	if len(n.log) >= 2*n.config.Keep {
		n.log = slices.Delete(n.log, 0, len(n.log)-n.config.Keep)
	}
	n.mu.Unlock()
	if n.config.OnMessage != nil {
		n.config.OnMessage(*msg)
	}
}

// deliver hands msg to the recipient: another modem here, or a handset.
func (n *Network) deliver(msg Message) {
	n.mu.Lock()
	target, closed := n.numbers[msg.To], n.closed
	n.mu.Unlock()
	if closed {
		return
	}
	n.phone(msg.To, false).take(msg)
	if n.config.OnDeliver != nil {
		n.config.OnDeliver(msg)
	}
	if target != nil {
		target.forward(msg)
	}
}
