package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Profile is what one kind of modem does in its own way. All of it is data.
type Profile struct {
	Name                          string
	Manufacturer, Model, Revision string
	// EOL stands before and after each line; default CR LF.
	EOL string
	// Prompt asks for a message; default CR LF ">" and a space.
	Prompt string
	// EchoOff: the echo is off after a start.
	EchoOff bool
	// TextMode: AT+CMGF is 1 after a start.
	TextMode bool
	// BootCFUN is AT+CFUN after a start, 1 or 4; 0 means 1.
	BootCFUN int
	// Boot is what a start says and when, in the order of After. The modem
	// listens from the first step with Listens on, and is ready and registered
	// with the last.
	Boot []BootStep
	// Vanishes: AT+CFUN=1,1 takes a pty away without an answer and brings it
	// back after half a second, as USB modems do.
	Vanishes bool
	// CNMI are the values that AT+CNMI takes for mode, mt, bm, ds and bfr,
	// each like "0-2" or "0,2,3".
	CNMI [5]string
	// CSMS are the values that AT+CSMS takes, like "0,1".
	CSMS string
	// Memories are those that AT+CPMS knows, in the order of its answer, and
	// how many messages each holds. The first is in use after a start.
	Memories []Memory
	// FirstIndex is the index of a memory's first place.
	FirstIndex int
	// EmptyIsOK: AT+CMGR of an empty place says OK and not +CMS ERROR: 321.
	EmptyIsOK bool
	// ReportAnnouncement replaces the memory and index in +CDSI.
	ReportAnnouncement string
	// FullMessage is the unsolicited line when a memory is full, with %s for
	// its name; "" for none.
	FullMessage string
	// USSDPacked: AT+CUSD takes and gives septets of the default alphabet
	// packed and in hexadecimal, and refuses a code in plain text.
	USSDPacked bool
	// Registration is <stat> of AT+CREG, +CGREG, +CEREG and +C5GREG after a
	// start; -1 where the modem does not know the command.
	Registration [4]int
	// Answers replace the modem's own to whole commands: the command in
	// capitals, as AT+CNMI=?, and the lines, the last of them the final
	// result.
	Answers map[string][]string
}

// BootStep is one moment of a start.
type BootStep struct {
	After time.Duration
	Line  string
	// Listens: commands are taken from now on.
	Listens bool
}

// Memory is one message store.
type Memory struct {
	Name  string
	Slots int
}

// Generic is a modem without quirks that takes all that TS 27.005 offers.
func Generic() Profile {
	return Profile{
		Name: "generic", Manufacturer: "smsotpd", Model: "Simulated modem", Revision: "1",
		EOL: "\r\n", Prompt: "\r\n> ",
		Boot: []BootStep{
			{After: 200 * time.Millisecond, Line: "RDY", Listens: true},
			{After: 250 * time.Millisecond, Line: "+CFUN: 1"},
			{After: 300 * time.Millisecond, Line: cpinReadyLine},
			{After: 400 * time.Millisecond, Line: "SMS Ready"},
		},
		CNMI: [5]string{"0-2", "0-3", "0,2", "0-2", "0,1"}, CSMS: "0,1",
		Memories:     []Memory{{"SM", 20}, {"ME", 50}, {"SR", 20}},
		FirstIndex:   1,
		Registration: [4]int{1, 1, 1, -1},
	}
}

// SIM800 is like SIMCom's SIM800 family.
func SIM800() Profile {
	p := Generic()
	p.Name, p.Manufacturer, p.Model, p.Revision = "sim800", "SIMCOM_Ltd", "SIMCOM_SIM800C", "Revision:1418B05SIM800C24"
	p.Boot = append(p.Boot[:3], BootStep{After: 400 * time.Millisecond, Line: "Call Ready"}, BootStep{After: 700 * time.Millisecond, Line: "SMS Ready"})
	p.CNMI = [5]string{"0-3", "0-3", "0,2", "0,1", "0,1"}
	p.Memories = []Memory{{"SM", 10}, {"ME", 10}}
	p.Registration = [4]int{1, 1, -1, -1}
	p.Answers = map[string][]string{
		"AT+CSCS=?": {`+CSCS: ("IRA","GSM","UCS2","HEX","PCCP","PCDN","8859-1")`, finalOK},
	}
	return p
}

// Quectel is like Quectel's EC25: reports asked for by <ds>=2 lie in "SR" and
// are announced as if they lay in "SM".
func Quectel() Profile {
	p := Generic()
	p.Name, p.Manufacturer, p.Model, p.Revision = "quectel", "Quectel", "EC25", "EC25EFAR06A10M4G"
	p.Boot = []BootStep{
		{After: 300 * time.Millisecond, Line: "RDY", Listens: true},
		{After: 400 * time.Millisecond, Line: cpinReadyLine},
		{After: 450 * time.Millisecond, Line: "+QUSIM: 1"},
		{After: 600 * time.Millisecond, Line: "+QIND: SMS DONE"},
		{After: 700 * time.Millisecond, Line: "+QIND: PB DONE"},
	}
	p.Vanishes = true
	p.FirstIndex = 0
	p.EmptyIsOK = true
	p.ReportAnnouncement = `"SM",0`
	p.Memories = []Memory{{"SM", 25}, {"ME", 23}, {"SR", 10}}
	return p
}

// Huawei is like Huawei's sticks: several names for what went wrong, lines of
// its own at any time, a memory that stops reception when full.
func Huawei() Profile {
	p := Generic()
	p.Name, p.Manufacturer, p.Model, p.Revision = "huawei", "huawei", "E3531", "21.318.15.00.00"
	p.Boot = []BootStep{
		{After: 300 * time.Millisecond, Line: "^BOOT:11111111,0,0,0,6", Listens: true},
		{After: 400 * time.Millisecond, Line: "^SRVST:2"},
		{After: 500 * time.Millisecond, Line: "^RSSI:22"},
	}
	p.Vanishes = true
	p.CNMI = [5]string{"0-2", "0-3", "0,2", "0-2", "0,1"}
	p.FirstIndex = 0
	p.USSDPacked = true
	p.FullMessage = `^SMMEMFULL: "%s"`
	p.Memories = []Memory{{"SM", 20}, {"ME", 20}}
	p.Registration = [4]int{1, 1, -1, -1}
	p.Answers = map[string][]string{
		"AT^CURC=0":     {finalOK},
		"AT^CURC=1":     {finalOK},
		"AT^PORTSEL=1":  {finalOK},
		"AT$TSSPCSW=?":  {"COMMAND NOT SUPPORT"},
		"AT^CVOICE=?":   {"COMMAND NOT SUPPORT"},
		"AT+CLAC":       {"COMMAND NOT SUPPORT"},
		"AT^HWVER":      {`^HWVER:"CH2E3531SM"`, finalOK},
		"AT^CARDMODE":   {"^CARDMODE:2", finalOK},
		"AT^SYSCFG?":    {"^SYSCFG:2,0,3FFFFFFF,1,2", finalOK},
		"AT^CURC?":      {"^CURC:1", finalOK},
		"AT^CSNR?":      {finalError},
		"AT+CMMS=2":     {"+CMS ERROR: 500"},
		"AT^PORTSEL=?":  {"^PORTSEL:(0,1)", finalOK},
		"AT^SETPORT=?":  {finalError},
		"AT^U2DIAG?":    {"^U2DIAG:0", finalOK},
		"AT^DIALMODE=?": {"^DIALMODE:(0-2)", finalOK},
	}
	return p
}

// ProfileNamed returns one of the profiles above by its Name.
func ProfileNamed(name string) (Profile, error) {
	known := map[string]func() Profile{"generic": Generic, "sim800": SIM800, "quectel": Quectel, "huawei": Huawei}
	if make, ok := known[name]; ok {
		return make(), nil
	}
	return Profile{}, fmt.Errorf("sim: no profile %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
}

// fill sets the defaults of the modem with the given index: an IMEI of the
// test range with its check digit, an IMSI of the test network 001-01, an
// ICCID, and a number of those that Ofcom keeps for fiction.
func (c *ModemConfig) fill(index int) {
	if c.Profile.Name == "" {
		c.Profile = Generic()
	}
	if c.Profile.EOL == "" {
		c.Profile.EOL = "\r\n"
	}
	if c.Profile.Prompt == "" {
		c.Profile.Prompt = "\r\n> "
	}
	for field, value := range map[*string]string{
		&c.IMEI:   withCheckDigit(fmt.Sprintf("00101700%06d", index+1)),
		&c.IMSI:   fmt.Sprintf("00101%010d", index+1),
		&c.ICCID:  withCheckDigit(fmt.Sprintf("894400%012d", index+1)),
		&c.Number: fmt.Sprintf("+447700%06d", 900000+index%1000),
		&c.SMSC:   "+447700899999",
		&c.PUK:    "12345678",
	} {
		if *field == "" {
			*field = value
		}
	}
	if c.USSD == nil {
		c.USSD = defaultUSSD()
	}
	if c.SMSC == "none" {
		c.SMSC = ""
	}
}

// withCheckDigit appends the check digit of Luhn's formula, ISO/IEC 7812-1.
func withCheckDigit(digits string) string {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 0 {
			d *= 2
		}
		sum += d/10 + d%10
	}
	return digits + string(byte('0'+(10-sum%10)%10))
}
