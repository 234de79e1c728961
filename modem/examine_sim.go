package modem

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

func (x *examiner) judgeSIM() {
	const another = "Try another SIM, or this one in a phone."
	if !x.Radio {
		x.judgeRadio()
	}
	switch x.SIM {
	case SIMPIN:
		x.judgePIN()
		return
	case SIMPUK:
		x.find(Failing, FoundPUK, "The SIM is locked after three wrong PINs and asks for its PUK.",
			"Put it into a phone and enter the PUK there: it is on the card that the SIM came in, or with the operator. Ten wrong PUKs destroy the SIM.")
	case SIMLocked:
		x.inDaemonsWords(FoundSIMLocked)
	case SIMBlocked:
		x.inDaemonsWords(FoundSIMBlocked)
	case SIMReady:
	case SIMAbsent, SIMBusy, SIMFailure, SIMUnknown:
		if !x.Radio { // the SIM may have no power
			return
		}
	}
	switch x.SIM {
	case SIMAbsent:
		x.find(Failing, FoundNoSIM, "There is no SIM in the modem, or it does not sit right.",
			"Put a SIM in, the contacts towards the modem's, and plug the modem out and in again.")
	case SIMBusy:
		x.find(Failing, FoundSIMBusy, "The SIM is not ready yet.", "Wait a minute and try again. "+another)
	case SIMFailure:
		x.find(Failing, FoundSIMFailure, "The modem can't read the SIM.", "Clean its contacts and put it in again. "+another)
	case SIMReady, SIMUnknown, SIMPIN, SIMPUK, SIMLocked, SIMBlocked:
	}
	x.judgeTries()
}

// judgeRadio says what the daemon does with a radio that is off.
func (x *examiner) judgeRadio() {
	switch x.SIM {
	case SIMAbsent, SIMBusy, SIMFailure, SIMUnknown:
		x.find(Warning, FoundRadioOff, "The modem's radio is turned off, and the SIM perhaps with it, so that nothing can be said of the SIM.",
			"Nothing needs to be done: the daemon turns the radio on when it starts, and then looks at the SIM.")
	case SIMReady, SIMPIN, SIMPUK, SIMLocked, SIMBlocked:
		x.find(Warning, FoundRadioOff, "The modem's radio is turned off.", "Nothing needs to be done: the daemon turns it on when it starts.")
	}
}

// inDaemonsWords tells of a lock what the daemon tells.
func (x *examiner) inDaemonsWords(code FindingCode) {
	problem, remedy := x.trouble, "Try the SIM in a phone"
	if i := strings.LastIndex(x.trouble, ": "); i >= 0 {
		problem, remedy = x.trouble[:i], x.trouble[i+2:]
	}
	x.find(Failing, code, sentence(problem), sentence(remedy))
}

// judgePIN says what becomes of a SIM that asks for its PIN.
func (x *examiner) judgePIN() {
	if x.PINTries == 1 {
		x.find(Failing, FoundPINTries, "The SIM asks for its PIN and has one try left; the daemon never uses the last one.",
			"Put the SIM into a phone and enter the PIN there, which gives it back its three tries.")
		return
	}
	x.judgeTries()
	if file := x.pinFile(); file != "" {
		x.judgePINFile(file)
		return
	}
	x.find(Failing, FoundPIN, "The SIM asks for its PIN, and none is configured"+x.unread()+".",
		"Write the PIN into a file that only the daemon can read (the first command waits for it: type it, then Enter and Ctrl-D), name that file in "+
			x.settingsFile()+", with the number printed on the card as its iccid, and restart the daemon. Or turn the PIN off in a phone.",
		`$ sudo install -m 0600 -o smsotpd /dev/stdin /etc/smsotpd/front.pin`,
		`[sim.front]`, x.simMatch(), `pin_file = "/etc/smsotpd/front.pin"`, restartDaemon)
}

// judgePINFile says what the daemon does with the file, by its own check. It
// runs as another user, and may read what doctor may not.
func (x *examiner) judgePINFile(file string) {
	const asks = "The SIM asks for its PIN; doctor does not enter it, the daemon does, once, from "
	switch err := CheckPINFile(file); {
	case err == nil:
		x.find(Warning, FoundPIN, asks+file+".", "Start the daemon and see how it goes.", "$ smsotpd modems")
	case errors.Is(err, fs.ErrPermission):
		x.find(Warning, FoundPIN, asks+file+", which doctor may not read.", "Start the daemon and see how it goes.", "$ smsotpd modems")
	default:
		x.find(Failing, FoundPINFile, sentence(fmt.Sprintf("The SIM asks for its PIN: %v", err)),
			"Write the PIN into the file, and nothing else: the first command waits for it: type it, then Enter and Ctrl-D.",
			"$ sudo install -m 0600 -o smsotpd /dev/stdin "+file, restartDaemon)
	}
}

func (x *examiner) judgeTries() {
	if x.PINTries == 1 || x.PINTries == 2 {
		x.find(Warning, FoundPINTries, fmt.Sprintf("The SIM has %d of 3 tries for its PIN left: somebody has entered a wrong one.", x.PINTries),
			"Make sure that the PIN is right before the daemon starts.")
	}
}

// pinFile is the file that the daemon would take this SIM's PIN from.
func (x *examiner) pinFile() string {
	if c, ok := x.settings(); ok && c.PINFile != "" {
		return c.PINFile
	}
	return x.cfg.PINFile
}

// settings are the operator's for this SIM.
func (x *examiner) settings() (Card, bool) {
	return FindCard(x.cfg.Cards, x.IMSI, x.ICCID)
}

// simMatch is the line of a [sim.NAME] table that says which SIM is meant: by
// what stands on the card, of which the beginning is shown.
func (x *examiner) simMatch() string {
	const shown = 6
	if len(x.ICCID) < shown {
		return `iccid = "89…"`
	}
	return `iccid = "` + x.ICCID[:shown] + `…"`
}

// unread says that no settings were read, if none were: the daemon may have
// some all the same.
func (x *examiner) unread() string {
	if x.cfg.Settings != "" || len(x.cfg.Cards) > 0 || x.cfg.PINFile != "" {
		return ""
	}
	return ", as far as doctor knows without --config " + configFile
}

// settingsFile is where the operator's settings are, or belong.
func (x *examiner) settingsFile() string { return cmp.Or(x.cfg.Settings, configFile) }
