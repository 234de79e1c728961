package sim

import (
	"bytes"
	"slices"
	"strings"
	"time"
)

// Control characters of V.250 and TS 27.005.
const (
	charBackspace = 0x08 // S5
	charLF        = 0x0a // S4
	charCR        = 0x0d // S3
	charCtrlZ     = 0x1a
	charEscape    = 0x1b
)

// maxLine is how long a command line may be; V.250 asks for at least 40.
const maxLine = 2048

// input takes one chunk that was read from port p.
func (m *Modem) input(p *port, chunk []byte) {
	m.mu.Lock()
	defer m.unlock()
	c := m.channelOf(p)
	switch {
	case c == nil || !m.powered || c.loses(&m.config.Profile, time.Now()):
	case c.takesCommands():
		m.channel = c
		m.feed(chunk)
	case c.state != stateDeaf:
		m.foreignInput(c, chunk)
	}
}

// feed is where every byte goes, by what the modem is doing:
//
//   - off or starting: lost;
//   - hung by a fault: kept (up to maxHeld chunks) until it comes back;
//   - a command at work: lost, as V.250 5.6 lets a modem that can't abort it
//     do, and a violation where a command begins;
//   - else part of a command line or of a message.
func (m *Modem) feed(chunk []byte) {
	const maxHeld = 64
	if m.hung {
		if len(m.held) < maxHeld {
			m.held = append(m.held, append([]byte(nil), chunk...))
		}
		return
	}
	m.chunk++
	for i, c := range chunk {
		switch m.state {
		case stateCommand:
			m.commandByte(c)
		case stateBusy:
			m.busyByte(c)
		case statePrompt, statePayload:
			m.payloadByte(c)
		case stateDeaf:
			m.unheard += bytes.Count(chunk[i:], []byte{charCR})
			return
		}
		if m.hung {
			if rest := chunk[i+1:]; len(rest) > 0 {
				m.feed(rest)
			}
			return
		}
	}
}

// commandByte is V.250 5.2: control characters but S3 and S5 are ignored.
func (m *Modem) commandByte(c byte) {
	if m.echo && c != charEscape && c != charCtrlZ {
		m.output = append(m.output, c)
	}
	switch {
	case c == charCR:
		line := string(m.line)
		m.line = m.line[:0]
		m.commandLine(line)
	case c == charBackspace:
		m.line = m.line[:max(0, len(m.line)-1)]
	case c == charCtrlZ:
		m.violate(ViolationNoPrompt)
		m.line = m.line[:0]
	case c == '/' && len(m.line) == 1 && m.line[0]|0x20 == 'a':
		m.line = m.line[:0]
		m.commandLine(m.last)
	case c >= ' ' && len(m.line) < maxLine:
		m.line = append(m.line, c)
	}
}

func (m *Modem) busyByte(c byte) {
	if c == charCR {
		if at := findAT(string(m.line)); at >= 0 {
			m.violate(ViolationBusy)
		}
		m.line = m.line[:0]
		return
	}
	if c >= ' ' && len(m.line) < maxLine {
		m.line = append(m.line, c)
	}
}

// findAT is where the command line proper begins: what stands before "AT" or
// "at" is ignored (V.250 5.2.1). It is -1 where there is none.
func findAT(line string) int {
	upper, lower := strings.Index(line, "AT"), strings.Index(line, "at")
	if upper < 0 || lower >= 0 && lower < upper {
		return lower
	}
	return upper
}

func (m *Modem) commandLine(line string) {
	at := findAT(line)
	if at < 0 {
		if len(line) >= 20 && isHex(line) {
			m.violate(ViolationNoPrompt)
		}
		return
	}
	m.last = line[at:]
	commands, ok := parseLine(line[at+2:])
	m.state = stateBusy
	if !ok {
		m.finish(finalError)
		return
	}
	m.run(commands)
}

// outcome is what one command has to say.
type outcome struct {
	info []string // lines in front of the final result
	// final is the final result, "" for OK.
	final string
	// pending: the command goes on and calls finish itself.
	pending bool
}

const (
	finalOK    = "OK"
	finalError = "ERROR"
)

func answer(info ...string) outcome { return outcome{info: info} }

// handler carries out one command.
type handler func(*Modem, command) outcome

// run carries out the commands of a line until one fails; the line has one
// final result.
func (m *Modem) run(commands []command) {
	if len(commands) == 0 {
		m.finish(finalOK)
		return
	}
	c, rest := commands[0], commands[1:]
	s := m.strike(OnCommand, subject{command: c})
	m.proceed(s, func() {
		if s.answered(m) {
			return
		}
		for _, line := range m.config.Profile.Inserts[c.String()] {
			m.info(line)
		}
		result := m.execute(c)
		if result.pending {
			return
		}
		if !s.bare {
			m.info(result.info...)
		}
		for _, line := range s.inAnswer {
			m.info(line)
		}
		if result.final != "" && result.final != finalOK {
			m.finish(result.final)
			return
		}
		if m.awaited(c.String()) {
			m.given[c.String()] = true
			m.pumpSoon()
		}
		if len(rest) == 0 && slices.Contains(m.config.Profile.NoOK, c.String()) {
			m.finish("")
			return
		}
		m.run(rest)
	})
}

// awaited tells whether a profile waits for a command.
func (m *Modem) awaited(command string) bool {
	p := m.config.Profile
	return command == p.URCsAfter || slices.ContainsFunc(p.Chatter, func(c Chatter) bool { return c.Off == command })
}

func (m *Modem) execute(c command) outcome {
	if m.functionBusy > 0 && c.name[0] == '+' && c.name != "+CFUN" {
		m.functionBusy--
		return m.cme(cmeProcessing)
	}
	if lines, ok := m.config.Profile.Answers[c.String()]; ok && len(lines) > 0 {
		return outcome{info: lines[:len(lines)-1], final: lines[len(lines)-1]}
	}
	f, ok := m.table[c.name]
	if !ok || slices.Contains(m.config.Profile.Unknown, c.name) {
		return m.unknown()
	}
	if refusal, locked := m.simRefuses(c); locked {
		return refusal
	}
	return f(m, c)
}

// proceed goes on with next as the faults in s allow: now, later, or never.
func (m *Modem) proceed(s step, next func()) {
	if s.gone {
		return
	}
	m.hung = m.hung || s.hang
	switch {
	case s.hang && s.wait == 0: // until it is started anew
	case s.wait == 0:
		next()
	default:
		m.after(s.wait, func() {
			m.hung = m.hung && !s.hang
			next()
			m.releaseHeld()
		})
	}
}

// releaseHeld takes the input that came while the modem hung.
func (m *Modem) releaseHeld() {
	for _, c := range m.channels {
		held := c.held
		c.held = nil
		m.on(c, func() {
			for _, chunk := range held {
				m.feed(chunk)
			}
		})
	}
	m.pump()
}

// info writes information lines, V.250 5.7.1.
func (m *Modem) info(lines ...string) {
	if len(lines) > 0 {
		m.text(m.eol + m.dialect(strings.Join(lines, m.eol)) + m.eol)
	}
}

// dialect is a line as the modem spells it.
func (m *Modem) dialect(line string) string {
	if m.config.Profile.NoSpace {
		return strings.Replace(line, ": ", ":", 1)
	}
	return line
}

// finish ends the command line with a final result and takes the next one.
func (m *Modem) finish(final string) {
	m.sayFinal(final)
	if m.config.Profile.FinalsTwice {
		m.sayFinal(final)
	}
	m.state = stateCommand
	m.line = m.line[:0]
	m.sending = nil
	m.releaseUnsent()
}

func (m *Modem) sayFinal(final string) {
	if final == "" || m.quiet {
		return
	}
	code, numeric := map[string]string{finalOK: "0", finalError: "4", "NO CARRIER": "3"}[final]
	if numeric && !m.verbose {
		m.text(code + "\r")
	} else {
		m.text(m.eol + m.dialect(final) + m.eol)
	}
}

// unsolicited writes a result code that no command asked for, with what
// belongs to it, to the main port.
func (m *Modem) unsolicited(lines ...string) { m.tell(m.main, lines...) }

// tell is unsolicited for one port. While a prompt is open the lines wait: there
// they would end up in the client's message.
func (m *Modem) tell(c *channel, lines ...string) {
	if c.prompted() {
		c.unsent = append(c.unsent, strings.Join(lines, c.eol))
		return
	}
	m.on(c, func() { m.info(lines...) })
}

func (m *Modem) releaseUnsent() {
	unsent := m.unsent
	m.unsent = nil
	for _, line := range unsent {
		m.info(line)
	}
	m.pump()
}

func (m *Modem) text(s string) {
	if m.powered {
		m.output = append(m.output, s...)
	}
}
