package budget

import (
	"bytes"
	"slices"
	"strings"

	"smsotpd/storage"
)

// record is what is kept of one SIM.
type record struct {
	// First is when the network first took a message.
	First storage.Time `cbor:"1,keyasint,omitempty"`
	// Day is the day, and with it the month, that the counts are of.
	Day   int   `cbor:"2,keyasint"`
	Today tally `cbor:"3,keyasint"`
	Month tally `cbor:"4,keyasint"`
	// Recipients are the different ones of the month.
	Recipients int `cbor:"5,keyasint,omitempty"`
	// Air is what has begun and is not settled.
	Air []booked `cbor:"6,keyasint,omitempty"`
	// Newest is when the newest message was taken, and Recent each of the last
	// minute, the newest first: twice the µs that it is older than the one
	// before, and 1 more for a notice.
	Newest storage.Time `cbor:"7,keyasint,omitempty"`
	Recent []uint32     `cbor:"8,keyasint,omitempty"`
	// Minute is the minute since 1970 of Hour[0]; each further element counts
	// the minute before.
	Minute int64    `cbor:"9,keyasint,omitempty"`
	Hour   []uint32 `cbor:"10,keyasint,omitempty"`
	// Failures are those of the month.
	Failures []failure `cbor:"11,keyasint,omitempty"`
	Balance  *balance  `cbor:"12,keyasint,omitempty"`
}

// tally counts the messages that were taken in a day or month.
type tally struct {
	Messages int `cbor:"1,keyasint,omitempty"`
	Notices  int `cbor:"2,keyasint,omitempty"`
	Segments int `cbor:"3,keyasint,omitempty"`
}

func (t *tally) add(c Charge) {
	t.Messages++
	t.Segments += c.segments()
	if c.Notice {
		t.Notices++
	}
}

// booked is a message in the air.
type booked struct {
	Notice    bool   `cbor:"1,keyasint,omitempty"`
	Segments  int    `cbor:"2,keyasint"`
	Recipient []byte `cbor:"3,keyasint,omitempty"`
	// Counted is the month in which the recipient counts as one of the SIM's
	// already.
	Counted int `cbor:"4,keyasint,omitempty"`
	// At is when it began.
	At storage.Time `cbor:"5,keyasint,omitempty"`
}

type failure struct {
	Cause string `cbor:"1,keyasint"`
	Today int    `cbor:"2,keyasint,omitempty"`
	Month int    `cbor:"3,keyasint"`
}

type balance struct {
	Amount float64      `cbor:"1,keyasint"`
	At     storage.Time `cbor:"2,keyasint"`
}

const (
	minute = storage.Time(60e6)
	// buckets are the minutes that may lie within the last hour in part.
	buckets = 61
	// keepRecent is how much of the last minute is kept where limits need less,
	// for limits that are set later.
	keepRecent = 60
	// maxCauses is how many causes are told apart in a month, and maxCause
	// how many bytes of each are kept; all further ones are otherCause.
	maxCauses  = 32
	maxCause   = 32
	otherCause = "other"
	// farBack is more days than a change of zone sets the calendar back.
	farBack = 2
	// longestAir is longer than any attempt lasts: what is in the air for so
	// long was lost with its message, and nobody will settle it.
	longestAir = 24 * 60 * minute
)

func (r *record) month() int { return monthOf(r.Day) }

// roll brings the record to the present: what is over is dropped. A zone that
// was set west gives no day back. Times ahead of now mean that the operator has
// reset the clock: their minutes, hours and days begin anew, since nothing tells
// when they would end.
func (r *record) roll(now storage.Time, day int) {
	reset := r.Newest > now
	if reset {
		r.First, r.Recent, r.Hour = min(r.First, now), nil, nil
	}
	if day > r.Day || day < r.Day-farBack || reset && day < r.Day {
		r.turn(monthOf(day) != r.month())
		r.Day = day
	}
	for i := range r.Air {
		r.Air[i].At = min(r.Air[i].At, now)
	}
	r.Air = slices.DeleteFunc(r.Air, func(b booked) bool { return now-b.At >= longestAir })
	at := r.Newest
	for i, delta := range r.Recent {
		if at -= storage.Time(delta / 2); at+minute <= now {
			r.Recent = r.Recent[:i]
			break
		}
	}
	r.Hour = r.Hour[:min(len(r.Hour), max(0, int(r.Minute+buckets-int64(now/minute))))]
}

// turn begins a new day, and perhaps a new month.
func (r *record) turn(month bool) {
	r.Today = tally{}
	if month {
		r.Month, r.Recipients, r.Failures = tally{}, 0, nil
	}
	for i := range r.Failures {
		r.Failures[i].Today = 0
	}
}

// stamp puts a message that was taken now into the last minute and hour.
func (r *record) stamp(now storage.Time, notice bool, lim Limits) {
	if len(r.Recent) > 0 {
		r.Recent[0] += uint32(2 * (now - r.Newest)) //nolint:gosec // less than 2 min
	}
	r.Newest = now
	var first uint32
	if notice {
		first = 1
	}
	r.Recent = slices.Insert(r.Recent, 0, first)
	r.trim(max(lim.PerMinute, keepRecent), lim.NoticesPerMinute)

	current := int64(now / minute)
	if gap := int(min(current-r.Minute, buckets)); len(r.Hour) > 0 && gap > 0 {
		r.Hour = slices.Insert(r.Hour, 0, make([]uint32, gap)...)
	}
	if r.Minute = current; len(r.Hour) == 0 {
		r.Hour = []uint32{0}
	}
	r.Hour[0]++
	r.Hour = r.Hour[:min(len(r.Hour), buckets)]
}

// trim keeps of the last minute the newest messages, and the newest notices.
func (r *record) trim(messages, notices int) {
	if len(r.Recent) <= max(messages, notices) {
		return
	}
	kept, seen, gap := r.Recent[:0], 0, uint32(0)
	for i, delta := range r.Recent {
		gap += delta &^ 1
		if i < messages || delta&1 == 1 && seen < notices {
			kept = append(kept, gap|delta&1)
			gap = 0
		}
		seen += int(delta & 1)
	}
	r.Recent = kept
}

// fail counts a refusal.
func (r *record) fail(cause string) {
	cause = strings.ToValidUTF8(cause[:min(len(cause), maxCause)], "")
	i := slices.IndexFunc(r.Failures, func(f failure) bool { return f.Cause == cause })
	if i < 0 && (cause == "" || len(r.Failures) >= maxCauses-1) {
		cause = otherCause
		i = slices.IndexFunc(r.Failures, func(f failure) bool { return f.Cause == cause })
	}
	if i < 0 {
		i = len(r.Failures)
		r.Failures = append(r.Failures, failure{Cause: cause})
	}
	r.Failures[i].Today++
	r.Failures[i].Month++
}

// land takes a message out of the air, and says whether it was there.
func (r *record) land(c Charge) bool {
	same := func(b booked) bool { return bytes.Equal(b.Recipient, c.Recipient) && b.Notice == c.Notice }
	i := slices.IndexFunc(r.Air, func(b booked) bool { return same(b) && b.Segments == c.segments() })
	if i < 0 {
		i = slices.IndexFunc(r.Air, same)
	}
	if i < 0 {
		return false
	}
	r.Air = slices.Delete(r.Air, i, i+1)
	return true
}

// count says that the recipient is one of the month's.
func (r *record) count(recipient []byte) {
	for i := range r.Air {
		if bytes.Equal(r.Air[i].Recipient, recipient) {
			r.Air[i].Counted = r.month()
		}
	}
}

// fresh says whether the message would add a recipient to a month's, 0 being
// one to come.
func (r *record) fresh(b booked, month int) bool {
	return len(b.Recipient) > 0 && (b.Counted != month || month == 0) &&
		!slices.ContainsFunc(r.Air, func(a booked) bool { return bytes.Equal(a.Recipient, b.Recipient) })
}

// inAir is what has begun and is not settled: how much, how many different
// recipients it has, and how many of these the month doesn't count yet.
func (r *record) inAir() (sum tally, recipients, fresh int) {
	for i, b := range r.Air {
		sum.add(Charge{Notice: b.Notice, Segments: b.Segments})
		if len(b.Recipient) == 0 ||
			slices.ContainsFunc(r.Air[:i], func(a booked) bool { return bytes.Equal(a.Recipient, b.Recipient) }) {
			continue
		}
		recipients++
		if b.Counted != r.month() {
			fresh++
		}
	}
	return sum, recipients, fresh
}
