package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// A port that this user may not open: doctor says how to be allowed to. Root
// may open all, so that it runs as another user there.
func TestDoctorWithoutPermission(t *testing.T) {
	dir := t.TempDir()
	network := sim.NewNetwork(sim.NetworkConfig{})
	defer network.Close()
	m, err := network.NewModem(sim.ModemConfig{})
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "modem")
	if err := m.Open(link); err != nil {
		t.Fatal(err)
	}
	port, err := filepath.EvalSymlinks(link)
	if err != nil {
		t.Fatal(err)
	}
	doctor := asStranger(t)

	if err := os.Chmod(port, 0); err != nil {
		t.Fatal(err)
	}
	out := doctor(t, port)
	for _, want := range []string{"may not open " + port, "(no_permission)", `GROUP="dialout", MODE="0660"`, "$ sudo usermod -aG dialout "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
	dialout, err := user.LookupGroup("dialout")
	if err != nil || os.Geteuid() != 0 {
		return
	}
	gid, err := strconv.Atoi(dialout.Gid)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(port, 0, gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(port, 0o660); err != nil {
		t.Fatal(err)
	}
	out = doctor(t, port)
	for _, want := range []string{"only group dialout may. (no_permission)", "$ sudo usermod -aG dialout nobody", "log in anew"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
}

// asStranger runs doctor as a user that owns nothing, or as this one if it is
// not root, and returns what it prints; it must end with 1.
func asStranger(t *testing.T) func(t *testing.T, args ...string) string {
	bin := t.TempDir()
	if err := os.Chmod(filepath.Dir(bin), 0o755); err != nil { // it is for its owner alone
		t.Fatal(err)
	}
	path := filepath.Join(bin, "smsotpd")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copyFile(t, self, path)
	return func(t *testing.T, args ...string) string {
		t.Helper()
		cmd := exec.Command(path, append([]string{"doctor"}, args...)...)
		cmd.Dir, cmd.Env = "/", []string{"PATH=" + os.Getenv("PATH")}
		if os.Geteuid() == 0 {
			const nobody = 65534
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		_ = cmd.Run() // the exit code is looked at
		if cmd.ProcessState.ExitCode() != exitFailure {
			t.Errorf("exit code %d: %s", cmd.ProcessState.ExitCode(), stderr.String())
		}
		return stdout.String()
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// The table fits the page whatever the modems call themselves; what is to be
// copied is not broken.
func TestDoctorFitsThePage(t *testing.T) {
	long := strings.Repeat("long name ", 12)
	dBm, five := -51, 5
	command := "$ " + strings.Repeat("x", 150)
	r := doctorReport{Ports: []doctorPort{{
		Port: "/dev/serial/by-id/usb-" + strings.Repeat("n", 90) + "-if02-port0", Status: "error", Modem: true,
		AnswerMS: new(int64), Manufacturer: long, Model: long, Firmware: long, Profile: long,
		SIM:     doctorSIM{State: "pin_required"},
		Network: doctorNetwork{RadioOn: true, Registered: true, Operator: long, Technology: "LTE", SignalDBm: &dBm, Bars: &five},
		Findings: []doctorFinding{{
			Severity: "error", Code: "some_code", Problem: long + ".", Remedy: long + ".", Lines: []string{command},
		}},
	}}}
	var out bytes.Buffer
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSuffix(line, "\n")
		alone := strings.HasPrefix(line, "/dev/serial/by-id/usb-") && !strings.Contains(line, " ")
		if utf8.RuneCountInString(line) > pageWidth && !strings.HasSuffix(line, command) && !alone {
			t.Errorf("%d characters: %s", utf8.RuneCountInString(line), line)
		}
	}
	if !strings.Contains(out.String(), "…") || !strings.Contains(out.String(), "-if02-port0 ") {
		t.Errorf("the end of the port is not in the table:\n%s", out.String())
	}
}

// A stick whose two ports both take commands is one modem.
func TestDoctorCountsModems(t *testing.T) {
	port := func(path, imei, imsi string) examined {
		return examined{Examination: modem.Examination{Port: path, Modem: true, IMEI: imei, IMSI: imsi}}
	}
	r := newDoctorReport([]examined{
		port("a", "490154203237518", "208011234567890"), port("b", "490154203237518", "208011234567890"),
		port("c", "490154203237518", "208011234567891"), // a copied IMEI
		port("d", "", ""), port("e", "", ""),
	}, nil)
	if r.Usable != 4 {
		t.Errorf("%d modems", r.Usable)
	}
}
