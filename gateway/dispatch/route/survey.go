package route

import (
	"maps"
	"slices"
)

// survey is which rule decides where. All messages for one region and lane
// whose numbers begin with the same of the rules' prefixes meet the same rules,
// so one point stands for all of them: there are as many points as prefixes.
type survey struct {
	of []findings // by rule
}

// findings are what became of a rule at the points where it matches.
type findings struct {
	points int
	// decides: somewhere it is the first.
	decides bool
	// frees: somewhere it is the first, and without it one that narrows would
	// be.
	frees bool
	// always are the rules before it at every one of its points, firsts those
	// that decide at them.
	always []int
	firsts map[int]bool
}

// before are the rules that leave nothing to this one: a single one if one
// alone does.
func (f findings) before() []int {
	if len(f.always) > 0 {
		return f.always[:1]
	}
	return slices.Sorted(maps.Keys(f.firsts))
}

func (s *survey) look(c *checker) {
	for _, lane := range laneNames() {
		for _, region := range c.regions {
			s.lookAt(c, lane, region)
		}
	}
}

// lookAt looks at the points of one lane and region.
func (s *survey) lookAt(c *checker, lane, region string) {
	calling := callingCode(region)
	owners := map[string][]int{} // by prefix, in their order
	for i, r := range c.rules {
		if !c.sound[i] || !r.onLane(lane) || len(r.Regions) > 0 && !slices.Contains(r.Regions, region) {
			continue
		}
		for _, prefix := range r.prefixesWithin(calling) {
			owners[prefix] = append(owners[prefix], i)
		}
	}
	for point := range owners {
		var rules []int
		for n := len(calling); n <= len(point); n++ {
			rules = append(rules, owners[point[:n]]...)
		}
		slices.Sort(rules)
		s.point(c, slices.Compact(rules))
	}
}

// point takes down which rules match at a point, the first of them first.
func (s *survey) point(c *checker, rules []int) {
	for nth, rule := range rules {
		f := &s.of[rule]
		if f.points == 0 {
			f.always, f.firsts = slices.Clone(rules[:nth]), map[int]bool{}
		}
		f.points++
		if nth == 0 {
			f.decides = true
			f.frees = f.frees || len(rules) > 1 && c.rules[rules[1]].narrows()
			f.always = nil
			continue
		}
		f.firsts[rules[0]] = true
		f.always = slices.DeleteFunc(f.always, func(earlier int) bool { return !slices.Contains(rules[:nth], earlier) })
	}
}

// prefixesWithin are the rule's prefixes of numbers that begin with the calling
// code; shorter ones take all of them.
func (r Rule) prefixesWithin(calling string) []string {
	if len(r.Prefixes) == 0 {
		return []string{calling}
	}
	var within []string
	for _, prefix := range r.Prefixes {
		switch {
		case len(prefix) <= len(calling) && calling[:len(prefix)] == prefix:
			within = append(within, calling)
		case len(prefix) > len(calling) && prefix[:len(calling)] == calling:
			within = append(within, prefix)
		}
	}
	return within
}
