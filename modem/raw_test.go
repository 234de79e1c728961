package modem_test

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// rawModem is a modem whose every octet the test decides: what it answers to a
// command is written as it stands. It knows nothing of the protocol but where a
// command and a payload end.
type rawModem struct {
	pty  *sim.PTY
	slow bool // one octet at a time

	mu sync.Mutex
	// answers by whole command; one that ends in "*" is for all that begin so.
	// Without one, plain has it, or else it is OK.
	answers map[string]string
	// turns are answers that are given once each, before answers.
	turns    map[string][]string
	hooks    map[string]func()            // run when a command is heard, under mu
	prompt   func(n int) string           // answers the nth AT+CMGS, from 0
	accepted func(n int, p string) string // answers its payload
	escaped  string                       // answers ESC
	mute     bool                         // answers nothing
	heard    []string                     // commands and payloads, ESC as "ESC"
	entry    bool                         // a payload is being taken
	sent     int
	running  sync.WaitGroup
}

const (
	okRaw     = "\r\nOK\r\n"
	errorRaw  = "\r\nERROR\r\n"
	promptRaw = "\r\n> "
)

// plain are the answers of a modem without quirks.
func plain() map[string]string {
	line := func(s string) string { return "\r\n" + s + "\r\n" + okRaw }
	return map[string]string{
		"AT+CMGF?": line("+CMGF: 0"), "AT+CREG?": line("+CREG: 0,1"), "AT+CPIN?": line("+CPIN: READY"),
		"AT+CFUN?": line("+CFUN: 1"), "AT+CSMS?": line("+CSMS: 0,1,1,1"), "AT+CSCS?": line(`+CSCS: "IRA"`),
		"AT+CGMI": line("Acme"), "AT+CGMM": line("Raw 1"), "AT+CGMR": line("1.0"),
		"AT+CGSN": line("350123450000017"), "AT+CIMI": line("208011234567890"),
		"AT+CEREG?": line("+CEREG: 0,1"), "AT+CGREG?": line("+CGREG: 0,1"), "AT+C5GREG?": errorRaw,
		"AT+CSCA?": line(`+CSCA: "+33609001390",145`), "AT+CSQ": line("+CSQ: 20,99"),
		"AT+COPS?": line(`+COPS: 0,0,"F Home",7`), "AT+CNMI=?": line("+CNMI: (0-2),(0-3),(0,2),(0-2),(0,1)"),
		"AT+CNMI?": line("+CNMI: 2,1,0,1,0"), "AT+CPMS?": line(`+CPMS: "SM",0,20,"SM",0,20,"SM",0,20`),
		"AT+CPMS=*": line("+CPMS: 0,20,0,20,0,20"), "AT+CPMS=?": line(`+CPMS: ("SM"),("SM"),("SM")`),
		"AT+CMGR=*": "\r\n+CMS ERROR: 321\r\n", "AT+CPINR*": errorRaw,
	}
}

// newRaw opens a raw modem at path and lets it answer.
func newRaw(t *testing.T, path string) *rawModem {
	t.Helper()
	pty, err := sim.OpenPTY(path)
	if err != nil {
		t.Fatal(err)
	}
	m := &rawModem{
		pty: pty, answers: plain(), turns: map[string][]string{}, hooks: map[string]func(){}, escaped: okRaw,
		prompt:   func(int) string { return promptRaw },
		accepted: func(int, string) string { return "\r\n+CMGS: 7\r\n" + okRaw },
	}
	m.running.Go(m.listen)
	return m
}

// close takes the port away.
func (m *rawModem) close() {
	_ = m.pty.Close() // it may be unplugged already
	m.running.Wait()
}

func (m *rawModem) listen() {
	var partial []byte
	buf := make([]byte, 4096)
	for {
		n, err := m.pty.Read(buf)
		if err != nil {
			return
		}
		for _, c := range buf[:n] {
			switch {
			case c == 0x1b:
				partial = partial[:0]
				m.say(m.hearESC())
			case c == 0x1a:
				m.say(m.hearPayload(string(partial)))
				partial = partial[:0]
			case c == '\r' && !m.taking():
				m.say(m.hear(string(partial)))
				partial = partial[:0]
			case c >= ' ':
				partial = append(partial, c)
			}
		}
	}
}

func (m *rawModem) taking() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entry
}

func (m *rawModem) hearESC() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = append(m.heard, "ESC")
	if !m.entry {
		return ""
	}
	m.entry = false
	return m.escaped
}

func (m *rawModem) hearPayload(payload string) string {
	m.mu.Lock()
	m.heard = append(m.heard, payload)
	m.entry = false
	m.sent++
	n, answer := m.sent-1, m.accepted
	m.mu.Unlock()
	return answer(n, payload)
}

func (m *rawModem) hear(command string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if command == "" {
		return ""
	}
	m.heard = append(m.heard, command)
	if hook := m.hooks[command]; hook != nil {
		hook()
	}
	if turns := m.turns[command]; len(turns) > 0 {
		m.turns[command] = turns[1:]
		return turns[0]
	}
	if strings.HasPrefix(command, "AT+CMGS=") {
		m.entry = true
		return m.prompt(m.sent)
	}
	if answer, ok := m.answers[command]; ok {
		return answer
	}
	best, fits := okRaw, -1
	for pattern, answer := range m.answers {
		prefix, any := strings.CutSuffix(pattern, "*")
		if any && strings.HasPrefix(command, prefix) && len(prefix) > fits {
			best, fits = answer, len(prefix)
		}
	}
	return best
}

// say writes octets as they are, from whatever goroutine.
func (m *rawModem) say(octets string) {
	m.mu.Lock()
	mute := m.mute
	m.mu.Unlock()
	if mute {
		return
	}
	if !m.slow {
		_, _ = m.pty.Write([]byte(octets)) // lost without a client
		return
	}
	for _, c := range []byte(octets) {
		_, _ = m.pty.Write([]byte{c})
	}
}

// commands are what was heard so far.
func (m *rawModem) commands() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.heard)
}

// asked tells whether the command was heard.
func (m *rawModem) asked(command string) bool { return slices.Contains(m.commands(), command) }

// payloads are the PDUs that were heard.
func (m *rawModem) payloads() []string {
	return slices.DeleteFunc(m.commands(), func(s string) bool { return !strings.HasPrefix(s, "00") })
}

// rawCase is one case of the table: a modem of which adjust changes what it
// does, and what the driver must make of it.
type rawCase struct {
	name   string
	config modem.PoolConfig
	adjust func(m *rawModem)
	check  func(t *testing.T, b *bench, m *rawModem)
}

func runRaw(t *testing.T, cases []rawCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, at0())
			b.dir = t.TempDir()
			path := filepath.Join(b.dir, "raw")
			m := newRaw(t, path)
			t.Cleanup(m.close)
			if c.adjust != nil {
				c.adjust(m)
			}
			c.config.Ports = []string{"raw=" + path}
			b.run(c.config)
			t.Cleanup(b.stop)
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the modem was asked: %q", m.commands())
				}
			})
			c.check(t, b, m)
		})
	}
}

// ready is the check that the modem comes to where it can send, and sends.
func ready(t *testing.T, b *bench, m *rawModem) {
	t.Helper()
	if r := b.submit("raw", number, text); r.Class != modem.Accepted || r.MR != 7 {
		t.Errorf("%+v", r)
	}
	if n := len(m.payloads()); n != 1 {
		t.Errorf("%d payloads were written", n)
	}
}

// dialect changes every answer.
func dialect(m *rawModem, change func(string) string) {
	for command, answer := range m.answers {
		m.answers[command] = change(answer)
	}
	prompt, accepted := m.prompt, m.accepted
	m.prompt = func(n int) string { return change(prompt(n)) }
	m.accepted = func(n int, p string) string { return change(accepted(n, p)) }
	m.answers["*"] = change(okRaw)
}

// after says something a while later.
func (m *rawModem) after(d time.Duration, octets string) {
	m.running.Go(func() {
		<-time.After(d)
		m.say(octets)
	})
}
