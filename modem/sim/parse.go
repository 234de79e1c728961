package sim

import (
	"strconv"
	"strings"
)

// command is one command of a line.
type command struct {
	// name is in capitals: "+CMGS", "^CURC", or a basic one: "E", "&F".
	name string
	// form says which of the four kinds it is.
	form form
	// args is what follows "=", or a basic command's number.
	args string
}

type form int

const (
	formExecute form = iota // AT+CMD
	formRead                // AT+CMD?
	formTest                // AT+CMD=?
	formSet                 // AT+CMD=…
)

// String is the command as a client writes it, in capitals but its arguments.
func (c command) String() string {
	switch c.form {
	case formRead:
		return "AT" + c.name + "?"
	case formTest:
		return "AT" + c.name + "=?"
	case formSet:
		return "AT" + c.name + "=" + c.args
	default:
		return "AT" + c.name + c.args
	}
}

// parseLine splits the body of a command line, V.250 5.2.2 and 5.4.2: basic
// commands follow one another, extended ones are separated by ";".
func parseLine(body string) ([]command, bool) {
	var commands []command
	rest := strings.TrimSpace(body)
	for rest != "" {
		var c command
		var ok bool
		switch {
		case rest[0] == ';' || rest[0] == ' ':
			rest = rest[1:]
			continue
		case strings.IndexByte("+^$*%#", rest[0]) >= 0:
			c, rest, ok = parseExtended(rest)
		default:
			c, rest, ok = parseBasic(rest)
		}
		if !ok {
			return nil, false
		}
		commands = append(commands, c)
	}
	return commands, true
}

func parseExtended(s string) (command, string, bool) {
	end := 1
	for end < len(s) && (isAlnum(s[end]) || strings.IndexByte("!%-./:_", s[end]) >= 0) {
		end++
	}
	c := command{name: strings.ToUpper(s[:end])}
	body, rest := s[end:], ""
	quoted := false
	for i := range len(body) {
		if body[i] == '"' {
			quoted = !quoted
		}
		if body[i] == ';' && !quoted {
			body, rest = body[:i], body[i+1:]
			break
		}
	}
	body = strings.TrimSpace(body)
	switch {
	case body == "":
	case body == "?":
		c.form = formRead
	case body == "=?":
		c.form = formTest
	case body[0] == '=':
		c.form, c.args = formSet, strings.TrimSpace(body[1:])
	default:
		return c, "", false
	}
	return c, rest, end > 1 && !quoted
}

func parseBasic(s string) (command, string, bool) {
	end := 1
	if s[0] == '&' || s[0] == '\\' {
		end = 2
	}
	if end > len(s) || !isAlnum(s[end-1]) {
		return command{}, "", false
	}
	c := command{name: strings.ToUpper(s[:end])}
	if c.name == "D" { // a dial string takes the rest of the line
		c.args = s[end:]
		return c, "", true
	}
	digits := end
	for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
		digits++
	}
	c.args = s[end:digits]
	rest := s[digits:]
	switch {
	case strings.HasPrefix(rest, "?"):
		c.form, rest = formRead, rest[1:]
	case c.name == "S" && strings.HasPrefix(rest, "="):
		end = 1
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
			end++
		}
		c.name, c.form, c.args, rest = "S"+c.args, formSet, rest[1:end], rest[end:]
	}
	return c, rest, true
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; (s[i] < '0' || s[i] > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}

// arguments splits "a","b",1 at the commas outside quotes, and unquotes.
func arguments(s string) []string {
	var args []string
	quoted := false
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] == '"' {
			quoted = !quoted
		}
		if i == len(s) || s[i] == ',' && !quoted {
			args = append(args, strings.Trim(strings.TrimSpace(s[start:i]), `"`))
			start = i + 1
		}
	}
	return args
}

// numbers reads a list of numbers; -1 stands for one that was left out.
func numbers(s string) ([]int, bool) {
	var values []int
	for _, arg := range arguments(s) {
		if arg == "" {
			values = append(values, -1)
			continue
		}
		v, err := strconv.Atoi(arg)
		if err != nil || v < 0 {
			return nil, false
		}
		values = append(values, v)
	}
	return values, true
}

// inSet tells whether v is in a set like "0-2" or "0,2,3".
func inSet(set string, v int) bool {
	for part := range strings.SplitSeq(set, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err1 == nil && err2 == nil && v >= from && v <= to {
			return true
		}
	}
	return false
}
