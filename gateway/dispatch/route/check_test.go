package route

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"smsotpd/gateway/number"
)

func configured() Known {
	return Known{
		Regions: []string{"FR", "GB", "GG", "DE"},
		SIMs: []SIM{
			{Name: "left", IMSI: "208019876543210", Labels: []string{"cheap", "main"}},
			{Name: "right", IMSI: "208109876543210", Labels: []string{"main"}},
			{Name: "locked", Labels: []string{"locked"}},
		},
	}
}

// ok is a rule that nothing is wrong with, to be spoilt.
func ok(change func(*Rule)) Rule {
	r := Rule{Name: "r", Regions: []string{"FR"}, SIMs: []string{"left"}}
	change(&r)
	return r
}

func TestCheckTells(t *testing.T) {
	closed := configured()
	closed.OnlyConfigured = true
	closed.SIMs = closed.SIMs[:2]
	for name, tt := range map[string]struct {
		rule  Rule
		known Known
		want  []string
	}{
		"nothing":      {ok(func(*Rule) {}), configured(), nil},
		"no name":      {ok(func(r *Rule) { r.Name = "" }), Known{}, []string{`route[0] (""): the name is missing`}},
		"blank name":   {ok(func(r *Rule) { r.Name = "a\nb" }), Known{}, []string{`route[0] ("a\nb"): a rule's name has no blanks, and at most 64 characters`}},
		"long name":    {ok(func(r *Rule) { r.Name = strings.Repeat("x", 65) }), Known{}, []string{"at most 64 characters"}},
		"lane":         {ok(func(r *Rule) { r.Lanes = []string{"codes"} }), Known{}, []string{`route[0] (r): there is no lane "codes"; lanes are ["code" "notice"]`}},
		"region":       {ok(func(r *Rule) { r.Regions = []string{"fr", "001"} }), Known{}, []string{`unknown region "fr"`, `unknown region "001"`}},
		"not allowed":  {ok(func(r *Rule) { r.Regions = []string{"FR", "US"} }), configured(), []string{"the region US is not allowed"}},
		"not told":     {ok(func(r *Rule) { r.Regions = []string{"FR", "US"} }), Known{}, nil},
		"none allowed": {ok(func(*Rule) {}), Known{Regions: []string{}}, []string{"the region FR is not allowed"}},
		"prefixes": {
			ok(func(r *Rule) { r.Prefixes = []string{"33", "+", "+033", "+3a", "", "+1234567890123456"} }),
			Known{},
			[]string{`prefix "33"`, `prefix "+"`, `prefix "+033"`, `prefix "+3a"`, `prefix ""`, `prefix "+1234567890123456"`},
		},
		"long prefix":             {ok(func(r *Rule) { r.Prefixes = []string{"+336123456789012"} }), Known{}, nil},
		"prefix of no region":     {ok(func(r *Rule) { r.Regions, r.Prefixes = nil, []string{"+999"} }), Known{}, []string{"the prefix +999 is of no region"}},
		"prefix of none allowed":  {ok(func(r *Rule) { r.Regions, r.Prefixes = nil, []string{"+1415", "+33"} }), configured(), []string{"the prefix +1415 is of no region that is allowed"}},
		"prefix of another":       {ok(func(r *Rule) { r.Prefixes = []string{"+336", "+447"} }), Known{}, []string{"the prefix +447 is of none of its regions"}},
		"region of another":       {ok(func(r *Rule) { r.Regions, r.Prefixes = []string{"FR", "DE"}, []string{"+336"} }), Known{}, []string{"none of its prefixes is of the region DE"}},
		"short prefix":            {ok(func(r *Rule) { r.Prefixes = []string{"+3"} }), Known{}, nil},
		"prefix of a shared code": {ok(func(r *Rule) { r.Regions, r.Prefixes = []string{"GG"}, []string{"+447911"} }), configured(), nil},

		"operators": {
			ok(func(r *Rule) { r.Operators = []string{"20", "2080", "2080199", "FR", "", "208", "20801", "310410"} }),
			Known{},
			[]string{`operator "20"`, `operator "2080"`, `operator "2080199"`, `operator "FR"`, `operator ""`},
		},
		"words":            {ok(func(r *Rule) { r.SIMs, r.Labels = []string{""}, []string{"a b"} }), Known{}, []string{`the SIM ""`, `the label "a b"`}},
		"no such SIM":      {ok(func(r *Rule) { r.SIMs = []string{"left", "middle"} }), configured(), []string{`there is no SIM "middle"`}},
		"SIMs not told":    {ok(func(r *Rule) { r.SIMs, r.Labels = []string{"middle"}, []string{"dear"} }), Known{}, nil},
		"no SIMs":          {ok(func(*Rule) {}), Known{SIMs: []SIM{}}, []string{`there is no SIM "left"`}},
		"no such label":    {ok(func(r *Rule) { r.SIMs, r.Labels = nil, []string{"main", "dear"} }), configured(), []string{`no [sim.NAME] has the label "dear"`}},
		"label of another": {ok(func(r *Rule) { r.SIMs, r.Labels = []string{"right"}, []string{"cheap"} }), configured(), []string{"it selects no SIM"}},
		"one SIM never":    {ok(func(r *Rule) { r.SIMs, r.Labels = []string{"left", "right"}, []string{"cheap"} }), configured(), []string{"it never selects the SIM right"}},
		"one label never":  {ok(func(r *Rule) { r.SIMs, r.Labels = []string{"right"}, []string{"cheap", "main"} }), configured(), []string{`the label "cheap" is of none of the SIMs that it selects`}},
		"IMSI of another":  {ok(func(r *Rule) { r.Operators = []string{"20810"} }), configured(), []string{"it selects no SIM"}},
		"operator never":   {ok(func(r *Rule) { r.Operators = []string{"20801", "262"} }), configured(), []string{"the operator 262 is that of none"}},
		"country":          {ok(func(r *Rule) { r.SIMs, r.Operators = []string{"left", "right"}, []string{"208"} }), configured(), nil},
		"IMSI not known":   {ok(func(r *Rule) { r.SIMs, r.Operators = []string{"locked"}, []string{"262"} }), configured(), nil},
		"other SIMs":       {ok(func(r *Rule) { r.SIMs, r.Operators = nil, []string{"262"} }), configured(), nil},
		"no other SIMs":    {ok(func(r *Rule) { r.SIMs, r.Operators = nil, []string{"262"} }), closed, []string{"it selects no SIM"}},
		"some other SIM":   {ok(func(r *Rule) { r.SIMs, r.Operators = nil, []string{"262", "20801"} }), closed, []string{"the operator 262 is that of none"}},

		"any SIM":  {ok(func(r *Rule) { r.SIMs = nil }), Known{}, []string{"route[0] (r): it changes nothing: "}},
		"fallback": {ok(func(r *Rule) { r.SIMs, r.Fallback = nil, true }), Known{}, []string{"fallback says nothing", "it changes nothing"}},
	} {
		t.Run(name, func(t *testing.T) { tells(t, Check([]Rule{tt.rule}, tt.known), tt.want) })
	}
}

// tells holds the lines of err to contain the wanted ones, each one, in order.
func tells(t *testing.T, err error, want []string) {
	t.Helper()
	var lines []string
	if err != nil {
		lines = strings.Split(err.Error(), "\n")
	}
	if len(lines) != len(want) {
		t.Fatalf("told %q, want %q", lines, want)
	}
	beginning := regexp.MustCompile(`^route\[\d+\] \([^ ]+\): `)
	for i := range want {
		if !strings.Contains(lines[i], want[i]) || !beginning.MatchString(lines[i]) {
			t.Errorf("told %q, want %q", lines[i], want[i])
		}
	}
}

func TestCheckOrder(t *testing.T) {
	left := []string{"left"}
	for name, tt := range map[string]struct {
		rules []Rule
		known Known
		want  []string
	}{
		"in order": {
			[]Rule{{Name: "a", Prefixes: []string{"+336"}, SIMs: left}, {Name: "b", Regions: []string{"FR"}, SIMs: left}, {Name: "c", SIMs: left}},
			configured(), nil,
		},
		"names": {
			[]Rule{{Name: "a", Regions: []string{"FR"}, SIMs: left}, {Name: "a", Regions: []string{"GB"}, SIMs: left}},
			Known{},
			[]string{"route[1] (a): route[0] has the same name"},
		},
		"the same": {
			[]Rule{
				{Name: "a", Regions: []string{"FR", "GB"}, Prefixes: []string{"+336", "+447"}, SIMs: left},
				{Name: "b", Regions: []string{"GB", "FR", "GB"}, Prefixes: []string{"+447", "+336"}, Lanes: []string{"notice", "code"}, Labels: []string{"main"}},
			},
			configured(),
			[]string{"route[1] (b): route[0] (a) has the same conditions and goes first"},
		},
		"shadowed": {
			[]Rule{
				{Name: "a", Regions: []string{"DE"}, SIMs: left},
				{Name: "b", Regions: []string{"FR", "GB"}, SIMs: left},
				{Name: "c", Prefixes: []string{"+336", "+337"}, SIMs: left},
			},
			configured(),
			[]string{"route[2] (c): it never decides: for all that it could match, route[1] (b) goes first"},
		},
		"shadowed by a shorter prefix": {
			[]Rule{{Name: "a", Prefixes: []string{"+3"}, SIMs: left}, {Name: "b", Regions: []string{"FR"}, Lanes: []string{"code"}, SIMs: left}},
			Known{},
			[]string{"route[1] (b): it never decides: for all that it could match, route[0] (a) goes first"},
		},
		"shadowed by a rule for all": {
			[]Rule{{Name: "a", SIMs: left}, {Name: "b", Regions: []string{"FR"}, SIMs: left}, {Name: "c", Prefixes: []string{"+999"}, SIMs: left}},
			Known{},
			[]string{"route[1] (b): it never decides", "route[2] (c): the prefix +999 is of no region"},
		},
		"shadowed by several": {
			[]Rule{
				{Name: "a", Regions: []string{"FR"}, SIMs: left},
				{Name: "b", Regions: []string{"GB", "GG"}, Lanes: []string{"code"}, SIMs: left},
				{Name: "c", Regions: []string{"DE"}, SIMs: left},
				{Name: "d", Prefixes: []string{"+44"}, Lanes: []string{"notice"}, SIMs: left},
				{Name: "e", SIMs: left},
			},
			configured(),
			[]string{"route[4] (e): it never decides: for all that it could match, route[0] (a), route[1] (b), route[2] (c) and route[3] (d) go first"},
		},
		"a region is left": {
			[]Rule{{Name: "a", Regions: []string{"FR", "DE", "GB"}, SIMs: left}, {Name: "b", SIMs: left}},
			configured(), nil,
		},
		"a lane is left": {
			[]Rule{{Name: "a", Lanes: []string{"code"}, SIMs: left}, {Name: "b", Regions: []string{"FR"}, SIMs: left}},
			configured(), nil,
		},
		"the calling code is shared": {
			[]Rule{{Name: "a", Regions: []string{"GB"}, SIMs: left}, {Name: "b", Prefixes: []string{"+447911"}, SIMs: left}},
			configured(), nil,
		},
		"what is misspelt shadows nothing": {
			[]Rule{{Name: "a", Lanes: []string{"x"}, SIMs: left}, {Name: "b", SIMs: left}},
			Known{},
			[]string{`route[0] (a): there is no lane "x"`},
		},
		"an exception": {
			[]Rule{{Name: "a", Prefixes: []string{"+336"}}, {Name: "b", Regions: []string{"FR"}, SIMs: left}},
			configured(), nil,
		},
		"an exception to nothing": {
			[]Rule{{Name: "a", Prefixes: []string{"+447"}}, {Name: "b", Regions: []string{"FR"}, SIMs: left}},
			configured(),
			[]string{"route[0] (a): it changes nothing: "},
		},
		"an exception behind": {
			[]Rule{{Name: "a", Regions: []string{"FR"}, SIMs: left}, {Name: "b"}},
			configured(),
			[]string{"route[1] (b): it changes nothing: "},
		},
		"an exception to an exception": {
			[]Rule{{Name: "a", Prefixes: []string{"+336"}}, {Name: "b", Regions: []string{"FR"}}, {Name: "c", SIMs: left}},
			configured(),
			[]string{"route[0] (a): it changes nothing: "},
		},
		"an exception to what is misspelt": {
			[]Rule{{Name: "a", Prefixes: []string{"+336"}}, {Name: "b", Regions: []string{"fr"}, SIMs: left}},
			configured(),
			[]string{`route[1] (b): unknown region "fr"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tells(t, Check(tt.rules, tt.known), tt.want)
			if _, err := New(tt.rules); err != nil && tt.want == nil {
				t.Errorf("New: %v", err)
			}
		})
	}
}

// Regions that are told make rules wrong that are in order elsewhere.
func TestWhatIsAllowedDecides(t *testing.T) {
	rules := []Rule{{Name: "a", Regions: []string{"FR", "GB"}, SIMs: []string{"x"}}, {Name: "b", SIMs: []string{"x"}}}
	tells(t, Check(rules, Known{}), nil)
	tells(t, Check(rules, Known{Regions: []string{"GB", "FR"}}), []string{"route[1] (b): it never decides"})
	if err := Check(nil, Known{Regions: []string{}, SIMs: []SIM{}, OnlyConfigured: true}); err != nil {
		t.Error(err)
	}
}

// world are messages of every kind that the rules of drawRules tell apart.
type message struct {
	region, number string
	notice         bool
}

func world() []message {
	behind := []string{""}
	for from := 0; len(behind[from]) < 4; from++ {
		for _, digit := range []string{"1", "2", "9"} {
			behind = append(behind, behind[from]+digit)
		}
	}
	var all []message
	for _, region := range worldRegions() {
		for _, digits := range behind {
			if len(digits) == 4 {
				all = append(all, message{region, callingCode(region) + digits, false}, message{region, callingCode(region) + digits, true})
			}
		}
	}
	return all
}

// What Check says of the order of the rules is what trying every message of a
// small world says.
func TestCheckAgreesWithTryingAll(t *testing.T) {
	all := world()
	never, useless := regexp.MustCompile(`route\[(\d+)\] .*it never decides|has the same conditions`), regexp.MustCompile(`it changes nothing`)
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t, worldRegions())
		err := Check(rules, Known{Regions: worldRegions()})
		told := map[int][]string{}
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				var rule int
				if _, err := fmt.Sscanf(line, "route[%d]", &rule); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				told[rule] = append(told[rule], line)
			}
		}
		if misspelt(told, never, useless) {
			return // it matches nothing in part, which is told first
		}
		for i, r := range rules {
			matches, decides, changes := tryAll(all, rules, i)
			says := strings.Join(told[i], "; ")
			if !matches {
				t.Fatalf("%+v matches nothing and is told: %q", r, says)
			}
			if never.MatchString(says) == decides {
				t.Fatalf("%+v\nrule %d decides: %v, told: %q", rules, i, decides, says)
			}
			if decides && useless.MatchString(says) != (!r.narrows() && !changes) {
				t.Fatalf("%+v\nrule %d changes something: %v, told: %q", rules, i, changes, says)
			}
		}
	})
}

// misspelt tells whether something but the order of the rules is told.
func misspelt(told map[int][]string, order ...*regexp.Regexp) bool {
	for _, lines := range told {
		for _, line := range lines {
			if !slices.ContainsFunc(order, func(re *regexp.Regexp) bool { return re.MatchString(line) }) {
				return true
			}
		}
	}
	return false
}

// tryAll tells whether the rule fits any message, is the first that fits it,
// and frees it from a later rule's SIMs.
func tryAll(all []message, rules []Rule, rule int) (matches, decides, changes bool) {
	for _, m := range all {
		if !fits(rules[rule], m.region, m.number, m.notice) {
			continue
		}
		matches = true
		if firstMatch(rules, m.region, m.number, m.notice) != rule {
			continue
		}
		decides = true
		next := firstMatch(rules[rule+1:], m.region, m.number, m.notice)
		changes = changes || next >= 0 && rules[rule+1+next].narrows()
	}
	return matches, decides, changes
}

// No rule that Check lets pass, or refuses for another reason, is said to
// never decide while a real number shows that it does.
func FuzzCheck(f *testing.F) {
	f.Add("FR,GB", "+336", "code", "a", "", "+33", "", "", "FR", "+33612345678")
	f.Add("", "+447911", "", "", "GB", "", "notice", "20801", "", "+447911123456")
	f.Add("JM", "+1876", "", "a", "US", "+1", "", "", "US,JM", "+18765551234")
	f.Add("fr", "+", "x", " ", "", "33", "", "2", "001", "")
	f.Fuzz(func(t *testing.T, regions, prefixes, lanes, sims, regions2, prefixes2, lanes2, operators2, allowed, to string) {
		list := func(s string) []string {
			if s == "" {
				return nil
			}
			return strings.Split(s, ",")
		}
		rules := []Rule{
			{Name: "a", Regions: list(regions), Prefixes: list(prefixes), Lanes: list(lanes), SIMs: list(sims)},
			{Name: "b", Regions: list(regions2), Prefixes: list(prefixes2), Lanes: list(lanes2), Operators: list(operators2)},
		}
		err := Check(rules, Known{Regions: list(allowed)})
		n, parseErr := number.Parse(to)
		if parseErr != nil || allowed != "" && !slices.Contains(list(allowed), n.Region()) {
			return
		}
		for _, notice := range []bool{false, true} {
			first := firstMatch(rules, n.Region(), n.E164(), notice)
			if err != nil && first == 1 && strings.Contains(err.Error(), "route[1] (b): it never decides") {
				t.Fatalf("%+v decides for %s of %s", rules[1], to, n.Region())
			}
			if err != nil {
				continue
			}
			tab, err := New(rules)
			if err != nil {
				t.Fatalf("%+v: less is known, more is refused: %v", rules, err)
			}
			if got := tab.Match(n.Region(), n.E164(), notice); got != first {
				t.Fatalf("%+v: %d, want %d", rules, got, first)
			}
		}
	})
}
