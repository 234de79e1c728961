package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Config is what Run needs.
type Config struct {
	// Modems is how many there are, 1 to 1000.
	Modems int
	// Prefix begins the paths of their ports: PREFIX0, PREFIX1, ….
	Prefix string
	// Profiles are the kinds of the modems, as ProfileNamed knows them, in
	// turn: with two of them, modem 2 is again of the first; default "generic".
	Profiles []string
	// Operators are those of the modems' SIMs, in turn likewise: MCC and MNC, as
	// "20801"; default 00101.
	Operators []string
	// Ports are the roles of each modem's ports, whose paths are then
	// PREFIX0.if00, PREFIX0.if01, …; "profile" alone is as its Profile has
	// them. Default is a single one, PREFIX0.
	Ports []string
	// LogPath is a file that a Journal is appended to; default none.
	LogPath string
	// ScriptPath is a file of faults; default none.
	ScriptPath string
	// PIN locks every SIM; default none.
	PIN string
	// Air, Report, Seed, NoEnhancedValidity and NoReplace are those of
	// NetworkConfig.
	Air, Report                   Delay
	Seed                          uint64
	NoEnhancedValidity, NoReplace bool
	// Stdin takes commands while the simulator runs; nil for none. A Read of
	// it that is under way when Run ends is not waited for.
	Stdin io.Reader
	// Stdout is told of the ports and of what the phones receive.
	Stdout io.Writer
	// Logger is that of NetworkConfig.
	Logger *slog.Logger
}

// Run simulates until ctx ends, or "quit" comes on Stdin; both are no error.
// It prints one line a modem as soon as its port can be opened, then each
// message as the phone shows it, and in the end a line like
//
//	12 messages, 2 violations: 2 wrong length in AT+CMGS
func Run(ctx context.Context, config Config) error {
	if config.Modems < 1 || config.Modems > 1000 || config.Prefix == "" {
		return errors.New("sim: 1 to 1000 modems and a prefix of their paths are wanted")
	}
	script, err := config.script()
	if err != nil {
		return err
	}
	modems, err := config.modems(script)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	out := newPrinter(config.Stdout)
	defer out.close()
	network := NetworkConfig{
		Air: config.Air, Report: config.Report, Seed: config.Seed, Logger: config.Logger,
		NoEnhancedValidity: config.NoEnhancedValidity, NoReplace: config.NoReplace, Reports: script.Reports,
		OnDeliver:   func(m Message) { out.print(Bubble(m)) },
		OnViolation: func(v Violation) { out.print(fmt.Sprintf("modem %d: %s\n", v.Modem, v.Kind)) },
	}
	if config.LogPath != "" {
		file, err := os.OpenFile(config.LogPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return fmt.Errorf("sim: log: %w", err)
		}
		defer file.Close()
		network.journalTo(NewJournal(file), stop)
	}
	n := NewNetwork(network)
	defer n.Close()
	for i, modem := range modems {
		m, err := n.NewModem(modem)
		if err != nil {
			return err
		}
		if err := m.Open(config.Prefix + strconv.Itoa(i)); err != nil {
			return err
		}
	}
	out.print(n.describe())
	if config.Stdin != nil {
		go func() {
			if err := n.control(ctx, config.Stdin, out.print); err != nil {
				stop(err)
			}
		}()
	}
	<-ctx.Done()
	n.Close()
	out.print(n.summary())
	if err := context.Cause(ctx); !errors.Is(err, errQuit) && !errors.Is(err, ctx.Err()) {
		return err
	}
	return nil
}

// modems are those of a Run.
func (c Config) modems(script Script) (modems []ModemConfig, err error) {
	modems = slices.Repeat([]ModemConfig{{PIN: c.PIN, Faults: script.Faults, USSD: script.USSD}}, c.Modems)
	for i := range modems {
		if len(c.Operators) > 0 {
			modems[i].Operator = c.Operators[i%len(c.Operators)]
		}
		if len(c.Profiles) > 0 {
			if modems[i].Profile, err = ProfileNamed(c.Profiles[i%len(c.Profiles)]); err != nil {
				return nil, err
			}
		}
		modems[i].Ports = modems[i].Profile.Ports
		if !slices.Equal(c.Ports, []string{"profile"}) {
			if modems[i].Ports, err = ParseRoles(c.Ports); err != nil {
				return nil, err
			}
		}
	}
	return modems, nil
}

// script is that of a Run; the zero Script where there is none.
func (c Config) script() (Script, error) {
	if c.ScriptPath == "" {
		return Script{}, nil
	}
	script, err := LoadScript(c.ScriptPath)
	if err != nil {
		return script, err
	}
	for _, f := range script.Faults {
		if f.Modem != nil && (*f.Modem < 0 || *f.Modem >= c.Modems) {
			return script, fmt.Errorf("%s: sim: a fault is for modem %d, and there are %d, from 0", c.ScriptPath, *f.Modem, c.Modems)
		}
	}
	return script, nil
}

// summary is what Run prints in the end.
func (n *Network) summary() string {
	total, kinds := 0, []string(nil)
	counts := n.ViolationCount()
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		total += counts[kind]
		kinds = append(kinds, fmt.Sprintf("%d %s", counts[kind], kind))
	}
	line := fmt.Sprintf("%d messages, %d violations", n.Total(), total)
	if total > 0 {
		line += ": " + strings.Join(kinds, ", ")
	}
	return line + "\n"
}

// journalTo keeps the journal beside what the hooks do already; a journal that
// can't be written stops the simulator.
func (c *NetworkConfig) journalTo(journal *Journal, stop context.CancelCauseFunc) {
	failed := func() {
		if err := journal.Err(); err != nil {
			stop(fmt.Errorf("sim: log: %w", err))
		}
	}
	shown := c.OnViolation
	c.OnMessage = func(m Message) { journal.Message(m); failed() }
	c.OnReport = func(r Receipt) { journal.Report(r); failed() }
	c.OnViolation = func(v Violation) { journal.Violation(v); failed(); shown(v) }
}

// printer writes in a goroutine of its own, so that a terminal that stands
// still holds up no modem; what is too much is left out.
type printer struct {
	lines   chan string
	writing sync.WaitGroup
	mu      sync.Mutex
	closed  bool
}

func newPrinter(out io.Writer) *printer {
	p := &printer{lines: make(chan string, 256)}
	p.writing.Go(func() {
		for s := range p.lines {
			if out != nil {
				fmt.Fprint(out, s)
			}
		}
	})
	return p
}

func (p *printer) print(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	select {
	case p.lines <- s:
	default:
	}
}

// close waits for what was printed before.
func (p *printer) close() {
	p.mu.Lock()
	p.closed = true
	close(p.lines)
	p.mu.Unlock()
	p.writing.Wait()
}

// Bubble draws a message as the phone that received it shows it.
func Bubble(m Message) string {
	const width = 40
	var s strings.Builder
	rule := strings.Repeat("─", width+2)
	fmt.Fprintf(&s, "  %s  %s\n ╭%s╮\n", m.To, time.Now().Format("15:04:05"), rule)
	for _, line := range wrap(m.Text, width) {
		fmt.Fprintf(&s, " │ %-*s │\n", width, line)
	}
	fmt.Fprintf(&s, " ╰─╮╭%s╯\n   ╰╯\n", rule[3*3:])
	return s.String()
}

// wrap breaks text into lines of at most width characters, between words where
// it can. Control characters become blanks: the text may come from anybody and
// goes to a terminal.
func wrap(text string, width int) []string {
	var lines []string
	var line []rune
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) || r == ' ' }) {
		runes := []rune(word)
		if len(line) > 0 && len(line)+1+len(runes) > width {
			lines, line = append(lines, string(line)), nil
		}
		if len(line) > 0 {
			line = append(line, ' ')
		}
		line = append(line, runes...)
		for len(line) > width {
			lines, line = append(lines, string(line[:width])), line[width:]
		}
	}
	return append(lines, string(line))
}
