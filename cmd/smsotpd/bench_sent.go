package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// sentMessage is a message that the network took, as the simulator's log has it.
type sentMessage struct {
	Event string `json:"event"`
	Modem int    `json:"modem"`
	To    string `json:"to"`
	// Submitted is when the modem had the whole message, Accepted when it
	// answered.
	Submitted time.Time `json:"submitted_at"`
	Accepted  time.Time `json:"accepted_at"`
}

// sentLog follows a simulator's log while that writes it.
type sentLog struct {
	file *os.File
	in   *bufio.Reader
	half []byte // of a line
	// all are the messages so far, latest the time of the newest answer by modem.
	all        []sentMessage
	latest     []time.Time
	times      []int // how many, by modem
	violations int
}

// followLog follows the log at path, which must be there, of so many modems.
func followLog(path string, modems int) (*sentLog, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &sentLog{file: file, in: bufio.NewReader(file), latest: make([]time.Time, modems), times: make([]int, modems)}, nil
}

// read takes in what was written since, and returns how many messages that is.
func (l *sentLog) read() (fresh int, err error) {
	for {
		line, err := l.in.ReadBytes('\n')
		l.half = append(l.half, line...)
		if errors.Is(err, io.EOF) {
			return fresh, nil
		}
		if err != nil {
			return fresh, err
		}
		var m sentMessage
		if err := json.Unmarshal(l.half, &m); err != nil {
			return fresh, fmt.Errorf("the simulator's log: %w", err)
		}
		l.half = l.half[:0]
		switch {
		case m.Event == "violation":
			l.violations++
		case m.Event != "" || m.Modem < 0 || m.Modem >= len(l.latest):
		default:
			l.all, fresh = append(l.all, m), fresh+1
			l.latest[m.Modem], l.times[m.Modem] = m.Accepted, l.times[m.Modem]+1
		}
	}
}

// eachSent says whether every modem has sent so many.
func (l *sentLog) eachSent(n int) bool {
	return !slices.ContainsFunc(l.times, func(times int) bool { return times < n })
}

// eachAfter says whether every modem has sent one after the given time.
func (l *sentLog) eachAfter(t time.Time) bool {
	return !slices.ContainsFunc(l.latest, func(latest time.Time) bool { return !latest.After(t) })
}

// pace is how modems sent over some time.
type pace struct {
	// rate is messages a second, messages how many that were.
	rate     float64
	messages int
	// idle is the share of the time in which a modem waited for the next
	// message, from its answer to the last octet of the next; worst that of the
	// modem with the most.
	idle, worst float64
	// gap is the median of these times, in seconds.
	gap float64
}

// pace is that between two times. Each modem is looked at from its first answer
// after the one to its first after the other, so that nothing is counted in part;
// one that never answers again counts as idle to the end.
func (l *sentLog) pace(from, to time.Time) pace {
	byModem := make([][]sentMessage, len(l.latest))
	for _, m := range l.all {
		byModem[m.Modem] = append(byModem[m.Modem], m)
	}
	var p pace
	var gaps []time.Duration
	var idle, all time.Duration
	for _, sent := range byModem {
		slices.SortFunc(sent, func(a, b sentMessage) int { return a.Accepted.Compare(b.Accepted) })
		first := slices.IndexFunc(sent, func(m sentMessage) bool { return !m.Accepted.Before(from) })
		if first < 0 {
			p.worst = 1
			continue
		}
		own, last := time.Duration(0), first
		for last+1 < len(sent) && sent[last].Accepted.Before(to) {
			last++
			gap := sent[last].Submitted.Sub(sent[last-1].Accepted)
			gaps, own = append(gaps, gap), own+gap
		}
		took := sent[last].Accepted.Sub(sent[first].Accepted)
		if sent[last].Accepted.Before(to) { // it never answered again
			own += to.Sub(sent[last].Accepted)
			took = to.Sub(sent[first].Accepted)
		}
		p.messages += last - first
		if took > 0 {
			p.rate += float64(last-first) / took.Seconds()
			p.worst = max(p.worst, own.Seconds()/took.Seconds())
		}
		idle, all = idle+own, all+took
	}
	if all > 0 {
		p.idle = idle.Seconds() / all.Seconds()
	}
	p.gap = medianOf(gaps).Seconds()
	return p
}

// medianOf is the middle one, 0 of none.
func medianOf[T cmp.Ordered](all []T) T {
	var none T
	if len(all) == 0 {
		return none
	}
	return slices.Sorted(slices.Values(all))[len(all)/2]
}
