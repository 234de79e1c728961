package main

import (
	"strings"
	"testing"

	"smsotpd/gateway/api"
)

// What there is to say of a modem is said also where it works again.
func TestModemsAreToldInWords(t *testing.T) {
	var out strings.Builder
	if err := printModems(&out, []api.Modem{
		{Name: "a", Status: "ready"},
		{Name: "b", Status: "ready", Notice: "another SIM is in this modem"},
		{Name: "c", Status: "parked", Reason: "does not answer", Notice: "another SIM", Recoveries: 3},
		{Name: "d", Status: "ready", Recoveries: 1},
	}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{
		"REMARKS", "-", "another SIM is in this modem",
		"does not answer; another SIM; 3 steps were taken to bring it back since the start", "1 step was taken to bring it back since the start",
	} {
		if got := strings.TrimSpace(lines[i]); !strings.HasSuffix(got, "  "+want) {
			t.Errorf("%q does not end in %q", got, want)
		}
	}
}
