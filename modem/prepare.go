package modem

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// preparation brings a session to where it can send. Each condition that does
// not hold yet is told in plain words and waited for; none is a failure.
type preparation struct {
	*session
	// waiting tells the operator what is waited for.
	waiting func(State, string)
	// claim binds the modem to its name as soon as the IMEI is known. An
	// error ends the preparation.
	claim    func(identity) error
	registry *registry
	// grownUp is when a modem that refuses a query has had its time to start:
	// from then on the query is one that it doesn't know.
	grownUp time.Time
}

const (
	// growing is how long a modem that has just started may refuse what it
	// will know later.
	growing = 20 * time.Second
	// unknownTries is how often a query is tried that is refused as unknown
	// and that a modem can do without.
	unknownTries = 3
)

// grow gives the modem time to start.
func (p *preparation) grow() { p.grownUp = time.Now().Add(growing) }

// grown tells whether it had it.
func (p *preparation) grown() bool { return !time.Now().Before(p.grownUp) }

// run prepares the modem from an unknown state on. It returns errMute,
// errGone, claim's error or the context's.
func (p *preparation) run(ctx context.Context) error {
	if err := p.resync(ctx); err != nil {
		return err
	}
	p.suspect.Store(false) // all of it is set up from here on
	p.memory = ""
	p.waiting(Starting, "")
	p.grow()
	steps := [...]func(context.Context) error{
		p.echoOff, p.identify, p.radioOn, p.unlock, p.subscriber, p.errorNumbers,
		p.register, p.serviceCentre, p.pduMode, p.routing, p.survey, p.settled,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// optional issues a command whose refusal changes nothing.
func (p *preparation) optional(ctx context.Context, cmd string) error {
	_, err := p.ask(ctx, cmd, limitQuick)
	if answered(err) {
		return nil
	}
	return err
}

// until repeats check until it gives no reason to wait any more.
func (p *preparation) until(ctx context.Context, check func() (State, string, error)) error {
	for {
		state, reason, err := check()
		if err != nil || reason == "" {
			return err
		}
		p.waiting(state, reason)
		every := p.times.Poll
		if state == Parked {
			every = p.times.Retry
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
	for _, cmd := range [...]string{"+CGSN", "+GSN", "+CGSN=1"} {
		info, err := p.ask(ctx, cmd, limitQuick)
		if err != nil && !answered(err) {
			return err
		}
		if about.imei = digits(info, 14, 17); about.imei != "" {
			break
		}
	}
	p.learn(func(i *identity) { *i = about })
	return p.claim(about)
}

// radioOn turns the radio on; DWM-157 and others start without. The SIM may
// not answer before.
func (p *preparation) radioOn(ctx context.Context) error {
	return p.until(ctx, func() (State, string, error) {
		info, err := p.ask(ctx, "+CFUN?", limitQuick)
		if err != nil {
			if answered(err) {
				err = nil // it can't tell: registration will
			}
			return "", "", err
		}
		fun, ok := answer(info, "+CFUN")
		if !ok || strings.HasPrefix(fun, "1") {
			return "", "", nil
		}
		if _, err = p.ask(ctx, "+CFUN=1", limitRadio); err != nil && !answered(err) {
			return "", "", err
		}
		p.grow()
		return Waiting, "turning the radio on", nil
	})
}

// register waits until a network has the SIM registered, in whichever domain.
func (p *preparation) register(ctx context.Context) error {
	return p.until(ctx, func() (State, string, error) {
		ok, reason, err := p.registered(ctx)
		if ok || err != nil || p.netless && p.grown() {
			return "", "", err // where the modem can't tell, sending will
		}
		return Waiting, reason, nil
	})
}

// registered asks each domain in turn; one that is usable is enough. An
// LTE-only SIM shows +CREG: 0,2 with +CEREG: 0,1. It notes whether the modem
// knows none of the queries.
func (s *session) registered(ctx context.Context) (ok bool, reason string, err error) {
	worst, known := regUnknown, false
	for _, id := range [...]string{"+CREG", "+CEREG", "+CGREG", "+C5GREG"} {
		info, err := s.ask(ctx, id+"?", limitSIM)
		if err != nil && !answered(err) {
			return false, "", err
		}
		stat := parseRegistration(info, id)
		if stat.usable() {
			s.netless = false
			return true, "", nil
		}
		known = known || stat != regUnknown || err != nil && !unknownCommand(err)
		if worst != regDenied && stat > worst && stat <= regDenied {
			worst = stat
		}
	}
	s.netless = !known
	if !known {
		return false, "the modem does not say whether it is registered", nil
	}
	return false, worst.reason(), nil
}

// serviceCentre sees to it that the SIM has a service centre address: a PDU
// without one uses it. Some modems lose it (AT+CSMP on M6280); what the same
// SIM had earlier is then put back.
func (p *preparation) serviceCentre(ctx context.Context) error {
	info, err := p.ask(ctx, "+CSCA?", limitSIM)
	if err != nil && !answered(err) {
		return err
	}
	s, _ := answer(info, "+CSCA")
	number := ""
	if f := fields(s); len(f) > 0 {
		number = f[0]
	}
	kept := p.registry.serviceCentre(p.identity().imsi, number)
	if number == "" && kept != "" {
		return p.optional(ctx, fmt.Sprintf("+CSCA=%q", kept))
	}
	return nil
}

// pduMode sets PDU mode and reads it back: in text mode AT+CMGS=23 would
// address the number 23. A modem that took the setting and can't be asked for
// it is believed.
func (p *preparation) pduMode(ctx context.Context) error {
	unread := 0
	return p.until(ctx, func() (State, string, error) {
		if _, err := p.insist(ctx, "+CMGF=0", limitSIM); err != nil {
			if !answered(err) {
				return "", "", err
			}
			return Waiting, "the modem refuses PDU mode: its message service is not ready yet, or it has none", nil
		}
		info, err := p.insist(ctx, "+CMGF?", limitQuick)
		if err != nil && !answered(err) {
			return "", "", err
		}
		mode, told := answer(info, "+CMGF")
		if !told {
			unread++
		}
		switch {
		case mode == "0":
			p.modeless = false
			return "", "", nil
		case told:
			p.modeless = false
			return Waiting, "the modem stays in text mode and does not take PDU mode", nil
		case unread < unknownTries && !p.modeless:
			return Waiting, "the modem does not say whether it has taken PDU mode", nil
		}
		p.modeless = true
		return "", "", nil
	})
}

// routing asks for delivery reports and messages to be handed over at once.
// With +CSMS=0 the modem acknowledges them itself: a late +CNMA would turn
// them off or double them.
func (p *preparation) routing(ctx context.Context) error {
	if err := p.optional(ctx, "+CSMS=0"); err != nil {
		return err
	}
	info, err := p.ask(ctx, "+CNMI=?", limitQuick)
	if err != nil && !answered(err) {
		return err
	}
	advertised, _ := answer(info, "+CNMI")
	unanswered := 0
	for _, setting := range indications(advertised) {
		_, err := p.ask(ctx, "+CNMI="+setting, limitQuick)
		if err == nil {
			return nil
		}
		if !answered(err) {
			return err
		}
		if errors.Is(err, errSilent) {
			if unanswered++; unanswered == unknownTries {
				break
			}
		}
	}
	p.log.Warn("the modem gives no delivery reports")
	return nil
}

// survey learns what the operator wants to see.
func (p *preparation) survey(ctx context.Context) error {
	if err := p.askSignal(ctx); err != nil {
		return err
	}
	return p.askOperator(ctx)
}

func (s *session) askSignal(ctx context.Context) error {
	info, err := s.ask(ctx, "+CSQ", limitQuick)
	if err != nil && !answered(err) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signalDBm = dBm(info)
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
		err := p.inOrder(ctx)
		if errors.Is(err, errMute) {
			err = p.resync(ctx)
		}
		if err != nil {
			return err
		}
		for _, step := range [...]func(context.Context) error{p.echoOff, p.errorNumbers, p.pduMode, p.routing} {
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
