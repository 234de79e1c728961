package route

import "math"

// index finds the first rule that fits a recipient, for one lane.
type index struct {
	// everywhere are the rules for all regions, regions those for each region
	// that a rule names.
	everywhere *prefixes
	regions    map[string]*prefixes
}

func newIndex() index {
	return index{everywhere: newPrefixes(), regions: map[string]*prefixes{}}
}

func (x *index) add(rule int, r Rule) {
	if len(r.Regions) == 0 {
		x.everywhere.add(rule, r.Prefixes)
	}
	for _, region := range r.Regions {
		p := x.regions[region]
		if p == nil {
			p = newPrefixes()
			x.regions[region] = p
		}
		p.add(rule, r.Prefixes)
	}
}

func (x *index) seal() {
	x.everywhere.seal()
	for _, p := range x.regions {
		p.seal()
	}
}

func (x *index) match(region, number string) int {
	first := x.everywhere.first(number)
	if p := x.regions[region]; p != nil {
		first = min(first, p.first(number))
	}
	if first == noRule {
		return None
	}
	return int(first)
}

// noRule is behind every rule.
const noRule = math.MaxInt32

// prefixes is a tree of digits. The longest prefix that it holds of a number
// knows the first rule of all the shorter ones too, so that one walk finds the
// first rule whatever its prefix's length.
type prefixes struct {
	nodes []node // the root first; each before those below it
}

type node struct {
	first int32     // the first rule that fits here
	next  [10]int32 // the nodes of the next digit; 0 for none
}

func newPrefixes() *prefixes { return &prefixes{nodes: []node{{first: noRule}}} }

// add gives the rule the prefixes, or every number where there are none.
func (p *prefixes) add(rule int, of []string) {
	if len(of) == 0 {
		p.put(rule, "+")
	}
	for _, prefix := range of {
		p.put(rule, prefix)
	}
}

func (p *prefixes) put(rule int, prefix string) {
	at := int32(0)
	for i := 1; i < len(prefix); i++ {
		digit := prefix[i] - '0'
		if p.nodes[at].next[digit] == 0 {
			p.nodes[at].next[digit] = int32(len(p.nodes)) //nolint:gosec // at most 15 for each prefix
			p.nodes = append(p.nodes, node{first: noRule})
		}
		at = p.nodes[at].next[digit]
	}
	p.nodes[at].first = min(p.nodes[at].first, int32(rule)) //nolint:gosec // as many as a file has
}

// seal hands the rules of shorter prefixes down to the longer ones.
func (p *prefixes) seal() {
	for _, n := range p.nodes {
		for _, next := range n.next {
			if next != 0 {
				p.nodes[next].first = min(p.nodes[next].first, n.first)
			}
		}
	}
}

// first is the first rule that fits the number, or noRule.
func (p *prefixes) first(number string) int32 {
	at := &p.nodes[0]
	if number == "" || number[0] != '+' {
		return at.first
	}
	for i := 1; i < len(number); i++ {
		digit := number[i] - '0'
		if digit > 9 || at.next[digit] == 0 {
			break
		}
		at = &p.nodes[at.next[digit]]
	}
	return at.first
}
