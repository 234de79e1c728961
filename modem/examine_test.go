package modem_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"smsotpd/modem"
	"smsotpd/modem/sim"
	"smsotpd/modem/wire"
)

// plugged is the path of a simulated modem that has started.
func plugged(t *testing.T, c sim.ModemConfig) (string, *sim.Modem) {
	t.Helper()
	dir := t.TempDir()
	n := sim.NewNetwork(sim.NetworkConfig{})
	t.Cleanup(n.Close)
	m, err := n.NewModem(c)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "modem")
	if err := m.Open(link); err != nil {
		t.Fatal(err)
	}
	return link, m
}

// profile is the generic one, changed.
func profile(change func(*sim.Profile)) sim.ModemConfig {
	p := sim.Generic()
	p.Answers = map[string][]string{}
	change(&p)
	return sim.ModemConfig{Profile: p}
}

func answering(command string, lines ...string) sim.ModemConfig {
	return profile(func(p *sim.Profile) { p.Answers[command] = lines })
}

// Each situation is found, told in a sentence, and its remedy names what to
// do.
func TestExamineFinds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		config sim.ModemConfig
		code   modem.FindingCode
		worst  modem.Severity
		remedy string // in the remedy or its lines
	}{
		{"no SIM", answering("AT+CPIN?", "+CME ERROR: 10"), modem.FoundNoSIM, modem.Failing, "Put a SIM in"},
		{"no SIM, without a number", answering("AT+CPIN?", "+CPIN: NOT INSERTED", "OK"), modem.FoundNoSIM, modem.Failing, "Put a SIM in"},
		{"no SIM, in words", answering("AT+CPIN?", "+CME ERROR: SIM not inserted"), modem.FoundNoSIM, modem.Failing, "Put a SIM in"},
		{"PIN", sim.ModemConfig{PIN: "1234"}, modem.FoundPIN, modem.Failing, `pin_file = "/etc/smsotpd/front.pin"`},
		{"PUK", answering("AT+CPIN?", "+CPIN: SIM PUK", "OK"), modem.FoundPUK, modem.Failing, "PUK"},
		{"PUK by its error", answering("AT+CPIN?", "+CME ERROR: 12"), modem.FoundPUK, modem.Failing, "PUK"},
		{"a SIM lock", answering("AT+CPIN?", "+CPIN: PH-NET PIN", "OK"), modem.FoundSIMLocked, modem.Failing, "unlocked by who sold it"},
		{"a lock that nobody knows", answering("AT+CPIN?", "+CPIN: SOMETHING", "OK"), modem.FoundSIMLocked, modem.Failing, "in a phone"},
		{"a SIM blocked for good", answering("AT+CPIN?", "+CPIN: BLOCKED", "OK"), modem.FoundSIMBlocked, modem.Failing, "Another one is needed."},
		{"the same by its error", answering("AT+CPIN?", "+CME ERROR: 262"), modem.FoundSIMBlocked, modem.Failing, "Another one is needed."},
		{"a SIM without power", profile(func(p *sim.Profile) {
			p.Answers["AT+CFUN?"] = []string{"+CFUN: 0", "OK"}
			p.Answers["AT+CPIN?"] = []string{"+CME ERROR: 13"}
			p.Answers["AT+CSCA?"] = []string{"OK"}
		}), modem.FoundRadioOff, modem.Warning, "and then looks at the SIM"},
		{"a SIM without power, in words", profile(func(p *sim.Profile) {
			p.Answers["AT+CFUN?"] = []string{"+CFUN: 4", "OK"}
			p.Answers["AT+CPIN?"] = []string{"+CPIN: NOT INSERTED", "OK"}
		}), modem.FoundRadioOff, modem.Warning, "and then looks at the SIM"},
		{"a broken SIM", answering("AT+CPIN?", "+CME ERROR: 13"), modem.FoundSIMFailure, modem.Failing, "contacts"},
		{"one try left", profile(func(p *sim.Profile) {
			p.Answers["AT+CPIN?"] = []string{"+CPIN: SIM PIN", "OK"}
			p.Answers[`AT+CPINR="SIM PIN"`] = []string{"+CPINR: SIM PIN,1,3", "OK"}
		}), modem.FoundPINTries, modem.Failing, "into a phone"},
		{"two tries left", answering(`AT+CPINR="SIM PIN"`, "+CPINR: SIM PIN,2,3", "OK"), modem.FoundPINTries, modem.Warning, "PIN is right"},
		{"searching", profile(func(p *sim.Profile) { p.Registration = [4]int{2, 2, 2, -1} }), modem.FoundUnregistered, modem.Failing, "wait a minute"},
		{"no network to be heard", profile(func(p *sim.Profile) {
			p.Registration = [4]int{0, 0, 0, -1}
			p.Answers["AT+CSQ"] = []string{"+CSQ: 99,99", "OK"}
		}), modem.FoundUnregistered, modem.Failing, "antenna"},
		{"denied", profile(func(p *sim.Profile) { p.Registration = [4]int{3, 2, -1, -1} }), modem.FoundDenied, modem.Failing, "active"},
		{"emergency calls only", profile(func(p *sim.Profile) { p.Registration = [4]int{8, 0, -1, -1} }), modem.FoundEmergency, modem.Failing, "active"},
		{"no SMSC", sim.ModemConfig{SMSC: "none"}, modem.FoundNoSMSC, modem.Failing, `smsc = "+…"`},
		{"no SMSC, only OK", answering("AT+CSCA?", "OK"), modem.FoundNoSMSC, modem.Failing, `smsc = "+…"`},
		{"weak", answering("AT+CSQ", "+CSQ: 3,99", "OK"), modem.FoundWeakSignal, modem.Warning, "antenna"},
		{"no reports", answering("AT+CNMI=?", "+CNMI: (0-2),(0-3),(0,2),(0),(0,1)", "OK"), modem.FoundNoReports, modem.Warning, "firmware"},
		{"a full store", answering("AT+CPMS?", `+CPMS: "SM",20,20,"ME",0,50,"SR",0,10`, "OK"), modem.FoundStoreFull, modem.Warning, "daemon"},
		{"text mode only", profile(func(p *sim.Profile) {
			p.Answers["AT+CMGF?"] = []string{"+CMGF: 1", "OK"}
			p.Answers["AT+CMGF=0"] = []string{"ERROR"}
		}), modem.FoundTextMode, modem.Failing, "firmware"},
		{"the radio is off", answering("AT+CFUN?", "+CFUN: 4", "OK"), modem.FoundRadioOff, modem.Warning, "daemon turns it on"},
		{"no IMEI", profile(func(p *sim.Profile) {
			for _, cmd := range []string{"AT+CGSN", "AT+GSN", "AT+CGSN=1"} {
				p.Answers[cmd] = []string{"000000000000000", "OK"}
			}
		}), modem.FoundNoIMEI, modem.Warning, "by-path"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path, m := plugged(t, tt.config)
			e := modem.Examine(context.Background(), modem.ExamineConfig{}, path)
			if !e.Modem || !e.Has(tt.code) || e.Worst() != tt.worst || e.Usable() != (tt.worst != modem.Failing) {
				t.Errorf("a modem: %t, usable: %t, %+v", e.Modem, e.Usable(), e.Findings)
			}
			sound(t, e, tt.code, tt.remedy)
			unharmed(t, m)
		})
	}
}

// sound holds the finding to be one that a person can act on.
func sound(t *testing.T, e modem.Examination, code modem.FindingCode, remedy string) {
	t.Helper()
	for _, f := range e.Findings {
		if f.Code != code {
			continue
		}
		if all := f.Remedy + strings.Join(f.Lines, "\n"); !strings.Contains(all, remedy) {
			t.Errorf("the remedy does not say %q: %s", remedy, all)
		}
		if !strings.HasSuffix(f.Problem, ".") || !strings.HasSuffix(f.Remedy, ".") || strings.Contains(f.Problem, "%!") {
			t.Errorf("no sentences: %q %q", f.Problem, f.Remedy)
		}
		return
	}
}

// unharmed: no PIN was tried, nothing sent, no rule of the protocol broken.
func unharmed(t *testing.T, m *sim.Modem) {
	t.Helper()
	if m.PINTries() != 3 {
		t.Errorf("a PIN was entered: %d tries are left", m.PINTries())
	}
	if v := m.Violations(); len(v) > 0 {
		t.Errorf("violations: %v", v)
	}
}

func TestExamineGoodModem(t *testing.T) {
	t.Parallel()
	for _, p := range []sim.Profile{sim.Generic(), sim.SIM800(), sim.Quectel(), sim.Huawei()} {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			path, m := plugged(t, sim.ModemConfig{Profile: p})
			e := modem.Examine(context.Background(), modem.ExamineConfig{}, path)
			if !e.Usable() || len(e.Findings) > 0 {
				t.Errorf("findings: %+v", e.Findings)
			}
			if e.Model != p.Model || e.IMEI != m.IMEI() || e.IMSI != m.IMSI() || e.ICCID == "" || e.SIM != modem.SIMReady ||
				!e.Registered() || e.Operator == "" || e.SignalDBm >= 0 || e.Bars < 1 || e.SMSC == "" ||
				e.Reports != modem.ReportsDirect || len(e.Stores) == 0 || e.Answer <= 0 || !e.Echo {
				type plain modem.Examination
				t.Errorf("%+v", plain(e))
			}
			if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, m.IMSI()) || strings.Contains(text, m.IMEI()) {
				t.Errorf("identities are printed: %s", text)
			}
			unharmed(t, m)
		})
	}
}

// pseudoTerminal opens a pair: a non-blocking master and the port at its other
// end.
func pseudoTerminal() (master, slave *os.File, err error) {
	if master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0); err != nil {
		return nil, nil, err
	}
	conn, err := master.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	number, inner := 0, error(nil)
	err = conn.Control(func(fd uintptr) {
		if inner = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); inner == nil {
			number, inner = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err = errors.Join(err, inner); err != nil {
		return nil, nil, err
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	return master, slave, err
}

// A port on which something is that is no modem.
func TestExamineNoModem(t *testing.T) {
	const often = 20 * time.Millisecond
	repeat := func(f io.ReadWriter, what string) {
		for {
			if _, err := io.WriteString(f, what); err != nil {
				return
			}
			time.Sleep(often) // virtual
		}
	}
	answer := func(f io.ReadWriter, what func(heard []byte) []byte) {
		buf := make([]byte, 256)
		for n, err := f.Read(buf); err == nil; n, err = f.Read(buf) {
			_, _ = f.Write(what(buf[:n]))
		}
	}
	for _, tt := range []struct {
		name   string
		behave func(io.ReadWriter)
		code   modem.FindingCode
	}{
		{"silent", func(f io.ReadWriter) { _, _ = io.Copy(io.Discard, f) }, modem.FoundMute},
		{"echoes", func(f io.ReadWriter) { answer(f, bytes.Clone) }, modem.FoundNoModem},
		{"NMEA", func(f io.ReadWriter) {
			repeat(f, "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n")
		}, modem.FoundNMEA},
		{"binary frames", func(f io.ReadWriter) { repeat(f, "\x7e\x10\x00\x8a\xff\x01\x7e") }, modem.FoundDiag},
		{"a login", func(f io.ReadWriter) {
			answer(f, func([]byte) []byte { return []byte("\r\nPassword:\r\nLogin incorrect\r\nhost login: ") })
		}, modem.FoundNoModem},
	} {
		for path, remedy := range map[string]string{"/dev/ttyUSB77": "smsotpd doctor", "tcp://far:4001": "See that the ser2net of that host"} {
			t.Run(tt.name+" at "+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					near, far := sim.Pipe()
					var behaving sync.WaitGroup
					behaving.Go(func() { tt.behave(far) })
					defer behaving.Wait()
					defer far.Close()
					began := time.Now()
					e := modem.Examine(t.Context(), modem.ExamineConfig{Opener: opening{near}}, path)
					if took := time.Since(began); took > 12*time.Second {
						t.Errorf("it took %v", took)
					}
					if e.Modem || e.Usable() || len(e.Findings) != 1 || e.Findings[0].Code != tt.code {
						t.Errorf("a modem: %t, %+v", e.Modem, e.Findings)
					}
					sound(t, e, tt.code, remedy)
				})
			})
		}
	}
}

// opening opens one port, whatever its path.
type opening struct{ wire.Port }

func (o opening) Open(string) (wire.Port, error) { return o.Port, nil }
func (o opening) Lookup(string) string           { return "" }
func (o opening) Glob(string) []string           { return nil }

// A path that is no serial port is not written to.
func TestExamineNoPort(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, code := range map[string]modem.FindingCode{
		os.DevNull:                   modem.FoundNotAPort,
		file:                         modem.FoundNotAPort,
		dir:                          modem.FoundNotAPort,
		filepath.Join(dir, "absent"): modem.FoundNotThere,
	} {
		e := modem.Examine(context.Background(), modem.ExamineConfig{}, path)
		if e.Modem || len(e.Findings) != 1 || e.Findings[0].Code != code {
			t.Errorf("%s: %+v", path, e.Findings)
		}
		sound(t, e, code, "smsotpd doctor")
	}
	if raw, _ := os.ReadFile(file); string(raw) != "kept" {
		t.Errorf("the file was written to: %q", raw)
	}
}

// failing is an Opener whose ports can't be opened.
type failing struct {
	modem.Devices
	err error
}

func (f failing) Open(path string) (wire.Port, error) {
	return nil, fmt.Errorf("%s: %w", path, f.err)
}

func TestExamineCantOpen(t *testing.T) {
	for _, tt := range []struct {
		err    error
		code   modem.FindingCode
		remedy string
	}{
		{fs.ErrPermission, modem.FoundNoPermission, "$ "},
		{syscall.EPERM, modem.FoundNoPermission, "--device /dev/ttyUSB77"},
		{syscall.EBUSY, modem.FoundPortBusy, "fuser -v /dev/ttyUSB77"},
		{syscall.EWOULDBLOCK, modem.FoundPortBusy, "fuser -v /dev/ttyUSB77"},
		{syscall.EIO, modem.FoundNotThere, "Plug"},
		{syscall.ENXIO, modem.FoundNotThere, "Plug"},
		{fs.ErrNotExist, modem.FoundNotThere, "Plug"},
		{syscall.ENOTTY, modem.FoundNotAPort, "smsotpd doctor"},
		{errors.New("modem: something else"), modem.FoundCantOpen, "dmesg"},
	} {
		e := modem.Examine(context.Background(), modem.ExamineConfig{Opener: failing{err: tt.err}}, "/dev/ttyUSB77")
		if len(e.Findings) != 1 || e.Findings[0].Code != tt.code || e.Worst() != modem.Failing {
			t.Errorf("%v: %+v", tt.err, e.Findings)
		}
		sound(t, e, tt.code, tt.remedy)
	}
}

// A port that another process has open is left alone, and that one named.
func TestExamineBusyPort(t *testing.T) {
	master, slave, err := pseudoTerminal()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	other := exec.Command("sleep", "60")
	other.Stdin = slave
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = other.Process.Kill()
		_ = other.Wait()
	}()
	path := slave.Name()
	_ = slave.Close()
	e := modem.Examine(context.Background(), modem.ExamineConfig{}, path)
	if len(e.Findings) != 1 || e.Findings[0].Code != modem.FoundPortBusy ||
		!strings.Contains(e.Findings[0].Problem, fmt.Sprintf("sleep (process %d)", other.Process.Pid)) {
		t.Errorf("%+v", e.Findings)
	}
	sound(t, e, modem.FoundPortBusy, fmt.Sprintf("kill %d", other.Process.Pid))
}

// A modem that falls mute is told of with what it said before, in time.
func TestExamineFallsMute(t *testing.T) {
	t.Parallel()
	c := sim.ModemConfig{Faults: []sim.Fault{{On: sim.OnCommand, Match: regexp.MustCompile(`^AT\+CPIN\?`), Do: sim.Hang}}}
	path, _ := plugged(t, c)
	began := time.Now()
	e := modem.Examine(context.Background(), modem.ExamineConfig{Limit: 3 * time.Second}, path)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if !e.Modem || e.Model == "" || !e.Has(modem.FoundFellMute) || e.Usable() {
		t.Errorf("%+v", e.Findings)
	}
}

// What is known of the USB device goes into the rules that are suggested.
func TestExamineUSB(t *testing.T) {
	usb := []modem.USBPort{{Path: "/dev/ttyUSB77", Device: "1-1", ID: "2c7c:0125", Interface: 2}}
	e := modem.Examine(context.Background(), modem.ExamineConfig{Opener: failing{err: fs.ErrPermission}, USB: usb}, "/dev/ttyUSB77")
	if e.USB == nil || e.USB.Interface != 2 {
		t.Fatalf("USB: %+v", e.USB)
	}
	if os.Geteuid() != 0 {
		sound(t, e, modem.FoundNoPermission, `ATTRS{idVendor}=="2c7c", ATTRS{idProduct}=="0125"`)
	}
}

// A port that ends while it is examined is told from one that is mute.
func TestExamineVanishes(t *testing.T) {
	master, slave, err := pseudoTerminal()
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	go func() {
		_, _ = master.Read(make([]byte, 1)) // it has been written to
		_ = master.Close()
	}()
	e := modem.Examine(context.Background(), modem.ExamineConfig{}, slave.Name())
	if len(e.Findings) != 1 || e.Findings[0].Code != modem.FoundVanished {
		t.Errorf("%+v", e.Findings)
	}
	sound(t, e, modem.FoundVanished, "dmesg")
}

// A connection that ends is mended at its other end.
func TestExamineVanishesAfar(t *testing.T) {
	near, far := sim.Pipe()
	go func() {
		_, _ = far.Read(make([]byte, 1))
		_ = far.Close()
	}()
	e := modem.Examine(t.Context(), modem.ExamineConfig{Opener: opening{near}}, "tcp://far:4001")
	if len(e.Findings) != 1 || e.Findings[0].Code != modem.FoundVanished {
		t.Errorf("%+v", e.Findings)
	}
	sound(t, e, modem.FoundVanished, "on that host")
}

// The service centre's number is read as the daemon reads it.
func TestExamineServiceCentre(t *testing.T) {
	t.Parallel()
	path, _ := plugged(t, answering("AT+CSCA?", `+CSCA: "002B00330033003600300039",145`, "OK"))
	if e := modem.Examine(context.Background(), modem.ExamineConfig{}, path); e.SMSC != "+33609" || e.Has(modem.FoundNoSMSC) {
		t.Errorf("%q, %+v", e.SMSC, e.Findings)
	}
}
