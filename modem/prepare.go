package modem

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// preparation brings a session to where it can send: step by step, each with
// a word on what is done or waited for. What does not hold yet is no failure.
type preparation struct {
	*session
	// waiting tells the operator what is waited for.
	waiting func(State, string)
	// claim binds the modem to its name as soon as the IMEI is known. An
	// error ends the preparation.
	claim func(identity) error
	// port is the port's path, usb what stands behind it as "2c7c:0125", or "".
	port, usb string
	cards     *cards
	profiles  []Profile
	// grownUp is when a modem that refuses a query has had its time to start:
	// from then on the query is one that it doesn't know.
	grownUp time.Time
	// entered counts the PINs that were taken while the SIM stayed locked,
	// waits how often something had to be waited for.
	entered, waits int
}

const (
	// growing is how long a modem that has just started may refuse what it
	// will know later.
	growing = 20 * time.Second
	// unknownTries is how often a query is tried that is refused as unknown
	// and that a modem can do without.
	unknownTries = 3
	// curableFor is how long is waited for what a restart of the modem may
	// bring about.
	curableFor = 5 * time.Minute
	// eagerFor is how long is looked often at what is waited for.
	eagerFor = time.Minute
	// lazyPoll is the pause between two looks after that.
	lazyPoll = 5 * time.Second
)

// errStuck: the modem answers, but does not get ready; starting it anew may
// help.
var errStuck = errors.New("modem: does not get ready")

// grow gives the modem time to start.
func (p *preparation) grow() { p.grownUp = time.Now().Add(growing) }

// grown tells whether it had it.
func (p *preparation) grown() bool { return !time.Now().Before(p.grownUp) }

// step is one state on the way to ready.
type step struct {
	doing string // for the operator
	do    func(context.Context) error
}

// steps are the states in their order. Error numbers are asked for once the SIM
// is open, since the steps behind tell by them what is wrong.
func (p *preparation) steps() []step {
	return []step{
		{"asking the modem what it is", p.echoOff},
		{"asking the modem what it is", p.identify},
		{"setting the modem up", p.customs},
		{"looking at the SIM", p.unlock},
		{"turning the radio on", p.functionality},
		{"setting the modem up", p.errorNumbers},
		{"reading the SIM's identity", p.subscriber},
		{"looking for the network", p.register},
		{"reading the service centre address", p.serviceCentre},
		{"setting PDU mode", p.pduMode},
		{"setting PDU mode", p.keepLink},
		{"looking at the memories for messages", p.storage},
		{"asking for delivery reports and messages", p.route},
		{"reading the SIM's identity", p.lastCall},
		{"reading signal and operator", p.survey},
		{"waiting for the modem to settle", p.settled},
	}
}

// run prepares the modem from an unknown state on. It returns errMute,
// errGone, errStuck, claim's error or the context's.
func (p *preparation) run(ctx context.Context) error {
	if err := p.resync(ctx); err != nil {
		return err
	}
	p.suspect.Store(false) // all of it is set up from here on
	p.inPDU, p.modeAt = false, time.Time{}
	p.forgetSIM()
	p.chores.reset()
	p.grow()
	for _, step := range p.steps() {
		p.waiting(Starting, step.doing)
		if err := step.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// optional issues a command whose refusal changes nothing.
func (p *preparation) optional(ctx context.Context, cmd string) error {
	return p.optionalWithin(ctx, cmd, limitQuick)
}

func (p *preparation) optionalWithin(ctx context.Context, cmd string, limit time.Duration) error {
	_, err := p.ask(ctx, cmd, limit)
	if answered(err) {
		return nil
	}
	return err
}

// wait is what a step still waits for; the zero value: nothing.
type wait struct {
	state  State
	reason string // in words, with what to do where that is known
	// curable: it should not last, and starting the modem anew may end it.
	curable bool
	// soon: it is about to be over.
	soon bool
}

// until repeats check until nothing is waited for any more. What is curable and
// lasts ends in errStuck.
func (p *preparation) until(ctx context.Context, check func() (wait, error)) error {
	begin := time.Now()
	healthy := begin // when something last was in the way that no restart cures
	for {
		w, err := check()
		if err != nil || w == (wait{}) {
			return err
		}
		now := time.Now()
		if !w.curable {
			healthy = now
		}
		if now.Sub(healthy) >= curableFor {
			return fmt.Errorf("%w: %s", errStuck, w.reason)
		}
		p.waits++
		p.waiting(w.state, w.reason)
		every := p.times.Poll
		switch {
		case w.state == Parked:
			every = p.times.Retry
		case w.soon:
			every = min(every, p.times.Quiet)
		case now.Sub(begin) > eagerFor:
			every = max(every, min(lazyPoll, p.times.Retry))
		}
		if err := p.pause(ctx, every); err != nil {
			return err
		}
	}
}

func (p *preparation) echoOff(ctx context.Context) error { return p.optional(ctx, "E0") }

// errorNumbers asks for +CME ERROR: <number>. It comes after the PIN: M6280
// and its kin take it amiss before.
func (p *preparation) errorNumbers(ctx context.Context) error { return p.optional(ctx, "+CMEE=1") }

// identify asks for maker, model, firmware and IMEI; a modem that names no
// IMEI is known by its port alone.
func (p *preparation) identify(ctx context.Context) error {
	var about identity
	for _, q := range [...]struct {
		cmd string
		set *string
	}{{"+CGMI", &about.manufacturer}, {"+CGMM", &about.model}, {"+CGMR", &about.firmware}} {
		info, err := p.ask(ctx, q.cmd, limitQuick)
		if err != nil && !answered(err) {
			return err
		}
		*q.set = text(info, q.cmd)
	}
	for _, cmd := range imeiQueries() {
		info, err := p.ask(ctx, cmd, limitQuick)
		if err != nil && !answered(err) {
			return err
		}
		if about.imei = digits(info, 14, 17); about.imei != "" {
			break
		}
	}
	p.learn(func(i *identity) { *i = about })
	p.setProfile(MatchProfile(p.profiles, Make{about.manufacturer, about.model, about.firmware, p.usb}))
	return p.claim(about)
}

// imeiQueries are the commands that tell the modem's IMEI.
func imeiQueries() []string { return []string{"+CGSN", "+GSN", "+CGSN=1"} }

// customs gives the commands that the profile has for this kind of modem.
func (p *preparation) customs(ctx context.Context) error {
	for _, cmd := range p.profile().Init {
		if err := p.optional(ctx, withoutAT(cmd)); err != nil {
			return err
		}
	}
	return nil
}

// pduMode sets PDU mode and reads it back: in text mode AT+CMGS=23 would
// address the number 23. A modem that took the setting and can't be asked for
// it is believed.
func (p *preparation) pduMode(ctx context.Context) error {
	unread := 0
	return p.until(ctx, func() (wait, error) {
		if _, err := p.insist(ctx, "+CMGF=0", limitSIM); err != nil {
			if !answered(err) {
				return wait{}, err
			}
			if err := p.simOpen(ctx); err != nil { // it may be gone
				return wait{}, err
			}
			return wait{state: Waiting, reason: "the modem refuses PDU mode: its message service is not ready yet, or it has none", curable: true}, nil
		}
		info, err := p.insist(ctx, "+CMGF?", limitQuick)
		if err != nil && !answered(err) {
			return wait{}, err
		}
		pdu, told := inPDUMode(info)
		if !told {
			unread++
		}
		switch {
		case pdu:
			p.modeless, p.inPDU, p.modeAt = false, true, time.Now()
			return wait{}, nil
		case told:
			p.modeless = false
			return wait{state: Waiting, reason: "the modem stays in text mode and does not take PDU mode", curable: true}, nil
		case unread < unknownTries && !p.modeless:
			return wait{state: Waiting, reason: "the modem does not say whether it has taken PDU mode"}, nil
		}
		p.modeless, p.inPDU, p.modeAt = true, true, time.Now()
		return wait{}, nil
	})
}

// keepLink lets the modem keep the link to the network for some seconds after a
// message (27.005 3.5.6), where its profile says that this works. A refusal
// costs the time of a new link and nothing else.
func (p *preparation) keepLink(ctx context.Context) error {
	p.keepsLink = false
	if cmms := p.profile().CMMS; cmms == nil || !*cmms {
		return nil
	}
	_, err := p.ask(ctx, "+CMMS=2", limitQuick)
	p.keepsLink = err == nil
	if answered(err) {
		return nil
	}
	return err
}

// survey learns what the operator wants to see.
func (p *preparation) survey(ctx context.Context) error {
	if err := p.askSignal(ctx); err != nil {
		return err
	}
	return p.askOperator(ctx)
}

// askSignal asks AT+CSQ, and AT+CESQ where that doesn't know: 27.007 8.69.
func (s *session) askSignal(ctx context.Context) error {
	signal := 0
	for _, q := range [...]struct {
		cmd  string
		read func([]string) int
	}{{"+CSQ", dBm}, {"+CESQ", extendedDBm}} {
		info, err := s.ask(ctx, q.cmd, limitQuick)
		if err != nil && !answered(err) {
			return err
		}
		if signal = q.read(info); signal != 0 {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signalDBm = signal
	return nil
}

func (s *session) askOperator(ctx context.Context) error {
	info, err := s.ask(ctx, "+COPS?", limitSIM)
	if err != nil && !answered(err) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.operator = operatorName(info)
	return nil
}

// settled lets what a modem says on its way up pass, and looks once more at
// what it may have undone.
func (p *preparation) settled(ctx context.Context) error {
	for try := 0; p.suspect.Swap(false); try++ {
		if try == 5 {
			return nil // it chatters; PDU mode has been verified five times
		}
		_, err := p.inOrder(ctx, p.times.Wake)
		if errors.Is(err, errMute) {
			err = p.resync(ctx)
		}
		if err != nil {
			return err
		}
		for _, step := range [...]func(context.Context) error{
			p.echoOff, p.customs, p.prerequisites, p.errorNumbers, p.register, p.pduMode, p.keepLink, p.storage, p.route,
		} {
			if err := step(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// awaitLate gives the answer of a message that timed out time to come, so
// that it is not taken for the next one's. It is over as soon as one came
// since there were seen late ones.
func (p *preparation) awaitLate(ctx context.Context, seen int64, until time.Time) error {
	for p.late.Load() <= seen && time.Now().Before(until) {
		p.waiting(Waiting, "the answer to a message that timed out may still come")
		if err := p.pause(ctx, time.Until(until)); err != nil {
			return err
		}
	}
	return nil
}
