package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Mishap is a fault that is to be added at a moment.
type Mishap struct {
	At    time.Duration
	Fault Fault
}

// String is one line, the fault as a script's inline table has it.
func (m Mishap) String() string {
	return fmt.Sprintf("%8s  fault %s", m.At.Round(time.Millisecond), m.Fault.Inline())
}

// RandomMishaps draws count mishaps for so many modems over a time, in their
// order, from every action at every point where it may strike. Left out are what
// a network does to a SIM for long, and the lies that no driver could see
// through: an answer that says for sure that nothing was sent, where it was, or
// that it was sent, where it was not; and text mode from one moment to the next,
// without a start. Nothing lasts longer than two minutes. The same random source
// draws the same mishaps.
func RandomMishaps(random *rand.Rand, modems int, over time.Duration, count int) []Mishap {
	d := dice{random}
	mishaps := make([]Mishap, count)
	for i := range mishaps {
		modem := d.IntN(modems)
		f := d.fault()
		f.Modem = &modem
		mishaps[i] = Mishap{At: d.between(0, over), Fault: f}
	}
	slices.SortStableFunc(mishaps, func(a, b Mishap) int { return int(a.At - b.At) })
	return mishaps
}

// Let adds the faults at their moments, counted from now, and returns when the
// last is added or ctx ends.
func (n *Network) Let(ctx context.Context, mishaps []Mishap) error {
	began := time.Now()
	for _, mishap := range mishaps {
		t := time.NewTimer(time.Until(began.Add(mishap.At)))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
		for _, m := range n.Modems() {
			if err := m.AddFault(mishap.Fault); err != nil {
				return err
			}
		}
	}
	return nil
}

// dice draws the parts of a fault.
type dice struct{ *rand.Rand }

func pick[T any](d dice, from ...T) T { return from[d.IntN(len(from))] }

// between draws whole milliseconds.
func (d dice) between(low, high time.Duration) time.Duration {
	return low + time.Duration(d.Int64N(max(1, int64((high-low)/time.Millisecond))))*time.Millisecond
}

func (d dice) fault() Fault {
	f := Fault{Do: pick(d, slices.DeleteFunc(actions(), Action.ofService)...), Count: 1}
	f.On = pick(d, f.Do.points()...)
	switch {
	case f.Do == TextModeOn:
		f.On = OnBoot
	case f.On == OnCommand && f.Do == ReplyCMS: // to others it is the answer of a message before
		f.Match = regexp.MustCompile(pick(d, `^AT\+CM[GS]`, `^AT\+C(NMI|PMS|SMS)`))
	case f.On == OnCommand:
		f.Match = regexp.MustCompile(pick(d, `^AT`, `^AT\+C`, `\?$`, `^AT\+CM`, `^AT\+CSQ`, `^AT\+CREG`))
	}
	switch f.Do {
	case ReplyError, ReplyCMS, ReplyCME, ReplyText, BareOK, Mute, Slow, Hang, LateReference:
		d.answer(&f)
	case LatePrompt:
		f.After = d.between(time.Second, 20*time.Second)
	case DropReport, EarlyReport, DoubleReport, DelayReport, ReportStatus, NationalReport, ShiftReport, TextReport, StoreReport, ShuffleReports:
		d.report(&f)
	case Noise:
		f.Size = 1 + d.IntN(300)
	case NULFlood:
		f.Size = 1 + d.IntN(70_000)
	case URC, URCInEcho, URCInAnswer:
		f.Text = pick(d, "^RSSI:22", "^BOOT:11111111,0,0,0,6", "+CSQ: 11,99", "+CREG: 1", "+CMTI: ,-1", `+CDSI: "SM",250`, "RING",
			"+ZUSIMR:2", `*PSUTTZ: 26,1,2,3,4,5,"+00",0`, "OVER-VOLTAGE WARNNING", "RDY", "+CUSD: 2")
	case Unplug:
		f.Back = d.between(50*time.Millisecond, 20*time.Second)
	case NotRegistered, RemoveSIM, BlockWrites, SplitBytes:
		f.For = d.between(100*time.Millisecond, 20*time.Second)
	}
	switch {
	case f.Do == SplitBytes:
		f.Interval = d.between(0, 3*time.Millisecond)
	case (f.Do == URC || f.Do == NMEA) && d.IntN(2) == 0:
		f.Interval, f.For = d.between(10*time.Millisecond, time.Second), d.between(time.Second, 10*time.Second)
	}
	if f.On == OnBoot && (f.Do == Unplug || f.Do == Reboot) {
		f.After = d.between(time.Millisecond, 5*time.Second)
	}
	return f
}

// answer draws what the client is told. At accepted only what leaves open
// whether the message was sent, at payload only what doesn't say that it was.
func (d dice) answer(f *Fault) {
	if f.On == OnAccepted && slices.Contains([]Action{ReplyError, ReplyCME, ReplyText}, f.Do) {
		f.Do = ReplyCMS
	}
	switch f.Do {
	case ReplyCMS:
		f.Code = pick(d, 300, 332, 350, 500)
		if f.On != OnAccepted && d.IntN(4) > 0 {
			f.Code = pick(d, 1, 8, 10, 17, 21, 22, 27, 28, 29, 30, 38, 41, 42, 47, 50, 69, 96, 111, 127, 128, 192, 193, 194, 208, 255,
				301, 302, 304, 310, 313, 314, 320, 322, 330, 331)
		}
	case ReplyCME:
		f.Code = pick(d, 3, 4, 10, 13, 14, 20, 30, 100, 256, 515)
	case ReplyText:
		f.Text = pick(d, "COMMAND NOT SUPPORT", "TOO MANY PARAMETERS", "MODEM ERROR: 5", "NA", "+CMS ERROR 38")
	case Slow:
		f.After = d.between(10*time.Millisecond, 60*time.Second)
	case Hang:
		f.For = d.between(10*time.Millisecond, 90*time.Second)
	case LateReference:
		f.After, f.Code = d.between(10*time.Millisecond, time.Second), pick(d, 0, 500)
	}
}

func (d dice) report(f *Fault) {
	switch f.Do {
	case DelayReport:
		f.After = d.between(time.Second, 2*time.Minute)
	case ReportStatus:
		f.Codes = pick(d, []byte{48, 0}, []byte{0, 48}, []byte{70, 0}, []byte{70}, []byte{32, 48, 0}, []byte{65}, []byte{99}, []byte{0, 0}, []byte{1})
	case ShiftReport:
		f.Shift = time.Duration(pick(d, -12, -2, -1, 1, 2, 12)) * time.Hour
	case StoreReport:
		f.Text = pick(d, "", ",-1", `"SM",0`)
	case ShuffleReports:
		f.Size = 2 + d.IntN(4)
		f.Count = f.Size
	}
}

// Inline is the fault as a script's inline table and ParseFault have it. It
// holds the number in To.
func (f Fault) Inline() string {
	var s []string
	add := func(wanted bool, form string, value any) {
		if wanted {
			s = append(s, fmt.Sprintf(form, value))
		}
	}
	if f.Modem != nil {
		add(true, "modem = %d", *f.Modem)
	}
	add(f.Operator != "", "operator = %q", f.Operator)
	add(true, "on = %q", f.On)
	if f.Match != nil {
		add(true, "match = '%s'", f.Match)
	}
	add(f.To != "", "to = %q", f.To)
	add(f.Nth != 0, "nth = %d", f.Nth)
	add(f.Every != 0, "every = %d", f.Every)
	add(f.Count != 0, "count = %d", f.Count)
	add(true, "do = %q", f.Do)
	add(f.Code != 0, "code = %d", f.Code)
	if f.Codes != nil {
		add(true, "codes = [%s]", strings.Trim(strings.ReplaceAll(fmt.Sprint(f.Codes), " ", ", "), "[]"))
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"after", f.After}, {"for", f.For}, {"back", f.Back}, {"interval", f.Interval}, {"shift", f.Shift}} {
		add(d.value != 0, d.key+" = \"%s\"", d.value)
	}
	add(f.As != "", "as = %q", f.As)
	add(f.Text != "", "text = '%s'", f.Text)
	add(f.Size != 0, "size = %d", f.Size)
	return strings.Join(s, ", ")
}
