package modem

import (
	"encoding/hex"
	"strings"
	"unicode/utf16"
)

// registration is <stat> of +CREG and its kin: 27.007 7.2, 10.1.20, 10.1.22,
// 10.1.47.
type registration int

const (
	regUnknown    registration = -1
	regIdle       registration = 0
	regSearching  registration = 2
	regDenied     registration = 3
	regNoCoverage registration = 4
	regEmergency  registration = 8
	regRestricted registration = 11
)

// usable tells whether SMS can be sent: registered at home or roaming (1, 5),
// also for SMS only (6, 7) or with CSFB not preferred (9, 10).
func (r registration) usable() bool {
	switch r {
	case 1, 5, 6, 7, 9, 10:
		return true
	}
	return false
}

// telling ranks what several domains say: how much it tells of the reason.
func (r registration) telling() int {
	switch r {
	case regDenied:
		return 6
	case regEmergency:
		return 5
	case regRestricted:
		return 4
	case regSearching:
		return 3
	case regNoCoverage:
		return 2
	case regIdle:
		return 1
	}
	return 0
}

// reason says in words why r is not usable.
func (r registration) reason() string {
	switch r {
	case regIdle:
		return "not registered, and not searching for a network"
	case regSearching:
		return "searching for a network: if it lasts, look at the antenna and the place"
	case regDenied:
		return "the network denies registration: is the SIM active?"
	case regNoCoverage:
		return "no network in reach: look at the antenna and the place"
	case regEmergency:
		return "the network lets this SIM make emergency calls only: is the SIM active, and may it roam here?"
	case regRestricted:
		return "the network gives this SIM restricted local services only: is the SIM active, and may it roam here?"
	}
	return "not registered with a network"
}

// maxReportMode is the highest <n> that +CREG and its kin know.
const maxReportMode = 5

// parseRegistration reads all shapes that modems use:
//
//	+CREG: <n>,<stat>[,<lac>,<ci>[,<act>[,<cause type>,<cause>]]]   the answer
//	+CREG: <stat>[,<lac>,<ci>[,<act>]]               unsolicited, or a habit
//
// with or without quotes. Of several lines the last one counts: it is newer.
func parseRegistration(info []string, prefix string) registration {
	stat := regUnknown
	for _, line := range info {
		rest, ok := strings.CutPrefix(line, prefix)
		if !ok || rest == "" || rest[0] != ':' && rest[0] != ' ' {
			continue
		}
		if n, ok := registrationStat(strings.TrimLeft(rest, ": ")); ok {
			stat = registration(n)
		}
	}
	return stat
}

// registrationStat is <stat>; ok is false where there is none that is known.
func registrationStat(s string) (stat int, ok bool) {
	raw := strings.Split(s, ",")
	stat, ok = value(raw[0])
	if len(raw) > 1 && ok && stat <= maxReportMode && !isArea(raw) {
		stat, ok = value(raw[1]) // the first is <n>
	}
	return stat, ok && stat >= 0 && stat <= int(regRestricted)
}

// isArea tells whether the second of the values is <lac>, whose digits are
// hexadecimal, and not <stat>, which has one digit or two.
func isArea(raw []string) bool {
	second := strings.TrimSpace(raw[1])
	area := strings.Trim(second, `"`)
	switch {
	case second == "":
		return true // kept back
	case strings.HasPrefix(second, `"`) && len(raw) > 2:
		return true
	}
	_, number := value(area)
	return isHexText(area) && (len(area) > 2 || !number)
}

// dBm turns <rssi> of +CSQ into dBm, 0 if unknown: 27.007 8.5.
func dBm(info []string) int {
	n, ok := number(info, "+CSQ")
	switch {
	case !ok || n < 0:
		return 0
	case n <= 31:
		return -113 + 2*n
	case n >= 100 && n <= 191: // TD-SCDMA and some LTE modems
		return n - 216
	}
	return 0
}

// extendedDBm turns +CESQ: <rxlev>,<ber>,<rscp>,<ecno>,<rsrq>,<rsrp>[,<ss_rsrq>,
// <ss_rsrp>,<ss_sinr>] into the dBm of whichever network is used, 0 if unknown:
// 27.007 8.69.
func extendedDBm(info []string) int {
	s, _ := answer(info, "+CESQ")
	f := fields(s)
	for _, m := range [...]struct{ field, most, from int }{
		{7, 126, -157}, {5, 97, -141}, {2, 96, -121}, {0, 63, -111},
	} {
		if m.field >= len(f) {
			continue
		}
		if n, ok := value(f[m.field]); ok && n >= 0 && n <= m.most {
			return m.from + n
		}
	}
	return 0
}

// operatorName is <oper> of +COPS?, "" if there is none: 27.007 7.3.
func operatorName(info []string) string {
	s, _ := answer(info, "+COPS")
	if f := fields(s); len(f) >= 3 {
		return shown(fromUCS2(f[2]), 40)
	}
	return ""
}

// fromUCS2 decodes what a modem with AT+CSCS="UCS2" writes: four hexadecimal
// digits a character. What can't be that is returned as it is.
func fromUCS2(s string) string {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) < 4 || len(raw)%2 != 0 {
		return s
	}
	if strings.Trim(s, "0123456789") == "" && !strings.HasPrefix(s, "00") {
		return s // the digits of a network, 208010
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
		if units[i] < ' ' {
			return s
		}
	}
	return string(utf16.Decode(units))
}

// parseServiceCentre reads +CSCA: "<address>"[,<type>]: 27.005 3.3.1. told is
// whether the modem said what there is, even if that is nothing.
func parseServiceCentre(info []string) (address string, told bool) {
	s, told := answer(info, "+CSCA")
	if !told {
		return "", false
	}
	f := fields(s)
	address = strings.NewReplacer(" ", "", "-", "").Replace(f[0])
	if plain := fromUCS2(address); isAddress(plain) {
		address = plain
	}
	if !isAddress(address) {
		return "", address == ""
	}
	if international := len(f) > 1 && f[1] == "145"; international && address[0] != '+' {
		address = "+" + address
	}
	return address, true
}

// isAddress tells whether s is a number that a modem can call.
func isAddress(s string) bool {
	d := strings.TrimPrefix(s, "+")
	return len(d) >= 3 && len(d) <= 20 && strings.Trim(d, "0123456789") == ""
}

// parsePINTries reads how many tries the SIM's PIN has left from the answer to
// one of pinQueries, or to a profile's own command:
//
//	+CPINR: SIM PIN,<left>,<most>    ^CPIN: SIM PIN,<left>,<puk>,<pin>,…
//	+QPINC: "SC",<left>,<puk>        +SPIC: <pin>,<puk>,…  and the like
//	+ZPINPUK: (<left>),(<puk>)       PIN1=<left>; PUK1=<puk>; …
func parsePINTries(info []string, cmd string) (left int, told bool) {
	prefix := cmd
	if i := strings.IndexAny(cmd, "=?"); i >= 0 {
		prefix = cmd[:i]
	}
	for _, line := range info {
		rest, ok := strings.CutPrefix(line, prefix)
		if !ok {
			rest, ok = strings.CutPrefix(line, "PIN1=")
			rest, _, _ = strings.Cut(rest, ";")
		}
		if !ok {
			continue
		}
		f := fields(strings.TrimLeft(rest, ": "))
		left := f[0]
		if lockState(left) == SIMPIN || strings.EqualFold(left, "SC") {
			if len(f) < 2 {
				continue
			}
			left = f[1]
		}
		if n, ok := value(left); ok && n >= 0 && n <= 99 {
			return n, true
		}
	}
	return 0, false
}

// parseICCID finds the SIM's serial number, ITU-T E.118: 89 and up to 18
// digits more. Some modems print it with the halves of each octet swapped, as
// the SIM has it, or with the F that fills the last octet.
func parseICCID(info []string) string {
	for _, line := range info {
		if i := strings.IndexByte(line, ':'); i >= 0 {
			line = line[i+1:]
		}
		for _, f := range fields(line) {
			id := strings.TrimRight(strings.ToUpper(f), "F")
			if strings.HasPrefix(id, "98") && len(f)%2 == 0 {
				id = strings.TrimRight(swapHalves(strings.ToUpper(f)), "F")
			}
			if strings.HasPrefix(id, "89") && len(id) >= minICCID && len(id) <= 20 && strings.Trim(id, "0123456789") == "" {
				return id
			}
		}
	}
	return ""
}

func swapHalves(s string) string {
	b := []byte(s)
	for i := 0; i+1 < len(b); i += 2 {
		b[i], b[i+1] = b[i+1], b[i]
	}
	return string(b)
}
