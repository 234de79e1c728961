package budget

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestWithoutLimitsEverythingIsAllowedAndCounted(t *testing.T) {
	b := newBench(nil, Limits{})
	for i := range 500 {
		b.send(t, Charge{SIM: paris, Notice: i%2 == 0, Segments: 2, Recipient: token(byte(i % 5))})
	}
	s := b.standing(t, paris)
	if !s.Codes.IsZero() || !s.Notices.IsZero() || s.Low || s.RecipientsFull || s.Tightest != 0 {
		t.Errorf("without limits it may not send: %+v", s)
	}
	for name, uses := range map[string][2]Use{
		"hour": {s.Hour, {500, 0}}, "day": {s.Day, {500, 0}}, "month": {s.Month, {500, 0}},
		"segments of the day": {s.SegmentsDay, {1000, 0}}, "of the month": {s.SegmentsMonth, {1000, 0}},
		"recipients": {s.Recipients, {5, 0}}, "notices": {s.NoticesDay, {250, 0}},
	} {
		if uses[0] != uses[1] {
			t.Errorf("%s: %+v, want %+v", name, uses[0], uses[1])
		}
	}
	if !s.FirstUsed.Equal(b.clock) {
		t.Errorf("first used at %s", s.FirstUsed)
	}
}

func TestMinuteSlides(t *testing.T) {
	b := newBench(nil, Limits{PerMinute: 2})
	c := Charge{SIM: paris}
	first := b.clock
	b.send(t, c)
	b.pass(10 * time.Second)
	b.send(t, c)
	b.pass(10 * time.Second)
	b.refused(t, c, "per_minute", first.Add(time.Minute))
	if got := b.standing(t, paris).Codes; !got.Equal(first.Add(time.Minute)) {
		t.Errorf("codes from %s", got)
	}
	b.clock = first.Add(time.Minute)
	if spent := b.charge(t, c); spent != nil {
		t.Fatal(spent)
	}
	// One in the air and one taken 50 s ago: the latter's end is known.
	b.refused(t, c, "per_minute", first.Add(70*time.Second))
	b.pass(time.Hour)
	if spent := b.charge(t, c); spent != nil {
		t.Fatal(spent)
	}
	b.pass(time.Hour)
	b.refused(t, c, "per_minute", time.Time{})
	s := b.standing(t, paris)
	if !s.Codes.Equal(Never()) || s.InAir != 2 || s.Minute != (Use{2, 2}) {
		t.Errorf("two hang in the air: %+v", s)
	}
	b.settle(t, c, Settlement{Result: Unsent})
	if s := b.standing(t, paris); !s.Codes.IsZero() || s.InAir != 1 {
		t.Errorf("one was given back: %+v", s)
	}
}

func TestHourCountsWholeMinutes(t *testing.T) {
	b := newBench(nil, Limits{PerHour: 1})
	b.pass(15 * time.Second)
	taken := b.clock
	b.send(t, Charge{SIM: paris})
	b.refused(t, Charge{SIM: paris}, "per_hour", taken.Add(time.Hour+45*time.Second))
}

func TestDayAndMonthBeginAtMidnightOfTheZone(t *testing.T) {
	b := newBench(zoneOf(t, "Europe/Paris"), Limits{PerDay: 2, PerMonth: 3})
	b.at(2026, time.March, 28, 23, 0)
	c := Charge{SIM: paris}
	b.send(t, c)
	b.send(t, c)
	b.refused(t, c, "per_day", time.Date(2026, time.March, 28, 23, 0, 0, 0, time.UTC))
	b.at(2026, time.March, 29, 0, 0)
	b.send(t, c)
	next := time.Date(2026, time.March, 31, 22, 0, 0, 0, time.UTC) // in summer time
	b.refused(t, c, "per_month", next)
	b.clock = next
	b.send(t, c)
	if s := b.standing(t, paris); s.Day != (Use{1, 2}) || s.Month != (Use{1, 3}) {
		t.Errorf("in the new month: %+v", s)
	}
}

func TestWhatFliesOverMidnightCountsWhereItLands(t *testing.T) {
	b := newBench(nil, Limits{PerDay: 2, PerMonth: 9})
	b.at(2026, time.March, 31, 23, 59)
	taken, refused := Charge{SIM: paris, Recipient: token(1)}, Charge{SIM: paris, Recipient: token(2)}
	for _, c := range []Charge{taken, refused} {
		if spent := b.charge(t, c); spent != nil {
			t.Fatal(spent)
		}
	}
	b.pass(2 * time.Minute)
	if s := b.standing(t, paris); s.Day != (Use{2, 2}) || s.Month != (Use{2, 9}) || s.Recipients != (Use{2, 0}) {
		t.Errorf("both are in the air: %+v", s)
	}
	b.refused(t, taken, "per_day", time.Time{}) // tomorrow both may still hang
	b.settle(t, taken, Settlement{Result: Taken})
	b.settle(t, refused, Settlement{Result: Refused, Cause: "cms 38"})
	if s := b.standing(t, paris); s.Day != (Use{1, 2}) || s.Month != (Use{1, 9}) || s.Recipients != (Use{1, 0}) || s.InAir != 0 {
		t.Errorf("one has landed: %+v", s)
	}
}

func TestReserveIsForCodes(t *testing.T) {
	for name, lim := range map[string]Limits{
		"per_minute": {PerMinute: 10}, "per_hour": {PerHour: 10}, "per_day": {PerDay: 10}, "per_month": {PerMonth: 10},
		"segments_per_day": {SegmentsPerDay: 10}, "segments_per_month": {SegmentsPerMonth: 10},
	} {
		lim.Reserve = 25 // 2.5, so 3
		b := newBench(nil, lim)
		for range 7 {
			b.send(t, Charge{SIM: paris, Notice: true})
		}
		if spent := b.charge(t, Charge{SIM: paris, Notice: true}); spent == nil || spent.Window != name {
			t.Errorf("%s: the eighth notice: %v", name, spent)
		}
		for range 3 {
			b.send(t, Charge{SIM: paris})
		}
		if spent := b.charge(t, Charge{SIM: paris}); spent == nil || spent.Window != name {
			t.Errorf("%s: the eleventh message: %v", name, spent)
		}
	}
}

func TestNoticesHaveLimitsOfTheirOwn(t *testing.T) {
	b := newBench(nil, Limits{NoticesPerMinute: 1, NoticesPerDay: 2})
	notice := Charge{SIM: paris, Notice: true}
	b.send(t, notice)
	b.refused(t, notice, "notices_per_minute", b.clock.Add(time.Minute))
	b.pass(time.Minute)
	b.send(t, notice)
	b.refused(t, notice, "notices_per_day", time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC))
	b.send(t, Charge{SIM: paris})
	s := b.standing(t, paris)
	if !s.Codes.IsZero() || !s.Notices.Equal(time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC)) || s.NoticesDay != (Use{2, 2}) {
		t.Errorf("codes go on, notices tomorrow: %+v", s)
	}
}

func TestLastMinuteIsKeptForALimitThatIsSetLater(t *testing.T) {
	b := newBench(nil, Limits{})
	for range 2 * keepRecent {
		b.send(t, Charge{SIM: paris})
		b.pass(100 * time.Millisecond)
	}
	b.lim.PerMinute = keepRecent
	oldest := b.clock.Add(-keepRecent * 100 * time.Millisecond)
	b.refused(t, Charge{SIM: paris}, "per_minute", oldest.Add(time.Minute))
}

// Many codes must not push notices out of what is kept of the last minute.
func TestNoticesOfTheMinuteAreKeptAmongManyCodes(t *testing.T) {
	b := newBench(nil, Limits{NoticesPerMinute: 2})
	first := b.clock
	for range 2 {
		b.send(t, Charge{SIM: paris, Notice: true})
		b.pass(time.Second)
	}
	for range 5 * keepRecent {
		b.send(t, Charge{SIM: paris})
		b.pass(100 * time.Millisecond)
	}
	b.refused(t, Charge{SIM: paris, Notice: true}, "notices_per_minute", first.Add(time.Minute))
	b.clock = first.Add(time.Minute)
	b.send(t, Charge{SIM: paris, Notice: true})
	b.refused(t, Charge{SIM: paris, Notice: true}, "notices_per_minute", first.Add(61*time.Second))
}

func TestSegments(t *testing.T) {
	b := newBench(nil, Limits{SegmentsPerDay: 5})
	b.send(t, Charge{SIM: paris, Segments: 3})
	tomorrow := time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC)
	b.refused(t, Charge{SIM: paris, Segments: 3}, "segments_per_day", tomorrow)
	b.refused(t, Charge{SIM: paris, Segments: 6}, "segments_per_day", time.Time{})
	b.send(t, Charge{SIM: paris}) // none counts as one
	if s := b.standing(t, paris); s.SegmentsDay != (Use{4, 5}) || s.Day != (Use{2, 0}) {
		t.Errorf("%+v", s)
	}
}

func TestRecipientsOfTheMonth(t *testing.T) {
	b := newBench(nil, Limits{RecipientsPerMonth: 2})
	b.at(2026, time.March, 31, 23, 0)
	to := func(n byte) Charge { return Charge{SIM: paris, Recipient: token(n)} }
	b.send(t, to(1))
	b.send(t, to(1))
	if spent := b.charge(t, to(2)); spent != nil {
		t.Fatal(spent)
	}
	april := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	b.refused(t, to(3), "recipients_per_month", april)
	b.send(t, to(1))
	b.send(t, to(2)) // which is in the air already
	if s := b.standing(t, paris); !s.RecipientsFull || s.Recipients != (Use{2, 2}) || !s.Low || !s.Codes.IsZero() {
		t.Errorf("%+v", s)
	}
	// Another SIM has its own.
	b.send(t, Charge{SIM: lisbon, Recipient: token(3)})
	b.clock = april
	b.send(t, to(3))
	b.refused(t, to(4), "recipients_per_month", april.AddDate(0, 1, 0)) // the second hangs
}

// In the next month the recipients that hang in the air are new again, and one
// that is known in this month would be one more.
func TestKnownRecipientMayBeOneTooManyInTheNextMonth(t *testing.T) {
	b := newBench(nil, Limits{PerMonth: 5, RecipientsPerMonth: 2})
	to := func(n byte) Charge { return Charge{SIM: paris, Recipient: token(n)} }
	b.send(t, to(1))
	b.send(t, to(2))
	b.lim.RecipientsPerMonth = 4
	for n := range byte(3) {
		if spent := b.charge(t, to(2+n)); spent != nil {
			t.Fatal(spent)
		}
	}
	april := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	b.refused(t, to(1), "per_month", april)
	b.lim.RecipientsPerMonth = 3
	b.refused(t, to(1), "per_month", time.Time{})
	b.refused(t, to(2), "per_month", april)
}

func TestRecipientGivenBackIsNone(t *testing.T) {
	b := newBench(nil, Limits{RecipientsPerMonth: 1})
	for i, result := range []Result{Refused, Unsent} {
		c := Charge{SIM: paris, Recipient: token(byte(i))}
		if spent := b.charge(t, c); spent != nil {
			t.Fatal(spent)
		}
		b.settle(t, c, Settlement{Result: result})
	}
	b.send(t, Charge{SIM: paris, Recipient: token(9)})
}

func TestFailures(t *testing.T) {
	b := newBench(nil, Limits{PerDay: 3})
	c := Charge{SIM: paris}
	refuse := func(cause string) {
		t.Helper()
		if spent := b.charge(t, c); spent != nil {
			t.Fatal(spent)
		}
		b.settle(t, c, Settlement{Result: Refused, Cause: cause})
	}
	refuse("cms 38")
	refuse("cms 38")
	refuse("")
	s := b.standing(t, paris)
	if want := map[string]int{"cms 38": 2, "other": 1}; !reflect.DeepEqual(s.Failures, want) || s.Day.Used != 0 || !s.FirstUsed.IsZero() {
		t.Errorf("%+v", s)
	}
	b.pass(24 * time.Hour)
	for i := range 100 {
		refuse(fmt.Sprintf("cause %d", i))
	}
	s = b.standing(t, paris)
	sum := 0
	for _, n := range s.FailuresMonth {
		sum += n
	}
	if len(s.FailuresMonth) > maxCauses || s.FailuresMonth["cms 38"] != 2 || s.Failures["cms 38"] != 0 || s.Failures["other"] < 60 || sum != 103 {
		t.Errorf("%d causes: %v, today %v", len(s.FailuresMonth), s.FailuresMonth, s.Failures)
	}
	b.at(2026, time.April, 1, 0, 0)
	refuse(strings.Repeat("é", 40) + "\xff")
	s = b.standing(t, paris)
	if want := map[string]int{strings.Repeat("é", 16): 1}; !reflect.DeepEqual(s.FailuresMonth, want) {
		t.Errorf("in the new month: %v", s.FailuresMonth)
	}
}

func TestWarmUpBeginsWithTheFirstMessageTaken(t *testing.T) {
	b := newBench(zoneOf(t, "Europe/Paris"), Limits{PerDay: 8, WarmUp: WarmUp{Days: 4, Start: 1}})
	b.at(2026, time.March, 27, 23, 0)
	c := Charge{SIM: paris}
	if spent := b.charge(t, c); spent != nil {
		t.Fatal(spent)
	}
	b.settle(t, c, Settlement{Result: Refused})
	b.pass(24 * time.Hour)
	for day, limit := range []int{1, 2, 4, 8, 8} {
		for range limit {
			b.send(t, c)
		}
		b.refused(t, c, "per_day", b.begins(b.day(b.clock)+1))
		if s := b.standing(t, paris); s.Day != (Use{limit, limit}) {
			t.Errorf("day %d: %+v", day+1, s.Day)
		}
		b.at(2026, time.March, 29+day, 0, 0)
	}
}

func TestNeverBookedNeverBelowZero(t *testing.T) {
	b := newBench(nil, Limits{PerDay: 9})
	c := Charge{SIM: paris, Recipient: token(1)}
	if wrote := b.settle(t, c, Settlement{Result: Unsent}); wrote != 0 {
		t.Errorf("%d keys written for nothing", wrote)
	}
	b.settle(t, c, Settlement{Result: Refused, Cause: "cms 38"})
	b.settle(t, c, Settlement{Result: Taken})
	if s := b.standing(t, paris); s.Day != (Use{1, 9}) || s.InAir != 0 || s.Recipients.Used != 1 {
		t.Errorf("%+v", s)
	}
	// Nor does it land another one.
	other := Charge{SIM: paris, Recipient: token(2)}
	if spent := b.charge(t, other); spent != nil {
		t.Fatal(spent)
	}
	b.settle(t, c, Settlement{Result: Taken})
	if s := b.standing(t, paris); s.InAir != 1 || s.Day != (Use{3, 9}) {
		t.Errorf("%+v", s)
	}
	// Segments that the caller counts otherwise land all the same.
	other.Segments = 2
	b.settle(t, other, Settlement{Result: Taken})
	if s := b.standing(t, paris); s.InAir != 0 || s.SegmentsDay.Used != 4 {
		t.Errorf("%+v", s)
	}
}
