package gateway

import (
	"context"
	"errors"
	"testing"

	"smsotpd/gateway/dispatch"
	"smsotpd/modem"
)

func TestReset(t *testing.T) {
	var s *shop
	var fails error
	during := 0
	inShop(t, func(o *Options) {
		o.Reset = func(_ context.Context, name string) error {
			if during = len(s.trail()); name != "a" {
				t.Errorf("%s was reset", name)
			}
			return fails
		}
	}, func(t *testing.T, shop *shop) {
		s = shop
		for n := 1; n <= 2; n++ {
			m, err := s.gw.ResetModem(t.Context(), ops, "a", "mute")
			s.must(err)
			if during != n || m.Name != "a" {
				t.Errorf("%d entries during reset %d", during, n)
			}
		}
		for _, c := range []struct {
			err  error
			code string
		}{
			{modem.ErrNotReady, CodeModemNotReady},
			{modem.ErrNoSuchModem, CodeNotFound},
			{errors.New("port"), CodeInternal},
		} {
			fails = c.err
			_, err := s.gw.ResetModem(t.Context(), ops, "a", "")
			s.refusedWith(err, c.code)
		}
		s.trailIs(
			"ops KEY1 modem.reset a reason=mute", "ops KEY1 modem.reset a reason=mute",
			"ops KEY1 modem.reset a", "ops KEY1 modem.reset a refused=modem_not_ready",
			"ops KEY1 modem.reset a", "ops KEY1 modem.reset a refused=not_found",
			"ops KEY1 modem.reset a", "ops KEY1 modem.reset a refused=internal",
		)
		if got := s.counts("smsotpd_operator_actions_total"); got["modem.reset "] != 5 {
			t.Errorf("counted: %v", got)
		}
	})
	inShop(t, nil, func(t *testing.T, s *shop) {
		_, err := s.gw.ResetModem(t.Context(), ops, "a", "")
		s.refusedWith(err, CodeModemNotReady)
		s.trailIs()
	})
}

// A USSD code is told of without its digits, which may be somebody's number.
func TestUSSDIsInTheTrail(t *testing.T) {
	var fails error
	inShop(t, func(o *Options) {
		o.USSD = func(context.Context, string, string) (modem.USSDReply, error) {
			return modem.USSDReply{Text: "12 EUR"}, fails
		}
	}, func(t *testing.T, s *shop) {
		if r, err := s.gw.USSD(t.Context(), ops, "a", "*100*0612345678#"); err != nil || r.Text != "12 EUR" {
			t.Errorf("%+v, %v", r, err)
		}
		_, err := s.gw.USSD(t.Context(), ops, "c", "*100#")
		s.refusedWith(err, CodeNotFound)
		fails = modem.ErrUSSDBusy
		_, err = s.gw.USSD(t.Context(), ops, "a", "*100#")
		s.refusedWith(err, CodeUSSDBusy)
		s.trailIs("ops KEY1 modem.ussd a", "ops KEY1 modem.ussd a", "ops KEY1 modem.ussd a refused=ussd_busy")
	})
}

// What a reload changed is told; one that changed nothing is not.
func TestReloadIsInTheTrail(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		call, p := Call{Name: "SIGHUP"}, dispatch.DefaultPolicy()
		s.must(s.gw.Reload(t.Context(), call, p, nil))
		s.must(s.gw.Reload(t.Context(), call, p, []string{"budget.per_day", "route"}))
		p.Limits.PerDay = -1
		if err := s.gw.Reload(t.Context(), call, p, []string{"budget"}); err == nil {
			t.Error("a wrong policy was taken")
		}
		s.trailIs("SIGHUP  config.reload configuration changed=budget.per_day, route")
	})
}
