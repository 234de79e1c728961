package sim

import (
	"strings"
	"time"
)

// statusReport is an SMS-STATUS-REPORT (TS 23.040 9.2.2.3) as a modem hands it
// on: with the service centre's address in front.
type statusReport struct {
	sca             string
	mr              byte
	recipient       []byte // TP-RA: length, type and digits
	scts, discharge time.Time
	status          byte
}

func (r statusReport) pdu() []byte {
	const (
		typeStatusReport = 0x02
		noMoreMessages   = 0x04
	)
	pdu := append(serviceCentre(r.sca), typeStatusReport|noMoreMessages, r.mr)
	pdu = append(pdu, r.recipient...)
	pdu = append(pdu, semiTime(r.scts)...)
	pdu = append(pdu, semiTime(r.discharge)...)
	return append(pdu, r.status)
}

// deliver is an SMS-DELIVER (TS 23.040 9.2.2.1): one part of a message.
type deliver struct {
	sca, from string
	scts      time.Time
	pid, dcs  byte
	header    bool
	data      []byte // TP-UDL and TP-UD
	text      string // for text mode
	raw       []byte // the whole TPDU instead, sound or not
}

func (d deliver) pdu() []byte {
	const (
		typeDeliver    = 0x00
		noMoreMessages = 0x04
		headerIncluded = 0x40
	)
	pdu := serviceCentre(d.sca)
	if d.raw != nil {
		return append(pdu, d.raw...)
	}
	first := byte(typeDeliver | noMoreMessages)
	if d.header {
		first |= headerIncluded
	}
	pdu = append(append(pdu, first), address(d.from)...)
	pdu = append(append(pdu, d.pid, d.dcs), semiTime(d.scts)...)
	return append(pdu, d.data...)
}

const (
	typeInternational = 0x91
	typeUnknown       = 0x81
	typeAlphanumeric  = 0xd0
)

// address encodes a TP address, TS 23.040 9.1.2.5: "+" and digits, digits, or
// up to eleven letters.
func address(s string) []byte {
	if number, ok := strings.CutPrefix(s, "+"); ok && allDigits(number) {
		return append([]byte{byte(len(number)), typeInternational}, semiOctets(number)...)
	}
	if allDigits(s) {
		return append([]byte{byte(len(s)), typeUnknown}, semiOctets(s)...)
	}
	septets, ok := gsm7Septets(s)
	if !ok {
		septets, _ = gsm7Septets("unknown")
	}
	octets := pack7(septets[:min(len(septets), 11)])
	return append([]byte{byte(2 * len(octets)), typeAlphanumeric}, octets...)
}

// serviceCentre encodes an address whose length counts octets.
func serviceCentre(s string) []byte {
	if s == "" {
		return []byte{0}
	}
	number, international := strings.CutPrefix(s, "+")
	typ := byte(typeUnknown)
	if international {
		typ = typeInternational
	}
	octets := semiOctets(number)
	return append([]byte{byte(1 + len(octets)), typ}, octets...)
}

func semiOctets(digits string) []byte {
	octets := make([]byte, (len(digits)+1)/2)
	for i := range 2 * len(octets) {
		d := byte(0xf)
		if i < len(digits) {
			d = digits[i] - '0'
		}
		octets[i/2] |= d << (4 * (i % 2))
	}
	return octets
}

// semiTime encodes TP-SCTS's format, TS 23.040 9.2.3.11, in t's own time zone.
func semiTime(t time.Time) []byte {
	_, offset := t.Zone()
	quarters := offset / (15 * 60)
	parts := [...]int{t.Year() % 100, int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second(), max(quarters, -quarters)}
	octets := make([]byte, len(parts))
	for i, p := range parts {
		octets[i] = byte(p%10<<4 | p/10)
	}
	if quarters < 0 {
		octets[6] |= 0x08
	}
	return octets
}

func allDigits(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
