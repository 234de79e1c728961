package route

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"smsotpd/gateway/number"
)

// Known is what Check is told beside the rules.
type Known struct {
	// Regions are those that may be sent to; nil: not told.
	Regions []string
	// SIMs are the configured ones; nil: not told. Names and labels are
	// theirs alone.
	SIMs []SIM
	// OnlyConfigured says that no SIM but the configured ones is used, so that
	// an operator must be one of theirs.
	OnlyConfigured bool
}

// Check says what is wrong with the rules: what is misspelt, selects no SIM,
// matches no message, or never decides because earlier rules go first. Each of
// the joined errors begins with the rule at fault, as "route[0] (name): "; a
// name that is none is quoted there.
//
// What it refuses is wrong for certain, but not all that is wrong is found:
// which numbers a region has is known by its calling code alone, and ten
// prefixes are not seen to make up the one that is a digit shorter.
func Check(rules []Rule, known Known) error {
	c := &checker{rules: rules, known: known, sound: make([]bool, len(rules))}
	c.regions = known.Regions
	if known.Regions == nil {
		c.regions = number.Regions()
	}
	survey := &survey{of: make([]findings, len(rules))}
	for i := range rules {
		c.at = i
		c.checkName()
		c.sound[i] = c.checkConditions()
		c.checkSelection()
	}
	survey.look(c)
	for i := range rules {
		c.at = i
		c.checkOrder(survey.of[i])
	}
	slices.SortStableFunc(c.errs, func(a, b finding) int { return a.rule - b.rule })
	errs := make([]error, len(c.errs))
	for i, e := range c.errs {
		errs[i] = e.err
	}
	return errors.Join(errs...)
}

type checker struct {
	rules []Rule
	known Known
	// regions are those that a message can be for.
	regions []string
	// sound are the rules whose conditions are in order; only they are
	// compared with one another.
	sound []bool
	// at is the rule being checked.
	at   int
	errs []finding
}

type finding struct {
	rule int
	err  error
}

func (c *checker) wrong(format string, args ...any) {
	err := fmt.Errorf("%s: %s", c.label(c.at), fmt.Sprintf(format, args...))
	c.errs = append(c.errs, finding{c.at, err})
}

// label is how a rule is named to the operator.
func (c *checker) label(rule int) string {
	name := c.rules[rule].Name
	if !isWord(name) {
		name = strconv.Quote(name)
	}
	return fmt.Sprintf("route[%d] (%s)", rule, name)
}

func (c *checker) labels(rules []int) string {
	labels := make([]string, len(rules))
	for i, rule := range rules {
		labels[i] = c.label(rule)
	}
	if last := len(labels) - 1; last > 0 {
		return strings.Join(labels[:last], ", ") + " and " + labels[last]
	}
	return strings.Join(labels, "")
}

func (c *checker) checkName() {
	name := c.rules[c.at].Name
	same := func(r Rule) bool { return r.Name == name }
	switch first := slices.IndexFunc(c.rules, same); {
	case name == "":
		c.wrong("the name is missing")
	case !isWord(name):
		c.wrong("a rule's name has no blanks, and at most %d characters", maxWord)
	case first < c.at:
		c.wrong("route[%d] has the same name", first)
	}
}

// checkConditions tells whether some message can match the rule.
func (c *checker) checkConditions() bool {
	r, before := c.rules[c.at], len(c.errs)
	for _, lane := range r.Lanes {
		if !slices.Contains(laneNames(), lane) {
			c.wrong("there is no lane %q; lanes are %q", lane, laneNames())
		}
	}
	for _, region := range r.Regions {
		switch {
		case !number.KnownRegion(region):
			c.wrong("unknown region %q; regions are ISO 3166-1 alpha-2 codes in capitals, as FR or GB", region)
		case !slices.Contains(c.regions, region):
			c.wrong("the region %s is not allowed, so nothing is sent there", region)
		}
	}
	for _, prefix := range r.Prefixes {
		if !isPrefix(prefix) {
			c.wrong(`the prefix %q must be "+" and the first digits of an international number, such as "+3366"`, prefix)
		}
	}
	if len(c.errs) == before {
		c.checkPrefixes()
	}
	return len(c.errs) == before
}

// checkPrefixes holds regions and prefixes against one another.
func (c *checker) checkPrefixes() {
	r, regions := c.rules[c.at], c.rules[c.at].Regions
	if len(regions) == 0 {
		regions = c.regions
	}
	for _, prefix := range r.Prefixes {
		switch {
		case slices.ContainsFunc(regions, func(region string) bool { return canBeOf(prefix, region) }):
		case len(r.Regions) > 0:
			c.wrong("the prefix %s is of none of its regions", prefix)
		case c.known.Regions != nil:
			c.wrong("the prefix %s is of no region that is allowed, so nothing is sent there", prefix)
		default:
			c.wrong("the prefix %s is of no region", prefix)
		}
	}
	for _, region := range r.Regions {
		of := func(prefix string) bool { return canBeOf(prefix, region) }
		if len(r.Prefixes) > 0 && !slices.ContainsFunc(r.Prefixes, of) {
			c.wrong("none of its prefixes is of the region %s", region)
		}
	}
}

// canBeOf tells whether a number of the region can begin with the prefix, as
// far as its calling code tells.
func canBeOf(prefix, region string) bool {
	calling := callingCode(region)
	return strings.HasPrefix(prefix, calling) || strings.HasPrefix(calling, prefix)
}

func callingCode(region string) string { return "+" + strconv.Itoa(number.Calling(region)) }

// checkSelection says what is wrong with the SIMs that the rule selects.
func (c *checker) checkSelection() {
	r, before := c.rules[c.at], len(c.errs)
	for _, operator := range r.Operators {
		if !isOperator(operator) {
			c.wrong(`the operator %q must be a mobile country code, or with the network code, such as "208" or "20801"`, operator)
		}
	}
	for _, name := range r.SIMs {
		if !isWord(name) {
			c.wrong("the SIM %q has a name that none can have", name)
		}
	}
	for _, label := range r.Labels {
		if !isWord(label) {
			c.wrong("the label %q is empty, too long or has blanks", label)
		}
	}
	if r.Fallback && !r.narrows() {
		c.wrong("fallback says nothing where any SIM may carry")
	}
	if c.known.SIMs != nil && len(c.errs) == before {
		c.checkSIMs()
	}
}

// checkSIMs holds the rule against the configured SIMs.
func (c *checker) checkSIMs() {
	r, before := c.rules[c.at], len(c.errs)
	for _, name := range r.SIMs {
		if !slices.ContainsFunc(c.known.SIMs, func(s SIM) bool { return s.Name == name }) {
			c.wrong("there is no SIM %q; SIMs are named by their [sim.NAME] tables", name)
		}
	}
	for _, label := range r.Labels {
		if !slices.ContainsFunc(c.known.SIMs, func(s SIM) bool { return s.labelled(label) }) {
			c.wrong("no [sim.NAME] has the label %q", label)
		}
	}
	if len(c.errs) == before {
		c.checkIntersection()
	}
}

// checkIntersection says which of the rule's SIMs, labels and operators can't
// go together. A SIM whose IMSI isn't configured can be of any operator.
func (c *checker) checkIntersection() {
	r := c.rules[c.at]
	var selected []SIM
	for _, s := range c.known.SIMs {
		if r.mightSelect(s) {
			selected = append(selected, s)
		}
	}
	switch closed := len(r.SIMs) > 0 || len(r.Labels) > 0 || c.known.OnlyConfigured; {
	case !closed || !r.narrows():
		return
	case len(selected) == 0:
		c.wrong("it selects no SIM: none of those configured fits all of its sims, labels and operators")
		return
	}
	for _, name := range r.SIMs {
		if !slices.ContainsFunc(selected, func(s SIM) bool { return s.Name == name }) {
			c.wrong("it never selects the SIM %s, which does not fit its labels and operators", name)
		}
	}
	for _, label := range r.Labels {
		if !slices.ContainsFunc(selected, func(s SIM) bool { return s.labelled(label) }) {
			c.wrong("the label %q is of none of the SIMs that it selects", label)
		}
	}
	for _, operator := range r.Operators {
		if !slices.ContainsFunc(selected, func(s SIM) bool { return s.IMSI == "" || s.homeIs(operator) }) {
			c.wrong("the operator %s is that of none of the SIMs that it selects", operator)
		}
	}
}

// mightSelect is selects as far as is known of the SIM.
func (r Rule) mightSelect(s SIM) bool {
	if s.IMSI == "" {
		r.Operators = nil
	}
	return r.selects(s)
}

// checkOrder says how the rule stands to those before and behind it.
func (c *checker) checkOrder(f findings) {
	r := c.rules[c.at]
	if !c.sound[c.at] {
		return
	}
	for i, other := range c.rules[:c.at] {
		if c.sound[i] && r.sameConditions(other) {
			c.wrong("%s has the same conditions and goes first", c.label(i))
			return
		}
	}
	switch {
	case f.points > 0 && !f.decides:
		c.wrong("it never decides: for all that it could match, %s", c.goFirst(f.before()))
	case f.points > 0 && !r.narrows() && !f.frees && !slices.Contains(c.sound, false):
		c.wrong("it changes nothing: it selects by no sims, labels or operators, and no later rule that does would take its messages")
	}
}

func (c *checker) goFirst(rules []int) string {
	if len(rules) == 1 {
		return c.labels(rules) + " goes first"
	}
	return c.labels(rules) + " go first"
}

func (r Rule) sameConditions(other Rule) bool {
	return sameSet(r.Regions, other.Regions) && sameSet(r.Prefixes, other.Prefixes) &&
		r.onLane(laneCode) == other.onLane(laneCode) && r.onLane(laneNotice) == other.onLane(laneNotice)
}

func sameSet(a, b []string) bool { return slices.Equal(sortedSet(a), sortedSet(b)) }

func sortedSet(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// maxWord bounds names.
const maxWord = 64

// isWord tells whether s can be a name: it goes into logs, labels and tables.
func isWord(s string) bool {
	return s != "" && len(s) <= maxWord && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// isPrefix tells whether an E.164 number can begin with s: calling codes don't
// begin with 0, and a number has at most 15 digits (ITU-T E.164, 6.2).
func isPrefix(s string) bool {
	digits, plus := strings.CutPrefix(s, "+")
	return plus && isDigits(digits) && len(digits) <= 15 && digits[0] != '0'
}

// isOperator tells whether s is a mobile country code of 3 digits, with or
// without a mobile network code of 2 or 3 (ITU-T E.212, clause 6).
func isOperator(s string) bool {
	return isDigits(s) && (len(s) == 3 || len(s) == 5 || len(s) == 6)
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
