package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// profiles are the kinds of modems, by name: first those whose published
// answers are known, each with its source, then behaviours that modems of
// several makers have, so that each can be tried alone. What no source says is
// as in Generic, or in the first of the family.
func profiles() []Profile {
	return slices.Concat(
		[]Profile{Generic()}, huaweis(), quectels(), simcoms(), others(), behaviours(),
	)
}

// ProfileNames are the names that ProfileNamed knows.
func ProfileNames() []string {
	var names []string
	for _, p := range profiles() {
		names = append(names, p.Name)
	}
	return names
}

// ProfileNamed returns one of the profiles by its Name, or by that of its
// maker: quectel is EC25, huawei is E3531.
func ProfileNamed(name string) (Profile, error) {
	switch name {
	case "quectel":
		return Quectel(), nil
	case "huawei":
		return Huawei(), nil
	}
	for _, p := range profiles() {
		if p.Name == name {
			return p, nil
		}
	}
	return Profile{}, fmt.Errorf("sim: no profile %q; there are %s", name, strings.Join(ProfileNames(), ", "))
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
		PINTries: "+CPINR",
		CNMI:     [5]string{"0-2", "0-3", "0,2", "0-2", "0,1"}, CSMS: "0,1",
		Memories:     []Memory{{Name: "SM", Slots: 20}, {Name: "ME", Slots: 50}, {Name: "SR", Slots: 20}},
		FirstIndex:   1,
		Registration: [len(domains)]int{1, 1, 1, -1},
	}
}

// with is Generic under another name, and changed.
func with(name, manufacturer, model, revision string, change func(*Profile)) Profile {
	return from(Generic(), name, manufacturer, model, revision, change)
}

func from(p Profile, name, manufacturer, model, revision string, change func(*Profile)) Profile {
	p.Name, p.Manufacturer, p.Model, p.Revision = name, manufacturer, model, revision
	change(&p)
	return p
}

// boot is a start whose lines come 100 ms apart; the modem listens with the
// first.
func boot(lines ...string) []BootStep {
	var steps []BootStep
	for i, line := range lines {
		steps = append(steps, BootStep{After: time.Duration(i+2) * 100 * time.Millisecond, Line: line, Listens: i == 0})
	}
	return steps
}

// Huawei is like Huawei's E3531 (gammu#438, gammu#486): several names for what
// went wrong, lines of its own at any time, a memory that stops reception when
// full. Its AT+CNMI and AT+CPMS lines may be those of an E169.
func Huawei() Profile {
	return with("e3531", "huawei", "E3531", "21.318.15.00.00", func(p *Profile) {
		p.Boot = boot("^BOOT:11111111,0,0,0,6", "^SRVST:2", "^RSSI:22")
		// ^BOOT comes again while the modem is alive (gammu#393, gammu#136).
		p.Chatter = []Chatter{
			{Line: "^BOOT:11111111,0,0,0,6", Every: 20 * time.Second, Off: "AT^CURC=0"},
			{Line: "^RSSI:22", Every: 30 * time.Second, Off: "AT^CURC=0"},
		}
		p.Vanishes = true
		p.Ports = []PortRole{RoleAT2, RoleDiag, RoleAT} // modem, diagnostics, PCUI
		p.PINTries = "^CPIN"
		p.CNMI = [5]string{"0-2", "0-3", "0,2", "0-2", "0,1"}
		p.FirstIndex = 0
		p.USSDPacked = true
		p.FullMessage = `^SMMEMFULL: "%s"`
		p.Memories = []Memory{{Name: "SM", Slots: 20}, {Name: "ME", Slots: 20}}
		p.Registration = [len(domains)]int{1, 1, -1, -1}
		p.Answers = map[string][]string{
			"AT^CURC=0":     {finalOK},
			"AT^CURC=1":     {finalOK},
			"AT^PORTSEL=1":  {finalOK},
			"AT$TSSPCSW=?":  {"COMMAND NOT SUPPORT"}, // of the E3276, gammu#523
			"AT^CVOICE=?":   {"COMMAND NOT SUPPORT"},
			"AT+CLAC":       {"COMMAND NOT SUPPORT"},
			"AT^HWVER":      {`^HWVER:"CH2E3531SM"`, finalOK},
			"AT^CARDMODE":   {"^CARDMODE:2", finalOK},
			"AT^SYSCFG?":    {"^SYSCFG:2,0,3FFFFFFF,1,2", finalOK},
			"AT^CURC?":      {"^CURC:1", finalOK},
			"AT^CSNR?":      {finalError},
			"AT+CMMS=2":     {"+CMS ERROR: 500"}, // of the E1752
			"AT^PORTSEL=?":  {"^PORTSEL:(0,1)", finalOK},
			"AT^SETPORT=?":  {finalError},
			"AT^U2DIAG?":    {"^U2DIAG:0", finalOK},
			"AT^DIALMODE=?": {"^DIALMODE:(0-2)", finalOK},
		}
	})
}

func huaweis() []Profile {
	return []Profile{
		// faucamp/python-gsmmodem, test/fakemodems.py
		from(Huawei(), "k3715", "huawei", "K3715", "11.104.05.00.00", func(p *Profile) {
			p.PINRequired = "+CME ERROR: 11"
			p.Memories = []Memory{{Name: "ME", Slots: 20}, {Name: "MT", SameAs: "ME"}, {Name: "SM", Slots: 20}, {Name: "SR", Slots: 10}}
			p.Answers = map[string][]string{"AT+WIND?": {finalError}, "AT+WIND=50": {finalError}, "AT+ZPAS?": {finalError}}
		}),
		Huawei(),
		from(Huawei(), "e3276", "huawei", "E3276", "21.263.03.00.141", func(p *Profile) { // gammu#523
			p.Registration = [len(domains)]int{1, 1, 1, -1}
		}),
		// chan-dongle#143: lines of its own in front of AT+CSQ's answer
		from(Huawei(), "e3372", "huawei", "E3372", "21.180.01.00.00", func(p *Profile) {
			p.Registration = [len(domains)]int{1, 1, 1, -1}
			p.Inserts = map[string][]string{"AT+CSQ": {"^RSSI:26", `^HCSQ:"LTE",60,52,106,24`}}
		}),
		// asterisk-chan-dongle#121: nothing of messages until AT^PORTSEL=1
		from(Huawei(), "e173", "huawei", "E173", "11.126.85.00.209", func(p *Profile) { p.URCsAfter = "AT^PORTSEL=1" }),
		from(Huawei(), "e1750", "huawei", "E1750", "11.126.03.01.55", func(*Profile) {}), // gammu#94
		from(Huawei(), "e1752", "huawei", "E1752", "11.126.13.00.00", func(p *Profile) { p.UnknownAnswer = "COMMAND NOT SUPPORT" }),
		// gammu#323: AT+CMGL=4 stands still for minutes
		from(Huawei(), "e220", "huawei", "E220", "11.117.09.00.00", func(p *Profile) { p.CMGLHangs = 500 * time.Second }),
		// Huawei's AT specifications: an acknowledgement that is late costs the
		// routing
		from(Huawei(), "mu509", "huawei", "MU509", "11.810.09.00.00", func(p *Profile) {
			p.Chatter = nil
			p.CSMSStart = 1
		}),
	}
}

// Quectel is like Quectel's EC25 (asterisk-chan-quectel PR#75, gammu#468):
// reports asked for by <ds>=2 lie in "SR" and are announced as if they lay in
// "SM".
func Quectel() Profile {
	return with("ec25", "Quectel", "EC25", "EC25EFAR06A10M4G", func(p *Profile) {
		p.Boot = boot("RDY", cpinReadyLine, "+QUSIM: 1", "+QIND: SMS DONE", "+QIND: PB DONE")
		p.Vanishes = true
		p.Ports = []PortRole{RoleDiag, RoleNMEA, RoleAT, RoleAT2} // 2c7c:0125
		p.PINTries = "+QPINC"
		p.FirstIndex = 0
		p.EmptyIsOK = true
		p.ReportAnnouncement = `"SM",0`
		p.Memories = []Memory{{Name: "SM", Slots: 25}, {Name: "ME", Slots: 23}, {Name: "SR", Slots: 10}}
		p.Answers = map[string][]string{"AT+MODE=2": {finalError}}
	})
}

func quectels() []Profile {
	return []Profile{
		// warthog618/modem#17
		with("m26", "FOXCOM MODEM", "Quectel_M26", "Revision: M26FBR03A06-TTS", func(p *Profile) {
			p.Boot = boot("RDY", "+CFUN: 1", cpinReadyLine, "Call Ready", "SMS Ready")
			p.PINTries = "+QPINC"
			p.CNMI = [5]string{"0-3", "0-3", "0,2,3", "0-2", "0,1"}
			p.CNMIStart = [5]int{2, 1}
			p.CSMS = "0,128"
			p.Memories = []Memory{{Name: "SM", Slots: 20}, {Name: "ME", Slots: 20}, {Name: "MT", SameAs: "SM"}}
			p.Registration = [len(domains)]int{5, 5, -1, -1}
			p.Answers = map[string][]string{
				"ATI":        {"FOXCOM MODEM", "Quectel_M26", "Revision: M26FBR03A04_TTS", finalOK},
				"AT+GCAP":    {"+GCAP: +CGSM,+FCLASS", finalOK},
				"AT+CSQ":     {"+CSQ: 28,0", finalOK},
				"AT+CEER":    {"+CEER: 0,0", finalOK},
				"AT+CSMS=1":  {"+CMS ERROR: unknown"},
				"AT^ICCID?":  {"+CME ERROR: unknown"},
				"AT+CNMA=?":  {"+CNMA: (0-2)", finalOK},
				"AT+CMGS=?":  {finalOK},
				"AT+QINDI=?": {"+QINDI: (0-2)", finalOK},
			}
		}),
		Quectel(),
		from(Quectel(), "bg96", "Quectel", "BG96", "BG96MAR02A07M1G", func(p *Profile) { // gammu#676: never reports
			p.NoReports = true
			p.Registration = [len(domains)]int{1, 1, 1, -1}
		}),
		// gammu#695: a report looked for in another memory has the reference 0
		// and no number
		from(Quectel(), "trm240", "Teltonika", "TRM240", "TRM240_00.07", func(p *Profile) {
			p.FirstIndex = 1
			p.EmptyIsOK, p.EmptyIsBlank = false, true
			p.ReportAnnouncement = ""
		}),
	}
}

// SIM800 is like SIMCom's SIM800 family (babca/python-gsmmodem#64, faucamp#60,
// Seeed GPRS_SIM900#39).
func SIM800() Profile {
	return with("sim800", "SIMCOM_Ltd", "SIMCOM_SIM800C", "Revision:1418B05SIM800C24", func(p *Profile) {
		p.Boot = append(p.Boot[:3], BootStep{After: 400 * time.Millisecond, Line: "Call Ready"}, BootStep{After: 700 * time.Millisecond, Line: "SMS Ready"})
		p.PINTries = "+SPIC"
		p.CNMI = [5]string{"0-3", "0-3", "0,2", "0,1", "0,1"}
		p.CNMIStart = [5]int{2, 1}
		p.Memories = []Memory{{Name: "SM", Slots: 10}, {Name: "ME", Slots: 10}}
		p.Registration = [len(domains)]int{1, 1, -1, -1}
		p.Answers = map[string][]string{
			"AT+CLAC":           {"+CME ERROR: 100"},
			"AT^CVOICE=?":       {"+CME ERROR: 100"},
			"AT+CSCS=?":         {`+CSCS: ("IRA","GSM","UCS2","HEX","PCCP","PCDN","8859-1")`, finalOK},
			"AT+CNMI=2,1,0,2":   {finalError},
			"AT+CNMI=2,1,0,2,0": {finalError},
		}
	})
}

func simcoms() []Profile {
	return []Profile{
		SIM800(),
		// babca#106, esp-protocols#789: a report is not where it is said to be,
		// and AT+CSQ's answer comes unasked
		with("sim7600", "SIMCOM INCORPORATED", "SIMCOM_SIM7600E", "SIM7600M22_V1.1", func(p *Profile) {
			p.Boot = boot("RDY", cpinReadyLine, "SMS DONE", "PB DONE")
			p.Chatter = []Chatter{
				{Line: "+CSQ: 11,99", Every: 5 * time.Second, Off: "AT+AUTOCSQ=0,0"},
				{Line: "+CNSMOD: 8", Every: 60 * time.Second},
			}
			p.Vanishes = true
			p.Ports = []PortRole{RoleDiag, RoleNMEA, RoleAT, RoleAT2, RoleMute} // 1e0e:9001
			p.PINTries = "+SPIC"
			p.FirstIndex = 0
			p.Memories = []Memory{{Name: "ME", Slots: 23}, {Name: "SM", Slots: 10}, {Name: "SR"}}
			p.ReportMemory = "ME"
			p.ReportAnnouncement = `"SR",8`
			p.Answers = map[string][]string{"AT+AUTOCSQ=0,0": {finalOK}}
		}),
		// T-SIM7600X#63
		with("sim7000", "SIMCOM_Ltd", "SIMCOM_SIM7000G", "1529B11SIM7000G", func(p *Profile) {
			p.Boot = boot("RDY", "+CFUN: 1", cpinReadyLine, "SMS Ready")
			p.PINTries = "+SPIC"
			p.MessageAnnouncement = ",-1"
		}),
		with("a7670", "SIMCOM", "A7670E", "A7670M7_V1.11.1", func(p *Profile) {
			p.Boot = boot("*ATREADY: 1", cpinReadyLine, "SMS DONE", "PB DONE")
			p.CNMI[3] = "0,2"
			p.Answers = map[string][]string{"AT+CNMI=?": {"+CNMI: (0,1,2),(0,1,2,3),(0,2),(0,1,2),(0,1)", finalOK}}
		}),
	}
}

func others() []Profile {
	return []Profile{
		// faucamp/python-gsmmodem, test/fakemodems.py: it sends and no more
		with("n79", "Nokia", "Nokia N79", "", func(p *Profile) {
			p.Boot = nil
			p.PINTries, p.PINRequired = "", "+CME ERROR: 11"
			p.Unknown = []string{"+CNMI", "+CMGL", "+CMGR", "+CMGD", "+CNMA"}
			p.Memories = nil
			p.NoReports = true
			p.Answers = map[string][]string{
				"AT+CGMR":                {"V ICPR72_08w44.1", "24-11-08", "RM-348", "(c) Nokia", "11.049", finalOK},
				"AT+CNMI=2,1,0,2":        {finalError},
				"AT+WIND?":               {finalError},
				"AT+WIND=50":             {finalError},
				"AT+ZPAS?":               {finalError},
				`AT+CPMS="SM","SM","SR"`: {finalError},
				"AT+CPMS=?":              {"+CPMS: (),(),()", finalOK},
				"AT+CPMS?":               {"+CPMS: ,,,,,,,,", finalOK},
				"AT+CPMS=,,":             {finalError},
				`AT+CPMS="SM","SM"`:      {finalError},
				"AT+CSMP?":               {"+CSMP: 49,167,0,0", finalOK},
				"AT+GCAP":                {"+GCAP: +CGSM,+DS,+W", finalOK},
				"AT+CVHU=0":              {finalOK},
			}
		}),
		with("mf180", "ZTE CORPORATION", "MF180", "BD_MF180V1.0.0B01", func(p *Profile) { // gammu#119
			zte(p)
			p.Answers["AT+CSCS=?"] = []string{`+CSCS: ("IRA","GSM","UCS2")`, finalOK}
		}),
		with("mf626", "ZTE", "MF626", "BD_MF626V1.0.0B06", func(p *Profile) { // gammu#209
			zte(p)
			p.Memories = []Memory{{Name: "SM", Slots: 50}, {Name: "ME", Slots: 100}}
			p.MemoriesStart = [3]string{"SM", "SM", "ME"}
		}),
		with("mc35i", "SIEMENS", "MC35i", "REVISION 03.01", func(p *Profile) { // gammu#97
			p.Boot = boot("^SYSSTART")
			p.PINTries = "^SPIC"
			p.Memories = []Memory{{Name: "MT", Slots: 30}, {Name: "SM", SameAs: "MT"}, {Name: "ME", SameAs: "MT"}}
			p.ReceiveMemories = []string{"MT", "SM"}
			p.Registration = [len(domains)]int{1, -1, -1, -1}
			p.Answers = map[string][]string{"ATI5": {finalOK}}
		}),
		with("mc75i", "Cinterion", "MC75i", "REVISION 02.002", func(p *Profile) {
			p.Boot = boot("^SYSSTART")
			p.PINTries = "^SPIC"
			p.CNMI[4], p.CNMIStart = "1", [5]int{0, 0, 0, 0, 1}
			p.Registration = [len(domains)]int{1, 1, -1, -1}
		}),
		// ModemManager's cnmi_sequence: <ds>=1 is offered and refused
		with("qualcomm", "QUALCOMM INCORPORATED", "ModemManager cnmi_sequence", "1", func(p *Profile) {
			p.CNMI[3] = "0,2"
			p.Answers = map[string][]string{"AT+CNMI=?": {"+CNMI: (0,1,2),(0,1,2,3),(0,2),(0,1,2),(0,1)", finalOK}}
		}),
		// CME 515 after AT+CFUN=1, and AT+CPIN? without OK
		with("wavecom", "WAVECOM MODEM", "MULTIBAND 900E 1800", "641b09gg.Q2403A", func(p *Profile) {
			p.Boot = boot("+WIND: 3", "+WIND: 4")
			p.PINTries = ""
			p.NoOK = []string{"AT+CPIN?"}
			p.FunctionBusy = 2
			p.Registration = [len(domains)]int{1, 1, -1, -1}
			p.Memories = []Memory{{Name: "SM", Slots: 20}, {Name: "SR", Slots: 5}}
			p.Answers = map[string][]string{"AT+GCAP": {"+GCAP: +FCLASS, +CGSM", finalOK}}
		}),
		// CME 14 after the PIN, and AT+CSMP forgets the service centre
		with("m6280", "Qualcomm", "M6280", "1", func(p *Profile) {
			p.SIMBusy = 5
			p.CSMPWipesSMSC = true
			p.PINTries = ""
		}),
		with("dwm157", "D-Link", "DWM-157", "1", func(p *Profile) {
			p.BootCFUN = 4
			p.Boot = boot("+EIND: 128")
		}),
		// Ai-Thinker A6: no space after the colon
		with("a6", "Ai-Thinker Co.,Ltd.", "A6", "V03.03", func(p *Profile) {
			p.Boot = boot("^CINIT: 1,0,0", "^CINIT: 2,32,50707", "+CREG: 1", "READY")
			p.NoSpace = true
			p.PINTries = ""
			p.Registration = [len(domains)]int{1, 1, -1, -1}
			p.UnknownAnswer = "+CME ERROR:58"
		}),
	}
}

// zte is what ZTE's sticks have in common (ModemManager, mm-common-zte.c).
func zte(p *Profile) {
	p.Boot = boot("+ZUSIMR:2", "+ZPASR: \"HSDPA\"")
	p.Chatter = []Chatter{{Line: "+ZUSIMR:2", Every: 10 * time.Second, Off: "AT+CPMS?"}, {Line: "+ZDONR: \"Simulated\",1,1,\"CS_PS\",\"ROAM_OFF\"", Every: 40 * time.Second}}
	p.Vanishes = true
	p.FirstIndex = 0
	p.PINTries = ""
	p.Memories = []Memory{{Name: "SM", Slots: 20}, {Name: "ME", Slots: 100}}
	p.Registration = [len(domains)]int{1, 1, -1, -1}
	p.Answers = map[string][]string{}
}

// behaviours are classes of quirks, each alone.
func behaviours() []Profile {
	var all []Profile
	quirk := func(name string, change func(*Profile)) {
		all = append(all, with(name, "smsotpd", "Simulated modem", "1", change))
	}
	quirk("forced-ack", func(p *Profile) { p.CSMS, p.CSMSStart = "1", 1 })
	quirk("cnmi-ignored", func(p *Profile) { p.CNMIIgnored = true })
	quirk("cnmi-four", func(p *Profile) { p.CNMICount = 4 })
	quirk("two-memories", func(p *Profile) { p.MemoriesCount = 2 })
	quirk("silent-reports", func(p *Profile) { p.CNMI[3], p.ReportAnnouncement = "0,2", NoAnnouncement })
	quirk("index-minus-one", func(p *Profile) { p.CNMI[3], p.ReportAnnouncement, p.MessageAnnouncement = "0,2", ",-1", ",-1" })
	quirk("closes-gaps", func(p *Profile) { p.ClosesGaps = true })
	quirk("reference-zero", func(p *Profile) { p.References = ReferencesZero })
	quirk("reference-restart", func(p *Profile) { p.References = ReferencesRestart })
	quirk("reference-skip", func(p *Profile) { p.References = ReferencesSkip })
	quirk("submit-time", func(p *Profile) { p.SubmitTime = true })
	quirk("odd-lines", func(p *Profile) { p.EOL = "\r\r\n" })
	quirk("finals-twice", func(p *Profile) { p.FinalsTwice = true })
	quirk("deaf", func(p *Profile) { p.Deaf = 100 * time.Millisecond })
	quirk("sleepy", func(p *Profile) { p.Sleeps = 5 * time.Second })
	quirk("nameless", func(p *Profile) {
		p.Unknown = []string{"+CIMI"}
		p.Answers = map[string][]string{"AT+CGSN": {"000000000000000", finalOK}, "AT+GSN": {"000000000000000", finalOK}, "AT+GCAP": {finalError}}
	})
	quirk("no-signal", func(p *Profile) { p.Signal = 99 })
	quirk("lte-only", func(p *Profile) {
		p.Registration = [len(domains)]int{2, 2, 1, -1}
		p.RegistrationModes = [len(domains)]string{"0-3", "0-3", "0-5", ""}
	})
	quirk("nr-only", func(p *Profile) {
		p.Registration = [len(domains)]int{2, -1, 2, 1}
		p.RegistrationModes = [len(domains)]string{"0-2", "", "0-5", "0-5"}
		p.RegistrationBare = true
	})
	return all
}
