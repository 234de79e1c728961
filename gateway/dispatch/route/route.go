// Package route decides which SIMs may carry which message: by the recipient's
// region and number, the message's lane, and what is known of the SIM.
//
// It is pure rules. It knows nothing of messages, modems and time; of numbers
// it knows which region a prefix can be of.
//
// What always holds:
//
//   - Rules go in order: the first whose conditions fit a message is its rule,
//     and the later ones are not asked. What none fits may go by any SIM.
//   - A Table never changes. Its methods may be called from many goroutines.
//   - Every rule of a Table has been through Check.
package route

import (
	"slices"
	"strings"
)

// Rule is one rule. Its conditions are Regions, Prefixes and Lanes, and a
// message must fit all of those that are given; SIMs, Labels and Operators
// select the SIMs that may carry it, by all of those that are given.
//
// A rule that selects by nothing lets any SIM carry its messages. It is an
// exception to a later rule, in front of which it stands, and is refused where
// no later rule would take its messages.
type Rule struct {
	// Name is the rule's own, for logs and metrics: at most 64 printable ASCII
	// characters, without blanks.
	Name string
	// Regions are the recipients' (ISO 3166-1 alpha-2). None: all.
	Regions []string
	// Prefixes are what the recipients' numbers begin with, as "+3366": "+" and
	// the first digits of E.164. None: all. With Regions, both must fit.
	Prefixes []string
	// Lanes are the messages': "code", "notice". None: both.
	Lanes []string
	// SIMs are names of configured SIMs.
	SIMs []string
	// Labels are those of configured SIMs; one of them is enough.
	Labels []string
	// Operators are home networks of SIMs, as IMSIs begin: a mobile country
	// code, as "208", or with the network code, as "20801" (ITU-T E.212).
	Operators []string
	// Fallback says that any other SIM may carry the messages where none of
	// the selected ones is there or may send.
	Fallback bool
}

// SIM is what the rules see of a SIM.
type SIM struct {
	// Name is that of its [sim.NAME] table; "" if it has none.
	Name string
	// IMSI is "" where it isn't known; Operators don't select the SIM then.
	IMSI string
	// Labels are what its table says.
	Labels []string
}

// The lanes' names.
const (
	laneCode   = "code"
	laneNotice = "notice"
)

func laneNames() []string { return []string{laneCode, laneNotice} }

// None is the rule of a message that no rule fits.
const None = -1

// Table is the rules, made ready to be asked often.
type Table struct {
	rules []Rule
	// lanes are the index of codes and that of notices.
	lanes [2]index
	// prefixed: some rule has prefixes.
	prefixed bool
}

// New makes a table of the rules, which may be none. It answers what Check
// says of the rules alone.
func New(rules []Rule) (*Table, error) {
	if err := Check(rules, Known{}); err != nil {
		return nil, err
	}
	return unchecked(rules), nil
}

// unchecked makes a table of rules whose conditions are spelt right.
func unchecked(rules []Rule) *Table {
	t := &Table{lanes: [2]index{newIndex(), newIndex()}}
	for i, r := range rules {
		t.rules = append(t.rules, r.clone())
		t.prefixed = t.prefixed || len(r.Prefixes) > 0
		for lane, name := range laneNames() {
			if r.onLane(name) {
				t.lanes[lane].add(i, r)
			}
		}
	}
	for lane := range t.lanes {
		t.lanes[lane].seal()
	}
	return t
}

// Match is the rule of a message: the first that fits its recipient's region
// and number (E.164 with "+") and its lane; None if none does. The number may
// be "" where no rule NeedsNumber: no prefix fits it.
func (t *Table) Match(region, number string, notice bool) int {
	lane := 0
	if notice {
		lane = 1
	}
	return t.lanes[lane].match(region, number)
}

// NeedsNumber tells whether some rule has prefixes, so that Match needs the
// number beside its region.
func (t *Table) NeedsNumber() bool { return t.prefixed }

// Carries tells whether the SIM may carry the messages of the rule, its
// Fallback left aside. For None, any may.
func (t *Table) Carries(rule int, s SIM) bool {
	return !t.has(rule) || t.rules[rule].selects(s)
}

// Name is the rule's name, "" for None.
func (t *Table) Name(rule int) string {
	if !t.has(rule) {
		return ""
	}
	return t.rules[rule].Name
}

// Fallback tells whether any other SIM may carry the messages of the rule
// where none that it selects is there or may send. For None it is false: there
// are no others.
func (t *Table) Fallback(rule int) bool { return t.has(rule) && t.rules[rule].Fallback }

// Len is how many rules there are; they are numbered from 0.
func (t *Table) Len() int { return len(t.rules) }

func (t *Table) has(rule int) bool { return rule >= 0 && rule < len(t.rules) }

func (r Rule) clone() Rule {
	for _, list := range []*[]string{&r.Regions, &r.Prefixes, &r.Lanes, &r.SIMs, &r.Labels, &r.Operators} {
		*list = slices.Clone(*list)
	}
	return r
}

func (r Rule) onLane(name string) bool { return len(r.Lanes) == 0 || slices.Contains(r.Lanes, name) }

// narrows tells whether the rule selects by anything.
func (r Rule) narrows() bool { return len(r.SIMs) > 0 || len(r.Labels) > 0 || len(r.Operators) > 0 }

func (r Rule) selects(s SIM) bool {
	return (len(r.SIMs) == 0 || slices.Contains(r.SIMs, s.Name)) &&
		(len(r.Labels) == 0 || slices.ContainsFunc(r.Labels, s.labelled)) &&
		(len(r.Operators) == 0 || slices.ContainsFunc(r.Operators, s.homeIs))
}

func (s SIM) labelled(label string) bool { return slices.Contains(s.Labels, label) }

func (s SIM) homeIs(operator string) bool { return strings.HasPrefix(s.IMSI, operator) }
