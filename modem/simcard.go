package modem

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/warthog618/modem/at"
)

// unlock waits until the SIM is ready, and gives it its PIN once.
func (p *preparation) unlock(ctx context.Context) error {
	asked := false
	return p.until(ctx, func() (State, string, error) {
		info, err := p.insist(ctx, "+CPIN?", limitSIM)
		if errors.Is(err, at.ErrError) && !asked {
			asked = true // a bare ERROR: ask for the number behind it
			if err := p.optional(ctx, "+CMEE=1"); err != nil {
				return "", "", err
			}
			info, err = p.insist(ctx, "+CPIN?", limitSIM)
		}
		lock, told := answer(info, "+CPIN")
		switch {
		case err != nil && !answered(err):
			return "", "", err
		case p.grown() && (err != nil && unknownCommand(err) || err == nil && !told):
			return "", "", nil // it can't tell: registration or sending will
		case err != nil:
			state, reason := simTrouble(err)
			return state, reason, nil
		}
		switch {
		case strings.HasPrefix(lock, "READY"):
			return "", "", nil
		case strings.HasPrefix(lock, "SIM PIN") && !strings.HasPrefix(lock, "SIM PIN2"):
			return p.enterPIN(ctx)
		case strings.Contains(lock, "PUK"):
			return Parked, "the SIM asks for its PUK: put it into a phone and unlock it there", nil
		case lock == "":
			return Waiting, "the SIM is not ready yet", nil
		}
		return Parked, "the SIM or the modem is locked (" + lock[:min(len(lock), 40)] + ")", nil
	})
}

// simTrouble puts an error of +CPIN? in words.
func simTrouble(err error) (State, string) {
	var cme at.CMEError
	var cms at.CMSError
	n := -1
	switch {
	case errors.As(err, &cme):
		n = errorNumber(string(cme), cmeTexts)
	case errors.As(err, &cms):
		n = errorNumber(string(cms), cmsTexts)
	}
	switch n {
	case 10, 310:
		return Waiting, "no SIM in the modem"
	case 12, 316:
		return Parked, "the SIM asks for its PUK: put it into a phone and unlock it there"
	case 13, 15, 313, 315:
		return Waiting, "the modem can't read the SIM"
	case 14, 314, 515:
		return Waiting, "the SIM is busy"
	}
	return Waiting, "the SIM is not ready yet"
}

// enterPIN tries the configured PIN, once a SIM, and never the last try that
// the SIM has where the modem tells how many are left.
func (p *preparation) enterPIN(ctx context.Context) (State, string, error) {
	sim, err := p.cardID(ctx)
	if err != nil {
		return "", "", err
	}
	info, err := p.ask(ctx, `+CPINR="SIM PIN"`, limitQuick)
	if err != nil && !answered(err) {
		return "", "", err
	}
	if s, ok := answer(info, "+CPINR"); ok {
		if f := fields(s); len(f) > 1 {
			if left, err := strconv.Atoi(f[1]); err == nil && left < 2 {
				return Parked, "the SIM has one try for its PIN left: put it into a phone and enter it there", nil
			}
		}
	}
	pin, err := p.registry.pin(p.identity().imei, sim)
	if err != nil {
		return Parked, err.Error(), nil
	}
	p.waiting(Waiting, "entering the PIN")
	p.grow()
	if _, err := p.command(ctx, fmt.Sprintf("+CPIN=%q", pin), limitSIM); err != nil {
		if !answered(err) {
			return "", "", err
		}
		return Parked, "the SIM refuses the PIN", nil
	}
	return Waiting, "the SIM takes the PIN", nil
}

// cardID tells SIMs apart while they are locked: ICCID, "" if the modem won't
// say.
func (p *preparation) cardID(ctx context.Context) (string, error) {
	for _, cmd := range [...]string{"+CCID", "+ICCID", "+QCCID", "^ICCID?"} {
		info, err := p.ask(ctx, cmd, limitQuick)
		if err != nil && !answered(err) {
			return "", err
		}
		if id := digits(info, 18, 20); id != "" {
			return id, nil
		}
	}
	return "", nil
}

// subscriber reads the IMSI. A SIM that has just become ready may keep it
// back for some time; a modem may not know the command at all.
func (p *preparation) subscriber(ctx context.Context) error {
	tries, unknown := 0, 0
	return p.until(ctx, func() (State, string, error) {
		info, err := p.insist(ctx, "+CIMI", limitSIM)
		if err != nil && !answered(err) {
			return "", "", err
		}
		imsi := digits(info, 6, 15)
		if tries++; err == nil || unknownCommand(err) {
			unknown++
		}
		if imsi == "" && tries < 40 && unknown < unknownTries {
			return Waiting, "reading the SIM's identity", nil
		}
		p.learn(func(i *identity) { i.imsi = imsi })
		p.knowSIM()
		return "", "", p.claim(p.identity())
	})
}

// askSubscriber looks whether a SIM that kept its IMSI back tells it now; all
// is then prepared anew.
func (s *session) askSubscriber(ctx context.Context) error {
	info, err := s.ask(ctx, "+CIMI", limitQuick)
	if err != nil && !answered(err) {
		return err
	}
	if digits(info, 6, 15) != "" {
		return errSuspect
	}
	return nil
}

// knowSIM lets the reports through that came before the SIM was known.
func (p *preparation) knowSIM() {
	select {
	case <-p.known:
	default:
		close(p.known)
	}
}
