package modem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warthog618/modem/at"
)

// functionality turns the modem to full functionality (AT+CFUN=1): DWM-157 and
// others start without radio, and some are left offline (5, 7), which nothing
// but a restart may end. Turning it on may lock the SIM again.
func (p *preparation) functionality(ctx context.Context) error {
	changed, tries := false, 0
	err := p.until(ctx, func() (wait, error) {
		info, err := p.ask(ctx, "+CFUN?", limitQuick)
		if err != nil {
			if answered(err) {
				err = nil // it can't tell: registration will
			}
			return wait{}, err
		}
		fun, ok := number(info, "+CFUN")
		if !ok || fun == 1 {
			return wait{}, nil
		}
		changed = true
		if err := p.power(ctx); err != nil {
			return wait{}, err
		}
		if tries++; tries < stubbornRadio {
			return wait{state: Waiting, reason: "turning the radio on", curable: true}, nil
		}
		return wait{state: Waiting, curable: true, reason: fmt.Sprintf(
			"the radio stays off (AT+CFUN? says %d): look for a flight mode switch, a W_DISABLE pin or too weak a power supply", fun)}, nil
	})
	if err != nil || !changed {
		return err
	}
	return p.unlock(ctx)
}

// stubbornRadio is after how many tries something is in the radio's way.
const stubbornRadio = 4

// power asks for full functionality unless the modem has it.
func (p *preparation) power(ctx context.Context) error {
	info, err := p.ask(ctx, "+CFUN?", limitQuick)
	if err != nil && !answered(err) {
		return err
	}
	if fun, ok := number(info, "+CFUN"); !ok || fun == 1 {
		return nil
	}
	if _, err := p.ask(ctx, "+CFUN=1", limitRadio); err != nil && !answered(err) {
		return err
	}
	p.grow()
	return nil
}

const (
	// deniedFor is after what time a network's refusal is no passing one.
	deniedFor = 2 * time.Minute
	// idleFor is how long a modem may do nothing for its registration before it
	// is told to, and nudgeEvery how often.
	idleFor    = 3 * time.Minute
	nudgeEvery = time.Hour
	// limitNudge bounds the search for a network that AT+COPS=0 may wait for:
	// modems document up to 180 s.
	limitNudge = 180 * time.Second
)

// register waits until a network has the SIM registered, in whichever domain.
func (p *preparation) register(ctx context.Context) error {
	begin := time.Now()
	searched := begin // when the modem last did something for it
	var nudged time.Time
	return p.until(ctx, func() (wait, error) {
		stat, err := p.registered(ctx)
		if err != nil || stat.usable() || p.netless && p.grown() {
			return wait{}, err // where the modem can't tell, sending will
		}
		if err := p.prerequisites(ctx); err != nil {
			return wait{}, err
		}
		now := time.Now()
		switch {
		case stat != regIdle:
			searched = now
		case now.Sub(searched) >= idleFor && (nudged.IsZero() || now.Sub(nudged) >= nudgeEvery):
			nudged = now
			if w, err := p.nudge(ctx); err != nil || w != (wait{}) {
				return w, err
			}
		}
		reason := stat.reason()
		if stat == regDenied && now.Sub(begin) >= deniedFor {
			reason = fmt.Sprintf("the network has denied registration for %d minutes: "+
				"is the SIM activated and paid for, may it roam here, and is this modem's IMEI not barred?",
				int(now.Sub(begin).Minutes()))
		}
		if p.netless {
			reason = "the modem does not say whether it is registered"
		}
		return wait{state: Waiting, reason: reason}, nil
	})
}

// prerequisites are what a modem may have lost, by a restart or by a hand,
// while its registration is waited for.
func (p *preparation) prerequisites(ctx context.Context) error {
	if err := p.simOpen(ctx); err != nil {
		return err
	}
	return p.power(ctx)
}

// simOpen checks that the SIM is still open. If it was not, it may be another
// one by now: errSuspect then has all prepared anew.
func (p *preparation) simOpen(ctx context.Context) error {
	before := p.waits
	if err := p.unlock(ctx); err != nil {
		return err
	}
	if p.waits > before {
		return errSuspect
	}
	return nil
}

// nudge has an idle modem choose a network, unless it was set to one by hand.
func (p *preparation) nudge(ctx context.Context) (wait, error) {
	info, err := p.ask(ctx, "+COPS?", limitSIM)
	if err != nil && !answered(err) {
		return wait{}, err
	}
	if mode, ok := number(info, "+COPS"); ok && mode == 1 {
		return wait{state: Waiting, reason: "not registered: the modem was set to one operator by hand; AT+COPS=0 lets it choose"}, nil
	}
	p.log.Info("the modem does not look for a network: it is told to")
	p.waiting(Waiting, "not registered: telling the modem to look for a network")
	return wait{}, p.optionalWithin(ctx, "+COPS=0", limitNudge)
}

// registered asks each domain in turn; one that is usable is enough: an
// LTE-only SIM shows +CREG: 0,2 with +CEREG: 0,1. Else it returns what tells
// most. It notes whether the modem knows none of the queries.
func (s *session) registered(ctx context.Context) (registration, error) {
	best, known := regUnknown, false
	for _, id := range [...]string{"+CREG", "+CEREG", "+CGREG", "+C5GREG"} {
		info, err := s.ask(ctx, id+"?", limitSIM)
		if err != nil && !answered(err) {
			return regUnknown, err
		}
		stat := parseRegistration(info, id)
		if stat.usable() {
			s.netless = false
			return stat, nil
		}
		known = known || stat != regUnknown || err != nil && !unknownCommand(err)
		if stat.telling() > best.telling() {
			best = stat
		}
	}
	s.netless = !known
	return best, nil
}

// errNoServiceCentre: the SIM has no service centre address, and none is known.
var errNoServiceCentre = errors.New("modem: the SIM has no service centre address")

// serviceCentre sees to it that the SIM has a service centre address: a PDU
// without one uses it. What the operator set goes first; else what the SIM has;
// else what the same SIM had earlier, since some modems lose it (AT+CSMP on
// M6280).
func (p *preparation) serviceCentre(ctx context.Context) error {
	card, _ := p.cards.find(p.identity())
	imsi := p.identity().imsi
	return p.until(ctx, func() (wait, error) {
		has, told, err := p.askServiceCentre(ctx)
		if err != nil {
			return wait{}, err
		}
		p.centre = cmp.Or(card.SMSC, p.cards.centre(imsi, has))
		switch {
		case p.centre == "" && told && !p.grown():
			return wait{state: Waiting, reason: "reading the service centre address"}, nil
		case p.centre == "" && told:
			return wait{state: Waiting, reason: noServiceCentre(card)}, nil
		case p.centre == "" || p.centre == has:
			return wait{}, nil // perhaps it only won't tell: sending will
		}
		if err := p.optional(ctx, `+CSCS="GSM"`); err != nil { // it would want another form of the number
			return wait{}, err
		}
		if err := p.setServiceCentre(ctx); err != nil && !answered(err) {
			return wait{}, err
		} else if err != nil && has == "" && told && !busySIM(err) && p.grown() {
			return wait{state: Waiting, reason: "the SIM has no service centre address and does not take one: set it in a phone"}, nil
		} else if err != nil && !p.grown() {
			return wait{state: Waiting, reason: "setting the service centre address"}, nil
		} else if err != nil {
			p.log.Warn("the SIM does not take its service centre address", "error", err)
		}
		return wait{}, nil
	})
}

// noServiceCentre says which setting is missing.
func noServiceCentre(card Card) string {
	name := "NAME"
	if card.Name != "" {
		name = card.Name
	}
	return `the SIM has no service centre address: set smsc = "+…" in [sim.` + name + `]; its operator publishes it`
}

// askServiceCentre reads the SIM's service centre address, "" if it has none;
// told is whether the modem said so.
func (s *session) askServiceCentre(ctx context.Context) (address string, told bool, err error) {
	info, err := s.ask(ctx, "+CSCA?", limitSIM)
	if err != nil && !answered(err) {
		return "", false, err
	}
	address, told = parseServiceCentre(info)
	return address, told, nil
}

// setServiceCentre writes the one that is to be used.
func (s *session) setServiceCentre(ctx context.Context) error {
	kind := 129 // unknown, 23.040 9.1.2.5
	if s.centre[0] == '+' {
		kind = 145 // international
	}
	_, err := s.ask(ctx, fmt.Sprintf(`+CSCA="%s",%d`, s.centre, kind), limitSIM)
	if errors.Is(err, at.ErrError) {
		_, err = s.ask(ctx, fmt.Sprintf(`+CSCA="%s"`, s.centre), limitSIM)
	}
	return err
}

// restoreServiceCentre puts back the service centre address that a modem has
// lost since it was prepared (+CMS ERROR: 330). It takes one command, or three
// at most. errNoServiceCentre says that none is known; other errors are those
// of command. The caller has the turn.
func (s *session) restoreServiceCentre(ctx context.Context) error {
	if s.centre == "" {
		address, _, err := s.askServiceCentre(ctx)
		if err != nil {
			return err
		}
		if s.centre = address; address == "" {
			return errNoServiceCentre
		}
	}
	return s.setServiceCentre(ctx)
}
