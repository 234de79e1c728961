package modem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/warthog618/modem/at"
)

// unlock waits until the SIM is ready, and gives it its PIN once.
func (p *preparation) unlock(ctx context.Context) error {
	asked, powered := false, false
	return p.until(ctx, func() (wait, error) {
		info, err := p.insist(ctx, "+CPIN?", limitSIM)
		if errors.Is(err, at.ErrError) && !asked {
			asked = true // a bare ERROR: ask for the number behind it
			if err := p.errorNumbers(ctx); err != nil {
				return wait{}, err
			}
			info, err = p.insist(ctx, "+CPIN?", limitSIM)
		}
		lock, told := answer(info, "+CPIN")
		switch {
		case err != nil && !answered(err):
			return wait{}, err
		case p.grown() && (err != nil && unknownCommand(err) || err == nil && !told):
			return wait{}, nil // it can't tell: registration or sending will
		case err != nil && errorState(err) == SIMPIN:
			return p.enterPIN(ctx)
		case err != nil && !powered:
			powered = true // with minimum functionality the SIM has no power
			if err := p.power(ctx); err != nil {
				return wait{}, err
			}
			return wait{state: Waiting, reason: simTrouble(err).reason, soon: true}, nil
		case err != nil:
			return simTrouble(err), nil
		}
		switch lockState(lock) {
		case SIMReady:
			p.entered = 0
			p.cards.taken(p.modem()) // if it was asked for and gave no answer
			return wait{}, nil
		case SIMPIN:
			return p.enterPIN(ctx)
		case SIMAbsent, SIMBusy, SIMFailure:
			if !powered {
				powered = true
				if err := p.power(ctx); err != nil {
					return wait{}, err
				}
			}
		case SIMPUK, SIMLocked, SIMBlocked, SIMUnknown:
		}
		return lockTrouble(lock), nil
	})
}

// lockState reads <code> of +CPIN?, TS 27.007 8.3, and what makers say instead.
func lockState(lock string) SIMState {
	kind := lockKind(lock)
	is := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(kind, w) })
	}
	switch {
	case kind == "" || is("NOT READY", "BUSY", "INIT"):
		return SIMBusy
	case strings.HasPrefix(kind, "READY"), kind == "SIM PIN2", kind == "SIM PUK2":
		return SIMReady // PIN2 protects settings, and no message
	case kind == "SIM PIN":
		return SIMPIN
	case is("SIM PUK") && !strings.HasPrefix(kind, "PH"):
		return SIMPUK
	case is("NOT INSERTED", "REMOVED", "ABSENT", "NO SIM"):
		return SIMAbsent
	case is("FAIL", "WRONG", "ERROR") && !strings.HasPrefix(kind, "PH"):
		return SIMFailure
	case is("BLOCK") && !strings.HasPrefix(kind, "PH"):
		return SIMBlocked
	}
	return SIMLocked
}

// lockKind is <code> of +CPIN?, whatever its case, its hyphens and what stands
// around it. A USIM's PIN is the SIM's, and PIN1 is the PIN.
func lockKind(lock string) string {
	lock, _, _ = strings.Cut(strings.ToUpper(lock), ",")
	lock = strings.NewReplacer("-", " ", "_", " ", "USIM", "SIM", "PIN1", "PIN", "PUK1", "PUK").Replace(lock)
	return strings.Join(strings.Fields(strings.Trim(lock, "\"'() ;.")), " ")
}

// lockTrouble puts <code> of +CPIN? in words. The zero value says that it keeps
// nobody from sending, or that a PIN does.
func lockTrouble(lock string) wait {
	kind := lockKind(lock)
	switch state := lockState(lock); {
	case state == SIMReady, state == SIMPIN:
		return wait{}
	case state == SIMBusy:
		return simWait(SIMUnknown) // it says no more than that it is not ready
	case state == SIMBlocked:
		return wait{state: Parked, reason: "the SIM is blocked for good (" + brief(lock) + "): another one is needed"}
	case state != SIMLocked:
		return simWait(state)
	case strings.HasPrefix(kind, "PH NET"), strings.HasPrefix(kind, "PH SP"), strings.HasPrefix(kind, "PH CORP"), strings.HasPrefix(kind, "NETWORK"):
		return wait{state: Parked, reason: "the modem is locked to the SIMs of another operator (" + brief(lock) +
			"): use such a SIM, or have the modem unlocked by who sold it"}
	case strings.HasPrefix(kind, "PH"):
		return wait{state: Parked, reason: "the modem is locked to another SIM (" + brief(lock) +
			"): put that one in, or take the lock off with its code"}
	}
	return wait{state: Parked, reason: "the SIM or the modem is locked (" + brief(lock) + "): unlock it in a phone"}
}

// brief bounds what a modem says inside a reason.
func brief(s string) string { return shown(s, 40) }

const (
	pukNeeded = "the SIM asks for its PUK: put it into a phone and unlock it there"
	noSIM     = "no SIM in the modem, or it has no contact: put one in, or clean and reseat it"
	simIsBusy = "the SIM is busy"
	badSIM    = "the modem can't read the SIM: reseat it, or try it in a phone"
)

// errorState reads what the error of a command says of the SIM: TS 27.007
// 9.2.1, 27.005 3.2.5.
func errorState(err error) SIMState {
	cms, cme := errorNumbers(err)
	switch {
	case cme == 10, cms == 310:
		return SIMAbsent
	case cme == 11, cms == 311:
		return SIMPIN
	case cme == 12, cms == 316:
		return SIMPUK
	case cme == 13, cme == 15, cms == 313, cms == 315:
		return SIMFailure
	case cme == 14, cme == 256, cme == 515, cms == 314, cms == 515:
		return SIMBusy
	case cme >= 5 && cme <= 7, cme >= 40 && cme <= 48:
		return SIMLocked
	case cme == blockedForGood:
		return SIMBlocked
	}
	return SIMUnknown
}

// blockedForGood is +CME ERROR: 262 of SIMCom and Quectel.
const blockedForGood = 262

// simTrouble puts an error of a command for the SIM in words.
func simTrouble(err error) wait {
	return simWait(errorState(err))
}

// simWait is what is waited for while the SIM is in that state.
func simWait(state SIMState) wait {
	switch state {
	case SIMAbsent:
		return wait{state: Waiting, reason: noSIM}
	case SIMPUK:
		return wait{state: Parked, reason: pukNeeded}
	case SIMLocked:
		return wait{state: Parked, reason: "the modem is locked to another SIM or operator: use such a SIM, or have the modem unlocked"}
	case SIMBlocked:
		return wait{state: Parked, reason: "the SIM is blocked for good: another one is needed"}
	case SIMFailure:
		return wait{state: Waiting, reason: badSIM, curable: true}
	case SIMBusy:
		return wait{state: Waiting, reason: simIsBusy, curable: true}
	case SIMReady, SIMPIN, SIMUnknown:
	}
	return wait{state: Waiting, reason: "the SIM is not ready yet", curable: true}
}

// maxEntries bounds how often a PIN is entered that a modem says OK to and the
// SIM asks for again.
const maxEntries = 2

// modem is what the modem is known by: its IMEI, or its port.
func (p *preparation) modem() string { return cmp.Or(p.identity().imei, "port "+p.port) }

// enterPIN tries the configured PIN, once a SIM, and never the last try that
// the SIM has where the modem tells how many are left.
func (p *preparation) enterPIN(ctx context.Context) (wait, error) {
	if p.entered >= maxEntries {
		return wait{state: Parked, reason: "the modem says that the SIM takes the PIN, but the SIM asks for it again: try it in a phone"}, nil
	}
	if p.entered > 0 && !p.grown() {
		return wait{state: Waiting, reason: "the SIM takes the PIN"}, nil
	}
	p.learn(func(i *identity) { i.iccid, i.imsi = "", "" }) // it may be another SIM
	if err := p.readICCID(ctx); err != nil {
		return wait{}, err
	}
	pin, attempt, err := p.cards.pin(p.identity(), p.port)
	if err != nil {
		return wait{state: Parked, reason: err.Error()}, nil
	}
	left, told, err := p.pinTries(ctx)
	if err != nil {
		return wait{}, err
	}
	if told && left < 2 {
		return wait{state: Parked, reason: lastTry(left)}, nil
	}
	if err := p.cards.try(p.modem(), attempt); err != nil {
		p.log.Error("the attempt at the PIN can't be remembered", "error", err)
		return wait{state: Parked, reason: "the PIN is not entered, since the attempt can't be remembered: see the log"}, nil
	}
	p.waiting(Waiting, "entering the PIN")
	p.grow()
	err = p.givePIN(ctx, pin, left, told)
	switch {
	case err == nil:
		p.entered++
		p.cards.taken(p.modem())
		return wait{state: Waiting, reason: "the SIM takes the PIN", soon: true}, nil
	case errors.Is(err, errMute): // it may be busy with it: the SIM will tell
		p.waiting(Waiting, "waiting for the SIM to take the PIN")
		return wait{state: Waiting, reason: "the SIM takes the PIN", soon: true}, p.resync(ctx)
	case !answered(err):
		return wait{}, err
	case busySIM(err) && told:
		return p.unspent(ctx, left)
	}
	p.cards.refused(p.modem())
	return wait{state: Parked, reason: "the SIM refuses the PIN: correct the PIN file, or turn the PIN off in a phone"}, nil
}

// givePIN enters the PIN. A modem that does not understand the command may want
// it without quotation marks. It gets it so if the SIM has as many tries left as
// before, and three of them: should that count not be true, one is left.
func (p *preparation) givePIN(ctx context.Context, pin string, before int, told bool) error {
	_, err := p.command(ctx, fmt.Sprintf("+CPIN=%q", pin), limitSIM)
	if !malformed(err) || !told || before < 3 {
		return err
	}
	left, told, lost := p.pinTries(ctx)
	if lost != nil {
		return lost
	}
	if !told || left != before {
		return err
	}
	_, err = p.command(ctx, "+CPIN="+pin, limitSIM)
	return err
}

func lastTry(left int) string {
	if left < 1 {
		return pukNeeded
	}
	return "the SIM has one try for its PIN left, which is never used up here: put it into a phone and enter the PIN there"
}

// unspent tells whether a busy SIM has looked at the PIN: if as many tries are
// left as before, it has not, and may be given it again.
func (p *preparation) unspent(ctx context.Context, before int) (wait, error) {
	left, told, err := p.pinTries(ctx)
	if err != nil {
		return wait{}, err
	}
	if told && left == before {
		p.cards.taken(p.modem())
	} else {
		p.cards.refused(p.modem())
	}
	return wait{state: Waiting, reason: simIsBusy, curable: true}, nil
}

func busySIM(err error) bool { return errorState(err) == SIMBusy }

// pinQueries are the commands that tell how many tries a PIN has left:
// TS 27.007 8.65, and those of Huawei, Quectel (two), SIMCom, Sierra Wireless,
// Cinterion, Telit, u-blox, Ericsson, ZTE, Infineon, Icera, Option, MediaTek and
// Longcheer.
func pinQueries(p Profile) []string {
	all := []string{
		`+CPINR="SIM PIN"`, "+CPINR", "^CPIN?", `+QPINC="SC"`, "+QPINC?", "+SPIC", "+CPINC?", "^SPIC", "#PCT", "+UPINCNT", "*EPIN?",
		"+QTRPIN", "+ZPINPUK=?", "+XPINCNT", "%PINNUM?", "_OERCN?", "+EPINC", "+EPINC?", "+CPNNUM",
	}
	if p.PINTries != "" {
		all = slices.Insert(all, 0, withoutAT(p.PINTries))
	}
	return all
}

// pinTries asks how many tries the SIM's PIN has left, by whichever command the
// modem knows.
func (p *preparation) pinTries(ctx context.Context) (left int, told bool, err error) {
	for _, cmd := range pinQueries(p.profile()) {
		info, err := p.ask(ctx, cmd, limitQuick)
		if err != nil && !answered(err) {
			return 0, false, err
		}
		if left, told := parsePINTries(info, cmd); told {
			return left, true, nil
		}
	}
	return 0, false, nil
}

// iccidQueries are the commands that tell the SIM's serial number. The last way
// is the file on the SIM itself, which no PIN protects: TS 102 221 13.2.
func iccidQueries() []string {
	return []string{"+CCID", "+ICCID", "+QCCID", "+CICCID", "#CCID", "^ICCID?", "+CCID?", "+CRSM=176,12258,0,0,10"}
}

// readICCID asks what tells SIMs apart while they are locked.
func (p *preparation) readICCID(ctx context.Context) error {
	if p.identity().iccid != "" {
		return nil
	}
	for _, cmd := range iccidQueries() {
		info, err := p.ask(ctx, cmd, limitQuick)
		if err != nil && !answered(err) {
			return err
		}
		if id := parseICCID(info); id != "" {
			p.learn(func(i *identity) { i.iccid = id })
			return nil
		}
	}
	return nil
}

// subscriber reads the IMSI. A SIM that has just become ready may keep it
// back for some time; a modem may not know the command at all.
func (p *preparation) subscriber(ctx context.Context) error {
	tries, unknown := 0, 0
	return p.until(ctx, func() (wait, error) {
		info, err := p.insist(ctx, "+CIMI", limitSIM)
		if err != nil && !answered(err) {
			return wait{}, err
		}
		imsi := digits(info, 6, 15)
		if tries++; err == nil || unknownCommand(err) {
			unknown++
		}
		if imsi == "" && tries < 40 && unknown < unknownTries {
			return wait{state: Waiting, reason: "reading the SIM's identity"}, nil
		}
		if p.cards.byICCID() {
			if err := p.readICCID(ctx); err != nil {
				return wait{}, err
			}
		}
		return wait{}, p.own(imsi)
	})
}

// own takes the IMSI for that of the SIM in the modem; "" if it won't say.
func (p *preparation) own(imsi string) error {
	p.learn(func(i *identity) { i.imsi = imsi })
	p.cards.learn(p.identity())
	if imsi != "" {
		p.knowSIM()
	}
	return p.claim(p.identity())
}

// lastCall asks once more for an IMSI that was kept back: the SIM may have been
// away, and be registered by now. What is handed over from here on is the
// modem's own where it still won't say.
func (p *preparation) lastCall(ctx context.Context) error {
	if p.identity().imsi != "" {
		return nil
	}
	info, err := p.ask(ctx, "+CIMI", limitSIM)
	if err != nil && !answered(err) {
		return err
	}
	defer p.knowSIM()
	if imsi := digits(info, 6, 15); imsi != "" {
		return p.own(imsi)
	}
	return nil
}
