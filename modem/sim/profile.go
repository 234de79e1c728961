package sim

import (
	"fmt"
	"time"
)

// Profile is what one kind of modem does in its own way. All of it is data.
// Where nothing else is said, the zero value of a field is what TS 27.007 and
// 27.005 ask for.
type Profile struct {
	Name                          string
	Manufacturer, Model, Revision string

	// EOL stands before and after each line; default CR LF.
	EOL string
	// Prompt asks for a message; default CR LF ">" and a space.
	Prompt string
	// EchoOff: the echo is off after a start.
	EchoOff bool
	// NoSpace: no space after the colon of answers, as "+CPIN:READY".
	NoSpace bool
	// NoOK are the commands whose answer ends without OK, as AT+CPIN?.
	NoOK []string
	// FinalsTwice: every final result is said twice.
	FinalsTwice bool
	// Deaf is how long it loses what comes behind its own last octet, as Telit's
	// modems do for 20 ms. Sleeps is after how long a silence it loses what comes
	// next, as SIM800 does with AT+CSCLK=2; 0: never.
	Deaf, Sleeps time.Duration
	// Inserts are lines of its own that come in front of the answer to a
	// command, as ^RSSI to AT+CSQ.
	Inserts map[string][]string
	// Chatter are lines that come again and again.
	Chatter []Chatter
	// Answers replace the modem's own to whole commands: the command in
	// capitals, as AT+CNMI=?, and the lines, the last of them the final
	// result.
	Answers map[string][]string
	// Unknown are commands that it does not know, as +CIMI; UnknownAnswer is
	// what it says to those and to all that nobody knows, default +CME ERROR:
	// 100 as AT+CMEE asks for it.
	Unknown       []string
	UnknownAnswer string

	// Ports are the roles of the ports of the USB device, by interface; nil for
	// a single one. A modem has them if its ModemConfig asks for them.
	Ports []PortRole

	// Boot is what a start says and when, in the order of After. The modem
	// listens from the first step with Listens on, and is ready and registered
	// with the last.
	Boot []BootStep
	// BootCFUN is AT+CFUN after a start; 0 means 1, and -1 means 0.
	BootCFUN int
	// Vanishes: AT+CFUN=1,1 takes a pty away without an answer and brings it
	// back after half a second, as USB modems do.
	Vanishes bool
	// SIMBusy is how many commands that need the SIM are answered +CME ERROR:
	// 14 after a start, and again after the PIN.
	SIMBusy int
	// FunctionBusy is how many commands are answered +CME ERROR: 515 after
	// AT+CFUN=1.
	FunctionBusy int
	// PINTries is the command that tells how often the PIN may still be tried:
	// +CPINR, +CPINC, ^CPIN, +QPINC, +SPIC, ^SPIC, #PCT, +UPINCNT; "" for none.
	PINTries string
	// PINRequired is the final result of what needs the PIN, "" for the
	// standard's.
	PINRequired string

	// Registration is <stat> of AT+CREG, +CGREG, +CEREG and +C5GREG after a
	// start; -1 where the modem does not know the command.
	Registration [len(domains)]int
	// RegistrationModes are the <n> that they take, default "0-2".
	RegistrationModes [len(domains)]string
	// RegistrationBare: area and cell stand without quotes.
	RegistrationBare bool
	// Signal is <rssi> of AT+CSQ; 0 means 23.
	Signal int

	// TextMode: AT+CMGF is 1 after a start.
	TextMode bool
	// CNMI are the values that AT+CNMI takes for mode, mt, bm, ds and bfr,
	// each like "0-2" or "0,2,3". What AT+CNMI=? says instead is an Answer.
	CNMI [5]string
	// CNMIStart is AT+CNMI after a start.
	CNMIStart [5]int
	// CNMICount is how many numbers AT+CNMI takes at most; 0 means 5.
	CNMICount int
	// CNMIIgnored: AT+CNMI says OK and changes nothing.
	CNMIIgnored bool
	// NoReports: delivery reports are neither told of nor stored.
	NoReports bool
	// URCsAfter is the command without which nothing is told of messages and
	// reports at this port, as AT^PORTSEL=1; till then they go to the port
	// with RoleAT2, if there is one.
	URCsAfter string
	// CSMS are the values that AT+CSMS takes, like "0,1"; CSMSStart is the one
	// after a start.
	CSMS      string
	CSMSStart int
	// AckWindow is how long AT+CNMA may take; 0 means 15 s.
	AckWindow time.Duration
	// CMGLHangs is how long the whole list of AT+CMGL takes; all that comes
	// meanwhile is lost.
	CMGLHangs time.Duration
	// CSMPWipesSMSC: AT+CSMP forgets the service centre's address.
	CSMPWipesSMSC bool
	// NoSMSC is the line of AT+CSCA? without an address; default none.
	NoSMSC string
	// References says how messages are numbered.
	References References
	// SubmitTime: +CMGS has the service centre's time stamp behind the
	// reference.
	SubmitTime bool
	// USSDPacked: AT+CUSD takes and gives septets of the default alphabet
	// packed and in hexadecimal, and refuses a code in plain text.
	USSDPacked bool

	// Memories are those that AT+CPMS knows, in the order of its answer.
	Memories []Memory
	// MemoriesStart are in use after a start; default the first of Memories.
	MemoriesStart [3]string
	// MemoriesCount is how many names AT+CPMS takes at most; 0 means 3.
	MemoriesCount int
	// ReceiveMemories are those that may be the third; nil is all.
	ReceiveMemories []string
	// FirstIndex is the index of a memory's first place.
	FirstIndex int
	// EmptyIsOK: AT+CMGR of an empty place says OK and not +CMS ERROR: 321.
	EmptyIsOK bool
	// EmptyIsBlank: it shows a delivery report with the reference 0 and
	// without a number.
	EmptyIsBlank bool
	// ClosesGaps: what is behind a message that is deleted moves up.
	ClosesGaps bool
	// ReportMemory is where reports are stored with <ds>=2; default "SR" where
	// there is one, or else the third of AT+CPMS.
	ReportMemory string
	// ReportAnnouncement replaces the memory and index in +CDSI, and
	// MessageAnnouncement those in +CMTI; NoAnnouncement leaves out the line.
	ReportAnnouncement, MessageAnnouncement string
	// FullMessage is the unsolicited line when a memory is full, with %s for
	// its name; "" for none.
	FullMessage string

	// Faults are what goes wrong with every modem of the kind.
	Faults []Fault
}

// NoAnnouncement stands for no line at all.
const NoAnnouncement = "none"

// References is how a modem numbers its messages.
type References string

// The ways of numbering.
const (
	ReferencesCount   References = ""        // each one more than the last, for ever
	ReferencesRestart References = "restart" // from the first one again after a start
	ReferencesZero    References = "zero"    // always 0
	ReferencesSkip    References = "skip"    // now and then some are left out
)

// Chatter is a line that comes Every so often while the modem is on, until the
// command Off was given.
type Chatter struct {
	Line  string
	Every time.Duration
	Off   string
}

// BootStep is one moment of a start.
type BootStep struct {
	After time.Duration
	Line  string
	// Listens: commands are taken from now on.
	Listens bool
}

// Memory is one message store, or another name of one: "MT" often is "SM".
type Memory struct {
	Name   string
	Slots  int
	SameAs string
}

// fill sets the defaults of the modem with the given index: an IMEI of the
// test range with its check digit, an IMSI of its operator or the test network, an
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
	if c.Profile.Signal == 0 {
		c.Profile.Signal = 23
	}
	if c.Operator == "" {
		c.Operator = testNetwork
		if len(c.IMSI) >= 5 {
			c.Operator = c.IMSI[:5]
		}
	}
	for field, value := range map[*string]string{
		&c.IMEI:   withCheckDigit(fmt.Sprintf("00101700%06d", index+1)),
		&c.IMSI:   fmt.Sprintf("%s%0*d", c.Operator, max(0, 15-len(c.Operator)), index+1),
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
