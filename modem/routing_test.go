package modem

import (
	"slices"
	"testing"
)

func TestIndications(t *testing.T) {
	for _, c := range []struct {
		advertised, first string // where the modem stores messages
	}{
		{"(0-3),(0-3),(0,2),(0,1),(0,1)", "2,1,0,1,0"},
		{"(0,1,2),(0,1),(0),(0,2),(1)", "2,1,0,2,1"},
		{"(0-3),(0-3),(0,2,3),(0-2),(1)", "2,1,0,1,1"},
		{"(1),(0-3),(0),(0),(0)", "1,1,0,1,0"}, // it may refuse to advertise
		{"(2),(1)", "2,1,0,1,0"},
		{"(0-2),(0-3),(0,2),(0-2)", "2,1,0,1"},
		{" ( 0 - 3 ) , ( 0 - 3 ) , ( 0 , 2 ) , ( 0 , 1 ) , ( 0 , 1 ) ", "2,1,0,1,0"},
		{"(3),(0-3),(2),(0-2),(1)", "3,1,2,1,1"},
		{"0-2,0-3,0,2,0", "2,1,0,2,0"},
		{"", "2,1,0,1,0"},
		{"nonsense", "2,1,0,1,0"},
	} {
		got := indications(c.advertised, true)
		if got[0] != c.first {
			t.Errorf("%s: first %s", c.advertised, got[0])
		}
		if !slices.ContainsFunc(got, func(s string) bool { return announcing(s) == 1 }) || len(got) > 40 {
			t.Errorf("%s: %d tries, %q", c.advertised, len(got), got)
		}
		slices.Sort(got)
		if len(slices.Compact(got)) != len(got) {
			t.Errorf("%s: a setting twice", c.advertised)
		}
	}
	if got := indications("(0-2),(0-3),(0,2),(0-2),(0,1)", false)[0]; got != "2,2,0,1,0" {
		t.Errorf("without a memory: first %s", got)
	}
}
