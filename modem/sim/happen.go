package sim

import (
	"errors"
	"os"
	"time"
)

// happen does what a fault does to the modem itself, after its After.
func (m *Modem) happen(f Fault) {
	if f.After > 0 {
		wait := f.After
		f.After = 0
		m.later(wait, func() { m.happen(f) })
		return
	}
	switch f.Do {
	case Unplug:
		m.unplugFor(f.Back, f.As)
	case Reboot:
		m.restart()
	case Forget:
		m.reset()
	case EchoOn:
		m.echo = true
	case TextModeOn:
		m.textMode = true
	case NotRegistered:
		m.loses(&m.searching, true)
		m.lasting(f.For, func() { m.loses(&m.searching, false) })
	case Outage:
		m.loses(&m.service.outage, true)
		m.lasting(f.For, func() { m.loses(&m.service.outage, false) })
	case Ban:
		m.service.ban = f.Code
		m.lasting(f.For, func() { m.service.ban = 0 })
	case Swallow:
		m.service.swallow = true
		m.lasting(f.For, func() { m.service.swallow = false })
	case RemoveSIM:
		m.setSIMPresent(false)
		m.lasting(f.For, func() { m.setSIMPresent(true) })
	case SplitBytes:
		m.onPort(f.For, func(p *port, on bool) { p.splitBytes(on, f.Interval) })
	case BlockWrites:
		m.onPort(f.For, func(p *port, on bool) {
			if err := p.block(on); err != nil && !errors.Is(err, os.ErrClosed) {
				m.network.config.Logger.Error("can't block a port", "modem", m.index, "error", err)
			}
		})
	case URC, Noise, NULFlood, NMEA:
		m.repeat(f, time.Now())
	}
}

// lasting undoes what lasts for d; 0 is for good.
func (m *Modem) lasting(d time.Duration, undo func()) {
	if d > 0 {
		m.later(d, undo)
	}
}

// onPort does something to the client's port, and undoes it after d; another
// client's port, after a replug, is not touched.
func (m *Modem) onPort(d time.Duration, do func(p *port, on bool)) {
	p := m.port
	if p == nil {
		return
	}
	do(p, true)
	m.lasting(d, func() { do(p, false) })
}

// unplugFor takes the power away and gives it back, unless back is 0 or the
// modem was unplugged again since.
func (m *Modem) unplugFor(back time.Duration, as string) {
	link := m.link
	if as != "" {
		link = as
	}
	m.powerOff()
	outage := m.outages
	m.lasting(back, func() {
		if m.powered || m.outages != outage {
			return
		}
		if err := m.plug(link); err != nil {
			m.network.config.Logger.Error("can't plug the modem in", "modem", m.index, "error", err)
			return
		}
		m.boot()
	})
}

// restart is AT+CFUN=1,1: a modem whose port vanishes with it is back when it
// has started.
func (m *Modem) restart() {
	if m.config.Profile.Vanishes && m.link != "" {
		const away = 500 * time.Millisecond
		m.unplugFor(away, "")
		return
	}
	m.boot()
}

// repeat writes what no client asked for, as often as the fault says.
func (m *Modem) repeat(f Fault, since time.Time) {
	switch f.Do {
	case URC:
		m.info(f.Text)
	case NMEA:
		m.text(nmeaSentence)
	case NULFlood:
		m.output = append(m.output, make([]byte, f.Size)...)
	case Noise:
		for range f.Size {
			m.output = append(m.output, byte(m.network.intN(256)))
		}
	}
	if f.Interval > 0 && (f.For == 0 || time.Since(since)+f.Interval <= f.For) {
		m.later(f.Interval, func() { m.repeat(f, since) })
	}
}

// plan is what the service centre will make of a message, faults included.
func (m *Modem) plan(msg Message) plan {
	if m.service.swallow {
		return plan{}
	}
	p := plan{statuses: []byte{0}}
	m.network.mistreat(&p, m.index, m.messages)
	for _, f := range m.faults {
		if !f.due(OnReport, subject{to: msg.To}) {
			continue
		}
		switch f.Do {
		case DropReport:
			p.lost = true
		case EarlyReport:
			p.early = true
		case DoubleReport:
			p.copies = 1
		case DelayReport:
			p.delay = Fixed(f.After)
		case ReportStatus:
			p.statuses = f.Codes
		case NationalReport:
			p.as.national = true
		case ShiftReport:
			p.as.shift = f.Shift
		case TextReport:
			p.as.text = true
		case StoreReport:
			p.as.stored, p.as.announcement = true, f.Text
		case ShuffleReports:
			p.batch = f.Size
		}
	}
	return p
}

// shuffled keeps a report back until batch of them wait, and then gives all of
// them in random order.
func (m *Modem) shuffled(in incoming, batch int) []incoming {
	m.shuffle = append(m.shuffle, in)
	if len(m.shuffle) == 1 {
		const most = 2 * time.Minute
		m.later(most, func() {
			if len(m.shuffle) > 0 && m.shuffle[0].report == in.report {
				m.waiting = append(m.waiting, m.shuffledNow()...)
				m.pump()
			}
		})
	}
	if len(m.shuffle) < batch {
		return nil
	}
	return m.shuffledNow()
}

func (m *Modem) shuffledNow() []incoming {
	batch := m.shuffle
	m.shuffle = nil
	for i := range batch {
		j := m.network.intN(i + 1)
		batch[i], batch[j] = batch[j], batch[i]
	}
	return batch
}
