package sim

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// part is what a phone makes of an SMS-DELIVER.
type part struct {
	header  []byte
	text    string // of the default alphabet and its extension
	septets []byte
	octets  []byte
}

// readDeliver is a decoder of its own, so that the encoder is not held to
// itself.
func readDeliver(t *testing.T, pdu []byte) part {
	t.Helper()
	r := reader{rest: pdu}
	r.serviceCentre()
	first := r.octet()
	n := int(r.octet())
	r.take(1 + (n+1)/2)
	r.octet()
	dcs := r.octet()
	r.take(7)
	length := int(r.octet())
	var p part
	data := r.rest
	if r.err != nil || first&3 != 0 {
		t.Fatalf("%x: %v", pdu, r.err)
	}
	used := 0
	if first&0x40 != 0 {
		p.header = r.userDataHeader(data)
		used = 1 + len(p.header)
	}
	if dcs == 0 {
		if len(data) != (7*length+7)/8 {
			t.Fatalf("%d octets for %d septets", len(data), length)
		}
		bits := (8*used + 6) / 7 * 7
		p.septets = unpack7(data, length, 0)[bits/7:]
		p.text = gsm7Text(p.septets)
		return p
	}
	if len(data) != length {
		t.Fatalf("%d octets, TP-UDL is %d", len(data), length)
	}
	p.octets = data[used:]
	return p
}

// received is every message that the client is shown.
func received(t *testing.T, c *client) []part {
	t.Helper()
	var parts []part
	lines := strings.Fields(c.rest(time.Second))
	for i, word := range lines {
		if word == "+CMT:" {
			parts = append(parts, readDeliver(t, octets(t, lines[i+2])))
		}
	}
	return parts
}

func TestInbound(t *testing.T) {
	long := strings.Repeat("0123456789", 30)
	for _, c := range []struct {
		name    string
		in      Inbound
		headers string // of each part that comes
		texts   []string
	}{
		{"short", Inbound{Text: "hi €"}, "-", []string{"hi €"}},
		{"160", Inbound{Text: long[:160]}, "-", []string{long[:160]}},
		{"161", Inbound{Text: long[:161], Ref: 7}, "0003070201 0003070202", []string{long[:153], long[153:161]}},
		{"wide reference", Inbound{Text: long[:161], Ref: 0x1234, Wide: true}, "080412340201 080412340202", []string{long[:152], long[152:161]}},
		{"out of order, twice", Inbound{Text: long[:161], Order: []int{2, 1, 2}}, "0003000202 0003000201 0003000202", []string{long[153:161], long[:153], long[153:161]}},
		{"one missing", Inbound{Text: long[:161], Order: []int{2}}, "0003000202", []string{long[153:161]}},
		{"an escape is not torn apart", Inbound{Text: long[:152] + "€" + long[:10]}, "0003000201 0003000202", []string{long[:152], "€" + long[:10]}},
		{"empty", Inbound{}, "-", []string{""}},
		{"Spanish", Inbound{Text: "aá", Single: Spanish}, "240102", []string{"aa"}},
		{"Portuguese and Turkish", Inbound{Text: "ãİ", Single: Turkish, Locking: Portuguese}, "240101250103", []string{"äI"}},
		{"Turkish", Inbound{Text: "ığŞ€", Locking: Turkish}, "250101", []string{"ìøÆè"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, cl *client) {
				cl.prepare()
				c.in.From = "+33600000000"
				if err := m.ReceiveMessage(c.in); err != nil {
					t.Fatal(err)
				}
				var headers, texts []string
				for _, p := range received(t, cl) {
					header := hex.EncodeToString(p.header)
					if header == "" {
						header = "-"
					}
					headers, texts = append(headers, header), append(texts, p.text)
				}
				if strings.Join(headers, " ") != c.headers || !slices.Equal(texts, c.texts) {
					t.Errorf("headers %q, texts %q", headers, texts)
				}
			})
		})
	}
}

func TestInboundOctets(t *testing.T) {
	smile := strings.Repeat("x", 66) + "😀" + strings.Repeat("y", 10)
	for _, c := range []struct {
		name string
		in   Inbound
		want []byte
		n    int
	}{
		{"a surrogate pair over two parts", Inbound{Text: smile}, ucs2Octets(smile), 2},
		{"UCS-2 by choice", Inbound{Text: "hi", UCS2: true}, []byte{0, 'h', 0, 'i'}, 1},
		{"a letter outside", Inbound{Text: "Ж"}, []byte{4, 0x16}, 1},
		{"8-bit", Inbound{Data: []byte{0, 0xff}}, []byte{0, 0xff}, 1},
		{"8-bit in parts", Inbound{Data: bytes.Repeat([]byte{1, 2, 3}, 100)}, bytes.Repeat([]byte{1, 2, 3}, 100), 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, cl *client) {
				cl.prepare()
				c.in.From = "Bank"
				if err := m.ReceiveMessage(c.in); err != nil {
					t.Fatal(err)
				}
				parts := received(t, cl)
				var all []byte
				for _, p := range parts {
					all = append(all, p.octets...)
				}
				if !bytes.Equal(all, c.want) || len(parts) != c.n {
					t.Errorf("%d parts: %x", len(parts), all)
				}
				if c.n == 2 && !utf16.IsSurrogate(rune(parts[0].octets[132])<<8|rune(parts[0].octets[133])) {
					t.Errorf("the first part ends in %x", parts[0].octets[130:])
				}
			})
		})
	}
}

func TestInboundRefused(t *testing.T) {
	n := NewNetwork(at0())
	defer n.Close()
	m, err := n.NewModem(ModemConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]Inbound{
		"a part too many":    {Text: "x", Order: []int{2}},
		"part 0":             {Text: "x", Order: []int{0}},
		"no such table":      {Text: "x", Locking: Spanish},
		"no such language":   {Text: "x", Single: 14},
		"more than 255":      {Data: make([]byte, 40000)},
		"more than 255, too": {Text: strings.Repeat("x", 40000)},
	} {
		if err := m.ReceiveMessage(in); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestReceiveTPDU: any octets come as they are, from the command line too.
func TestReceiveTPDU(t *testing.T) {
	virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		m.ReceiveTPDU([]byte{0x44, 0xff, 0x00})
		if got := c.rest(time.Second); got != "\r\n+CMT: ,3\r\n0791447700989999"+"44FF00\r\n" {
			t.Errorf("%q", got)
		}
		for line, want := range map[string]string{
			"pdu 0 00": "+CMT: ,1\r\n079144770098999900\r\n",
			`message 0 from = "Bank", data = "00ff", ref = 3`: "0200FF\r\n",
			`message 0 from = "12", text = "x", locking = 1`:  "0603250101C003\r\n",
		} {
			if _, err := m.network.Command(line); err != nil {
				t.Fatal(err)
			}
			if got := c.rest(time.Second); !strings.HasSuffix(got, want) {
				t.Errorf("%s: %q", line, got)
			}
		}
		for _, line := range []string{"pdu 0", "pdu 0 x", "pdu 0 " + strings.Repeat("00", 256), "message 0 x", `message 0 from = "1"`, `message 0 from = "1", data = "x"`, `message 0 from = "1", txt = "x"`} {
			if _, err := m.network.Command(line); err == nil {
				t.Errorf("%s is taken", line)
			}
		}
		c.want("AT+CMGF=1", "OK")
		m.ReceiveTPDU([]byte{0xff})
		c.until(time.Second, "+CMT: \"TPDU\"")
	})
}

// TestForward: what one modem submits arrives at another with its header and
// alphabet.
func TestForward(t *testing.T) {
	virtual(t, at0(), ModemConfig{Number: "+33600000000"}, func(t *testing.T, m *Modem, c *client) {
		other, err := m.network.NewModem(ModemConfig{Number: "+12"})
		if err != nil {
			t.Fatal(err)
		}
		oc := dial(t, other)
		oc.prepare()
		c.prepare()
		var parts []part
		for _, pdu := range []string{"004100029121000009" + "0500032A02019065", "00010002912100" + "08020416"} {
			c.write(fmt.Sprintf("AT+CMGS=%d\r", len(pdu)/2-1))
			c.until(time.Second, "> ")
			c.write(pdu + "\x1a")
			c.lines()
			parts = append(parts, received(t, oc)...) // the network may turn two around
		}
		if len(parts) != 2 || hex.EncodeToString(parts[0].header) != "00032a0201" || parts[0].text != "He" || hex.EncodeToString(parts[1].octets) != "0416" {
			t.Errorf("%+v", parts)
		}
		oc.line.Close()
	})
}

func TestReportForms(t *testing.T) {
	for _, c := range []struct {
		fault Fault
		want  func(said, pdu string) bool
	}{
		{Fault{Do: NationalReport}, func(_, pdu string) bool { return strings.Contains(pdu, "060"+"00A81"+"6021436587") }},
		{Fault{Do: ShiftReport, Shift: -2 * time.Hour}, func(_, pdu string) bool {
			return strings.Contains(pdu, fmt.Sprintf("%X", semiTime(time.Now().UTC().Add(-2*time.Hour-time.Second)))[:8])
		}},
		{Fault{Do: TextReport}, func(said, _ string) bool {
			return strings.HasPrefix(said, "\r\n+CDS: 6,0,\"+33612345678\",145,\"")
		}},
		{Fault{Do: StoreReport}, func(said, _ string) bool { return said == "" }},
		{Fault{Do: StoreReport, Text: ",-1"}, func(said, _ string) bool { return said == "\r\n+CDSI: ,-1\r\n" }},
	} {
		c.fault.On = OnReport
		t.Run(string(c.fault.Do)+c.fault.Text, func(t *testing.T) {
			virtual(t, at0(), ModemConfig{Faults: []Fault{c.fault}}, func(t *testing.T, _ *Modem, cl *client) {
				cl.prepare()
				cl.submit()
				said := cl.rest(time.Second)
				lines := strings.Split(strings.TrimSpace(said), "\r\n")
				if !c.want(said, lines[len(lines)-1]) {
					t.Errorf("%q", said)
				}
				if c.fault.Do == StoreReport {
					cl.do(`AT+CPMS="SR"`)
					if lines := cl.do("AT+CMGR=1"); len(lines) != 3 {
						t.Errorf("%q", lines)
					}
				}
			})
		})
	}
}
