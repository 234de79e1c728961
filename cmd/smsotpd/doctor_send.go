package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"smsotpd/modem"
)

// doctorSend is what --send showed. Of each question the answer is "yes", "no"
// or "unknown".
type doctorSend struct {
	From string `json:"from"`
	To   string `json:"to"`
	// OK: the message was sent, arrived, and was reported.
	OK bool `json:"ok"`
	// Cause says why the network did not take the message, in a short word.
	Cause    string `json:"cause"`
	Sent     string `json:"sent"`
	Received string `json:"received"`
	Reported string `json:"reported"`
	// The times in milliseconds: until the network took the message, and from
	// then until it arrived and until it was reported.
	SubmitMS  int64 `json:"submit_ms"`
	ReceiveMS int64 `json:"receive_ms"`
	ReportMS  int64 `json:"report_ms"`
	// What the modem can do; see modem.Loopback.
	EnhancedValidity      string `json:"enhanced_validity"`
	ReplaceTypes          string `json:"replace_types"`
	ReportReferences      string `json:"report_references"`
	ConsecutiveReferences string `json:"consecutive_references"`
	// Foreign is how many messages and reports of others came meanwhile.
	Foreign int `json:"foreign"`
	// RememberedIn is the file that keeps it, "" if it could not be kept.
	RememberedIn string `json:"remembered_in"`
}

// readySend checks all that a loopback needs before anything is opened, and
// asks whether messages may be sent.
func (d *doctor) readySend(o *sendOptions, args []string) error {
	if len(args) != 2 {
		return usagef("--send needs two ports: the one that sends, and the one that receives")
	}
	e164 := regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	for port, own := range o.numbers {
		if !slices.Contains(d.ports, port) {
			return usagef("--number is for %s, which is not one of the ports", port)
		}
		if !e164.MatchString(own) {
			return usagef("--number %s= is not followed by a number such as +33612345678", port)
		}
	}
	if o.yes {
		return nil
	}
	terminal, ok := d.stdin.(*os.File)
	if !ok || !isTerminal(terminal) {
		return usagef("--send costs %d messages: agree to that by --yes", modem.LoopbackMessages)
	}
	fmt.Fprintf(d.stderr, "This sends %d messages from %s to %s, which may cost money. Go on? [y/N] ",
		modem.LoopbackMessages, d.ports[0], d.ports[1])
	said, _ := bufio.NewReader(io.LimitReader(terminal, 64)).ReadString('\n')
	if said = strings.ToLower(strings.TrimSpace(said)); said != "y" && said != "yes" {
		return usagef("nothing was sent")
	}
	return nil
}

func isTerminal(f *os.File) bool {
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	is := false
	err = conn.Control(func(fd uintptr) {
		_, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		is = err == nil
	})
	return err == nil && is
}

// send makes the loopback and says what it shows. It is only begun between two
// modems that can work as they are.
func (d *doctor) send(ctx context.Context, o sendOptions, found []examined) (*doctorSend, error) {
	if len(found) != 2 {
		return nil, usagef("the two ports are one and the same")
	}
	for _, e := range found {
		if !e.Usable() || e.SIM == modem.SIMPIN {
			return nil, fmt.Errorf("nothing was sent: the modem on %s can't work yet", e.Port)
		}
	}
	own := d.ownNumber(o, found[1])
	if own == "" {
		return nil, usagef("the number of the SIM in %s is not known: give it by --number %s=+NUMBER, or as number in its [sim.NAME]", d.ports[1], d.ports[1])
	}
	fmt.Fprintf(d.stderr, "sending %d messages; this takes up to some minutes\n", modem.LoopbackMessages)
	l, err := modem.RunLoopback(ctx, modem.LoopbackConfig{
		From: d.ports[0], To: d.ports[1], Number: own, Opener: d.opener, Profiles: d.exam.Profiles, Cards: d.exam.Cards,
	})
	if err != nil {
		return nil, err
	}
	s := newDoctorSend(d.ports[0], d.ports[1], l)
	path := filepath.Join(d.config.StateDir, modem.CapabilitiesFile)
	if err := modem.Remember(path, l); err != nil {
		fmt.Fprintf(d.stderr, "what was learnt could not be kept: %v\n", err)
		return &s, nil
	}
	s.RememberedIn = path
	return &s, nil
}

// ownNumber is that of the SIM: by the command line, or else by the settings.
func (d *doctor) ownNumber(o sendOptions, e examined) string {
	if own := o.numbers[e.Port]; own != "" {
		return own
	}
	card, _ := modem.FindCard(d.exam.Cards, e.IMSI, e.ICCID)
	return card.Number
}

func newDoctorSend(from, to string, l modem.Loopback) doctorSend {
	return doctorSend{
		From: from, To: to, OK: l.OK(), Cause: l.Cause,
		Sent: string(l.Sent), Received: string(l.Received), Reported: string(l.Reported),
		SubmitMS: l.Submitted.Milliseconds(), ReceiveMS: l.ReceivedAfter.Milliseconds(), ReportMS: l.ReportedAfter.Milliseconds(),
		EnhancedValidity: string(l.Enhanced), ReplaceTypes: string(l.Replace),
		ReportReferences: string(l.ReportReference), ConsecutiveReferences: string(l.Consecutive),
		Foreign: l.Foreign,
	}
}

// describe writes the loopback for people.
func (s doctorSend) describe(w *strings.Builder) {
	w.WriteString("messages from " + s.From + " to " + s.To + "\n")
	line := func(name, proof, more string) {
		if more != "" {
			proof += ", " + more
		}
		fmt.Fprintf(w, "  %-38s %s\n", name, proof)
	}
	after := func(ms int64, proof, what string) string {
		if proof != string(modem.Proven) {
			return ""
		}
		return fmt.Sprintf("%.1f s %s", time.Duration(ms*int64(time.Millisecond)).Seconds(), what)
	}
	line("sent", s.Sent, cmp.Or(s.Cause, after(s.SubmitMS, s.Sent, "until the network took it")))
	line("received by the other SIM", s.Received, after(s.ReceiveMS, s.Received, "after that"))
	line("reported as delivered", s.Reported, after(s.ReportMS, s.Reported, "after that"))
	line("validity in seconds (enhanced)", s.EnhancedValidity, "")
	line("messages that replace one another", s.ReplaceTypes, "")
	line("the report has the sent reference", s.ReportReferences, "")
	line("references count up one by one", s.ConsecutiveReferences, "")
	if s.Foreign > 0 {
		line("messages of others meanwhile", fmt.Sprint(s.Foreign), "")
	}
	if s.RememberedIn != "" {
		w.WriteString("  kept in " + s.RememberedIn + "\n")
	}
	if !s.OK {
		w.WriteString(wrapped("  → ", "    ", s.remedy()))
	}
}

// remedy says what to look at.
func (s doctorSend) remedy() string {
	switch {
	case s.Sent != string(modem.Proven):
		return "The network did not take the message (" + s.Cause + "): check the sending SIM's credit and tariff, and its service centre number."
	case s.Received != string(modem.Proven):
		return "The message was sent and did not arrive: check the number of the second SIM, and that its message memory is not full."
	}
	return "The message arrived, but no delivery report came: the operator or the modem may not support them. Codes can be sent all the same."
}
