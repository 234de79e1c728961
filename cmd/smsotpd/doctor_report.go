package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"smsotpd/modem"
)

// doctorReport is what doctor --json prints. Names and codes stay as they are
// from release to release; more may come. What a modem does not tell is null,
// or "" where it would be text.
type doctorReport struct {
	// Usable is how many modems the daemon could work with as they are.
	Usable int `json:"usable"`
	// Settings are what keeps the daemon from starting.
	Settings []doctorFinding `json:"settings"`
	// Ports that were examined.
	Ports []doctorPort `json:"ports"`
	// NotExamined are serial ports behind which anything may be, so that they
	// are only examined if they are named.
	NotExamined []string `json:"not_examined"`
	// Send is what --send showed.
	Send *doctorSend `json:"send,omitempty"`
}

// doctorPort is one port. Identities are cut: of an IMEI the type is shown, of
// an IMSI country and network, of an ICCID country and issuer.
type doctorPort struct {
	Port string `json:"port"`
	// OtherPorts of the same USB device were left alone.
	OtherPorts []string   `json:"other_ports"`
	USB        *doctorUSB `json:"usb"`
	// Status is "ok", "warning" or "error": the worst of Findings.
	Status string `json:"status"`
	// Modem: AT commands are answered. Usable: the daemon could work with it.
	Modem  bool `json:"modem"`
	Usable bool `json:"usable"`
	// AnswerMS is how long the simplest command took, in milliseconds.
	AnswerMS     *int64          `json:"answer_ms"`
	Echo         bool            `json:"echo"`
	Manufacturer string          `json:"manufacturer"`
	Model        string          `json:"model"`
	Firmware     string          `json:"firmware"`
	Profile      string          `json:"profile"`
	IMEI         string          `json:"imei"`
	SIM          doctorSIM       `json:"sim"`
	Network      doctorNetwork   `json:"network"`
	SMSC         string          `json:"smsc"`
	Reports      doctorReports   `json:"reports"`
	PDUMode      bool            `json:"pdu_mode"`
	Stores       []doctorStore   `json:"stores"`
	Findings     []doctorFinding `json:"findings"`
}

type doctorUSB struct {
	ID           string `json:"id"` // vendor:product
	Manufacturer string `json:"manufacturer"`
	Product      string `json:"product"`
	Serial       string `json:"serial"`
	Device       string `json:"device"` // its place on the bus
	Interface    int    `json:"interface"`
	Driver       string `json:"driver"`
}

type doctorSIM struct {
	// State is a modem.SIMState.
	State    string `json:"state"`
	PINTries *int   `json:"pin_tries"`
	IMSI     string `json:"imsi"`
	ICCID    string `json:"iccid"`
}

type doctorNetwork struct {
	RadioOn       bool                 `json:"radio_on"`
	Registered    bool                 `json:"registered"`
	Registrations []doctorRegistration `json:"registrations"`
	Operator      string               `json:"operator"`
	Technology    string               `json:"technology"`
	SignalDBm     *int                 `json:"signal_dbm"`
	Bars          *int                 `json:"bars"` // 0 to 5
}

type doctorRegistration struct {
	Domain string `json:"domain"`
	Stat   int    `json:"stat"` // 3GPP TS 27.007 7.2
	Words  string `json:"words"`
}

type doctorReports struct {
	// Route is a modem.ReportRoute, Advertised what AT+CNMI=? said.
	Route      string `json:"route"`
	Advertised string `json:"advertised"`
}

type doctorStore struct {
	Name  string `json:"name"`
	Used  int    `json:"used"`
	Total int    `json:"total"`
}

type doctorFinding struct {
	Severity string `json:"severity"`
	Code     string `json:"code"` // a modem.FindingCode
	Problem  string `json:"problem"`
	Remedy   string `json:"remedy"`
	// Lines are commands, which begin with "$ ", and lines of settings.
	Lines []string `json:"lines"`
}

func newDoctorReport(all []examined, left []string) doctorReport {
	r := doctorReport{Settings: []doctorFinding{}, Ports: []doctorPort{}, NotExamined: append([]string{}, left...)}
	seen := map[[2]string]bool{} // a stick may have two ports that take commands
	for _, e := range all {
		who := [2]string{e.IMEI, e.IMSI}
		if e.Usable() && !seen[who] {
			r.Usable++
			seen[who] = e.IMEI != ""
		}
		r.Ports = append(r.Ports, newDoctorPort(e))
	}
	return r
}

func newDoctorPort(e examined) doctorPort {
	p := doctorPort{
		Port: e.Port, OtherPorts: append([]string{}, e.others...),
		Status: string(e.Worst()), Modem: e.Modem, Usable: e.Usable(), Echo: e.Echo,
		Manufacturer: e.Manufacturer, Model: e.Model, Firmware: e.Firmware, Profile: e.Profile,
		IMEI: cut(e.IMEI, 8),
		SIM: doctorSIM{
			State: string(e.SIM), PINTries: known(e.PINTries),
			IMSI: cut(e.IMSI, 5), ICCID: cut(e.ICCID, 6),
		},
		Network: doctorNetwork{
			RadioOn: e.Radio, Registered: e.Registered(), Registrations: []doctorRegistration{},
			Operator: e.Operator, Technology: e.Technology, Bars: known(e.Bars),
		},
		SMSC: e.SMSC, Reports: doctorReports{string(e.Reports), e.CNMI}, PDUMode: e.PDUMode,
		Stores: []doctorStore{}, Findings: []doctorFinding{},
	}
	if u := e.USB; u != nil {
		p.USB = &doctorUSB{u.ID, u.Manufacturer, u.Product, u.Serial, u.Device, u.Interface, u.Driver}
	}
	if e.Modem {
		ms := e.Answer.Milliseconds()
		p.AnswerMS = &ms
	}
	if e.SignalDBm != 0 {
		p.Network.SignalDBm = &e.SignalDBm
	}
	for _, r := range e.Registrations {
		p.Network.Registrations = append(p.Network.Registrations, doctorRegistration{r.Domain, r.Stat, r.Words})
	}
	for _, s := range e.Stores {
		p.Stores = append(p.Stores, doctorStore{s.Name, s.Used, s.Total})
	}
	for _, f := range e.Findings {
		p.Findings = append(p.Findings, doctorFinding{
			string(f.Severity), string(f.Code), f.Problem, f.Remedy, append([]string{}, f.Lines...),
		})
	}
	return p
}

// cut hides all but the first digits of an identity.
func cut(identity string, show int) string {
	show = min(show, len(identity))
	return identity[:show] + strings.Repeat("•", len(identity)-show)
}

// known is n, or nil where it is negative: not known.
func known(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}

// pageWidth is what the table and the sentences below it keep to.
const pageWidth = 100

// write writes the report as JSON or for people.
func (r doctorReport) write(w io.Writer, asJSON bool) error {
	if !asJSON {
		return r.print(w)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// print writes a table, and below it what there is to say of each port.
func (r doctorReport) print(w io.Writer) error {
	var s strings.Builder
	if len(r.Ports) == 0 {
		s.WriteString(wrapped("", "", "No modem was found. Plug one in and see which ports appear; if none does, look for its cable or power in the last lines of dmesg."))
		s.WriteString("    $ ls -l /dev/serial/by-id/\n    $ sudo dmesg | tail -20\n")
	} else {
		r.table(&s)
	}
	for _, p := range r.Ports {
		s.WriteByte('\n')
		p.describe(&s)
	}
	if len(r.Settings) > 0 {
		s.WriteString("\nsettings\n")
	}
	for _, f := range r.Settings {
		f.describe(&s)
	}
	if len(r.NotExamined) > 0 {
		s.WriteByte('\n')
		s.WriteString(wrapped("", "  ", "Not examined, since anything may be behind them: "+strings.Join(r.NotExamined, ", ")+
			". If a modem is, name the port: smsotpd doctor "+r.NotExamined[0]))
	}
	if r.Send != nil {
		s.WriteByte('\n')
		r.Send.describe(&s)
	}
	_, err := io.WriteString(w, s.String())
	return err
}

// table has one row a port; its columns are as wide as they must be, up to a
// bound, and together no wider than the page.
func (r doctorReport) table(s *strings.Builder) {
	rows := [][]string{{"PORT", "MODEM", "SIM", "NETWORK", "SIGNAL", "RESULT"}}
	most := []int{28, 22, 12, 17, 8, 7}
	for _, p := range r.Ports {
		result := p.Status
		if p.Status == string(modem.Failing) {
			result = strings.ToUpper(result)
		}
		row := []string{p.Port, cmp.Or(p.Model, p.Manufacturer), "", "", "", result}
		if p.Modem {
			row[2] = strings.TrimSuffix(strings.ReplaceAll(p.SIM.State, "_", " "), " required")
			row[3] = p.Network.words()
			row[4] = p.Network.signal()
		}
		rows = append(rows, row)
	}
	width := make([]int, len(most))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = shortened(cmp.Or(cell, "-"), most[i])
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)))
			if i < len(row)-1 {
				line.WriteString(" ")
			}
		}
		s.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// shortened is text in at most n characters; its end says more than its
// middle.
func shortened(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	tail := (n - 1) / 2
	return string(runes[:n-1-tail]) + "…" + string(runes[len(runes)-tail:])
}

func (n doctorNetwork) words() string {
	switch {
	case !n.RadioOn:
		return "radio off"
	case n.Registered:
		return strings.TrimSpace(cmp.Or(n.Operator, "registered") + " " + n.Technology)
	case len(n.Registrations) == 0:
		return ""
	}
	return "not registered"
}

// signal is the strength as bars.
func (n doctorNetwork) signal() string {
	if n.Bars == nil {
		return ""
	}
	return strings.Repeat("▮", *n.Bars) + strings.Repeat("▯", 5-*n.Bars)
}

// describe writes what is known of the port, and what is wrong.
func (p doctorPort) describe(s *strings.Builder) {
	s.WriteString(p.Port + "\n")
	if len(p.OtherPorts) > 0 {
		s.WriteString(fact("ports", "other ports of the same device were left alone: "+strings.Join(p.OtherPorts, ", ")))
	}
	if u := p.USB; u != nil {
		s.WriteString(fact("USB", fmt.Sprintf("%s, %s at %s, interface %d, driver %s",
			u.ID, cmp.Or(strings.TrimSpace(u.Manufacturer+" "+u.Product), "unnamed"), u.Device, u.Interface, u.Driver)))
	}
	if p.Modem {
		p.describeModem(s)
	}
	for _, f := range p.Findings {
		f.describe(s)
	}
	if p.Modem && len(p.Findings) == 0 {
		s.WriteString("  OK: nothing is wrong with it.\n")
	}
}

func (f doctorFinding) describe(s *strings.Builder) {
	s.WriteString(wrapped("  "+strings.ToUpper(f.Severity)+" ", "    ", f.Problem+" ("+f.Code+")"))
	s.WriteString(wrapped("    → ", "      ", f.Remedy))
	for _, line := range f.Lines { // whole, to be copied
		s.WriteString("        " + line + "\n")
	}
}

func (p doctorPort) describeModem(s *strings.Builder) {
	about := cmp.Or(strings.TrimSpace(p.Manufacturer+" "+p.Model), "unnamed") + ", firmware " + cmp.Or(p.Firmware, "unknown") +
		", IMEI " + cmp.Or(p.IMEI, "unknown") + fmt.Sprintf(", answers in %v", max(time.Duration(*p.AnswerMS), 1)*time.Millisecond)
	if p.Profile != "" {
		about += ", known as " + p.Profile
	}
	s.WriteString(fact("modem", about))

	sim := strings.ReplaceAll(p.SIM.State, "_", " ")
	if p.SIM.PINTries != nil {
		sim += fmt.Sprintf(", %d tries for the PIN left", *p.SIM.PINTries)
	}
	if p.SIM.ICCID != "" {
		sim += ", ICCID " + p.SIM.ICCID
	}
	if p.SIM.IMSI != "" {
		sim += ", IMSI " + p.SIM.IMSI
	}
	s.WriteString(fact("SIM", sim))

	network := cmp.Or(p.Network.words(), "unknown")
	for _, r := range p.Network.Registrations {
		network += ", " + r.Domain + ": " + r.Words
	}
	if p.Network.SignalDBm != nil {
		network += fmt.Sprintf(", %d dBm %s", *p.Network.SignalDBm, p.Network.signal())
	}
	s.WriteString(fact("network", network))

	messages := "SMSC " + cmp.Or(p.SMSC, "unknown") + ", delivery reports: " + p.Reports.Route
	if p.Reports.Advertised != "" {
		messages += " (CNMI " + p.Reports.Advertised + ")"
	}
	s.WriteString(fact("messages", messages))
	var stores []string
	for _, m := range p.Stores {
		stores = append(stores, fmt.Sprintf("%s %d of %d", m.Name, m.Used, m.Total))
	}
	s.WriteString(fact("memories", cmp.Or(strings.Join(stores, ", "), "unknown")))
}

// fact is a line of the description.
func fact(name, text string) string {
	return wrapped(fmt.Sprintf("  %-9s ", name), strings.Repeat(" ", 12), text)
}

// wrapped is text behind first, broken between words to fit the page; rest
// stands before its further lines.
func wrapped(first, rest, text string) string {
	var s strings.Builder
	line := first
	empty := true
	for _, word := range strings.Fields(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > pageWidth {
			s.WriteString(strings.TrimRight(line, " ") + "\n")
			line, empty = rest, true
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	s.WriteString(line + "\n")
	return s.String()
}
