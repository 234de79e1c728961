package modem

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// The tables below say what the numbers mean with which modems and networks
// tell the fate of a message: in words for the operator, which are those of
// the standards where these have any, and as the class that decides what is
// done. A modem that answers in words although numbers were asked for is
// understood by the same tables.
//
// The classes are a judgement on the meanings, made with what smstools, gammu
// and ModemManager have met in the field, for a message whose Ctrl-Z was
// written. Before that nothing was sent, and only the SIM's own troubles
// count: see classify.

// meaning of one number.
type meaning struct {
	n     int
	class Class
	words string
}

// cmsMeanings are those of +CMS ERROR. 1–127 are RP causes (TS 24.011 8.2.5.4,
// E.2) and 128–255 are TP-FCS (TS 23.040 9.2.3.22): the network's refusals.
// 300–500 are TS 27.005 3.2.5: the modem's own errors, which prove little once
// the message is on its way. 512 and above are the makers'; the meanings here
// are those that Siemens and Wavecom modems and smstools share.
var cmsMeanings = []meaning{
	{1, Destination, "unassigned (unallocated) number"},
	{8, SIM, "operator determined barring"},
	{10, SIM, "call barred"},
	{17, Temporary, "network failure"},
	{21, SIM, "short message transfer rejected"}, // often no credit, or taken for spam
	{22, Temporary, "congestion, or memory capacity exceeded"},
	{27, Temporary, "destination out of order"},
	{28, SIM, "unidentified subscriber"}, // ours: not registered in this network
	{29, SIM, "facility rejected"},
	{30, Destination, "unknown subscriber"}, // theirs: not in the HLR
	{38, Temporary, "network out of order"}, // also said of numbers that are dead or off: gammu#381, #537
	{41, Temporary, "temporary failure"},
	{42, Temporary, "congestion"},
	{47, Temporary, "resources unavailable, unspecified"},
	{50, SIM, "requested facility not subscribed"}, // often no credit
	{69, SIM, "requested facility not implemented"},
	{81, Ours, "invalid short message transfer reference value"},
	{95, Ours, "semantically incorrect message"},
	{96, Ours, "invalid mandatory information"},
	{97, Ours, "message type non-existent or not implemented"},
	{98, Ours, "message not compatible with short message protocol state"},
	{99, Ours, "information element non-existent or not implemented"},
	{111, Temporary, "protocol error, unspecified"},
	{127, Temporary, "interworking, unspecified"},

	{128, Ours, "telematic interworking not supported"},
	{129, Ours, "short message type 0 not supported"},
	{130, Ours, "cannot replace short message"},
	{143, Ours, "unspecified TP-PID error"},
	{144, Ours, "data coding scheme (alphabet) not supported"},
	{145, Ours, "message class not supported"},
	{159, Ours, "unspecified TP-DCS error"},
	{160, Ours, "command cannot be actioned"},
	{161, Ours, "command unsupported"},
	{175, Ours, "unspecified TP-command error"},
	{176, Ours, "TPDU not supported"},
	{192, Temporary, "SC busy"},
	{193, SIM, "no SC subscription"},
	{194, Temporary, "SC system failure"},
	{195, Destination, "invalid SME address"},
	{196, Destination, "destination SME barred"},
	{197, Accepted, "SM rejected: duplicate SM"}, // the service centre has it already
	{198, Ours, "TP-VPF not supported"},
	{199, Ours, "TP-VP not supported"},
	{208, SIM, "SIM SMS storage full"},
	{209, SIM, "no SMS storage capability in SIM"},
	{210, SIM, "error in MS"},
	{211, SIM, "memory capacity exceeded"},
	{212, SIM, "SIM application toolkit busy"},
	{213, SIM, "SIM data download error"},
	{255, Temporary, "unspecified error cause"},

	{300, Ambiguous, "ME failure"},
	{301, SIM, "SMS service of ME reserved"},
	{302, SIM, "operation not allowed"},
	{303, Ours, "operation not supported"},
	{304, Ours, "invalid PDU mode parameter"},
	{305, Ours, "invalid text mode parameter"},
	{310, SIM, "SIM not inserted"},
	{311, SIM, "SIM PIN required"},
	{312, SIM, "PH-SIM PIN required"},
	{313, SIM, "SIM failure"},
	{314, Temporary, "SIM busy"},
	{315, SIM, "SIM wrong"},
	{316, SIM, "SIM PUK required"},
	{317, SIM, "SIM PIN2 required"},
	{318, SIM, "SIM PUK2 required"},
	{320, SIM, "memory failure"},
	{321, SIM, "invalid memory index"},
	{322, SIM, "memory full"},
	{330, SIM, "SMSC address unknown"},
	{331, Temporary, "no network service"},
	{332, Ambiguous, "network timeout"},
	{340, Ambiguous, "no +CNMA acknowledgement expected"}, // another command's
	{500, Ambiguous, "unknown error"},

	{512, Ambiguous, "MM establishment failure"},
	{513, Ambiguous, "MM lower layer failure"}, // no acknowledgement: it may have been sent
	{514, Temporary, "CP error"},
	{515, Temporary, "command processing in progress"},
}

// cmeMeanings are those of +CME ERROR: TS 27.007 9.2; 256 and above are the
// makers', as SIMCom, u-blox and Telit use them.
var cmeMeanings = []meaning{
	{0, Ambiguous, "phone failure"},
	{1, Ambiguous, "no connection to phone"},
	{2, Ambiguous, "phone-adaptor link reserved"},
	{3, Ambiguous, "operation not allowed"},
	{4, Ambiguous, "operation not supported"},
	{5, SIM, "PH-SIM PIN required"},
	{6, SIM, "PH-FSIM PIN required"},
	{7, SIM, "PH-FSIM PUK required"},
	{10, SIM, "SIM not inserted"},
	{11, SIM, "SIM PIN required"},
	{12, SIM, "SIM PUK required"},
	{13, SIM, "SIM failure"},
	{14, Temporary, "SIM busy"},
	{15, SIM, "SIM wrong"},
	{16, SIM, "incorrect password"},
	{17, SIM, "SIM PIN2 required"},
	{18, SIM, "SIM PUK2 required"},
	{20, SIM, "memory full"},
	{21, Ambiguous, "invalid index"},
	{22, Ambiguous, "not found"},
	{23, SIM, "memory failure"},
	{24, Ours, "text string too long"},
	{25, Ours, "invalid characters in text string"},
	{26, Ours, "dial string too long"},
	{27, Ours, "invalid characters in dial string"},
	{30, Temporary, "no network service"},
	{31, Ambiguous, "network timeout"},
	{32, SIM, "network not allowed: emergency calls only"},
	{40, SIM, "network personalization PIN required"},
	{41, SIM, "network personalization PUK required"},
	{42, SIM, "network subset personalization PIN required"},
	{43, SIM, "network subset personalization PUK required"},
	{44, SIM, "service provider personalization PIN required"},
	{45, SIM, "service provider personalization PUK required"},
	{46, SIM, "corporate personalization PIN required"},
	{47, SIM, "corporate personalization PUK required"},
	{48, SIM, "hidden key required"},
	{49, Ambiguous, "EAP method not supported"},
	{50, Ambiguous, "incorrect parameters"},
	{51, Ambiguous, "command implemented but currently disabled"},
	{52, Ambiguous, "command aborted by user"},
	{53, Ambiguous, "not attached to network due to MT functionality restrictions"},
	{54, Ambiguous, "modem not allowed: MT restricted to emergency calls only"},
	{55, Ambiguous, "operation not allowed because of MT functionality restrictions"},
	{56, SIM, "fixed dial number only allowed"},
	{57, Ambiguous, "temporarily out of service due to other MT usage"},
	{58, Ambiguous, "language/alphabet not supported"},
	{100, Ambiguous, "unknown"},
	{103, SIM, "illegal MS"},
	{106, SIM, "illegal ME"},
	{107, SIM, "GPRS services not allowed"},
	{111, SIM, "PLMN not allowed"},
	{112, SIM, "location area not allowed"},
	{113, SIM, "roaming not allowed in this location area"},
	{132, Ambiguous, "service option not supported"},
	{133, Ambiguous, "requested service option not subscribed"},
	{134, Ambiguous, "service option temporarily out of order"},
	{148, Ambiguous, "unspecified GPRS error"},
	{149, Ambiguous, "PDP authentication failure"},
	{150, Ambiguous, "invalid mobile class"},
	{256, Temporary, "operation temporarily not allowed"},
	{262, SIM, "SIM blocked"},
	{515, Temporary, "please wait, initialisation or command in progress"},
	{770, SIM, "SIM invalid"},
	{772, SIM, "SIM powered down"},
}

// statusMeaning says in words what TP-Status numbers mean: TS 23.040 9.2.3.15.
// A number that is reserved or the service centre's own means what the first
// of its range does, as Outcome has it.
type statusMeaning struct {
	n     byte
	words string
}

var statusMeanings = []statusMeaning{
	{0, "received by the recipient's phone"},
	{1, "forwarded by the service centre, which can't confirm delivery"},
	{2, "replaced by the service centre"},
	{3, "completed, for a reason of the service centre's own"},
	// The service centre is still trying.
	{32, "congestion; still trying"},
	{33, "recipient busy; still trying"},
	{34, "no response from the recipient; still trying"},
	{35, "service rejected; still trying"},
	{36, "quality of service not available; still trying"},
	{37, "error in the recipient's phone; still trying"},
	{38, "still trying, for a reason of the service centre's own"},
	// Permanent.
	{64, "remote procedure error"},
	{65, "incompatible destination"},
	{66, "connection rejected by the recipient's phone"},
	{67, "recipient not obtainable"},
	{68, "quality of service not available"},
	{69, "no interworking available"},
	{70, "validity period expired"},
	{71, "deleted by the sender"},
	{72, "deleted by the service centre"},
	{73, "the message does not exist"},
	{74, "failed, for a reason of the service centre's own"},
	// Temporary, and the service centre tries no more.
	{96, "congestion; given up"},
	{97, "recipient busy; given up"},
	{98, "no response from the recipient; given up"},
	{99, "service rejected; given up"},
	{100, "quality of service not available; given up"},
	{101, "error in the recipient's phone; given up"},
	{102, "given up, for a reason of the service centre's own"},
	// Reserved: as 99, which 9.2.3.15 asks for.
	{128, "service rejected; given up"},
}

// causeMeaning has the words for the causes that carry no number.
func causeMeaning(cause string) string {
	switch cause {
	case "no-prompt":
		return "the modem did not ask for the message"
	case "timeout":
		return "the modem did not answer in time"
	case "eof":
		return "the modem vanished from its port"
	case "reboot":
		return "the modem started anew"
	case "error":
		return "the modem gave an error without a reason"
	case "no-reference":
		return "the modem said OK without a message reference"
	case "write":
		return "the port took no more octets"
	case "canceled":
		return "given back before it was sent"
	case "closed":
		return "given back: the modem had to be looked after first"
	case "encode":
		return "it can't be one short message"
	case "late":
		return "the modem's answer came late"
	case "sealed":
		return "the kept number or text can't be opened"
	case "restart":
		return "the gateway was stopped while it was being sent"
	}
	return ""
}

// find returns what a table says of n.
func find(table []meaning, n int) (meaning, bool) {
	i, ok := slices.BinarySearchFunc(table, n, func(m meaning, n int) int { return cmp.Compare(m.n, n) })
	if !ok {
		return meaning{}, false
	}
	return table[i], true
}

// cmsClass classifies +CMS ERROR: n.
func cmsClass(n int) Class {
	if m, ok := find(cmsMeanings, n); ok {
		return m.class
	}
	if n >= 0 && n < 256 {
		return Temporary // some refusal by the network: not accepted
	}
	return Ambiguous // the modem's own, and proof of nothing
}

// cmeClass classifies +CME ERROR: n.
func cmeClass(n int) Class {
	if m, ok := find(cmeMeanings, n); ok {
		return m.class
	}
	return Ambiguous
}

// Explain says in words what a Result's Cause means; "" where there is no more
// to say.
func Explain(cause string) string {
	kind, number, _ := strings.Cut(cause, "-")
	n, err := strconv.Atoi(number)
	if err != nil {
		return causeMeaning(cause)
	}
	table := cmsMeanings
	switch {
	case kind == "cme":
		table = cmeMeanings
	case kind != "cms":
		return ""
	}
	m, known := find(table, n)
	switch {
	case known:
		return m.words
	case kind == "cms" && n < 256:
		return "refused by the network, which gives no known reason"
	default:
		return "an error of the modem's own, whose meaning is not known"
	}
}

// Explain says in words what the report's TP-Status means.
func (r Report) Explain() string {
	i, ok := slices.BinarySearchFunc(statusMeanings, r.Status, func(m statusMeaning, n byte) int { return cmp.Compare(m.n, n) })
	if !ok {
		i-- // 0 is in the table
	}
	return statusMeanings[i].words
}

// errorNumber reads the number of an error, behind which some modems put words,
// or finds the words that a modem gives although numbers were asked for. -1 if
// it is neither.
func errorNumber(s string, texts func(string) int) int {
	s = strings.TrimSpace(s)
	digits := s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
	if n, err := strconv.ParseUint(digits, 10, 16); err == nil {
		return int(n)
	}
	return texts(plainWords(s))
}

// cmsTexts and cmeTexts find the number of an error in plain words.
func cmsTexts(said string) int { return numberOf(cmsMeanings, said) }

func cmeTexts(said string) int {
	if said == "unknown error" {
		said = "unknown"
	}
	return numberOf(cmeMeanings, said)
}

func numberOf(table []meaning, said string) int {
	for _, m := range table {
		if plainWords(m.words) == said {
			return m.n
		}
	}
	return -1
}

// plainWords levels out how makers write the standards' words.
func plainWords(s string) string {
	s = strings.ToLower(s)
	for _, r := range [...]struct{ said, means string }{
		{"(u)sim", "sim"},
		{"usim", "sim"},
		{"necessary", "required"},
		{"initialization", "initialisation"},
		{"sms center", "smsc"},
		{"sms centre", "smsc"},
		{"sms service of me", "sms me"},
		{"sc is busy", "sc busy"},
		{"time-out", "timeout"},
		{"time out", "timeout"},
	} {
		s = strings.ReplaceAll(s, r.said, r.means)
	}
	return strings.Join(strings.FieldsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9')
	}), " ")
}

// GivenBack tells that nothing of the message was written because the line was
// closing or its caller's time was over: it is as if Submit was never called.
func (r Result) GivenBack() bool {
	return !r.Committed && (r.Cause == "closed" || r.Cause == "canceled")
}
