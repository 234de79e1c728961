package route

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func table(t testing.TB, rules ...Rule) *Table {
	t.Helper()
	table, err := New(rules)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestMatch(t *testing.T) {
	tests := table(
		t,
		Rule{Name: "sfr", Prefixes: []string{"+33612"}, SIMs: []string{"a"}},
		Rule{Name: "guernsey", Regions: []string{"GG"}, Lanes: []string{"notice"}, SIMs: []string{"b"}},
		Rule{Name: "britain", Regions: []string{"GB", "GG"}, Prefixes: []string{"+447", "+441"}, SIMs: []string{"c"}, Fallback: true},
		Rule{Name: "france", Regions: []string{"FR"}, SIMs: []string{"d"}},
		Rule{Name: "notices", Lanes: []string{"notice"}, SIMs: []string{"e"}},
	)
	for _, tt := range []struct {
		region, number string
		notice         bool
		want           string
	}{
		{"FR", "+33612345678", false, "sfr"},
		{"FR", "+33611345678", false, "france"},
		{"FR", "+33611345678", true, "france"},
		{"FR", "33612345678", false, "france"}, // no E.164: no prefix fits it
		{"FR", "+33612", false, "sfr"},
		{"FR", "+3361", false, "france"},
		{"GG", "+447911123456", true, "guernsey"},
		{"GG", "+447911123456", false, "britain"},
		{"GB", "+447400123456", true, "britain"},
		{"GB", "+442012345678", true, "notices"},
		{"GB", "+442012345678", false, ""},
		{"GB", "", false, ""},
		{"GB", "+", true, "notices"},
		{"GB", "+44x7911123456", false, ""},
		{"", "", true, "notices"},
		{"", "", false, ""},
	} {
		got := tests.Match(tt.region, tt.number, tt.notice)
		if tests.Name(got) != tt.want || (got == None) != (tt.want == "") {
			t.Errorf("%s %s, notice %v: %d (%s), want %q", tt.region, tt.number, tt.notice, got, tests.Name(got), tt.want)
		}
	}
	if tests.Len() != 5 || !tests.NeedsNumber() || !tests.Fallback(2) || tests.Fallback(3) || tests.Fallback(None) || tests.Fallback(5) {
		t.Error("the table does not tell its rules")
	}
}

// Without rules any SIM may carry all.
func TestNoRules(t *testing.T) {
	empty := table(t)
	if empty.Match("FR", "+33612345678", false) != None || empty.NeedsNumber() || empty.Len() != 0 ||
		!empty.Carries(None, SIM{}) || empty.Name(None) != "" || empty.Fallback(None) {
		t.Error("a table without rules has some")
	}
	if table(t, Rule{Name: "a", Regions: []string{"FR"}, SIMs: []string{"a"}}).NeedsNumber() {
		t.Error("regions need no number")
	}
}

func TestCarries(t *testing.T) {
	rules := table(
		t,
		Rule{Name: "sims", Regions: []string{"FR"}, SIMs: []string{"left", "right"}},
		Rule{Name: "labels", Regions: []string{"GB"}, Labels: []string{"cheap", "free"}},
		Rule{Name: "operators", Regions: []string{"DE"}, Operators: []string{"208", "26201"}},
		Rule{Name: "all", Regions: []string{"IT"}, SIMs: []string{"left", "right"}, Labels: []string{"cheap"}, Operators: []string{"20801"}},
		Rule{Name: "any", Regions: []string{"ES"}},
		Rule{Name: "rest", SIMs: []string{"left"}},
	)
	for _, tt := range []struct {
		sim  SIM
		want []string
	}{
		{SIM{}, []string{"any"}},
		{SIM{IMSI: "208019876543210"}, []string{"operators", "any"}},
		{SIM{IMSI: "262019876543210"}, []string{"operators", "any"}},
		{SIM{IMSI: "262029876543210"}, []string{"any"}},
		{SIM{Name: "left"}, []string{"sims", "any", "rest"}},
		{SIM{Name: "right", IMSI: "208019876543210"}, []string{"sims", "operators", "any"}},
		{SIM{Name: "right", IMSI: "208019876543210", Labels: []string{"x", "cheap"}}, []string{"sims", "labels", "operators", "all", "any"}},
		{SIM{Name: "right", Labels: []string{"cheap"}}, []string{"sims", "labels", "any"}},
		{SIM{Name: "third", IMSI: "208019876543210", Labels: []string{"free"}}, []string{"labels", "operators", "any"}},
	} {
		var got []string
		for rule := range rules.Len() {
			if rules.Carries(rule, tt.sim) {
				got = append(got, rules.Name(rule))
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %v, want %v", tt.sim, got, tt.want)
		}
		if !rules.Carries(None, tt.sim) || !rules.Carries(rules.Len(), tt.sim) {
			t.Errorf("%+v may not carry what no rule fits", tt.sim)
		}
	}
}

// What the caller does with its rules later is nothing to the table.
func TestTheTableIsItsOwn(t *testing.T) {
	rule := Rule{Name: "a", Regions: []string{"FR"}, SIMs: []string{"left"}, Operators: []string{"208"}}
	rules := []Rule{rule}
	own := table(t, rules...)
	rule.SIMs[0], rule.Operators[0], rules[0].Name = "right", "262", "b"
	if !own.Carries(0, SIM{Name: "left", IMSI: "20801"}) || own.Name(0) != "a" {
		t.Error("the table has changed")
	}
}

// fits is a rule's conditions in the plainest form.
func fits(r Rule, region, number string, notice bool) bool {
	lane := "code"
	if notice {
		lane = "notice"
	}
	return (len(r.Regions) == 0 || slices.Contains(r.Regions, region)) &&
		(len(r.Lanes) == 0 || slices.Contains(r.Lanes, lane)) &&
		(len(r.Prefixes) == 0 || slices.ContainsFunc(r.Prefixes, func(p string) bool { return strings.HasPrefix(number, p) }))
}

func firstMatch(rules []Rule, region, number string, notice bool) int {
	return slices.IndexFunc(rules, func(r Rule) bool { return fits(r, region, number, notice) })
}

// The world of the models: five regions that share calling codes or don't.
func worldRegions() []string { return []string{"FR", "GB", "GG", "US", "JM"} }

// drawRules draws rules in order: the digits behind a calling code are 1 and 2
// alone, so that no ten prefixes make up a shorter one.
func drawRules(t *rapid.T, regions []string) []Rule {
	some := func(of []string, most int, label string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, most, rapid.ID).Draw(t, label)
	}
	prefix := rapid.Custom(func(t *rapid.T) string {
		calling := rapid.SampledFrom([]string{"+33", "+44", "+1", "+3", "+4"}).Draw(t, "calling")
		return calling + rapid.StringMatching(`[12]{0,3}`).Draw(t, "behind")
	})
	rules := make([]Rule, rapid.IntRange(0, 7).Draw(t, "rules"))
	for i := range rules {
		rules[i] = Rule{Name: fmt.Sprint("r", i), Regions: some(regions, 3, "regions"), Lanes: some(laneNames(), 2, "lanes")}
		if rapid.Bool().Draw(t, "prefixed") {
			rules[i].Prefixes = rapid.SliceOfN(prefix, 1, 3).Draw(t, "prefixes")
		}
		if rapid.IntRange(0, 9).Draw(t, "sensible") > 0 {
			rules[i] = sensible(rules[i])
		}
		if rapid.IntRange(0, 3).Draw(t, "narrow") > 0 {
			rules[i].SIMs = []string{"a"}
		}
	}
	return rules
}

// sensible leaves those of the rule's regions and prefixes that go together.
func sensible(r Rule) Rule {
	if len(r.Regions) == 0 || len(r.Prefixes) == 0 {
		return r
	}
	regions := slices.DeleteFunc(slices.Clone(r.Regions), func(region string) bool {
		return !slices.ContainsFunc(r.Prefixes, func(prefix string) bool { return canBeOf(prefix, region) })
	})
	r.Prefixes = slices.DeleteFunc(r.Prefixes, func(prefix string) bool {
		return !slices.ContainsFunc(r.Regions, func(region string) bool { return canBeOf(prefix, region) })
	})
	r.Regions = regions
	return r
}

// Match is the first rule that fits, whatever the rules. Those that Check
// would refuse are matched by the same rules, so they are tried as well.
func TestMatchIsTheFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t, worldRegions())
		tab := unchecked(rules)
		for range 50 {
			region := rapid.SampledFrom(append(worldRegions(), "DE", "")).Draw(t, "region")
			number := rapid.SampledFrom([]string{"+33", "+44", "+1", "+49", "", "+", "33"}).Draw(t, "calling") +
				rapid.StringMatching(`[123]{0,4}`).Draw(t, "behind")
			notice := rapid.Bool().Draw(t, "notice")
			if got, want := tab.Match(region, number, notice), firstMatch(rules, region, number, notice); got != want {
				t.Fatalf("%s %s, notice %v: %d, want %d", region, number, notice, got, want)
			}
		}
	})
}

// hundred are a hundred rules of every kind.
func hundred() []Rule {
	var rules []Rule
	for i := range 100 {
		r := Rule{Name: fmt.Sprint("rule", i), SIMs: []string{"left"}}
		switch i % 4 {
		case 0:
			r.Prefixes = []string{fmt.Sprintf("+336%02d", i), fmt.Sprintf("+337%02d", i)}
		case 1:
			r.Regions, r.Prefixes = []string{"FR"}, []string{fmt.Sprintf("+336%02d1", i)}
		case 2:
			r.Regions, r.Prefixes = []string{"GB", "GG"}, []string{fmt.Sprintf("+447%02d", i)}
		case 3:
			r.Prefixes, r.Lanes = []string{fmt.Sprintf("+49%02d", i)}, []string{"code"}
		}
		rules = append(rules, r)
	}
	rules[99] = Rule{Name: "rest", SIMs: []string{"left"}}
	return rules
}

func BenchmarkMatch(b *testing.B) {
	tab := table(b, hundred()...)
	for name, number := range map[string]string{"deep": "+336971234567", "prefix": "+33696123456", "rest": "+33142685300"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if tab.Match("FR", number, false) == None {
					b.Fatal("no rule")
				}
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	rules := hundred()
	for b.Loop() {
		if err := Check(rules, Known{}); err != nil {
			b.Fatal(err)
		}
	}
}
