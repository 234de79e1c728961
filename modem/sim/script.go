package sim

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// Script is what is to happen: faults, what the network answers to USSD codes,
// and how it treats delivery reports.
type Script struct {
	Faults  []Fault
	USSD    []USSD
	Reports ReportChaos
}

// LoadScript reads a TOML file; example.toml shows every key. Errors name the
// file and, where known, the line; unknown keys are errors.
func LoadScript(path string) (Script, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Script{}, fmt.Errorf("sim: script: %w", err)
	}
	script, err := ParseScript(text)
	if err != nil {
		return Script{}, fmt.Errorf("%s: %w", path, err)
	}
	return script, nil
}

// ParseScript reads a script in TOML.
func ParseScript(text []byte) (Script, error) {
	var tables struct {
		Fault []faultTable `toml:"fault"`
		USSD  []ussdTable  `toml:"ussd"`

		Reports reportsTable `toml:"reports"`
	}
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := decoder.Decode(&tables); err != nil {
		return Script{}, located(err)
	}
	var script Script
	for i, table := range tables.Fault {
		f, err := table.fault()
		if err != nil {
			return Script{}, fmt.Errorf("line %d: %w", tableLine(text, "fault", i), err)
		}
		script.Faults = append(script.Faults, f)
	}
	for i, table := range tables.USSD {
		u := table.ussd()
		if err := u.Validate(); err != nil {
			return Script{}, fmt.Errorf("line %d: %w", tableLine(text, "ussd", i), err)
		}
		script.USSD = append(script.USSD, u)
	}
	var err error
	if script.Reports, err = tables.Reports.reports(); err != nil {
		return Script{}, fmt.Errorf("line %d: %w", tableLine(text, "reports", 0), err)
	}
	return script, nil
}

// ParseFault reads one fault as the inside of an inline table:
// on = "payload", do = "hang", for = "90s".
func ParseFault(inline string) (Fault, error) {
	script, err := ParseScript([]byte("fault = [{" + inline + "}]"))
	switch {
	case err != nil:
		return Fault{}, err
	case len(script.Faults) != 1 || len(script.USSD) != 0:
		return Fault{}, errors.New("sim: one fault is wanted")
	}
	return script.Faults[0], nil
}

// ParseUSSD reads one answer to a USSD code likewise: code = "*100#",
// text = "12.34 EUR".
func ParseUSSD(inline string) (USSD, error) {
	script, err := ParseScript([]byte("ussd = [{" + inline + "}]"))
	switch {
	case err != nil:
		return USSD{}, err
	case len(script.USSD) != 1 || len(script.Faults) != 0:
		return USSD{}, errors.New("sim: one USSD answer is wanted")
	}
	return script.USSD[0], nil
}

// ParseReports reads how delivery reports are treated likewise: drop = 0.1,
// late = 0.2, after = "10m/1h".
func ParseReports(inline string) (ReportChaos, error) {
	script, err := ParseScript([]byte("reports = {" + inline + "}"))
	switch {
	case err != nil:
		return ReportChaos{}, err
	case len(script.USSD)+len(script.Faults) != 0:
		return ReportChaos{}, errors.New("sim: only the treatment of reports is wanted")
	}
	return script.Reports, nil
}

// located puts the line in front of what the decoder has to say.
func located(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		first := strict.Errors[0]
		line, _ := first.Position()
		return fmt.Errorf("line %d: sim: script: unknown key %q", line, strings.Join(first.Key(), "."))
	}
	var wrong *toml.DecodeError
	if errors.As(err, &wrong) {
		line, _ := wrong.Position()
		return fmt.Errorf("line %d: sim: script: %w", line, err)
	}
	return fmt.Errorf("sim: script: %w", err)
}

// tableLine is the line of the [[name]] with the given index, or of [name], from
// 1.
func tableLine(text []byte, name string, index int) int {
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.ReplaceAll(line, " ", "")
		if strings.HasPrefix(line, "[["+name+"]]") || strings.HasPrefix(line, "["+name+"]") {
			if index == 0 {
				return i + 1
			}
			index--
		}
	}
	return 1
}

// faultTable is a Fault as TOML writes it.
type faultTable struct {
	Modem    *int           `toml:"modem"`
	Operator string         `toml:"operator"`
	On       Point          `toml:"on"`
	Match    *regexp.Regexp `toml:"match"`
	To       string         `toml:"to"`
	Nth      int            `toml:"nth"`
	Every    int            `toml:"every"`
	Count    int            `toml:"count"`
	Do       Action         `toml:"do"`
	Code     int            `toml:"code"`
	Codes    []int          `toml:"codes"`
	After    duration       `toml:"after"`
	For      duration       `toml:"for"`
	Back     duration       `toml:"back"`
	Interval duration       `toml:"interval"`
	As       string         `toml:"as"`
	Text     string         `toml:"text"`
	Size     int            `toml:"size"`
	Shift    duration       `toml:"shift"`
}

func (t faultTable) fault() (Fault, error) {
	f := Fault{
		Modem: t.Modem, Operator: t.Operator, On: t.On, Match: t.Match, To: t.To, Nth: t.Nth, Every: t.Every, Count: t.Count, Do: t.Do, Code: t.Code,
		After: time.Duration(t.After), For: time.Duration(t.For), Back: time.Duration(t.Back), Interval: time.Duration(t.Interval),
		As: t.As, Text: t.Text, Size: t.Size, Shift: time.Duration(t.Shift),
	}
	for _, code := range t.Codes {
		if code < 0 || code > 255 {
			return f, fmt.Errorf("sim: fault: TP-ST %d is no octet", code)
		}
		f.Codes = append(f.Codes, byte(code))
	}
	return f, f.Validate()
}

// reportsTable is a ReportChaos as TOML writes it.
type reportsTable struct {
	Drop    float64 `toml:"drop"`
	Double  float64 `toml:"double"`
	Late    float64 `toml:"late"`
	After   string  `toml:"after"`
	Shuffle int     `toml:"shuffle"`
}

func (t reportsTable) reports() (ReportChaos, error) {
	c := ReportChaos{Drop: t.Drop, Double: t.Double, Late: t.Late, Shuffle: t.Shuffle}
	if t.After != "" {
		var err error
		if c.After, err = ParseDelay(t.After); err != nil {
			return c, err
		}
	}
	return c, c.Validate()
}

// ussdTable is a USSD as TOML writes it.
type ussdTable struct {
	Code   string      `toml:"code"`
	Text   string      `toml:"text"`
	DCS    int         `toml:"dcs"`
	M      int         `toml:"m"`
	After  duration    `toml:"after"`
	Early  bool        `toml:"early"`
	Silent bool        `toml:"silent"`
	Menu   []ussdTable `toml:"menu"`
}

func (t ussdTable) ussd() USSD {
	u := USSD{Code: t.Code, Text: t.Text, DCS: t.DCS, M: t.M, After: time.Duration(t.After), Early: t.Early, Silent: t.Silent}
	for _, choice := range t.Menu {
		u.Menu = append(u.Menu, choice.ussd())
	}
	return u
}

// inboundTable is an Inbound as TOML writes it, with Data in hexadecimal.
type inboundTable struct {
	From    string `toml:"from"`
	Text    string `toml:"text"`
	Data    string `toml:"data"`
	UCS2    bool   `toml:"ucs2"`
	Locking uint8  `toml:"locking"`
	Single  uint8  `toml:"single"`
	Wide    bool   `toml:"wide"`
	Ref     uint16 `toml:"ref"`
	Order   []int  `toml:"order"`
	PID     uint8  `toml:"pid"`
}

// ParseInbound reads a message to a modem as the inside of an inline table:
// from = "+33699999999", text = "hello", order = [2, 1].
func ParseInbound(inline string) (Inbound, error) {
	var tables struct {
		Message []inboundTable `toml:"message"`
	}
	decoder := toml.NewDecoder(strings.NewReader("message = [{" + inline + "}]")).DisallowUnknownFields()
	if err := decoder.Decode(&tables); err != nil {
		return Inbound{}, located(err)
	}
	if len(tables.Message) != 1 {
		return Inbound{}, errors.New("sim: one message is wanted")
	}
	return tables.Message[0].inbound()
}

// duration reads 90s, 250ms, 1m30s.
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = duration(v)
	return err
}
