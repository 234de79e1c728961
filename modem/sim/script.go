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

// LoadScript reads the faults in a TOML file; example.toml shows every key.
// Errors name the file and, where known, the line; unknown keys are errors.
func LoadScript(path string) ([]Fault, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("sim: script: %w", err)
	}
	faults, err := ParseScript(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return faults, nil
}

// ParseScript reads the faults in TOML.
func ParseScript(text []byte) ([]Fault, error) {
	var script struct {
		Fault []faultTable `toml:"fault"`
	}
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := decoder.Decode(&script); err != nil {
		return nil, located(err)
	}
	var faults []Fault
	for i, table := range script.Fault {
		f, err := table.fault()
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", tableLine(text, i), err)
		}
		faults = append(faults, f)
	}
	return faults, nil
}

// ParseFault reads one fault as the inside of an inline table:
// on = "payload", do = "hang", for = "90s".
func ParseFault(inline string) (Fault, error) {
	faults, err := ParseScript([]byte("fault = [{" + inline + "}]"))
	switch {
	case err != nil:
		return Fault{}, err
	case len(faults) != 1:
		return Fault{}, errors.New("sim: one fault is wanted")
	}
	return faults[0], nil
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

// tableLine is the line of the [[fault]] with the given index, from 1.
func tableLine(text []byte, index int) int {
	for i, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(strings.ReplaceAll(line, " ", ""), "[[fault]]") {
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
}

func (t faultTable) fault() (Fault, error) {
	f := Fault{
		Modem: t.Modem, On: t.On, Match: t.Match, To: t.To, Nth: t.Nth, Every: t.Every, Count: t.Count, Do: t.Do, Code: t.Code,
		After: time.Duration(t.After), For: time.Duration(t.For), Back: time.Duration(t.Back), Interval: time.Duration(t.Interval),
		As: t.As, Text: t.Text, Size: t.Size,
	}
	for _, code := range t.Codes {
		if code < 0 || code > 255 {
			return f, fmt.Errorf("sim: fault: TP-ST %d is no octet", code)
		}
		f.Codes = append(f.Codes, byte(code))
	}
	return f, f.Validate()
}

// duration reads 90s, 250ms, 1m30s.
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = duration(v)
	return err
}
