package budget

import (
	"time"

	"smsotpd/storage"
)

// Standing is what a SIM has sent and may send, at the time of the transaction
// that answered it.
type Standing struct {
	// Codes and Notices are from when one more of one segment, to a recipient of
	// the month, may be begun, if nothing else happens; zero for now, Never if no
	// time is known: too much is in the air, or the lane has no share at all.
	Codes, Notices time.Time
	// RecipientsFull: only those to whom it has sent this month may be sent to.
	RecipientsFull bool
	// Low: less than a tenth of the day's or month's messages, segments or
	// recipients is left.
	Low bool
	// Tightest is the greatest part of a limit that is used, those by the minute
	// and on notices left out; 0 without limits, above 1 where one was lowered.
	Tightest float64
	// These count what is in the air too. Day.Limit is the warm-up's.
	Minute, Hour, Day, Month   Use
	Recipients                 Use
	SegmentsDay, SegmentsMonth Use
	NoticesMinute, NoticesDay  Use
	// InAir is how many messages have begun and are not settled.
	InAir int
	// Turn is when its day ends, and with it perhaps its month.
	Turn time.Time
	// FirstUsed is when the network first took a message; zero if it never did.
	FirstUsed time.Time
	// Failures are today's refusals by cause, FailuresMonth the month's; nil if
	// there are none.
	Failures, FailuresMonth map[string]int
	// Balance is nil if it was never set.
	Balance *Balance

	now        storage.Time
	windows    []window
	recipients window
}

// Use is how much of a limit is used; Limit 0 is none.
type Use struct{ Used, Limit int }

// Balance is what the operator said is left on the SIM, and when.
type Balance struct {
	Amount float64
	At     time.Time
}

// Never is a time behind all others that matter.
func Never() time.Time { return time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC) }

// standing is that of a record that is brought to now.
func (l *Ledger) standing(r *record, lim Limits, now time.Time) Standing {
	air, recipients, fresh := r.inAir()
	today, _ := lim.days(r, l.calendar)
	s := Standing{
		Minute:        Use{len(r.Recent) + air.Messages, lim.PerMinute},
		Hour:          Use{air.Messages, lim.PerHour},
		Day:           Use{r.Today.Messages + air.Messages, today},
		Month:         Use{r.Month.Messages + air.Messages, lim.PerMonth},
		Recipients:    Use{r.Recipients + fresh, lim.RecipientsPerMonth},
		SegmentsDay:   Use{r.Today.Segments + air.Segments, lim.SegmentsPerDay},
		SegmentsMonth: Use{r.Month.Segments + air.Segments, lim.SegmentsPerMonth},
		NoticesMinute: Use{air.Notices, lim.NoticesPerMinute},
		NoticesDay:    Use{r.Today.Notices + air.Notices, lim.NoticesPerDay},
		InAir:         len(r.Air),
		FirstUsed:     r.First.Time(),
		now:           storage.TimeOf(now),
	}
	for _, n := range r.Hour {
		s.Hour.Used += int(n)
	}
	for _, delta := range r.Recent {
		s.NoticesMinute.Used += int(delta & 1)
	}
	s.windows = l.windows(r, lim, s.now, air)
	day, month := l.turns(r)
	s.Turn = day.Time()
	if lim.RecipientsPerMonth > 0 {
		all := room{lim.RecipientsPerMonth, lim.RecipientsPerMonth}
		s.recipients = window{
			key: "recipients_per_month", span: calendared, present: all, next: all, turn: month,
			used: s.Recipients.Used, refills: []refill{{month, s.Recipients.Used - recipients}},
		}
	}
	s.judge()
	s.tell(r)
	return s
}

// Windows are the limits that are set, by their names as in Limits.Validate, with
// what of each is used at a time not before the standing's, if nothing has
// happened since.
func (s Standing) Windows(at time.Time) map[string]Use {
	uses, now := make(map[string]Use, len(s.windows)+1), max(storage.TimeOf(at), s.now)
	tell := func(w window) {
		w.refill(now)
		limit := w.present.all
		if w.turn != 0 && now >= w.turn {
			limit = w.next.all
		}
		uses[w.key] = Use{w.used, limit}
	}
	for _, w := range s.windows {
		tell(w)
	}
	if s.Recipients.Limit > 0 {
		tell(s.recipients)
	}
	return uses
}

// judge draws the conclusions from what is used.
func (s *Standing) judge() {
	s.Codes, s.Notices = s.opens(false), s.opens(true)
	s.RecipientsFull = s.Recipients.Limit > 0 && s.Recipients.Used >= s.Recipients.Limit
	for _, u := range []Use{s.Day, s.Month, s.SegmentsDay, s.SegmentsMonth, s.Recipients} {
		s.Low = s.Low || u.Limit > 0 && 10*(u.Limit-u.Used) < u.Limit
		s.Tightest = max(s.Tightest, u.part())
	}
	s.Tightest = max(s.Tightest, s.Hour.part())
}

func (u Use) part() float64 {
	if u.Limit == 0 {
		return 0
	}
	return float64(u.Used) / float64(u.Limit)
}

// tell shows what else is known.
func (s *Standing) tell(r *record) {
	for _, f := range r.Failures {
		if s.FailuresMonth == nil {
			s.Failures, s.FailuresMonth = map[string]int{}, map[string]int{}
		}
		s.FailuresMonth[f.Cause] = f.Month
		if f.Today > 0 {
			s.Failures[f.Cause] = f.Today
		}
	}
	if r.Balance != nil {
		s.Balance = &Balance{r.Balance.Amount, r.Balance.At.Time()}
	}
}

// opens is from when the lane may begin one more.
func (s *Standing) opens(notice bool) time.Time {
	_, until := s.spent(notice, 1)
	switch until {
	case s.now:
		return time.Time{}
	case never:
		return Never()
	}
	return until.Time()
}

// spent is the window that has no room for the longest, and when it has.
func (s *Standing) spent(notice bool, segments int) (key string, until storage.Time) {
	until = s.now
	for i := range s.windows {
		w := &s.windows[i]
		if w.notices && !notice {
			continue
		}
		if opens := w.opens(s.now, notice, w.need(segments)); opens > until {
			key, until = w.key, opens
		}
	}
	return key, until
}

// admit answers a *SpentError if the message may not begin now. fresh: its
// recipient is new in this month; anew: it will be in the next.
func (s *Standing) admit(b booked, fresh, anew bool) error {
	key, until := s.spent(b.Notice, b.Segments)
	if s.Recipients.Limit > 0 && (fresh || anew && until >= s.recipients.turn) {
		if opens := s.recipients.opens(s.now, b.Notice, 1); opens > until {
			until = opens
			if fresh {
				key = s.recipients.key
			}
		}
	}
	switch until {
	case s.now:
		return nil
	case never:
		return &SpentError{Window: key}
	}
	return &SpentError{Window: key, Until: until.Time()}
}
