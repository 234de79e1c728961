package main

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// What the log says after SIGHUP.
const (
	wasReloaded = "the configuration was reloaded"
	wasRefused  = "the configuration was not reloaded"
)

// reloaded is an installation whose fleet's tables change while it runs.
type reloaded struct {
	*installation
	now string // the tables
}

// fleetTables have all messages go by the SIMs of a label, each of which may send
// so many a day.
func fleetTables(label string, perDay int) string {
	return fmt.Sprintf("[[route]]\nname = \"to-%s\"\nregions = [\"FR\"]\nlabels = [%q]\n[budget]\nper_day = %d\nzone = %q\n", label, label, perDay, noon()) +
		namedSIMs(4, carriers()[:2], func(i int) string {
			return fmt.Sprintf("labels = [%q]", []string{"left", "right"}[i%2])
		})
}

// reload puts other tables into the file, and waits until the log says so.
func (r *reloaded) reload(tables, says string) {
	r.t.Helper()
	r.write("serve.toml", strings.Replace(readAll(r.path("serve.toml")), r.now, tables, 1))
	r.now = tables
	before := strings.Count(readAll(r.gateway.err), says)
	if err := r.gateway.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	await(r.t, "the reload", func() error {
		if strings.Count(readAll(r.gateway.err), says) == before {
			return fmt.Errorf("the log does not say %q", says)
		}
		return nil
	})
}

// e2eReload changes routes and budgets by SIGHUP while messages go out: none is
// lost, each goes as the rule that it names says, and a configuration that is
// wrong changes nothing.
func e2eReload(t *testing.T) {
	const total, reloads = 100, 16
	r := &reloaded{now: fleetTables("left", 900)}
	r.installation = install(t, plan{modems: 4, air: "100ms", operators: carriers()[:2], config: r.now})
	r.admin()
	r.serve()
	r.allReady(4)
	asking := r.askSteadily(total)
	for i := range reloads {
		await(t, "some messages", func() error {
			if got := len(r.sent()); got < (i+1)*total/(reloads+2) {
				return fmt.Errorf("%d", got)
			}
			return nil
		})
		r.reload(fleetTables([]string{"right", "left"}[i%2], 901+i), wasReloaded)
	}
	rules := map[string]int{}
	for to, id := range <-asking {
		m := r.settled(r.verification(id).Message.ID, "delivered")
		if len(m.Attempts) != 1 || len(r.sentTo()[to]) != 1 {
			t.Errorf("sent %d times: %+v", len(r.sentTo()[to]), m)
		}
		a := m.Attempts[0]
		by := map[string][]string{"rule to-left": {"modem0", "modem2"}, "rule to-right": {"modem1", "modem3"}}
		if len(a.Why) == 0 || !slices.Contains(by[a.Why[0]], a.Modem) {
			t.Errorf("it went by %s, since %q", a.Modem, a.Why)
			continue
		}
		rules[a.Why[0]]++
	}
	t.Logf("%v", rules)
	if len(rules) != 2 {
		t.Errorf("the messages fell under %v", rules)
	}
	r.refuses(total, 900+reloads)
}

// refuses reloads what is wrong: the rule to the left goes on to hold, and the
// limit too.
func (r *reloaded) refuses(from, perDay int) {
	r.t.Helper()
	good := r.now
	for i, wrong := range []string{
		strings.Replace(fleetTables("right", 5), `labels = ["right"]`, `labels = ["wrong"]`, 1),
		fleetTables("right", -5),
		fleetTables("right", 5) + "[budget\n",
	} {
		r.reload(wrong, wasRefused)
		for i := range 4 {
			if w := r.window(fmt.Sprint("modem", i), "per_day"); w.Limit == nil || *w.Limit != perDay {
				r.t.Errorf("after a wrong configuration: %+v", w)
			}
		}
		if m := r.settled(r.begin(mobile(from+i)).Message.ID, "delivered"); m.Attempts[0].Why[0] != "rule to-left" {
			r.t.Errorf("after a wrong configuration: %+v", m)
		}
	}
	r.reload(good, wasReloaded)
}
