package gateway

import (
	"strings"
	"testing"

	"smsotpd/modem"
)

// An order outlives the modem that it was given to: it is seen, and can be undone.
func TestResumeWhatIsNotThere(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		_, err := s.gw.Pause(t.Context(), ops, "a", "lent")
		s.must(err)
		s.radio.lines[0].unplug()
		for range 2 {
			all, err := s.gw.Modems(t.Context())
			s.must(err)
			if len(all) != 2 || all[0].Name != "a" || all[0].State != modem.Down || !strings.Contains(all[0].Notice, "paused by ops: lent") {
				t.Fatalf("%+v", all)
			}
			s.restart()
		}
		_, err = s.gw.Drain(t.Context(), ops, "a", "", 0)
		s.refusedWith(err, CodeNotFound)
		m, err := s.gw.Resume(t.Context(), ops, "a", "")
		s.must(err)
		if m.Name != "a" || m.State != modem.Down {
			t.Errorf("%+v", m)
		}
		_, err = s.gw.Resume(t.Context(), ops, "a", "")
		s.refusedWith(err, CodeNotFound)
		if all, _ := s.gw.Modems(t.Context()); len(all) != 1 {
			t.Errorf("%+v", all)
		}
		s.trailIs("ops KEY1 modem.pause a reason=lent", "ops KEY1 modem.resume a")
	})
}
