package sim

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// receipts gathers what a network reports.
type receipts struct {
	mu  sync.Mutex
	all []Receipt
	at  []time.Time
}

func (r *receipts) add(receipt Receipt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all, r.at = append(r.all, receipt), append(r.at, time.Now())
}

func (r *receipts) statuses() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var s []string
	for _, receipt := range r.all {
		s = append(s, fmt.Sprint(receipt.Status))
	}
	return strings.Join(s, " ")
}

// TestPhoneOff: a message waits for its phone as long as its validity lasts.
func TestPhoneOff(t *testing.T) {
	for _, c := range []struct {
		name string
		vp   string // TP-VPF and TP-VP are those of the PDU
		off  time.Duration
		want string
		ends time.Duration
	}{
		{"5 minutes, on in time", "31/00", 4 * time.Minute, "0", 4 * time.Minute},
		{"5 minutes, on too late", "31/00", 6 * time.Minute, "70", 5 * time.Minute},
		{"90 seconds, on too late", "29/025A0000000000", 2 * time.Minute, "70", 90 * time.Second},
		{"90 seconds, on in time", "29/025A0000000000", time.Minute, "0", time.Minute},
		{"2 hours and 30 seconds", "29/03200003000000", 3 * time.Hour, "70", 2*time.Hour + 30*time.Second},
		{"as long as the service centre likes", "21/", 47 * time.Hour, "0", 47 * time.Hour},
		{"no longer than that", "21/", 49 * time.Hour, "70", 48 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got receipts
			nc := at0()
			nc.OnReport = got.add
			virtual(t, nc, ModemConfig{}, func(t *testing.T, m *Modem, cl *client) {
				cl.prepare()
				phone := m.network.Handset(helloTo)
				phone.Switch(false)
				began := time.Now()
				first, vp, _ := strings.Cut(c.vp, "/")
				pdu := "00" + first + "000B913316325476F80000" + vp + "05E8329BFD06"
				cl.write(fmt.Sprintf("AT+CMGS=%d\r", len(pdu)/2-1))
				cl.until(time.Second, "> ")
				cl.write(pdu + "\x1a")
				if answer := cl.lines(); answer[0] != "+CMGS: 0" {
					t.Fatalf("%q", answer)
				}
				time.Sleep(c.off)
				phone.Switch(true)
				time.Sleep(24 * time.Hour)
				if got.statuses() != c.want || got.at[0].Sub(began) != c.ends || !got.all[0].At.Equal(got.at[0]) {
					t.Errorf("reported %s at %v", got.statuses(), got.at)
				}
				if _, arrived := phone.Latest(); arrived != (c.want == "0") {
					t.Errorf("on the phone: %v", arrived)
				}
				wantViolations(t, m)
			})
		})
	}
}

// TestPhoneOffOrder: what waited comes in its order, and what replaces a message
// replaces it.
func TestPhoneOffOrder(t *testing.T) {
	virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		phone := m.network.Handset(helloTo)
		phone.Switch(false)
		for _, pid := range []string{"41", "00", "41"} {
			c.write(fmt.Sprintf("AT+CMGS=%d\r", helloLength))
			c.until(time.Second, "> ")
			c.write(strings.Replace(hello, "F80000", "F8"+pid+"00", 1) + "\x1a")
			c.lines()
			time.Sleep(time.Second) // what comes to the centre at one moment has no order
		}
		phone.Switch(true)
		var order []byte
		for _, msg := range phone.Messages() {
			order = append(order, msg.MR)
		}
		if !slices.Equal(order, []byte{1, 2}) {
			t.Errorf("on the phone: %v", order)
		}
	})
}

// TestSlowNetwork: a message that takes longer than its validity expires, though
// the phone is on.
func TestSlowNetwork(t *testing.T) {
	var got receipts
	nc := NetworkConfig{Air: Fixed(0), Report: Fixed(time.Hour), OnReport: got.add}
	virtual(t, nc, ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		c.wants("+CMGS: 0 OK")
		time.Sleep(2 * time.Hour)
		if _, arrived := m.network.Handset(helloTo).Latest(); got.statuses() != "70" || arrived {
			t.Errorf("reported %s, on the phone: %v", got.statuses(), arrived)
		}
	})
}

// chaotic sends count messages a minute apart and returns the references of what
// is reported within a day, in order.
func chaotic(t *testing.T, chaos ReportChaos, seed uint64, count int) (mrs []byte, late int) {
	t.Helper()
	var got receipts
	nc := NetworkConfig{Air: Fixed(0), Report: Fixed(time.Second), Reports: chaos, Seed: seed, OnReport: got.add}
	virtual(t, nc, ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		for range count {
			c.submit()
			c.rest(10 * time.Second)
		}
		c.rest(24 * time.Hour)
		if on := len(m.network.Handset(helloTo).Messages()); on != count {
			t.Errorf("%d on the phone", on)
		}
	})
	for i, r := range got.all {
		mrs = append(mrs, r.Message.MR)
		if lag := got.at[i].Sub(r.At); lag > 0 {
			late++
		}
		if r.At.Sub(r.Message.Accepted) != time.Second {
			t.Errorf("a report's time is wrong by %v", r.At.Sub(r.Message.Accepted))
		}
	}
	return mrs, late
}

// TestReportChaos: each share of the reports meets its fate, the phones get all
// messages, and the same seed does the same.
func TestReportChaos(t *testing.T) {
	const count = 200
	near := func(what string, got int, share float64) {
		t.Helper()
		if want := share * count; float64(got) < want/2 || float64(got) > want*2 {
			t.Errorf("%s: %d of %d, want about %.0f", what, got, count, want)
		}
	}
	in := func(mrs []byte) int { return len(slices.Compact(slices.Sorted(slices.Values(mrs)))) }

	plain, late := chaotic(t, ReportChaos{}, 1, count)
	if len(plain) != count || late != 0 || !slices.IsSorted(plain) {
		t.Errorf("%d, %d late", len(plain), late)
	}
	dropped, _ := chaotic(t, ReportChaos{Drop: 0.2}, 1, count)
	near("dropped", count-len(dropped), 0.2)
	doubled, _ := chaotic(t, ReportChaos{Double: 0.2}, 1, count)
	near("doubled", len(doubled)-count, 0.2)
	if in(doubled) != count {
		t.Error("some were dropped")
	}
	behind, late := chaotic(t, ReportChaos{Late: 0.3, After: Fixed(time.Hour)}, 1, count)
	near("late", late, 0.3)
	if in(behind) != count || slices.IsSorted(behind) {
		t.Error("the late ones are not behind")
	}
	mixed, _ := chaotic(t, ReportChaos{Shuffle: 5}, 1, count)
	if in(mixed) != count || slices.IsSorted(mixed) {
		t.Error("not shuffled")
	}
	again, _ := chaotic(t, ReportChaos{Drop: 0.2}, 1, count)
	other, _ := chaotic(t, ReportChaos{Drop: 0.2}, 2, count)
	if !slices.Equal(again, dropped) || slices.Equal(other, dropped) {
		t.Error("the seed does not decide")
	}
}

// TestSetReports: it can be changed at any time, and nonsense is refused.
func TestSetReports(t *testing.T) {
	var got receipts
	nc := at0()
	nc.OnReport, nc.Reports = got.add, ReportChaos{Drop: 1}
	virtual(t, nc, ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		c.wants("+CMGS: 0 OK")
		for _, wrong := range []ReportChaos{{Drop: -0.1}, {Double: 1.1}, {Late: 2}, {Shuffle: -1}} {
			if m.network.SetReports(wrong) == nil {
				t.Errorf("%+v is taken", wrong)
			}
		}
		if err := m.network.SetReports(ReportChaos{}); err != nil {
			t.Fatal(err)
		}
		c.rest(time.Second)
		c.wants("+CMGS: 1 OK")
		c.rest(time.Second)
		if len(got.all) != 1 || got.all[0].Message.MR != 1 {
			t.Errorf("%d reports", len(got.all))
		}
	})
}
