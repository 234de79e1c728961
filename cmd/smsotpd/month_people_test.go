package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"smsotpd/gateway"
	"smsotpd/modem/sim"
)

// monthStart is one code that was asked for, and all that came of it.
type monthStart struct {
	to      string
	regular bool // the number asks again and again
	at      time.Time
	// refusal is nil if the gateway took it on.
	refusal *gateway.Error
	again   bool // asked once more, at the time that a refusal told
	v       gateway.Verification
	taken   []sim.Message // by networks
	arrived []monthArrival
	entered bool
	entry   time.Time // when the code was right
	message gateway.Message
}

type monthArrival struct {
	at   time.Time
	imsi string
	code string
}

const (
	// monthRegulars is the part of those who ask that ask often, in percent, and
	// monthEnter the part that enter the code.
	monthRegulars = 35
	monthEnter    = 85
	// monthRest is how long a number isn't used again: nothing of the code before
	// can come any more, not even the end of its message.
	monthRest = 20 * time.Minute
)

// monthHours is how much is asked for in each hour of a day.
func monthHours() []int {
	return []int{2, 1, 1, 0, 0, 1, 4, 12, 22, 30, 34, 36, 44, 38, 32, 32, 36, 44, 58, 66, 52, 36, 18, 8}
}

// monthSales are days on which three times as much is asked for: more than the
// SIMs may send.
func monthSales(day int) bool { return day == 10 || day == 19 || day == 26 }

// monthWhen are the times at which codes are asked for.
func (m *month) when(dice *rand.Rand) []time.Time {
	var days []int
	for d := 1; d <= m.days; d++ {
		weight := 10
		switch weekday := m.day(d, 12).Weekday(); {
		case monthSales(d):
			weight = 30
		case weekday == time.Saturday || weekday == time.Sunday:
			weight = 7
		}
		for range weight {
			days = append(days, d)
		}
	}
	var hours []int
	for h, weight := range monthHours() {
		for range weight {
			hours = append(hours, h)
		}
	}
	all := make([]time.Time, *monthMessages)
	for i := range all {
		hour := float64(hours[dice.IntN(len(hours))]) + dice.Float64()
		all[i] = m.day(days[dice.IntN(len(days))], hour)
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// monthNumber is the i-th number: in France, Great Britain and Belgium.
func monthNumber(i int) string {
	switch i % 20 {
	case 3, 8, 13, 18, 19:
		return fmt.Sprintf("+447400%06d", i)
	case 5, 10, 15:
		return fmt.Sprintf("+32470%06d", i)
	}
	return fmt.Sprintf("+336%08d", 12_000_000+i)
}

// ask is all who ask for codes.
func (m *month) ask() {
	dice := rand.New(rand.NewPCG(m.seed, 1))
	regulars := max(20, *monthMessages/25)
	last := map[string]time.Time{}
	fresh := regulars
	for _, at := range m.when(dice) {
		pause(time.Until(at))
		s := &monthStart{to: monthNumber(dice.IntN(regulars)), regular: true}
		if dice.IntN(100) >= monthRegulars || time.Since(last[s.to]) < monthRest {
			s.to, s.regular = monthNumber(fresh), false
			fresh++
		}
		last[s.to] = time.Now()
		enters, takes := dice.IntN(100) < monthEnter, time.Duration(float64(12*time.Second)*(0.4+dice.ExpFloat64()))
		m.others.Go(func() { m.person(s, enters, takes) })
	}
}

// person asks for a code, once more if told to wait, and enters what comes.
func (m *month) person(s *monthStart, enters bool, takes time.Duration) {
	m.start(s)
	if s.refusal != nil {
		const patience = 10 * time.Minute
		if s.refusal.RetryAfter > patience {
			return
		}
		pause(s.refusal.RetryAfter)
		s = &monthStart{to: s.to, regular: s.regular, again: true}
		if m.start(s); s.refusal != nil {
			return
		}
	}
	for end := s.v.ExpiresAt; time.Now().Before(end); pause(time.Second) {
		m.mu.Lock()
		came := len(s.arrived) > 0
		m.mu.Unlock()
		if came {
			break
		}
	}
	if enters {
		pause(takes)
		m.enter(s)
	}
	pause(time.Until(s.at.Add(monthRest - time.Minute)))
	message, err := m.up().gw.Message(context.Background(), s.v.MessageID)
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.message = message; err != nil {
		m.wrong["a message can't be read: "+err.Error()]++
	}
}

// start asks for a code.
func (m *month) start(s *monthStart) {
	d := m.up()
	s.at = time.Now()
	m.mu.Lock()
	m.starts = append(m.starts, s)
	m.newest[s.to] = s
	m.mu.Unlock()
	v, err := d.gw.Start(context.Background(), gateway.Call{Caller: "month"}, gateway.StartRequest{To: s.to})
	m.mu.Lock()
	defer m.mu.Unlock()
	s.v = v
	if err == nil {
		return
	}
	s.refusal = gateway.AsError(err)
	if full, ok := errors.AsType[*gateway.Error](err); !ok || full.Code != gateway.CodeNoCapacity || full.RetryAfter < time.Second {
		m.wrong["a start was refused: "+err.Error()]++
	}
}

// enter types the code that came first.
func (m *month) enter(s *monthStart) {
	m.mu.Lock()
	code := ""
	if len(s.arrived) > 0 {
		code = s.arrived[0].code
	}
	m.mu.Unlock()
	if code == "" {
		return
	}
	verdict, err := m.up().gw.Check(context.Background(), gateway.Call{Caller: "month"}, s.v.ID, code)
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.entered = verdict.Valid; verdict.Valid {
		s.entry = time.Now()
	}
	if err != nil || !verdict.Valid && time.Now().Before(s.v.ExpiresAt) {
		m.wrong[fmt.Sprintf("the code that a phone got is not right: %s %v", verdict.Status, err)]++
	}
}

// took is a network that takes a message.
func (m *month) took(msg sim.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.taken = append(m.taken, msg)
	if s := m.newest[msg.To]; s != nil {
		s.taken = append(s.taken, msg)
	}
}

// arrived is a phone that got a message.
func (m *month) arrived(msg sim.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.newest[msg.To]
	if s == nil || s.refusal != nil {
		m.wrong["a message that nobody asked for"]++
		return
	}
	s.arrived = append(s.arrived, monthArrival{time.Now(), msg.IMSI, chaosCode.FindString(msg.Text)})
}
