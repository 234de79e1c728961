package api

import (
	"fmt"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

const (
	defaultPage = 50
	maxPage     = 100
)

// limitParameter says how many there are on a page of what is listed.
func limitParameter(what string) parameter {
	one, most := 1.0, float64(maxPage)
	return parameter{
		"limit", fmt.Sprintf("How many %s at most; %d if left out.", what, defaultPage),
		&huma.Schema{Type: huma.TypeInteger, Minimum: &one, Maximum: &most},
	}
}

// span says which part of a list is asked for. A zero ID bounds nothing.
type span[ID any] struct {
	limit         int
	before, after ID
}

// pageOf reads the parameters limit, before and after.
func pageOf[ID any](query map[string]string, parse func(string) (ID, error)) (span[ID], error) {
	p := span[ID]{limit: defaultPage}
	for name, set := range map[string]func(string) error{
		"limit":  func(s string) (err error) { p.limit, err = wholeFrom(s, 1, maxPage); return err },
		"before": func(s string) (err error) { p.before, err = parse(s); return err },
		"after":  func(s string) (err error) { p.after, err = parse(s); return err },
	} {
		if text, given := query[name]; given && set(text) != nil {
			return p, invalidParameter(name)
		}
	}
	return p, nil
}

func invalidParameter(name string) *Problem {
	return invalidField(name, "This is no value that the parameter can have.")
}

// wholeFrom is a number from low to high, written in digits and no longer than
// it must be.
func wholeFrom(s string, low, high int) (int, error) {
	n, err := strconv.Atoi(s)
	if err == nil && (n < low || n > high || strconv.Itoa(n) != s) {
		err = strconv.ErrRange
	}
	return n, err
}

// cutPage is the page of what was found, which was asked for one more than it
// takes; the text is what the next page comes before, nil where there is none.
func cutPage[T any](found []T, limit int, id func(T) string) ([]T, *string) {
	if len(found) <= limit {
		return found, nil
	}
	last := id(found[limit-1])
	return found[:limit], &last
}
