package modem

import "testing"

// A modem's status names the SIM as its line does, so that what was sent by it
// is counted whether the modem tells the IMSI or not.
func TestStatusNamesTheSIMAsTheLineDoes(t *testing.T) {
	for _, c := range []struct {
		id   identity
		want string
	}{
		{identity{imei: "356938035643809", imsi: "208011234567890"}, "208011234567890"},
		{identity{imei: "356938035643809"}, "imei-356938035643809"},
		{identity{}, "modem-front"},
	} {
		l := &Line{name: "front", id: c.id}
		s := Status{Name: "front", IMEI: c.id.imei, IMSI: c.id.imsi}
		if l.IMSI() != c.want || s.SIM() != c.want {
			t.Errorf("line %q, status %q, want %q", l.IMSI(), s.SIM(), c.want)
		}
	}
}
