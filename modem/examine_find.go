package modem

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// FindingCode names what an examination may find. Outside programs rely on
// the words.
type FindingCode string

// What is wrong with a port.
const (
	FoundNotThere     FindingCode = "not_there"
	FoundNoPermission FindingCode = "no_permission"
	FoundPortBusy     FindingCode = "port_busy"
	FoundModemManager FindingCode = "modem_manager"
	FoundOurDaemon    FindingCode = "in_use_by_daemon"
	FoundNotAPort     FindingCode = "not_a_port"
	FoundCantOpen     FindingCode = "cant_open"
)

// What is wrong with what is behind it.
const (
	FoundMute     FindingCode = "mute"
	FoundVanished FindingCode = "vanished"
	FoundNMEA     FindingCode = "nmea_port"
	FoundDiag     FindingCode = "diag_port"
	FoundNoModem  FindingCode = "not_a_modem"
	FoundFellMute FindingCode = "fell_mute"
)

// What is wrong with a modem, its SIM or its network.
const (
	FoundNoIMEI       FindingCode = "no_imei"
	FoundSlow         FindingCode = "slow"
	FoundNoSIM        FindingCode = "no_sim"
	FoundPIN          FindingCode = "pin_required"
	FoundPINFile      FindingCode = "pin_file"
	FoundPINTries     FindingCode = "few_pin_tries"
	FoundPUK          FindingCode = "puk_required"
	FoundSIMBusy      FindingCode = "sim_busy"
	FoundSIMFailure   FindingCode = "sim_failure"
	FoundSIMLocked    FindingCode = "sim_locked"
	FoundSIMBlocked   FindingCode = "sim_blocked"
	FoundRadioOff     FindingCode = "radio_off"
	FoundUnregistered FindingCode = "not_registered"
	FoundDenied       FindingCode = "registration_denied"
	FoundEmergency    FindingCode = "emergency_only"
	FoundWeakSignal   FindingCode = "weak_signal"
	FoundNoSMSC       FindingCode = "no_smsc"
	FoundTextMode     FindingCode = "text_mode_only"
	FoundNoReports    FindingCode = "no_reports"
	FoundStoreFull    FindingCode = "store_full"
)

// configFile is where the packages put the daemon's configuration.
const configFile = "/etc/smsotpd/smsotpd.toml"

// restartDaemon applies changed settings.
const restartDaemon = "$ sudo systemctl restart smsotpd"

func (x *examiner) find(severity Severity, code FindingCode, problem, remedy string, lines ...string) {
	x.Findings = append(x.Findings, Finding{Severity: severity, Code: code, Problem: problem, Remedy: remedy, Lines: lines})
}

// notOpened says why the port can't be opened.
func (x *examiner) notOpened(err error) {
	remote := IsRemote(x.Port)
	switch {
	case errors.Is(err, fs.ErrPermission):
		x.noPermission(err)
	case errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.EWOULDBLOCK) && !remote:
		x.inUse(nil)
	case remote && asDNSError(err):
		x.find(Failing, FoundCantOpen, sentence(err.Error()), "See what this host makes of the name, and mend the name, the name server or /etc/hosts.",
			"$ getent hosts "+hostOf(x.Port))
	case remote:
		x.find(Failing, FoundCantOpen, sentence(err.Error()), "Check that the host is up, that its ser2net serves this port, and that nobody else is connected to it.")
	case errors.Is(err, fs.ErrNotExist):
		x.find(Failing, FoundNotThere, "There is no "+x.Port+".",
			"Plug the modem in, or give it power, and see which ports appear. If none does, look for its cable or power in the last lines of dmesg; in a container, pass the device in with --device.",
			"$ ls -l /dev/serial/by-id/ /dev/ttyUSB* /dev/ttyACM*", "$ sudo dmesg | tail -20", "$ smsotpd doctor")
	case errors.Is(err, syscall.ENOTTY), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.EISDIR):
		x.find(Failing, FoundNotAPort, x.Port+" is "+kindOfFile(x.Port)+" and not a serial port.",
			"Name the modem's port instead. Without a port, doctor looks for modems itself.",
			"$ ls -l /dev/serial/by-id/", "$ smsotpd doctor")
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV):
		x.find(Failing, FoundNotThere, "There is a name "+x.Port+", but no device behind it now.",
			"Plug the modem out and in again, and see which ports appear.", "$ ls -l /dev/serial/by-id/", "$ smsotpd doctor")
	default:
		x.find(Failing, FoundCantOpen, sentence(err.Error()), "Plug the modem out and in again, and look at the last lines of dmesg.", "$ sudo dmesg | tail -20")
	}
}

// asDNSError tells an error of looking up a host's address.
func asDNSError(err error) bool {
	_, is := errors.AsType[*net.DNSError](err)
	return is
}

// hostOf is the host of a remote port.
func hostOf(path string) string {
	address, _ := RemoteAddress(path)
	host, _, _ := net.SplitHostPort(address)
	return host
}

// sentence makes the text of an error or a reason one.
func sentence(s string) string {
	s = strings.TrimPrefix(s, "modem: ")
	if s == "" {
		return "It can't be opened."
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// kindOfFile says what a path is that is no serial port.
func kindOfFile(path string) string {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "something else"
	case info.IsDir():
		return "a directory"
	case info.Mode().IsRegular():
		return "a plain file"
	}
	return "another kind of device"
}

// noPermission says who may open the port and how we come to be one of them.
func (x *examiner) noPermission(err error) {
	me := strconv.Itoa(os.Geteuid())
	if u, err := user.LookupId(me); err == nil {
		me = u.Username
	}
	group, mode := "", os.FileMode(0)
	var st unix.Stat_t
	if unix.Stat(x.Port, &st) == nil {
		group, mode = groupName(int(st.Gid)), os.FileMode(st.Mode&0o777)
	}
	groups, _ := os.Getgroups()
	member := slices.Contains(groups, int(st.Gid)) || int(st.Gid) == os.Getegid()
	shared := mode&0o060 == 0o060
	switch {
	case errors.Is(err, syscall.EPERM), os.Geteuid() == 0, shared && member:
		x.find(Failing, FoundNoPermission, fmt.Sprintf("The system forbids user %s to open %s, although its mode would allow it.", me, x.Port),
			"In a container, pass the device in; in a systemd unit, allow it by DeviceAllow=; or a security module forbids it.",
			"$ docker run --device "+x.Port+" …", "DeviceAllow="+x.Port+" rw")
	case shared && st.Gid != 0:
		x.find(Failing, FoundNoPermission, fmt.Sprintf("User %s may not open %s: only group %s may.", me, x.Port, group),
			"Join the group, then log in anew. The daemon's own user, smsotpd, needs it too; restart the daemon after that.",
			"$ sudo usermod -aG "+group+" "+me,
			"$ sudo usermod -aG "+group+" smsotpd")
	default:
		x.find(Failing, FoundNoPermission,
			fmt.Sprintf("User %s may not open %s: only its owner may (mode %04o).", me, x.Port, mode),
			"Give the port to the group dialout by a udev rule and join that group, then plug the modem out and in and log in anew. The daemon's own user, smsotpd, needs the group too.",
			"$ echo '"+x.udevRule(`GROUP="dialout", MODE="0660"`)+"' | sudo tee /etc/udev/rules.d/60-smsotpd.rules",
			"$ sudo udevadm control --reload",
			"$ sudo usermod -aG dialout "+me,
			"$ sudo usermod -aG dialout smsotpd")
	}
}

// udevRule is a rule for the port's device, or for its name where that is not
// known.
func (x *examiner) udevRule(assignments string) string {
	match := `SUBSYSTEM=="tty", KERNEL=="` + filepath.Base(realPath(x.Port)) + `"`
	if x.USB != nil {
		vendor, product, _ := strings.Cut(x.USB.ID, ":")
		match = fmt.Sprintf(`SUBSYSTEM=="tty", ATTRS{idVendor}=="%s", ATTRS{idProduct}=="%s"`, vendor, product)
	}
	return match + ", " + assignments
}

// inUse says who has the port.
func (x *examiner) inUse(users []process) {
	if len(users) == 0 {
		x.find(Failing, FoundPortBusy, "Another process has "+x.Port+" open, so it was left alone.",
			"Find out which one, and end it.", "$ sudo fuser -v "+x.Port)
		return
	}
	for _, u := range users {
		switch u.name {
		case "smsotpd":
			x.find(Warning, FoundOurDaemon,
				fmt.Sprintf("An smsotpd (process %d) works with %s, so it was left alone.", u.pid, x.Port),
				"Ask the daemon how its modems are. To examine the port itself, stop the daemon first.",
				"$ smsotpd modems", "$ sudo systemctl stop smsotpd")
			return
		case "ModemManager":
			x.find(Failing, FoundModemManager,
				fmt.Sprintf("ModemManager (process %d) has taken %s; two programs can't share a modem.", u.pid, x.Port),
				"Stop it, or, where other modems need it, tell it by a udev rule to leave this one alone; then plug the modem out and in.",
				"$ sudo systemctl disable --now ModemManager",
				"$ echo '"+x.ignoreRule()+"' | sudo tee /etc/udev/rules.d/61-smsotpd.rules",
				"$ sudo udevadm control --reload && sudo systemctl restart ModemManager")
			return
		}
	}
	u := users[0]
	x.find(Failing, FoundPortBusy,
		fmt.Sprintf("%s (process %d) has %s open, so it was left alone; two programs can't share a modem.", u.name, u.pid, x.Port),
		"End that program.", "$ sudo fuser -v "+x.Port, fmt.Sprintf("$ sudo kill %d", u.pid))
}

// ignoreRule keeps ModemManager off the whole device.
func (x *examiner) ignoreRule() string {
	if x.USB == nil {
		return x.udevRule(`ENV{ID_MM_PORT_IGNORE}="1", ENV{ID_MM_DEVICE_IGNORE}="1"`)
	}
	vendor, product, _ := strings.Cut(x.USB.ID, ":")
	return fmt.Sprintf(`ATTRS{idVendor}=="%s", ATTRS{idProduct}=="%s", ENV{ID_MM_DEVICE_IGNORE}="1"`, vendor, product)
}

// unanswered says what is on a port that answers no AT command; gone: the port
// ended while it was asked.
func (x *examiner) unanswered(gone bool) {
	far := IsRemote(x.Port)
	switch {
	case gone && far:
		x.find(Failing, FoundVanished, "The connection ended while the port was being examined.",
			"See on that host what ended it: its ser2net was restarted, another client took the port over, or the modem was unplugged there.",
			"$ journalctl -u ser2net | tail -20")
		return
	case gone:
		x.find(Failing, FoundVanished, "The port went away while it was being examined.",
			"Plug the modem out and in again. If it happens again, its cable is loose or its USB port has too little power: use a hub with a supply of its own.",
			"$ sudo dmesg | tail -20")
		return
	}
	other := "If it is one of several ports of a modem, use the one that takes commands: without a port, doctor tries them all."
	find := func(code FindingCode, problem, remedy string) {
		if far { // the remedy is there
			remedy = "See that the ser2net of that host serves the port of the modem that takes commands, at 115200 baud, 8 bits, no parity and without a banner; " +
				"doctor, run there while ser2net is stopped, tells which one that is. If it worked before, restart ser2net, then take the modem's power away for a moment."
		}
		x.find(Failing, code, problem, remedy, "$ smsotpd doctor")
	}
	switch kindOf(x.tap.heard()) {
	case streamNMEA:
		find(FoundNMEA, "This port sends satellite positions (NMEA) and takes no commands.", other)
	case streamBinary:
		find(FoundDiag, "This port sends binary data and takes no commands: a diagnostics port, or another kind of device.", other)
	case streamEcho:
		find(FoundNoModem, "What is written to this port comes back, and nothing else: no modem answers.",
			"It may be a modem's wrong port, a cable with its two data lines joined, or a device of another kind.")
	case streamOther:
		find(FoundNoModem, "Something answers on this port, but not as a modem does.",
			"Name the modem's port instead. If it is a modem on a serial line, set it to 115200 baud, 8 bits, no parity.")
	case streamSilent:
		find(FoundMute, "Nothing answers on this port.",
			"If the modem has just been plugged in, wait a minute and try again; if it worked before, take its power away for a moment. "+other)
	}
}

// judge says what is wrong with a modem that answers.
func (x *examiner) judge() {
	if x.dead {
		x.find(Failing, FoundFellMute, "The modem stopped answering while it was being asked; what is shown is what it said until then.",
			"Try again; if it happens again, take the modem's power away for a moment. A USB port with too little power does this too: use a hub with a supply of its own.")
	}
	if strings.Trim(x.IMEI, "0") == "" {
		x.find(Warning, FoundNoIMEI, "The modem tells no serial number (IMEI), so it can only be known by its port.",
			"Name it by a path that stays the same.", "$ ls -l /dev/serial/by-path/")
	}
	if x.Answer > slowAnswer {
		x.find(Warning, FoundSlow, fmt.Sprintf("The modem took %.1f s to answer the simplest command.", x.Answer.Seconds()),
			"If it has just been plugged in, that passes. If not, check that no other program uses it.", "$ sudo fuser -v "+x.Port)
	}
	x.judgeSIM()
	if x.SIM == SIMReady || x.SIM == SIMUnknown && x.Radio {
		x.judgeNetwork()
		x.judgeMessages()
	}
	x.judgeStores()
}

func (x *examiner) judgeNetwork() {
	worst := -1
	for _, r := range x.Registrations {
		if worst != int(regDenied) {
			worst = max(worst, r.Stat)
		}
		if r.Stat == int(regDenied) {
			worst = r.Stat
		}
	}
	switch {
	case x.Registered(), len(x.Registrations) == 0 && !x.dead: // where it can't tell, sending will
	case !x.Radio, x.dead:
	case worst == int(regDenied):
		x.find(Failing, FoundDenied, "The network refuses this SIM.",
			"Ask the operator whether the SIM is active and paid for, whether it may roam here, and whether the modem's serial number is blocked. Try the SIM in a phone.")
	case worst == 8 || worst == 11:
		x.find(Failing, FoundEmergency, "The network lets this SIM make emergency calls only.",
			"Ask the operator whether the SIM is active. Try it in a phone.")
	case x.Bars <= 0:
		x.find(Failing, FoundUnregistered, "The modem is not registered with a network, and hears none.",
			"Connect its antenna, or move it to a window. If it has just been plugged in, wait a minute and try again.")
	default:
		x.find(Failing, FoundUnregistered, "The modem is not registered with a network, although it hears one.",
			"If it has just been plugged in, wait a minute and try again. Then check with the operator that the SIM is active and that its networks (2G, 3G, LTE) are among those that this modem knows.")
	}
	if x.Bars == 0 || x.Bars == 1 {
		x.find(Warning, FoundWeakSignal, fmt.Sprintf("The signal is weak (%d dBm): messages will be late or refused.", x.SignalDBm),
			"Use a better antenna, or move the modem to a window.")
	}
}

func (x *examiner) judgeMessages() {
	if c, _ := x.settings(); x.centre && x.SMSC == "" && c.SMSC == "" {
		x.find(Failing, FoundNoSMSC, "The SIM has no service centre number, without which nothing can be sent"+x.unread()+".",
			"Ask the operator for the number of its SMS service centre, set it for this SIM in "+x.settingsFile()+
				", with the number printed on the card as its iccid, and restart the daemon.",
			`[sim.front]`, x.simMatch(), `smsc = "+…"`, restartDaemon)
	}
	if !x.PDUMode {
		x.find(Failing, FoundTextMode, "The modem does not take messages in PDU mode, which the daemon needs.",
			"If it has just been plugged in, wait a minute and try again. Otherwise look for a newer firmware, or use another modem.")
	}
	if x.Reports == ReportsNever {
		x.find(Warning, FoundNoReports, "The modem hands over no delivery reports: messages go out, but whether they arrive stays unknown.",
			"Look for a newer firmware, or use another modem where that matters.")
	}
}

func (x *examiner) judgeStores() {
	for _, s := range x.Stores {
		if s.Total == 0 || s.Used < s.Total {
			continue
		}
		x.find(Warning, FoundStoreFull, fmt.Sprintf("The message memory %s is full (%d of %d), so that nothing more can come in.", s.Name, s.Used, s.Total),
			"Start the daemon: it reads the messages, keeps them, and then makes room.", "$ sudo systemctl start smsotpd")
	}
}
