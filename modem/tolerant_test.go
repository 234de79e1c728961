package modem_test

import (
	"slices"
	"strings"
	"testing"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// TestOddValues: a modem that writes its values oddly works; what can't be read
// keeps nobody from sending.
func TestOddValues(t *testing.T) {
	var cases []rawCase
	for command, answers := range map[string][]string{
		"AT+CMGF?": {"+CMGF: 00", `+CMGF: "0"`, "+CMGF: (0)", "+CMGF: 0,1", "+CMGF: PDU"},
		"AT+CREG?": {"+CREG: 0,1;", "+CREG: 0,1 registered", "+CREG: (0),(1)"},
		"AT+CPIN?": {"+CPIN: (READY)", "+CPIN: READY;"},
		"AT+CFUN?": {"+CFUN: (1)", "+CFUN: full"},
	} {
		for _, says := range answers {
			cases = append(cases, rawCase{
				name: says,
				adjust: func(m *rawModem) {
					if command == "AT+CREG?" { // all domains, or another one would do
						for _, domain := range []string{"+CEREG", "+CGREG", "+C5GREG"} {
							m.answers["AT"+domain+"?"] = "\r\n" + strings.Replace(says, "+CREG", domain, 1) + "\r\n" + okRaw
						}
					}
					m.answers[command] = "\r\n" + says + "\r\n" + okRaw
				},
				check: ready,
			})
		}
	}
	runRaw(t, cases)
}

// TestUnreadableRegistration: a modem whose <stat> can't be read is one that
// does not tell.
func TestUnreadableRegistration(t *testing.T) {
	var faults []sim.Fault
	for _, domain := range []string{"+CREG", "+CEREG", "+CGREG", "+C5GREG"} {
		faults = append(faults, on(`^AT\`+domain+`\?`, sim.Fault{Do: sim.ReplyText, Text: domain + ": 0,home\r\n\r\nOK"}))
	}
	starts(t, modem.PoolConfig{}, []sim.ModemConfig{{Faults: faults}}, func(_ *testing.T, b *bench, _ *journal) {
		b.sends("modem0")
	})
}

// TestPINWithoutQuotationMarks: a modem that does not understand the PIN in them
// gets it without, if the SIM is known to have looked at none.
func TestPINWithoutQuotationMarks(t *testing.T) {
	asks := func(left string) func(m *rawModem) {
		return func(m *rawModem) {
			m.answers["AT+CPIN?"] = "\r\n+CPIN: SIM PIN\r\n" + okRaw
			m.answers["AT+CPIN=*"] = errorRaw
			m.answers["AT+CPIN=4321"] = okRaw
			m.hooks["AT+CPIN=4321"] = func() { m.answers["AT+CPIN?"] = plain()["AT+CPIN?"] }
			m.answers["AT*"] = errorRaw // no other way to ask for the tries
			m.answers["AT"], m.answers["AT+CMGF=0"], m.answers["AT+CNMI=*"] = okRaw, okRaw, okRaw
			if left != "" {
				m.answers["AT+CPINR*"] = "\r\n+CPINR: SIM PIN," + left + ",3\r\n" + okRaw
			}
		}
	}
	refused := func(t *testing.T, b *bench, m *rawModem) {
		b.until("refused", func() bool { return b.status("raw").State == modem.Parked })
		if m.asked("AT+CPIN=4321") {
			t.Error("it was tried twice")
		}
	}
	config := modem.PoolConfig{PINFile: pinFile(t, "4321")}
	runRaw(t, []rawCase{
		{name: "unspent", config: config, adjust: asks("3"), check: func(t *testing.T, b *bench, m *rawModem) {
			ready(t, b, m)
			if n := len(slices.DeleteFunc(m.commands(), func(s string) bool { return !strings.HasPrefix(s, "AT+CPIN=") })); n != 2 {
				t.Errorf("%d tries", n)
			}
		}},
		{name: "not told", config: config, adjust: asks(""), check: refused},
		{name: "two left", config: config, adjust: asks("2"), check: refused},
		{name: "spent", config: config, adjust: func(m *rawModem) {
			asks("3")(m)
			m.hooks[`AT+CPIN="4321"`] = func() { m.answers["AT+CPINR*"] = "\r\n+CPINR: SIM PIN,2,3\r\n" + okRaw }
		}, check: refused},
	})
}
