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
	if text, given := query["limit"]; given {
		n, err := wholeFrom("limit", text, 1, maxPage)
		if err != nil {
			return p, err
		}
		p.limit = n
	}
	for name, bound := range map[string]*ID{"before": &p.before, "after": &p.after} {
		if text, given := query[name]; given {
			id, err := parse(text)
			if err != nil {
				return p, invalidField(name, "The parameter must be the id of something that was listed.")
			}
			*bound = id
		}
	}
	return p, nil
}

// wholeFrom is the parameter's number from low to high, written in digits and no
// longer than it must be.
func wholeFrom(name, s string, low, high int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high || strconv.Itoa(n) != s {
		return 0, invalidField(name, fmt.Sprintf("The parameter must be a whole number from %d to %d.", low, high))
	}
	return n, nil
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
