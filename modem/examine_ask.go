package modem

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/warthog618/modem/at"
)

// card asks for the SIM's state and identity.
func (x *examiner) card() {
	x.SIM = x.simState()
	x.ICCID = x.iccid()
	switch x.SIM {
	case SIMPIN:
		x.tries()
		return
	case SIMReady, SIMUnknown:
	case SIMPUK, SIMAbsent, SIMBusy, SIMFailure, SIMLocked, SIMBlocked:
		return
	}
	_ = x.quick("+CMEE=1") // not before the PIN: M6280 and its kin take it amiss
	info, err := x.query("+CIMI", limitSIM)
	if err == nil {
		x.IMSI = digits(info, 6, 15)
	}
	x.tries()
}

// simState asks AT+CPIN?, again where the SIM is busy.
func (x *examiner) simState() SIMState {
	state := SIMUnknown
	for range simPatience {
		info, err := x.query("+CPIN?", limitSIM)
		if errors.Is(err, at.ErrError) { // ask for the number behind it
			_ = x.quick("+CMEE=1")
			info, err = x.query("+CPIN?", limitSIM)
		}
		state, x.trouble = simStateOf(info, err)
		if state != SIMBusy || x.dead {
			return state
		}
		if x.session.pause(x.ctx, x.session.times.Poll) != nil {
			return state
		}
	}
	return state
}

// simStateOf reads the answer to AT+CPIN?, and puts it in the daemon's words.
func simStateOf(info []string, err error) (SIMState, string) {
	if err != nil {
		return errorState(err), simTrouble(err).reason
	}
	if lock, told := answer(info, "+CPIN"); told {
		return lockState(lock), lockTrouble(lock).reason
	}
	return SIMUnknown, ""
}

func (x *examiner) iccid() string {
	for _, cmd := range iccidQueries() {
		if id := parseICCID(x.quick(cmd)); id != "" {
			return id
		}
	}
	return ""
}

// tries asks how many tries for the PIN are left.
func (x *examiner) tries() {
	for _, cmd := range pinQueries(x.profile) {
		if left, told := parsePINTries(x.quick(cmd), cmd); told {
			x.PINTries = left
			return
		}
	}
}

// network asks where the modem is registered and what it hears.
func (x *examiner) network() {
	for _, d := range [...]struct{ cmd, name string }{
		{"+CREG", "circuit"}, {"+CGREG", "packet"}, {"+CEREG", "lte"}, {"+C5GREG", "5g"},
	} {
		info, err := x.query(d.cmd+"?", limitSIM)
		if err != nil {
			continue
		}
		if stat := parseRegistration(info, d.cmd); stat != regUnknown {
			x.Registrations = append(x.Registrations, Registration{Domain: d.name, Stat: int(stat), Words: registrationWords(int(stat))})
		}
	}
	x.signal()
	if info, err := x.query("+COPS?", limitSIM); err == nil {
		x.Operator, x.Technology = operatorName(info), technology(info)
	}
}

// registrationWords is <stat> of 27.007 7.2 and 10.1.20.
func registrationWords(stat int) string {
	words := [...]string{
		"not registered", "home", "searching", "denied", "out of coverage", "roaming",
		"home, SMS only", "roaming, SMS only", "emergency calls only", "home", "roaming", "emergency calls only",
	}
	if stat < 0 || stat >= len(words) {
		return "unknown"
	}
	return words[stat]
}

// signal asks AT+CSQ, and AT+CESQ of a modem that can't tell by it.
func (x *examiner) signal() {
	if x.SignalDBm = dBm(x.quick("+CSQ")); x.SignalDBm != 0 {
		x.Bars = bars(x.SignalDBm, -70)
		return
	}
	if x.SignalDBm = extendedDBm(x.quick("+CESQ")); x.SignalDBm != 0 {
		x.Bars = bars(x.SignalDBm, -85) // of reference signals, which are weaker
	}
}

// bars are five for a signal of best dBm and one fewer each 10 dB below.
func bars(dBm, best int) int {
	return max(0, min(5, 5-(best-dBm+9)/10))
}

// technology is <AcT> of +COPS?, "" if it is not told: 27.007 7.3.
func technology(info []string) string {
	s, _ := answer(info, "+COPS")
	f := fields(s)
	if len(f) < 4 {
		return ""
	}
	switch f[3] {
	case "0", "1", "3", "8":
		return "GSM"
	case "2", "4", "5", "6":
		return "UMTS"
	case "7", "9", "10", "13":
		return "LTE"
	case "11", "12":
		return "5G"
	}
	return ""
}

// messages asks for what sending and reporting need.
func (x *examiner) messages() {
	x.serviceCentre()
	x.PDUMode = x.pduMode()
	if said, ok := answer(x.quick("+CNMI=?"), "+CNMI"); ok {
		x.CNMI = said
		x.Reports = reportRoute(said, x.profile)
	}
	said, _ := answer(x.quick("+CPMS?"), "+CPMS")
	x.Stores = stores(said)
}

func (x *examiner) serviceCentre() {
	info, err := x.query("+CSCA?", limitSIM)
	if err != nil {
		return
	}
	x.centre = true // OK without a line is an answer too
	x.SMSC, _ = parseServiceCentre(info)
}

// pduMode sets PDU mode where the modem is in text mode, and looks whether it
// has taken it.
func (x *examiner) pduMode() bool {
	if pdu, told := inPDUMode(x.quick("+CMGF?")); pdu || !told {
		return true // one that can't be asked is believed; sending will show
	}
	if _, err := x.query("+CMGF=0", limitSIM); err != nil {
		return false
	}
	pdu, told := inPDUMode(x.quick("+CMGF?"))
	return pdu || !told
}

// reportRoute is the best that a modem which advertises this can do.
func reportRoute(advertised string, p Profile) ReportRoute {
	sets := ranges(advertised)
	if len(sets) < 4 {
		return ReportsUnknown
	}
	offered := func(ds int) bool {
		return sets[3][ds] && slices.ContainsFunc(indications(advertised, true), func(setting string) bool {
			return strings.Split(setting, ",")[3] == strconv.Itoa(ds) && p.AllowsCNMI(setting)
		})
	}
	switch {
	case offered(1):
		return ReportsDirect
	case offered(2):
		return ReportsStored
	}
	return ReportsNever
}

// stores are the memories in the answer of AT+CPMS?, each once.
func stores(said string) []Store {
	var all []Store
	for _, m := range memoryUsage(said) {
		if !slices.ContainsFunc(all, func(s Store) bool { return s.Name == m.name }) {
			all = append(all, Store{Name: m.name, Used: m.used, Total: m.total})
		}
	}
	return all
}
