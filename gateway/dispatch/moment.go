package dispatch

import "time"

// moment is a time of the local clock, in nanoseconds since the index was made;
// 0 for never. A time.Time is three times as large, and with many messages
// waiting the size of an entry is the gateway's.
type moment int64

// moment is that of a time, which may be before the index was made.
func (x *index) moment(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	return moment(t.Sub(x.epoch))
}

// time is that of a moment other than never.
func (x *index) time(m moment) time.Time { return x.epoch.Add(time.Duration(m)) }

func (m moment) add(d time.Duration) moment { return m + moment(d) }

// until is how long it is to a later moment.
func (m moment) until(later moment) time.Duration { return time.Duration(later - m) }
