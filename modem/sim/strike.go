package sim

import (
	"fmt"
	"slices"
	"time"
)

// subject is what a fault's limits look at.
type subject struct {
	command command
	to      string
}

// faultState is a fault and its counts for one modem.
type faultState struct {
	Fault
	seen, struck int
}

// due counts an occasion and tells whether the fault strikes.
func (f *faultState) due(on Point, s subject) bool {
	if f.On != on || f.To != "" && f.To != s.to || f.Match != nil && !f.Match.MatchString(s.command.String()) {
		return false
	}
	f.seen++
	if f.Nth > 0 && f.seen != f.Nth || f.Every > 0 && f.seen%f.Every != 0 || f.Count > 0 && f.struck >= f.Count {
		return false
	}
	f.struck++
	return true
}

// spent tells that the fault will never strike again.
func (f *faultState) spent() bool {
	return f.Count > 0 && f.struck >= f.Count || f.Nth > 0 && f.seen >= f.Nth || f.On == OnTime && f.seen > 0
}

// AddFault adds a fault to those of the modem.
func (m *Modem) AddFault(f Fault) error {
	m.mu.Lock()
	defer m.unlock()
	before := len(m.faults)
	if err := m.addFault(f); err != nil {
		return err
	}
	if f.On == OnTime && len(m.faults) > before {
		m.startTimedFault(m.faults[before])
	}
	m.faults = slices.DeleteFunc(m.faults, (*faultState).spent)
	return nil
}

// ClearFaults removes all faults that have not struck yet.
func (m *Modem) ClearFaults() {
	m.mu.Lock()
	defer m.unlock()
	m.faults = nil
}

func (m *Modem) addFault(f Fault) error {
	if err := f.Validate(); err != nil {
		return err
	}
	if (f.Modem == nil || *f.Modem == m.index) && (f.Operator == "" || f.Operator == m.config.Operator) {
		m.faults = append(m.faults, &faultState{Fault: f})
	}
	return nil
}

func (m *Modem) startTimedFaults() {
	for _, f := range m.faults {
		if f.On == OnTime {
			m.startTimedFault(f)
		}
	}
}

func (m *Modem) startTimedFault(f *faultState) {
	if f.due(OnTime, subject{}) {
		m.happen(f.Fault)
	}
}

// step is what the faults of one point make of the answer that is due there.
type step struct {
	final        string // instead of the true one; "" keeps it
	bare, mute   bool
	wait         time.Duration
	hang         bool
	gone         bool // the modem went on without this answer
	noPrompt     bool
	promptWait   time.Duration
	prompt       string
	secondPrompt bool
	inAnswer     []string // lines in front of the final result
	// referenceAfter is how long after the final result the reference comes.
	referenceAfter time.Duration
	referenceFinal string // "" for OK
}

// answered gives the answer that a fault asks for, if one does.
func (s step) answered(m *Modem) bool {
	switch {
	case s.mute:
		m.finish("")
	case s.final != "":
		m.finish(s.final)
	default:
		return false
	}
	return true
}

func (s step) promptOr(usual string) string {
	if s.prompt != "" {
		return s.prompt
	}
	return usual
}

// strike applies the faults that are due at a point.
func (m *Modem) strike(on Point, about subject) step {
	var s step
	life := m.life
	for _, f := range m.faults {
		if !f.due(on, about) {
			continue
		}
		m.network.config.Logger.Info("fault", "modem", m.index, "on", string(on), "do", string(f.Do))
		switch f.Do {
		case ReplyError:
			s.final = finalError
		case ReplyCMS:
			s.final = fmt.Sprintf("+CMS ERROR: %d", f.Code)
		case ReplyCME:
			s.final = fmt.Sprintf("+CME ERROR: %d", f.Code)
		case ReplyText:
			s.final = f.Text
		case BareOK:
			s.bare = true
			if on != OnCommand {
				s.final = finalOK
			}
		case Mute:
			s.mute = true
		case Slow:
			s.wait = f.After
		case Hang:
			s.wait, s.hang = f.For, true
		case LateReference:
			s.referenceAfter = f.After
			if f.Code > 0 {
				s.referenceFinal = fmt.Sprintf("+CMS ERROR: %d", f.Code)
			}
		case URCInAnswer:
			s.inAnswer = append(s.inAnswer, f.Text)
		case URCInEcho:
			m.insertInEcho(f.Text)
		case NoPrompt:
			s.noPrompt = true
		case LatePrompt:
			s.promptWait = f.After
		case SecondPrompt:
			s.secondPrompt = true
		case PromptNoLF:
			s.prompt = "\r> "
		case PromptNoSpace:
			s.prompt = "\r\n>"
		default:
			m.happen(f.Fault)
		}
	}
	s.gone = m.life != life
	return s
}

// insertInEcho puts a line into the middle of the echo that is about to be
// written; without echo it comes at once.
func (m *Modem) insertInEcho(text string) {
	line := m.eol + text + m.eol
	echoed := len(m.last) + 1 // with its CR
	if !m.echo || len(m.output) < echoed {
		m.text(line)
		return
	}
	m.output = slices.Insert(m.output, len(m.output)-(echoed+1)/2, []byte(line)...)
}
