package sim

import (
	"errors"
	"math/rand/v2"
	"time"
)

// ReportChaos is how badly the service centre treats its delivery reports. It is
// drawn for each message anew, by NetworkConfig.Seed and by how many the modem
// has sent before it: the same messages meet the same fate.
type ReportChaos struct {
	// Drop, Double and Late are the shares, 0 to 1, of messages whose reports
	// never come, come twice, and come later by After; default log-normal with
	// median 10 min and 95th percentile 1 h. Their times tell the truth.
	Drop, Double, Late float64
	After              Delay
	// Shuffle keeps the reports of a modem until so many wait, or two minutes
	// have passed, and has them come in random order; 0 and 1 are no shuffling.
	Shuffle int
}

// Validate tells what is wrong.
func (c ReportChaos) Validate() error {
	for _, share := range [...]float64{c.Drop, c.Double, c.Late} {
		if !(share >= 0 && share <= 1) { // nor NaN
			return errors.New("sim: reports: drop, double and late are shares, 0 to 1")
		}
	}
	if c.Shuffle < 0 || c.Shuffle > maxWaiting {
		return errors.New("sim: reports: shuffle is a number of reports")
	}
	return nil
}

// SetReports changes how reports are treated, for messages from now on.
func (n *Network) SetReports(c ReportChaos) error {
	if err := c.Validate(); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.config.Reports = c
	return nil
}

// mistreat draws what becomes of the reports of a modem's next message.
func (n *Network) mistreat(p *plan, modem, before int) {
	n.mu.Lock()
	c, seed := n.config.Reports, n.config.Seed
	n.mu.Unlock()
	if c == (ReportChaos{}) {
		return
	}
	random := rand.New(rand.NewPCG(seed, uint64(modem+1)<<40|uint64(before)))
	drop, double, late := random.Float64(), random.Float64(), random.Float64()
	p.lost = drop < c.Drop
	if double < c.Double {
		p.copies = 1
	}
	if late < c.Late {
		p.late = c.After.or(LogNormal(10*time.Minute, time.Hour)).draw(random)
	}
	if c.Shuffle > 1 {
		p.batch = c.Shuffle
	}
}

// expired is the TP-ST of a message whose validity is over, TS 23.040 9.2.3.15.
const expired = 70

// delivers tells whether the next thing that happens is that the handset gets
// the message.
func (p plan) delivers() bool { return p.statuses[0] < 32 && !p.arrived && !p.told }

// expire makes the end of its validity the message's.
func (p *plan) expire() { p.statuses = []byte{expired} }

// fulfil carries out p for a message that was accepted: the handset gets it,
// and the modem that sent it its reports. One whose validity ends before is
// reported as expired, unless a fault has set its time. It returns at once.
func (n *Network) fulfil(sender *Modem, msg Message, p plan) {
	if len(p.statuses) == 0 {
		return
	}
	n.mu.Lock()
	wait := p.delay.or(n.config.Report).draw(n.random)
	n.mu.Unlock()
	if keeps := n.keeps(msg); !p.delay.set && p.delivers() && wait > keeps {
		wait = keeps
		p.expire()
	}
	time.AfterFunc(wait, func() { n.happen(sender, msg, p) })
}

// happen is the moment of the first status of p. Where the handset is off the
// message waits for it.
func (n *Network) happen(sender *Modem, msg Message, p plan) {
	if p.delivers() {
		ended := p
		ended.expire()
		again := func(p plan) func() { return func() { n.happen(sender, msg, p) } }
		if n.phone(msg.To, false).hold(n.keeps(msg), again(p), again(ended)) {
			return
		}
	}
	status := p.statuses[0]
	if status < 32 && !p.arrived {
		p.arrived = true
		n.deliver(msg)
	}
	if msg.StatusReport && !p.lost && !p.told {
		n.report(sender, newReceipt(msg, status), p)
	}
	p.statuses, p.told = p.statuses[1:], false
	n.fulfil(sender, msg, p)
}

// report sends the modem a report, as late and as often as p says.
func (n *Network) report(sender *Modem, r *Receipt, p plan) {
	send := func() {
		for range 1 + p.copies {
			sender.receive(incoming{report: r, as: p.as}, p.batch)
		}
	}
	if p.late > 0 {
		time.AfterFunc(p.late, send)
		return
	}
	send()
}
