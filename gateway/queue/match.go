package queue

import (
	"bytes"
	"slices"
	"time"

	"smsotpd/storage"
)

// siblings is what one SIM sent to one recipient, the newest last.
type siblings struct {
	Sent []sentAttempt `cbor:"1,keyasint"`
}

// sentAttempt is one attempt that a report may be about.
type sentAttempt struct {
	ID      []byte       `cbor:"1,keyasint"`
	Attempt int          `cbor:"2,keyasint"`
	MR      int          `cbor:"3,keyasint"`
	Started storage.Time `cbor:"4,keyasint"`
	// Settled is when the attempt ended: the service centre took it by then. 0
	// for one that is in the air.
	Settled storage.Time `cbor:"5,keyasint,omitempty"`
	// SCTS and Fate are what the first and the best report on it said.
	SCTS storage.Time `cbor:"6,keyasint,omitempty"`
	Fate Fate         `cbor:"7,keyasint,omitempty"`
}

const (
	// keepSiblings is how many attempts of one SIM to one recipient are
	// remembered.
	keepSiblings = 16
	// inAir bounds how long after its begin the service centre takes an
	// attempt: the driver waits no longer for prompt and answer.
	inAir = 190 * time.Second
	// sctsTolerance is how far the service centre's clock may be off.
	sctsTolerance = 10 * time.Minute
	// sctsSame is by how much the time stamps in two reports on one attempt may
	// differ; they should be equal. A time that is not farther off is near.
	sctsSame = 5 * time.Second
	// sctsApart is how far off all others are where a time that is near tells
	// more than a reference.
	sctsApart = 15 * time.Second
	// zoneStep and zoneMost are what a wrong time zone is a multiple of, and at
	// most; zoneTolerance is how far off the clock may be then.
	zoneStep, zoneMost = 15 * time.Minute, 14 * time.Hour
	zoneTolerance      = 30 * time.Second
)

// kind is why an attempt may be the one that a report is about, the best reason
// first. A modem may use one reference for all that it sends, so that an attempt
// in doubt whose time is right comes before a reference whose time is wrong.
type kind int

const (
	// byStamp: another report has told its reference and this time stamp.
	byStamp kind = iota
	// byBoth: the reference is right, and the time near.
	byBoth
	// byNear: in doubt, the time near, and that of no other message by far.
	byNear
	// byReference: the reference is right, and the time within the tolerance.
	byReference
	// byTime: in doubt, and the only message with that time.
	byTime
	// byZone: the reference is right, and the time but for the zone.
	byZone
	// byTimeZone: in doubt, and the only message with that time but for the zone.
	byTimeZone
	// byOrder: the reference is right, and it began before that time.
	byOrder
	// byNumber: only the reference is right.
	byNumber
	unfit
)

// fit is how well an attempt fits a report: off is how far the time stamp lies
// from the time in which the service centre can have taken it.
type fit struct {
	kind kind
	off  time.Duration
}

// match finds the attempt that a report is about, -1 for none.
func match(sent []sentAttempt, r heldReport) int {
	fits := make([]fit, len(sent))
	for i, s := range sent {
		fits[i] = s.fit(r, clock(sent, i))
	}
	for k := byStamp; k < unfit; k++ {
		var at int
		switch k {
		case byNear:
			at = alone(sent, fits)
		case byTime, byTimeZone:
			many := false
			if at, many = only(sent, fits, k); many { // nor is a wrong zone a better reason then
				fits = withoutDoubts(fits)
			}
		default:
			at = nearest(sent, fits, k, r.SCTS != 0)
		}
		if at >= 0 {
			return at
		}
	}
	return -1
}

// clock is how far the service centre's clock is off by the reports on all
// attempts but one: by their median, since some may have been taken for those on
// another.
func clock(sent []sentAttempt, but int) time.Duration {
	var offs []time.Duration
	for i, s := range sent {
		if off := s.late(s.SCTS.Time()); i != but && s.SCTS != 0 && off.Abs() <= sctsTolerance {
			offs = append(offs, off)
		}
	}
	if len(offs) == 0 {
		return 0
	}
	slices.Sort(offs)
	return offs[len(offs)/2]
}

// nearest is the attempt of a kind whose time fits best, -1 for none: of
// several that fit alike the newest, but where time is known one whose end is
// not.
func nearest(sent []sentAttempt, fits []fit, k kind, timed bool) int {
	best := -1
	for i, f := range fits {
		switch {
		case f.kind != k:
		case best < 0, f.off < fits[best].off,
			f.off == fits[best].off && (!timed || sent[best].ended() || !sent[i].ended()):
			best = i
		}
	}
	return best
}

// only is the first attempt of a kind, -1 for none; many says that another
// message has one too.
func only(sent []sentAttempt, fits []fit, k kind) (at int, many bool) {
	at = -1
	for i, f := range fits {
		switch {
		case f.kind != k:
		case at < 0:
			at = i
		case !bytes.Equal(sent[i].ID, sent[at].ID):
			return -1, true
		}
	}
	return at, false
}

// alone is the attempt in doubt that the time is near of, -1 if there is none or
// if it may be another message's as well.
func alone(sent []sentAttempt, fits []fit) int {
	at := -1
	for i, f := range fits {
		if f.kind == byTime && f.off <= sctsSame && (at < 0 || f.off < fits[at].off) {
			at = i
		}
	}
	for i, f := range fits {
		if at >= 0 && (f.kind == byTime || f.kind == byReference) && f.off <= sctsApart &&
			!bytes.Equal(sent[i].ID, sent[at].ID) {
			return -1
		}
	}
	return at
}

// withoutDoubts leaves the attempts whose reference is known.
func withoutDoubts(fits []fit) []fit {
	for i, f := range fits {
		if f.kind == byTime || f.kind == byTimeZone {
			fits[i].kind = unfit
		}
	}
	return fits
}

// fit says how well the attempt fits a report by a clock that is off.
func (s sentAttempt) fit(r heldReport, clock time.Duration) fit {
	flies := s.Settled == 0
	if flies {
		s.Settled = r.came
	}
	switch {
	case s.MR >= 0 && s.MR != r.MR, flies && r.SCTS == 0:
		return fit{kind: unfit}
	case s.MR < 0 && r.SCTS == 0:
		return fit{kind: byTime}
	case r.SCTS == 0:
		return fit{kind: byReference}
	case s.SCTS != 0 && !s.closer(r.SCTS, clock): // an earlier report has told when it was taken
		return s.fitAgain(r.SCTS.Time())
	}
	scts := r.SCTS.Time().Add(-clock)
	off, zoned := s.off(scts), s.offZone(scts)
	switch {
	case flies && off > sctsSame: // so far nothing says that it was taken
		return fit{kind: unfit}
	case s.MR < 0 && off <= sctsTolerance:
		return fit{byTime, off}
	case s.MR < 0 && zoned <= 2*zoneTolerance:
		return fit{byTimeZone, zoned}
	case s.MR < 0:
		return fit{kind: unfit}
	case off <= sctsSame:
		return fit{byBoth, off}
	case off <= sctsTolerance:
		return fit{byReference, off}
	case zoned <= 2*zoneTolerance:
		return fit{byZone, zoned}
	case scts.After(s.Started.Time()):
		return fit{kind: byOrder}
	}
	return fit{kind: byNumber}
}

// fitAgain is fit for an attempt that was reported on: another time stamp is of
// another message. That may be in the air still, so nothing that is known to
// have arrived takes it away from it.
func (s sentAttempt) fitAgain(scts time.Time) fit {
	off := scts.Sub(s.SCTS.Time()).Abs()
	switch {
	case off == 0:
		return fit{kind: byStamp}
	case off <= sctsSame:
		return fit{byBoth, off}
	case s.Fate == FateDelivered:
		return fit{kind: unfit}
	}
	return fit{kind: byNumber}
}

// closer says whether the time stamp is the attempt's rather than the one that
// it was taken for.
func (s sentAttempt) closer(scts storage.Time, clock time.Duration) bool {
	return s.off(scts.Time().Add(-clock))+sctsSame < s.off(s.SCTS.Time().Add(-clock))
}

// off is how far a time stamp lies from the time in which the service centre can
// have taken the attempt.
func (s sentAttempt) off(scts time.Time) time.Duration { return s.late(scts).Abs() }

// late is off, negative for a time stamp that is too early.
func (s sentAttempt) late(scts time.Time) time.Duration {
	from := s.Started.Time()
	to := later(from, min(s.Settled, storage.TimeOf(from.Add(inAir))).Time())
	return min(0, scts.Sub(from)) + max(0, scts.Sub(to))
}

// offZone is off for a clock in a wrong time zone. One that is slow by it is
// less likely than one that is fast, or a message that was taken late.
func (s sentAttempt) offZone(scts time.Time) time.Duration {
	least := zoneMost
	nearest := scts.Sub(s.Started.Time()).Round(zoneStep)
	for _, zone := range [...]time.Duration{nearest - zoneStep, nearest, nearest + zoneStep} {
		off := s.off(scts.Add(-zone))
		if zone == 0 || zone.Abs() > zoneMost || off > zoneTolerance {
			continue
		}
		if zone < 0 {
			off += zoneTolerance
		}
		least = min(least, off)
	}
	return least
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// ended says whether a report has told what became of the attempt.
func (s sentAttempt) ended() bool { return s.Fate != "" && s.Fate != FateTrying }

// learn takes in what a report on an attempt says, and whether that is new.
func (all siblings) learn(at int, r heldReport) bool {
	s := &all.Sent[at]
	before := *s
	s.MR = r.MR // the one that it was in doubt of
	if s.SCTS == 0 || r.SCTS != 0 && s.closer(r.SCTS, clock(all.Sent, at)) {
		s.SCTS = r.SCTS
	}
	if r.Fate != FateTrying && s.Fate != FateDelivered || s.Fate == "" {
		s.Fate = r.Fate
	}
	return s.MR != before.MR || s.SCTS != before.SCTS || s.Fate != before.Fate
}
