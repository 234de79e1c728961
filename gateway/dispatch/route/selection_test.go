package route

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// everySIM are the SIMs that there may be: the configured ones, each with any
// IMSI where none is known, and any other where others are used.
func everySIM(known Known) []SIM {
	imsis := []string{"208011", "208101", "262011", "310410"}
	var all []SIM
	for _, s := range known.SIMs {
		if s.IMSI != "" {
			all = append(all, s)
			continue
		}
		for _, imsi := range imsis {
			all = append(all, SIM{Name: s.Name, IMSI: imsi, Labels: s.Labels})
		}
	}
	if !known.OnlyConfigured {
		for _, imsi := range imsis {
			all = append(all, SIM{IMSI: imsi})
		}
	}
	return all
}

// idle says whether the rule names a SIM, label or operator by which it can
// select nothing.
func idle(r Rule, all []SIM) bool {
	selected := slices.DeleteFunc(slices.Clone(all), func(s SIM) bool { return !r.selects(s) })
	none := func(fits func(SIM, string) bool) func(string) bool {
		return func(what string) bool {
			return !slices.ContainsFunc(selected, func(s SIM) bool { return fits(s, what) })
		}
	}
	return slices.ContainsFunc(r.SIMs, none(func(s SIM, name string) bool { return s.Name == name })) ||
		slices.ContainsFunc(r.Labels, none(SIM.labelled)) || slices.ContainsFunc(r.Operators, none(SIM.homeIs))
}

// What Check says of the SIMs that a rule selects is what trying all that there
// may be says.
func TestCheckAgreesWithTryingAllSIMs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := func(of []string, label string) []string {
			return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, 2, rapid.ID).Draw(t, label)
		}
		names, labels := []string{"a", "b", "c"}, []string{"x", "y", "z"}
		known := Known{OnlyConfigured: rapid.Bool().Draw(t, "only"), SIMs: []SIM{}}
		for _, name := range names[:rapid.IntRange(0, 3).Draw(t, "configured")] {
			known.SIMs = append(known.SIMs, SIM{
				Name: name, Labels: some(labels, "its labels"),
				IMSI: rapid.SampledFrom([]string{"", "208011", "208101", "262011"}).Draw(t, "IMSI"),
			})
		}
		r := Rule{
			Name: "r", Regions: []string{"FR"}, SIMs: some(names, "sims"), Labels: some(labels, "labels"),
			Operators: some([]string{"208", "20801", "20810", "262", "310410"}, "operators"),
		}
		if !r.narrows() {
			return
		}
		if err := Check([]Rule{r}, known); (err != nil) != idle(r, everySIM(known)) {
			t.Fatalf("%+v\n%+v\n%v", known, r, err)
		}
	})
}
