package modem

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"smsotpd/modem/wire"
)

// ExamineConfig says how a port is examined. Zero values are fine.
type ExamineConfig struct {
	// Opener opens the port; nil: the serial devices of this host, and remote
	// ports.
	Opener Opener
	// Profiles are the operator's own, beside those that come with the driver.
	Profiles []Profile
	// Cards and PINFile are as in PoolConfig. They only say what the daemon
	// would do: no PIN is read or entered.
	Cards   []Card
	PINFile string
	// Settings is the file that those come from, for words; "" if none was read.
	Settings string
	// USB are the ports of USB devices, for what is known of them.
	USB []USBPort
	// Limit bounds the whole examination (30 s).
	Limit time.Duration
}

// Severity of a Finding.
type Severity string

// The severities. A modem with a finding of severity error can't do its work.
const (
	Fine    Severity = "ok"
	Warning Severity = "warning"
	Failing Severity = "error"
)

// Finding is something that an examination found, in words for somebody who
// has never seen the code.
type Finding struct {
	Severity Severity
	// Code is short and stable, for programs: the Found constants.
	Code FindingCode
	// Problem is a sentence on what is wrong, Remedy one on what mends it.
	Problem, Remedy string
	// Lines are the exact commands or settings for that, one each; commands
	// begin with "$ ".
	Lines []string
}

// SIMState is what AT+CPIN? says of the SIM: 27.007 8.3.
type SIMState string

// The states.
const (
	SIMReady   SIMState = "ready"
	SIMPIN     SIMState = "pin_required"
	SIMPUK     SIMState = "puk_required"
	SIMAbsent  SIMState = "absent"
	SIMBusy    SIMState = "busy"
	SIMFailure SIMState = "failure"
	SIMLocked  SIMState = "locked"  // to an operator, or the modem to a SIM
	SIMBlocked SIMState = "blocked" // for good
	SIMUnknown SIMState = "unknown"
)

// ReportRoute is how delivery reports can reach the daemon: <ds> of AT+CNMI,
// 27.005 3.4.1.
type ReportRoute string

// The routes.
const (
	ReportsDirect  ReportRoute = "direct"
	ReportsStored  ReportRoute = "stored"
	ReportsNever   ReportRoute = "none"
	ReportsUnknown ReportRoute = "unknown"
)

// Registration is the answer of one domain: AT+CREG? and its kin.
type Registration struct {
	// Domain is "circuit" (CREG), "packet" (CGREG), "lte" (CEREG) or "5g"
	// (C5GREG).
	Domain string
	// Stat is the number of 27.007 7.2, Words what it means.
	Stat  int
	Words string
}

// Store is one message memory of the modem or its SIM.
type Store struct {
	Name        string
	Used, Total int
}

// Examination is what was found on one port. Identities are whole: whoever
// shows them hides what must not be seen.
type Examination struct {
	Port string
	// USB is nil where the port is none of a known USB device.
	USB *USBPort
	// Modem: AT commands are answered.
	Modem bool
	// Answer is how long AT took; Echo whether it came back.
	Answer time.Duration
	Echo   bool

	Manufacturer, Model, Firmware string
	// Profile names what is known of its kind, "" if nothing is.
	Profile           string
	IMEI, IMSI, ICCID string
	SIM               SIMState
	// PINTries are how many are left, -1 where the modem doesn't tell.
	PINTries int

	// Radio is false if it is turned off (AT+CFUN).
	Radio         bool
	Operator      string
	Technology    string
	Registrations []Registration
	// SignalDBm is 0 when unknown; Bars are 0 to 5, -1 when unknown.
	SignalDBm, Bars int

	// SMSC is the service centre's number, "" if none is known.
	SMSC string
	// Reports is the best route that AT+CNMI=? offers and the profile does
	// not rule out; CNMI is what it said.
	Reports ReportRoute
	CNMI    string
	// PDUMode: the modem takes or is in PDU mode.
	PDUMode bool
	Stores  []Store

	Findings []Finding
}

// String keeps identities out of logs.
func (e Examination) String() string { return "examination of " + e.Port }

// GoString keeps identities out of logs.
func (e Examination) GoString() string { return e.String() }

// LogValue keeps identities out of logs.
func (e Examination) LogValue() slog.Value { return slog.StringValue(e.String()) }

// Registered tells whether one domain is registered in a way that SMS can be
// sent.
func (e Examination) Registered() bool {
	for _, r := range e.Registrations {
		if registration(r.Stat).usable() {
			return true
		}
	}
	return false
}

// Usable tells whether the daemon can work with the modem as it is.
func (e Examination) Usable() bool { return e.Modem && e.Worst() != Failing }

// Worst is the severity of the worst finding.
func (e Examination) Worst() Severity {
	worst := Fine
	for _, f := range e.Findings {
		if f.Severity == Failing || f.Severity == Warning && worst == Fine {
			worst = f.Severity
		}
	}
	return worst
}

// Has tells whether there is a finding with the code.
func (e Examination) Has(code FindingCode) bool {
	for _, f := range e.Findings {
		if f.Code == code {
			return true
		}
	}
	return false
}

const (
	// wakeLimit bounds the time that a port costs on which nothing answers.
	wakeLimit = 8 * time.Second
	// examineLimit is the default of ExamineConfig.Limit.
	examineLimit = 30 * time.Second
	// slowAnswer is when the answer to AT is late enough to be told.
	slowAnswer = time.Second
	// simPatience is how often a SIM that is busy is asked again.
	simPatience = 3
)

// Examine opens the port, asks what is behind it and says what it found. It
// does no harm: no PIN is entered, nothing is sent, the radio is left as it
// is, and of the settings only the form of errors (AT+CMEE), verbose answers
// and PDU mode (AT+CMGF=0) may change. A port that somebody else has open is
// not opened.
func Examine(ctx context.Context, cfg ExamineConfig, path string) Examination {
	if cfg.Opener == nil {
		cfg.Opener = Ports{}
	}
	if cfg.Limit == 0 {
		cfg.Limit = examineLimit
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Limit)
	defer cancel()
	x := &examiner{cfg: cfg, ctx: ctx, Examination: Examination{
		Port: path, SIM: SIMUnknown, PINTries: -1, Radio: true, Bars: -1,
		Reports: ReportsUnknown,
	}}
	if port, ok := usbPortAt(cfg.USB, path); ok {
		x.USB = &port
	}
	if port := x.open(); port != nil {
		x.probe(port)
	}
	return x.Examination
}

// examiner is an examination under way.
type examiner struct {
	Examination
	cfg     ExamineConfig
	ctx     context.Context //nolint:containedctx // it lives as long as one call of Examine
	session *session
	profile Profile
	tap     *tap
	dead    bool   // nothing is answered any more
	centre  bool   // the service centre's number was told, be it none
	trouble string // what the daemon says of the SIM, "" if it has nothing to say
}

// open opens the port, unless somebody has it; nil: the findings say why not.
func (x *examiner) open() wire.Port {
	if isDevice(x.Port) {
		if users := others(x.Port); len(users) > 0 {
			x.inUse(users)
			return nil
		}
	}
	port, err := x.cfg.Opener.Open(x.Port)
	if err != nil {
		x.notOpened(err)
		return nil
	}
	return port
}

// probe talks with what is behind the port.
func (x *examiner) probe(port wire.Port) {
	x.tap = &tap{Port: port}
	log := slog.New(slog.DiscardHandler)
	in := newIncoming(nil, nil)
	times := Timeouts{Quiet: 200 * time.Millisecond}.withDefaults()
	x.session = newSession(x.tap, times, log, in)
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		in.run()
	}()
	defer func() {
		x.session.close()
		<-x.session.wire.Done()
		in.close()
		<-delivered
	}()
	defer context.AfterFunc(x.ctx, x.session.close)()
	leave, err := x.session.take(x.ctx)
	if err != nil {
		return
	}
	defer leave()

	var mute atomic.Bool
	asleep := time.AfterFunc(wakeLimit, func() {
		if !x.session.wire.Met() {
			mute.Store(true)
			x.session.close()
		}
	})
	err = x.session.resync(x.ctx)
	asleep.Stop()
	inTime := !mute.Load() && x.ctx.Err() == nil
	if !inTime || err != nil {
		x.unanswered(inTime && errors.Is(err, errGone))
		return
	}
	x.Modem = true
	x.inquire()
	x.judge()
}

// query asks one thing; an error says that there is no answer to it.
func (x *examiner) query(cmd string, limit time.Duration) ([]string, error) {
	if x.dead || x.profile.Avoids("AT"+cmd) {
		return nil, errMute
	}
	info, err := x.session.ask(x.ctx, cmd, limit)
	if errors.Is(err, errMute) || errors.Is(err, errGone) || x.ctx.Err() != nil {
		x.dead = true
	}
	return info, err
}

// quick is query for what a modem answers at once, and where no answer is as
// good as any that says nothing.
func (x *examiner) quick(cmd string) []string {
	info, err := x.query(cmd, limitQuick)
	if err != nil {
		return nil
	}
	return info
}

// inquire asks all that is shown.
func (x *examiner) inquire() {
	x.measure()
	x.who()
	if fun, ok := number(x.quick("+CFUN?"), "+CFUN"); ok {
		x.Radio = fun == 1
	}
	x.card()
	x.network()
	x.messages()
}

// measure times the answer to AT and looks for its echo.
func (x *examiner) measure() {
	x.tap.forget()
	began := time.Now()
	_ = x.quick("")
	x.Answer = time.Since(began)
	x.Echo = strings.HasPrefix(strings.TrimLeft(string(x.tap.heard()), "\r\n"), "AT")
}

// who asks what the modem is.
func (x *examiner) who() {
	x.Manufacturer = text(x.quick("+CGMI"), "+CGMI")
	x.Model = text(x.quick("+CGMM"), "+CGMM")
	x.Firmware = text(x.quick("+CGMR"), "+CGMR")
	known := Make{Manufacturer: x.Manufacturer, Model: x.Model, Firmware: x.Firmware}
	if x.USB != nil {
		known.USB = x.USB.ID
	}
	if profiles, err := allProfiles(x.cfg.Profiles); err == nil {
		x.profile = MatchProfile(profiles, known)
		x.Profile = x.profile.Name
	}
	for _, cmd := range imeiQueries() {
		if x.IMEI = digits(x.quick(cmd), 14, 17); x.IMEI != "" {
			return
		}
	}
}
