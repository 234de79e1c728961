package modem

import "testing"

// What comes from a modem that goes again before it has said who it is belongs
// to the one that was there last, unless it has shown that it is another.
func TestOwner(t *testing.T) {
	last := identity{imei: "1", imsi: "10"}
	for _, c := range []struct {
		name      string
		now, want identity
	}{
		{"nothing known yet", identity{}, last},
		{"the same modem, its SIM unread", identity{imei: "1", model: "new"}, last},
		{"another modem, its SIM unread", identity{imei: "2"}, identity{imei: "2"}},
		{"another SIM", identity{imei: "1", imsi: "11"}, identity{imei: "1", imsi: "11"}},
	} {
		s := &session{incoming: &incoming{}, about: c.now}
		if got := s.owner(); got != c.now {
			t.Errorf("%s, and none before: %+v", c.name, got)
		}
		s.incoming.seen.Store(&last)
		if got := s.owner(); got != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
