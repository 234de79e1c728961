package modem

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// routing is how the modem hands over delivery reports and messages (27.005
// 3.4.1), as negotiated with it. It belongs to the holder of the turn.
type routing struct {
	setting string // of AT+CNMI, in force; "" if the modem took none
	ds, mt  int    // of setting
	unread  bool   // the modem won't tell what is in force
	// misleading: reports that it announces are not where it says.
	misleading bool
	// acknowledged: what comes directly must be acknowledged by AT+CNMA. probed:
	// it was tried whether that helps a modem that has fallen silent.
	acknowledged, probed bool
	form                 int  // of AT+CNMA, in ackForms; len(ackForms): none is taken
	taken                bool // the form was taken once
}

// ackForms are the ways to say AT+CNMA in PDU mode, 27.005 3.4.4.
var ackForms = [...]string{"+CNMA", "+CNMA=1", "+CNMA=0"}

// route negotiates how delivery reports and messages are handed over: what
// the modem advertises goes first, but only what it then says is in force
// counts, where it says so at all.
func (s *session) route(ctx context.Context) error {
	if err := s.serviceLevel(ctx); err != nil {
		return err
	}
	info, err := s.ask(ctx, "+CNMI=?", limitQuick)
	if err != nil && !answered(err) {
		return err
	}
	advertised, _ := answer(info, "+CNMI")
	var t routingTries
	for _, setting := range s.settings(advertised) {
		inForce, err := s.setRouting(ctx, setting)
		if err != nil && !answered(err) {
			return err
		}
		if t.note(setting, inForce, err) {
			break
		}
	}
	return s.settleRouting(ctx, &t)
}

// routingTries is what the modem made of the settings that it was given.
type routingTries struct {
	taken      string // the first that it said OK to
	best, last string // in force after one, by what it says
	ignored    int    // said OK to, and something else is in force
	unanswered int
}

// maxIgnored is how many settings a modem may say OK to and not take before
// no more are tried.
const maxIgnored = 12

// note takes in one more, and tells whether that was enough.
func (t *routingTries) note(setting, inForce string, err error) bool {
	switch {
	case errors.Is(err, errSilent):
		t.unanswered++
		return t.unanswered == unknownTries
	case err != nil:
		return false
	}
	t.last = inForce
	if t.taken == "" {
		t.taken = setting
	}
	if t.best == "" || routingValue(inForce) > routingValue(t.best) {
		t.best = inForce
	}
	if sameRouting(inForce, setting) {
		t.best = inForce
		return true
	}
	t.ignored++
	return t.ignored == maxIgnored
}

// settleRouting puts the best of the tries in force. Where none seems to have
// had any effect the first one is, in case that the modem tells it wrong.
func (s *session) settleRouting(ctx context.Context, t *routingTries) error {
	setting := t.best
	if routingValue(t.best) == 0 {
		setting = t.taken
	}
	if setting != "" && setting != t.last {
		if _, err := s.setRouting(ctx, setting); err != nil && !answered(err) {
			return err
		}
	}
	r := &s.routed
	r.setting, r.mt, r.ds = t.best, 0, 0
	if v, ok := routingParameters(t.best); ok {
		r.mt, r.ds = v[1], v[3]
	}
	if r.ds == 0 {
		s.log.Warn("the modem gives no delivery reports")
	}
	return nil
}

// setRouting sets AT+CNMI and returns what is in force then.
func (s *session) setRouting(ctx context.Context, setting string) (inForce string, err error) {
	if _, err := s.ask(ctx, "+CNMI="+setting, limitQuick); err != nil {
		return "", err
	}
	inForce, err = s.readRouting(ctx)
	if err != nil || inForce == "" {
		return setting, err // it can't be asked: it is believed
	}
	return inForce, nil
}

// readRouting asks what is in force; "" where the modem does not tell.
func (s *session) readRouting(ctx context.Context) (string, error) {
	info, err := s.ask(ctx, "+CNMI?", limitQuick)
	if err != nil && !answered(err) {
		return "", err
	}
	told, _ := answer(info, "+CNMI")
	v, ok := routingParameters(told)
	s.routed.unread = !ok
	if !ok {
		return "", nil
	}
	return joinInts(v), nil
}

// serviceLevel sees to it that the modem acknowledges what it receives by
// itself (AT+CSMS=0): an AT+CNMA that is late turns reports off or doubles
// them. Some modems can't.
func (s *session) serviceLevel(ctx context.Context) error {
	wanted := 0
	if p := s.profile().CSMS; p != nil {
		wanted = *p
	}
	_, setErr := s.ask(ctx, "+CSMS="+strconv.Itoa(wanted), limitQuick)
	if setErr != nil && !answered(setErr) {
		return setErr
	}
	info, err := s.ask(ctx, "+CSMS?", limitQuick)
	if err != nil && !answered(err) {
		return err
	}
	level, told := number(info, "+CSMS")
	before := s.routed.acknowledged
	if !s.routed.taken {
		s.routed.form = 0
	}
	switch {
	case told:
		s.routed.acknowledged = level == 1
	default:
		s.routed.acknowledged = wanted == 1
	}
	s.routed.acknowledged = s.routed.acknowledged || s.routed.probed && before
	return nil
}

// settings are those of AT+CNMI to be tried, best first: the profile's own,
// then what the modem's advertisement makes likely.
func (s *session) settings(advertised string) []string {
	all := append(slices.Clone(s.profile().CNMI), indications(advertised, s.memories.receiving != "")...)
	if s.routed.misleading { // announced reports are a last resort
		slices.SortStableFunc(all, func(a, b string) int { return announcing(a) - announcing(b) })
	}
	seen := make(map[string]bool, len(all))
	return slices.DeleteFunc(all, func(setting string) bool {
		whole := setting
		if strings.Count(setting, ",") == 3 { // patterns have five
			whole += ",0"
		}
		if seen[setting] || !s.profile().AllowsCNMI(whole) {
			return true
		}
		seen[setting] = true
		return false
	})
}

// announcing is 1 for a setting by which reports are stored and announced.
func announcing(setting string) int {
	if v, ok := routingParameters(setting); ok && v[3] == 2 {
		return 1
	}
	return 0
}

// routingParameters reads <mode>,<mt>,<bm>,<ds>[,<bfr>].
func routingParameters(s string) ([]int, bool) {
	var v []int
	for _, f := range fields(s) {
		n, ok := value(f)
		if !ok {
			return nil, false
		}
		v = append(v, n)
	}
	return v, len(v) >= 4
}

func joinInts(v []int) string {
	parts := make([]string, len(v))
	for i, n := range v {
		parts[i] = strconv.Itoa(n)
	}
	return strings.Join(parts, ",")
}

// sameRouting tells whether two settings hand over reports and messages in
// the same way. Mode 0 keeps all of it in the modem.
func sameRouting(a, b string) bool {
	x, ok1 := routingParameters(a)
	y, ok2 := routingParameters(b)
	return ok1 && ok2 && x[1] == y[1] && x[3] == y[3] && (x[0] == 0) == (y[0] == 0)
}

// routingValue orders settings: reports count more than messages, and direct
// reports more than announced ones.
func routingValue(setting string) int {
	v, ok := routingParameters(setting)
	if !ok || v[0] == 0 {
		return 0
	}
	worth := map[int]int{1: 2, 2: 1}
	messages := min(v[1], 1)
	return 10*worth[v[3]] + messages
}

// maxIndications bounds the settings that are tried.
const maxIndications = 40

// indications lists the AT+CNMI settings worth trying, best first: delivery
// reports routed directly (<ds>=1), then announced (2), then none; messages
// announced (<mt>=1) where the modem stores them, so that none is lost with
// us, or else routed directly (2), then none; 27.005 3.4.1. What the modem
// advertises goes first, but not alone: it may advertise what it refuses, and
// refuse to advertise. A modem may take four parameters only.
func indications(advertised string, stores bool) []string {
	mts := [...]int{2, 1, 0}
	if stores {
		mts = [...]int{1, 2, 0}
	}
	sets := ranges(advertised)
	offered := func(param, value int) bool {
		return len(sets) <= param || len(sets[param]) == 0 || sets[param][value]
	}
	first := func(param int, values ...int) int {
		for _, v := range values {
			if offered(param, v) {
				return v
			}
		}
		return values[0]
	}
	const all, short = 5, 4
	count := all
	if len(sets) == short {
		count = short
	}
	mode, bm, bfr := first(0, 2, 1, 3), first(2, 0, 1, 2, 3), first(4, 0, 1)
	setting := func(mode, mt, ds, bfr, count int) string {
		return joinInts([]int{mode, mt, bm, ds, bfr}[:count])
	}
	var reports, guesses, none, rest []string
	for _, ds := range [...]int{1, 2, 0} {
		for _, mt := range mts {
			for _, mode := range [...]int{mode, 2, 1} {
				for _, bfr := range [...]int{bfr, 0, 1} {
					s := setting(mode, mt, ds, bfr, count)
					switch {
					case !offered(0, mode) || !offered(1, mt) || !offered(3, ds) || !offered(4, bfr):
					case ds > 0:
						reports = append(reports, s)
					default:
						none = append(none, s)
					}
				}
			}
			rest = append(rest, setting(2, mt, ds, 0, all), setting(2, mt, ds, 0, short))
		}
		if mt := first(1, mts[:]...); ds > 0 { // worth a guess before there are none
			guesses = append(guesses, setting(mode, mt, ds, bfr, all), setting(mode, mt, ds, bfr, short))
		}
	}
	list := slices.Concat(reports, guesses, none, rest)
	seen := make(map[string]bool, len(list))
	list = slices.DeleteFunc(list, func(s string) bool {
		again := seen[s]
		seen[s] = true
		return again
	})
	return list[:min(len(list), maxIndications)]
}

// lateAck is how old a report or message may be when AT+CNMA goes out. The
// network waits 12 s at least, and the modem then turns all routing off.
const lateAck = 12 * time.Second

// acknowledge says AT+CNMA for one report or message that came directly and is
// kept. One that is late, because the modem was busy, is said all the same, as
// some wait for it for ever. None is said once the next one has come, since it
// would count for that: the modem waits for one at a time, and has given the
// first one up (27.005 3.4.4).
func (s *session) acknowledge(ctx context.Context, since time.Time) error {
	r := &s.routed
	if r.form == len(ackForms) {
		return nil
	}
	cmd := ackForms[r.form]
	late := time.Since(since) > lateAck
	if s.chores.overtaken(since) {
		s.chores.doubtRouting()
		return nil
	}
	_, err := s.ask(ctx, cmd, limitQuick)
	switch {
	case errors.Is(err, errSilent):
		delete(s.silent, cmd)
	case err != nil && !answered(err):
		return err
	case err == nil:
		r.taken = true
	case !surplusAck(err) && !r.taken && !late: // those may be surplus all the same
		r.form++ // another one may be known
		if r.form < len(ackForms) {
			s.chores.oweAck(since)
			return nil
		}
		s.log.Warn("the modem wants reports acknowledged and takes no acknowledgement")
	}
	if late || err != nil {
		s.chores.doubtRouting()
	}
	return nil
}

// surplusAck tells +CMS ERROR: 340, no +CNMA acknowledgement expected.
func surplusAck(err error) bool {
	cms, _ := errorNumbers(err)
	return cms == 340
}

// verifyRouting looks whether the modem still hands over what comes, and has
// it do so again if not. errSuspect says that it has left PDU mode: it has
// started anew, perhaps without a word.
func (s *session) verifyRouting(ctx context.Context) error {
	if kept, err := s.inPDUMode(ctx); err != nil {
		return err
	} else if !kept {
		return errSuspect
	}
	r := &s.routed
	if r.setting == "" || r.unread {
		return nil
	}
	inForce, err := s.readRouting(ctx)
	if err != nil || inForce == "" || sameRouting(inForce, r.setting) {
		return err
	}
	s.incoming.happened(EventRouting, "the modem had turned reports or messages off")
	s.log.Warn("the modem had turned reports or messages off", "found", inForce, "wanted", r.setting)
	return s.route(ctx)
}

// distrust stops the modem from announcing reports, since they are not where
// it says, if it can hand them over directly.
func (s *session) distrust(ctx context.Context) error {
	r := &s.routed
	if r.misleading || r.ds != 2 {
		return nil
	}
	r.misleading = true
	if err := s.route(ctx); err != nil {
		return err
	}
	s.log.Warn("the modem announces reports where they are not", "direct", r.ds == 1)
	if r.ds == 1 {
		s.incoming.happened(EventRouting, "the modem announces reports where they are not; they come directly now")
	} else {
		s.incoming.happened(EventRouting, "the modem announces reports where they are not; they are looked for")
	}
	return nil
}

// revivePath tries an acknowledgement on a modem from which a report came, but
// none since, though messages were sent: it may wait for one without saying
// so. That is done once.
func (s *session) revivePath(ctx context.Context) error {
	r := &s.routed
	r.probed = true
	_, err := s.ask(ctx, ackForms[0], limitQuick)
	if err != nil {
		if answered(err) {
			err = nil
		}
		return err
	}
	r.acknowledged, r.form = true, 0
	s.incoming.happened(EventRouting, "the modem waits for acknowledgements that it was told not to want")
	s.log.Warn("the modem waits for acknowledgements that it was told not to want")
	return nil
}
