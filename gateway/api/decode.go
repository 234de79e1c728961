package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// wholeBody stands in Problem.Field where no single field is at fault.
const wholeBody = "body"

// object reads request bodies of type B strictly: a flat JSON object (RFC
// 8259) of strings and whole numbers in which every name is known, spelt
// exactly so, and given once. The rules for the values are those of B's
// published schema.
type object[B any] struct{ fields []field }

type field struct {
	name     string
	required bool
	// number: a whole number or null, not a string.
	number bool
	// min and max are lengths in characters, where max 0 is no bound but the
	// body's; or the bounds of a number.
	min, max int
	// pattern is nil where any text will do.
	pattern *regexp.Regexp
}

// newObject takes the rules from the schema of B, all of whose fields must be
// strings, or pointers to int with a minimum and a maximum.
func newObject[B any](schemas huma.Registry) (object[B], error) {
	t := reflect.TypeFor[B]()
	schema := schemas.Schema(t, false, "")
	required := map[string]bool{}
	for _, name := range schema.Required {
		required[name] = true
	}
	var o object[B]
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		s := schema.Properties[name]
		number := f.Type == reflect.TypeFor[*int]()
		if s == nil || !number && f.Type.Kind() != reflect.String || number && (s.Minimum == nil || s.Maximum == nil) {
			return o, fmt.Errorf("api: %s.%s: a body's fields are strings or bounded *int, with a json tag", t.Name(), f.Name)
		}
		rule := field{name: name, required: required[name], number: number}
		if number {
			rule.min, rule.max = int(*s.Minimum), int(*s.Maximum)
		}
		if s.MinLength != nil {
			rule.min = *s.MinLength
		}
		if s.MaxLength != nil {
			rule.max = *s.MaxLength
		}
		if s.Pattern != "" {
			pattern, err := regexp.Compile(s.Pattern)
			if err != nil {
				return o, fmt.Errorf("api: %s.%s: %w", t.Name(), f.Name, err)
			}
			rule.pattern = pattern
		}
		o.fields = append(o.fields, rule)
	}
	return o, nil
}

// decode is the body as a B, or a *Problem that names the field at fault.
func (o object[B]) decode(body []byte) (B, error) {
	var b B
	members, err := newMembers(body)
	if err != nil {
		return b, err
	}
	into := reflect.ValueOf(&b).Elem()
	seen := make([]bool, len(o.fields))
	for {
		name, raw, more := members.next()
		if !more {
			break
		}
		i, err := o.find(name)
		if err != nil {
			return b, err
		}
		if seen[i] {
			return b, invalidField(o.fields[i].name, "The field is given twice.")
		}
		seen[i] = true
		if err := o.fields[i].set(into.Field(i), raw); err != nil {
			return b, err
		}
	}
	for i, f := range o.fields {
		if f.required && !seen[i] {
			return b, invalidField(f.name, "The field is required.")
		}
	}
	return b, nil
}

func (o object[B]) find(name string) (int, error) {
	for i, f := range o.fields {
		if f.name == name {
			return i, nil
		}
	}
	for _, f := range o.fields {
		if strings.EqualFold(f.name, name) {
			return 0, invalidField(nameable(name, wholeBody), "Field names are in lower case.")
		}
	}
	return 0, invalidField(nameable(name, wholeBody), "There is no such field.")
}

// set checks one value against the field's rules and stores it.
func (f field) set(into reflect.Value, raw []byte) error {
	if f.number {
		n, err := f.whole(raw)
		into.Set(reflect.ValueOf(n))
		return err
	}
	s, err := f.value(raw)
	into.SetString(s)
	return err
}

// whole is a number within the field's bounds, nil for null.
func (f field) whole(raw []byte) (*int, error) {
	if string(raw) == "null" {
		return nil, nil //nolint:nilnil // as in the body
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil || strconv.Itoa(n) != string(raw) || n < f.min || n > f.max {
		return nil, invalidField(f.name, fmt.Sprintf("The field must be a whole number from %d to %d, or null.", f.min, f.max))
	}
	return &n, nil
}

// value checks one text against the field's rules.
func (f field) value(raw []byte) (string, error) {
	if raw[0] != '"' {
		return "", invalidField(f.name, "The field must be a string.")
	}
	s, ok := unquote(raw)
	if !ok {
		return "", invalidField(f.name, "The field is not valid Unicode.")
	}
	switch n := utf8.RuneCountInString(s); {
	case n < f.min && n == 0:
		return "", invalidField(f.name, "The field must not be empty.")
	case n < f.min:
		return "", invalidField(f.name, fmt.Sprintf("The field must have at least %d characters.", f.min))
	case f.max > 0 && n > f.max:
		return "", invalidField(f.name, fmt.Sprintf("The field must have at most %d characters.", f.max))
	}
	if f.pattern != nil && !f.pattern.MatchString(s) {
		return "", invalidField(f.name, "The field must match "+f.pattern.String()+".")
	}
	return s, nil
}

// empty accepts the bodies of operations that take none: nothing, or {}.
func empty(body []byte) error {
	if len(body) == 0 {
		return nil
	}
	_, err := object[struct{}]{}.decode(body)
	return err
}

// members walks the names and values of one JSON object that is known to be
// well-formed.
type members struct {
	rest []byte
}

// newMembers checks that the body is one well-formed JSON object in UTF-8 and
// nothing else.
func newMembers(body []byte) (*members, error) {
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return nil, malformedBody("The body is empty.")
	case !utf8.Valid(body):
		return nil, malformedBody("The body is not valid UTF-8.")
	case !json.Valid(body):
		return nil, malformedBody("The body is not one JSON value.")
	}
	body = bytes.TrimLeft(body, space)
	if body[0] != '{' {
		return nil, malformedBody("The body must be a JSON object.")
	}
	return &members{rest: body[1:]}, nil
}

// space is JSON's white space.
const space = " \t\r\n"

// next is the next member's name and raw value, or false after the last. A
// value that is a list or an object ends the walk: raw then begins with that
// value and more must not be asked for.
func (m *members) next() (name string, raw []byte, more bool) {
	m.rest = bytes.TrimLeft(m.rest, space+",")
	if m.rest[0] == '}' {
		return "", nil, false
	}
	key := m.token()
	name, _ = unquote(key)
	m.rest = bytes.TrimLeft(m.rest, space+":")
	switch m.rest[0] {
	case '"':
		return name, m.token(), true
	case '{', '[':
		return name, m.rest, true
	}
	end := bytes.IndexAny(m.rest, space+",}")
	raw, m.rest = m.rest[:end], m.rest[end:]
	return name, raw, true
}

// token cuts the string that rest begins with, quotes included.
func (m *members) token() []byte {
	end := 1
	for m.rest[end] != '"' {
		if m.rest[end] == '\\' {
			end++
		}
		end++
	}
	token := m.rest[:end+1]
	m.rest = m.rest[end+1:]
	return token
}

// unquote is the text of a well-formed JSON string; false if it holds half of
// a surrogate pair, which encoding/json would replace without a word.
func unquote(token []byte) (string, bool) {
	if bytes.IndexByte(token, '\\') < 0 {
		return string(token[1 : len(token)-1]), true
	}
	var s string
	if err := json.Unmarshal(token, &s); err != nil {
		return "", false
	}
	// U+FFFD may also be meant; no field has a use for it.
	return s, !strings.ContainsRune(s, utf8.RuneError)
}

// nameable is a name that a caller made up, if it can't hold a phone number or
// a code, or else the whole that it stands in.
func nameable(name, whole string) string {
	digits := 0
	for _, r := range name {
		switch {
		case '0' <= r && r <= '9':
			digits++
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', r == '_', r == '-', r == '.':
		default:
			return whole
		}
	}
	if name == "" || len(name) > 64 || digits > 3 {
		return whole
	}
	return name
}
