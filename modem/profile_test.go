package modem

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func builtin(t *testing.T) []Profile {
	t.Helper()
	profiles, err := BuiltinProfiles()
	if err != nil {
		t.Fatal(err)
	}
	return profiles
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

func TestBuiltinProfilesMatch(t *testing.T) {
	profiles := builtin(t)
	for _, c := range []struct {
		make Make
		want string // the names of what applies
	}{
		{Make{"huawei", "E173", "11.126.85.00.209", ""}, "huawei + huawei-e173"},
		{Make{"huawei", "E3276", "21.263.03.00.141", "12d1:1506"}, "huawei-usb + huawei + huawei-e3276"},
		{Make{"huawei", "K3715", "11.104.05.00.00", ""}, "huawei"},
		{Make{"Huawei Technologies Co., Ltd.", "E220", "", ""}, "huawei + huawei-e160-e220"},
		{Make{"Quectel", "EC25", "EC25EFAR06A10M4G", "2C7C:0125"}, "quectel-usb + quectel + quectel-ec25"},
		{Make{"FOXCOM MODEM", "Quectel_M26", "Revision: M26FBR03A06-TTS", ""}, "quectel-m26"},
		{Make{"SIMCOM_Ltd", "SIMCOM_SIM800C", "", ""}, "simcom + simcom-sim800"},
		{Make{"SIMCOM INCORPORATED", "SIMCOM_SIM7600E-H", "", "1e0e:9001"}, "simcom-usb + simcom-sim7600 + simcom"},
		{Make{"INCORPORATED", "A7670E-FASE", "", ""}, "simcom-a7670"},
		{Make{"SIEMENS", "MC75i", "", ""}, "siemens + siemens-mc75"},
		{Make{"Nokia", "Nokia N79", "", ""}, ""},
		{Make{"", "", "", "2c7c:0125"}, "quectel-usb"},
		{Make{}, ""},
	} {
		names := strings.Split(MatchProfile(profiles, c.make).Name, " + ")
		want := strings.Split(c.want, " + ")
		if fmt.Sprint(sorted(names)) != fmt.Sprint(sorted(want)) {
			t.Errorf("%+v: %q", c.make, names)
		}
	}
}

func TestProfileOfEC25(t *testing.T) {
	p := MatchProfile(builtin(t), Make{"Quectel", "EC25", "EC25EFAR06A10M4G", "2c7c:0125"})
	for number, role := range map[int]PortRole{0: RoleDiag, 1: RoleNMEA, 2: RoleAT, 3: RoleAT2, 4: ""} {
		if got := p.Role(number, 0xff); got != role {
			t.Errorf("interface %d is for %q", number, got)
		}
	}
	if p.AllowsCNMI("2,1,0,2,0") || !p.AllowsCNMI("2,1,0,1,0") {
		t.Error("a wrong setting of AT+CNMI is allowed, or a right one is not")
	}
	if p.ResetCommand() != "AT+CFUN=1,1" || !p.AllowsUSBReset() || p.PINTries == "" || p.CMMS == nil || !*p.CMMS {
		t.Errorf("%+v", p)
	}
}

func TestProfileOfHuaweiPorts(t *testing.T) {
	p := MatchProfile(builtin(t), Make{USB: "12d1:1001"})
	for protocol, role := range map[int]PortRole{1: RoleAT2, 2: RoleAT, 0xff: ""} {
		if got := p.Role(0, protocol); got != role {
			t.Errorf("protocol %d is for %q", protocol, got)
		}
	}
}

func TestProfileCMS(t *testing.T) {
	p := MatchProfile(builtin(t), Make{Manufacturer: "SIEMENS", Model: "MC35i"})
	for n, want := range map[int]Class{512: "", 513: Ours, 700: Ours, 38: "", -1: ""} {
		if class, ok := p.CMS(n); class != want || ok != (want != "") {
			t.Errorf("%d is %q", n, class)
		}
	}
}

func TestAvoids(t *testing.T) {
	p := Profile{Avoid: []string{"AT+CSMP", "AT+CMGL=4"}}
	for cmd, want := range map[string]bool{
		"AT+CSMP?": true, "AT+CSMP=17,167,0,0": true, "at+csmp": true, "AT+CMGL=4": true,
		"AT+CMGL=0": false, "AT+CMGL=40": false, "AT+CSMPX": false, "AT": false,
	} {
		if p.Avoids(cmd) != want {
			t.Errorf("%s: %v", cmd, !want)
		}
	}
}

// TestOwnProfilesGoLast: the operator's profile goes over the driver's, field
// by field, however general it is.
func TestOwnProfilesGoLast(t *testing.T) {
	own, err := ParseProfiles([]byte(`
		[profile.exact]
		manufacturer = ["quectel"]
		model = ["ec25"]
		cnmi_never = []
		[profile.mine]
		manufacturer = ["q*"]
		pace = "20ms"
		reset = "AT+QPOWD=1"
		usb_reset = false
		cms = { 512 = "temporary" }
	`))
	if err != nil {
		t.Fatal(err)
	}
	all, err := allProfiles(own)
	if err != nil {
		t.Fatal(err)
	}
	p := MatchProfile(all, Make{Manufacturer: "Quectel", Model: "EC25"})
	if time.Duration(p.Pace) != 20*time.Millisecond || p.ResetCommand() != "AT+QPOWD=1" || p.AllowsUSBReset() {
		t.Errorf("%+v", p)
	}
	if !p.AllowsCNMI("2,1,0,2,0") {
		t.Error("an empty list did not replace the driver's")
	}
	if p.PINTries == "" {
		t.Error("what the own profile leaves out is gone")
	}
	if class, ok := p.CMS(512); class != Temporary || !ok {
		t.Errorf("512 is %q", class)
	}
}

func TestParseProfilesRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"[profile.x]\nbaud = [\"a\"]":                                "profile.x.baud",
		"[profile.x]":                                                "profile.x.manufacturer",
		"[profile.x]\nmodel = [\"\"]":                                "profile.x.model",
		"[profile.x]\nmodel = \"a\"":                                 "profile.x.model",
		"[profile.x]\nusb = [\"12d1\"]":                              "profile.x.usb",
		"[profile.x]\nusb = [\"12d1:12345\"]":                        "profile.x.usb",
		"[profile.x]\nmodel=[\"a\"]\ninterfaces={at=[1]}":            "profile.x.interfaces",
		"[profile.x]\nusb=[\"12d1:*\"]\ninterfaces={modem=[1]}":      "profile.x.interfaces.modem",
		"[profile.x]\nusb=[\"12d1:*\"]\nprotocols={at=[256]}":        "profile.x.protocols.at",
		"[profile.x]\nmodel=[\"a\"]\npace=\"fast\"":                  "profile.x.pace",
		"[profile.x]\nmodel=[\"a\"]\npace=\"2m\"":                    "profile.x.pace",
		"[profile.x]\nmodel=[\"a\"]\ninit=[\"^CURC=0\"]":             "profile.x.init",
		"[profile.x]\nmodel=[\"a\"]\ninit=[\"AT+X\\r\\nAT+CMGS=1\"]": "profile.x.init",
		"[profile.x]\nmodel=[\"a\"]\nreset=\"reset\"":                "profile.x.reset",
		"[profile.x]\nmodel=[\"a\"]\ncnmi=[\"2,1,0,1\"]":             "profile.x.cnmi",
		"[profile.x]\nmodel=[\"a\"]\ncnmi=[\"2,1,0,*,0\"]":           "profile.x.cnmi",
		"[profile.x]\nmodel=[\"a\"]\ncnmi_never=[\"ds=2\"]":          "profile.x.cnmi_never",
		"[profile.x]\nmodel=[\"a\"]\ncsms=2":                         "profile.x.csms",
		"[profile.x]\nmodel=[\"a\"]\ncmms=\"yes\"":                   "profile.x.cmms",
		"[profile.x]\nmodel=[\"a\"]\nvalidity=[\"long\"]":            "profile.x.validity",
		"[profile.x]\nmodel=[\"a\"]\ncms={512=\"fatal\"}":            "profile.x.cms.512",
		"[profile.x]\nmodel=[\"a\"]\ncms={5-1=\"ours\"}":             "profile.x.cms.5-1",
		"[profiles.x]\nmodel=[\"a\"]":                                "profiles",
		"[profile.x\n":                                               "line 1",
	} {
		_, err := ParseProfiles([]byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"ec25*", "ec25", true},
		{"ec25*", "ec25-e", true},
		{"ec25", "ec25-e", false},
		{"*sim800*", "simcom_sim800c", true},
		{"*a*b*c", "xxaxxbxxbc", true},
		{"*a*b*c", "xxaxxbxxb", false},
		{"e1?3", "e173", true},
		{"e1?3", "e13", false},
		{"", "", true},
		{"", "x", false},
		{"*", "", true},
		{"a[b]/c", "a[b]/c", true},
	} {
		if fits(c.pattern, c.s) != c.want {
			t.Errorf("%q and %q: %v", c.pattern, c.s, !c.want)
		}
	}
}

// FuzzProfiles: a file of profiles is read or refused, and what is read can be
// used on any modem.
func FuzzProfiles(f *testing.F) {
	f.Add(string(builtinProfiles), "EC25")
	f.Add("[profile.x]\nmodel = [\"*a?\"]\ncms = { 5-9 = \"sim\" }", "bac")
	f.Fuzz(func(t *testing.T, text, model string) {
		profiles, err := ParseProfiles([]byte(text))
		if err != nil {
			return
		}
		p := MatchProfile(profiles, Make{Manufacturer: model, Model: model, Firmware: model, USB: model})
		for _, cmd := range append(p.Init, p.ResetCommand()) {
			if !isCommand(cmd) {
				t.Errorf("command %q", cmd)
			}
		}
		p.CMS(512)
		p.Role(2, 2)
	})
}
