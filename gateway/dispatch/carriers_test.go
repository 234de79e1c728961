package dispatch

import (
	"slices"
	"testing"

	"smsotpd/gateway/queue"
)

// What became of a code is told of the SIMs that are known to have brought it.
func TestCarriers(t *testing.T) {
	attempt := func(imsi string, r queue.Result, f queue.Fate) queue.Attempt {
		return queue.Attempt{IMSI: imsi, Result: r, Fate: f}
	}
	const sent, refused = queue.ResultAccepted, queue.ResultSIM
	for name, c := range map[string]struct {
		messages [][]queue.Attempt
		want     []string
	}{
		"nothing":                    {nil, nil},
		"never sent":                 {[][]queue.Attempt{{attempt("a", refused, "")}}, nil},
		"without a report":           {[][]queue.Attempt{{attempt("a", refused, ""), attempt("b", sent, "")}}, []string{"b"}},
		"in doubt":                   {[][]queue.Attempt{{attempt("a", queue.ResultAmbiguous, "")}}, []string{"a"}},
		"moved, none reported":       {[][]queue.Attempt{{attempt("a", sent, ""), attempt("b", sent, "")}}, nil},
		"moved, the second there":    {[][]queue.Attempt{{attempt("a", sent, ""), attempt("b", sent, queue.FateDelivered)}}, []string{"b"}},
		"moved, the first there":     {[][]queue.Attempt{{attempt("a", sent, queue.FateDelivered), attempt("b", sent, "")}}, []string{"a"}},
		"both there":                 {[][]queue.Attempt{{attempt("a", sent, queue.FateDelivered)}, {attempt("b", sent, queue.FateDelivered)}}, []string{"a", "b"}},
		"twice by one, no report":    {[][]queue.Attempt{{attempt("a", sent, "")}, {attempt("a", sent, "")}}, []string{"a"}},
		"by two, the older is there": {[][]queue.Attempt{{attempt("a", sent, queue.FateDelivered)}, {attempt("b", sent, "")}}, []string{"a"}},
	} {
		var messages []queue.Message
		for _, attempts := range c.messages {
			messages = append(messages, queue.Message{Region: "FR", Attempts: attempts})
		}
		var got []string
		for _, by := range carriers(messages) {
			got = append(got, by.imsi)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
