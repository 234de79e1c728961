package budget

import (
	"math"

	"smsotpd/storage"
)

// window is one limit and what counts towards it.
type window struct {
	key  string
	span span
	// notices: it is about notices alone.
	notices bool
	// segments: it counts them, not messages.
	segments bool
	// present is what it holds, and next what it holds from turn on, where the
	// day or month then ends.
	present, next room
	turn          storage.Time
	// used is what counts now: taken within the window, or in the air.
	used int
	// refills are when some of it no longer counts, in order.
	refills []refill
}

// room is what a window holds: all messages together, and notices at most.
type room struct{ all, notices int }

type refill struct {
	at storage.Time
	n  int
}

// span is how a window moves.
type span uint8

const (
	// sliding by the minute exactly, by the hour in whole minutes.
	slidingMinute span = iota
	slidingHour
	// calendar days and months end at the window's turn.
	calendared
)

// never is behind all times.
const never = storage.Time(math.MaxInt64)

// need is how much of the window a message takes.
func (w *window) need(segments int) int {
	if w.segments {
		return segments
	}
	return 1
}

// free is how much a message of the lane may use at a time up to which all
// refills are done; negative where the limit was lowered below what was used.
func (w *window) free(at storage.Time, notice bool) int {
	r := w.present
	if w.turn != 0 && at >= w.turn {
		r = w.next
	}
	if notice {
		return r.notices - w.used
	}
	return r.all - w.used
}

// opens is from when the window has room for what is needed, if nothing else
// begins and what is in the air stays there; never if that isn't enough.
func (w *window) opens(now storage.Time, notice bool, need int) storage.Time {
	after := *w
	for at := now; ; at = after.refills[0].at {
		after.refill(at)
		if after.free(at, notice) >= need {
			return at
		}
		if len(after.refills) == 0 {
			return never
		}
	}
}

// refill takes off what no longer counts at that time.
func (w *window) refill(at storage.Time) {
	for len(w.refills) > 0 && w.refills[0].at <= at {
		w.used -= w.refills[0].n
		w.refills = w.refills[1:]
	}
}

// take counts n that are begun and taken at once. No refill may come later
// than theirs.
func (w *window) take(at storage.Time, n int) {
	w.used += n
	var until storage.Time
	switch {
	case w.span == slidingMinute:
		until = at + minute
	case w.span == slidingHour:
		until = (at/minute + buckets) * minute
	case at < w.turn:
		until = w.turn
	default:
		return
	}
	w.refills = append(w.refills, refill{until, n})
}

// windows are those of the limits that are set; recipients' is by itself.
func (l *Ledger) windows(r *record, lim Limits, now storage.Time, air tally) []window {
	all := make([]window, 0, 8)
	add := func(w window, limit, later, used int) {
		if limit > 0 {
			w.present, w.next, w.used = lim.room(limit, w.notices), lim.room(later, w.notices), used
			all = append(all, w)
		}
	}
	if lim.PerMinute > 0 {
		refills := r.minuteRefills(false)
		add(window{key: "per_minute", span: slidingMinute, refills: refills}, lim.PerMinute, 0, len(refills)+air.Messages)
	}
	if lim.NoticesPerMinute > 0 {
		refills := r.minuteRefills(true)
		add(window{key: "notices_per_minute", span: slidingMinute, notices: true, refills: refills}, lim.NoticesPerMinute, 0, len(refills)+air.Notices)
	}
	if lim.PerHour > 0 {
		refills, used := r.hourRefills()
		add(window{key: "per_hour", span: slidingHour, refills: refills}, lim.PerHour, 0, used+air.Messages)
	}
	dated := func(w window, turn storage.Time, limit, later, taken, air int) {
		w.span, w.turn, w.refills = calendared, turn, []refill{{turn, taken}}
		add(w, limit, later, taken+air)
	}
	if lim.dated() {
		day, month := l.turns(r)
		today, tomorrow := lim.days(r, l.calendar)
		dated(window{key: "per_day"}, day, today, tomorrow, r.Today.Messages, air.Messages)
		dated(window{key: "notices_per_day", notices: true}, day, lim.NoticesPerDay, lim.NoticesPerDay, r.Today.Notices, air.Notices)
		dated(window{key: "segments_per_day", segments: true}, day, lim.SegmentsPerDay, lim.SegmentsPerDay, r.Today.Segments, air.Segments)
		dated(window{key: "per_month"}, month, lim.PerMonth, lim.PerMonth, r.Month.Messages, air.Messages)
		dated(window{key: "segments_per_month", segments: true}, month, lim.SegmentsPerMonth, lim.SegmentsPerMonth, r.Month.Segments, air.Segments)
	}
	return all
}

// turns are when the record's day and month end.
func (l *Ledger) turns(r *record) (day, month storage.Time) {
	return storage.TimeOf(l.begins(r.Day + 1)), storage.TimeOf(l.begins(nextMonth(r.Day)))
}

// dated says whether a limit by day or month is set.
func (l Limits) dated() bool {
	return l.PerDay > 0 || l.NoticesPerDay > 0 || l.SegmentsPerDay > 0 || l.PerMonth > 0 || l.SegmentsPerMonth > 0
}

// days are the limits of the record's day and the one behind it. A SIM of which
// nothing was taken yet is at its first day tomorrow as well.
func (l Limits) days(r *record, c calendar) (today, tomorrow int) {
	if r.First == 0 {
		return l.daily(1), l.daily(1)
	}
	n := r.Day - c.day(r.First.Time()) + 1
	return l.daily(n), l.daily(n + 1)
}

// room is what a limit holds; one on notices alone has no reserve.
func (l Limits) room(limit int, notices bool) room {
	if notices {
		return room{limit, limit}
	}
	return room{limit, l.share(limit)}
}

// minuteRefills are when what was taken in the last minute no longer counts.
func (r *record) minuteRefills(notices bool) []refill {
	all := make([]refill, len(r.Recent))
	i, at := len(all), r.Newest
	for _, delta := range r.Recent {
		at -= storage.Time(delta / 2)
		if !notices || delta&1 == 1 {
			i--
			all[i] = refill{at + minute, 1}
		}
	}
	return all[i:]
}

// hourRefills are when the minutes of the last hour no longer count: each of
// them counts for as long as any of it may lie within the last 3600 s.
func (r *record) hourRefills() (all []refill, sum int) {
	all = make([]refill, 0, len(r.Hour))
	for i := len(r.Hour) - 1; i >= 0; i-- {
		if n := int(r.Hour[i]); n > 0 {
			all = append(all, refill{storage.Time(r.Minute-int64(i)+buckets) * minute, n})
			sum += n
		}
	}
	return all, sum
}
