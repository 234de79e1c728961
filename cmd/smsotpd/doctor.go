package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"smsotpd/modem"
)

func (p *program) doctorCommand() *cobra.Command {
	var asJSON bool
	var timeout time.Duration
	var send sendOptions
	cmd := &cobra.Command{
		Use:   "doctor [PORT...]",
		Short: "Examine modems without the daemon; say what is wrong and what mends it",
		Long: `Examine the modems on the given ports, or on those that are found: the
configured ones and those of USB devices that look like modems. The daemon is
not needed, and a port that it or anybody else has open is left alone.

Nothing is sent, no PIN is entered and no radio is turned on or off. A port is
a device such as /dev/ttyUSB2, or tcp://HOST:PORT as ser2net serves it.

With --send and two ports, messages go from the SIM of the first to that of the
second, to prove that sending, receiving and delivery reports work, and to learn
what the first modem can do. That costs four messages, so it asks first. The
second SIM's number is its number in [sim.NAME] of the file named by --config,
or --number PORT=+NUMBER. What is learnt is kept in capabilities.json in the
state directory, without the SIM's or the modem's number.

The exit code is 0 if a modem can be used and nothing is wrong with any, nor with
the PIN files that the settings name, else 1.`,
		Example: `  smsotpd doctor
  smsotpd doctor /dev/ttyUSB2 --json
  smsotpd doctor --send /dev/ttyUSB2 /dev/ttyUSB6 --number /dev/ttyUSB6=+33612345678`,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := p.newDoctor(cmd.Flags(), args, timeout)
			if err != nil {
				return err
			}
			if send.wanted {
				if err := d.readySend(&send, args); err != nil {
					return err
				}
			}
			ctx, stop := stopSignals(cmd.Context())
			defer stop()
			found, left := d.examine(ctx)
			report := newDoctorReport(found, left)
			report.Settings = d.settings()
			var unsent error
			if send.wanted {
				report.Send, unsent = d.send(ctx, send, found)
			}
			return cmp.Or(report.write(p.stdout, asJSON), unsent, report.verdict())
		},
	}
	flags := cmd.Flags()
	addOptions(flags, "modem", "pin-file", "state-dir")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	flags.DurationVar(&timeout, "timeout", 30*time.Second, "how long one port may take")
	send.add(flags)
	return cmd
}

// doctor examines ports.
type doctor struct {
	*program
	config Config
	opener modem.Opener
	usb    []modem.USBPort
	ports  []string // as the command line names them
	exam   modem.ExamineConfig
}

func (p *program) newDoctor(flags *pflag.FlagSet, args []string, timeout time.Duration) (*doctor, error) {
	if timeout < time.Second {
		return nil, usagef("--timeout must be at least 1s")
	}
	config, _, err := loadConfig(flags)
	if err != nil {
		return nil, err
	}
	d := &doctor{program: p, config: config, opener: modem.Ports{}, usb: modem.HostUSB{}.Ports()}
	for _, arg := range args {
		_, path := splitModem(arg)
		if modem.IsRemote(path) {
			if _, err := modem.RemoteAddress(path); err != nil {
				return nil, usagef("%s: %w", path, err)
			}
		}
		if path == "" || slices.Contains(d.ports, path) {
			return nil, usagef("a port is empty or given twice")
		}
		d.ports = append(d.ports, path)
	}
	d.exam = modem.ExamineConfig{Opener: d.opener, PINFile: config.PINFile, USB: d.usb, Limit: timeout}
	d.exam.Cards, d.exam.Profiles = config.cards(), config.profiles()
	if d.exam.Settings, err = flags.GetString(configFlag); err != nil {
		return nil, err
	}
	return d, nil
}

// splitModem takes NAME=PATH apart.
func splitModem(entry string) (name, path string) {
	if name, path, ok := strings.Cut(entry, "="); ok && !strings.Contains(name, "/") {
		return name, path
	}
	return "", entry
}

// device is what is examined together: a port, or the ports of one USB device,
// which are tried one after the other until one is a modem's.
type device struct {
	paths []string
	// found: nobody has named it, so it may well be no modem.
	found bool
}

// devices are those to be examined, and the ports that are left out although
// they are serial ports.
func (d *doctor) devices() (all []device, left []string) {
	seen := map[string]bool{}
	named := d.ports
	if len(named) == 0 {
		named = d.configured()
	}
	for _, path := range named {
		if real := realPath(path); !seen[real] {
			seen[real] = true
			all = append(all, device{paths: []string{path}})
		}
	}
	if len(d.ports) > 0 {
		return all, nil
	}
	groups, bridges := modem.LikelyModems(d.usb)
	for _, group := range groups {
		if slices.ContainsFunc(group, func(path string) bool { return seen[path] }) {
			continue // one of its ports is configured
		}
		all = append(all, device{paths: group, found: true})
	}
	if len(d.usb) == 0 { // without sysfs
		for _, pattern := range []string{"/dev/serial/by-id/*", "/dev/ttyUSB*", "/dev/ttyACM*"} {
			for _, path := range d.opener.Glob(pattern) {
				if real := realPath(path); !seen[real] {
					seen[real] = true
					all = append(all, device{paths: []string{path}, found: true})
				}
			}
		}
	}
	for _, path := range bridges {
		if !seen[path] {
			left = append(left, path)
		}
	}
	return all, left
}

// configured are the paths that the configuration names, globs replaced by
// what they match.
func (d *doctor) configured() []string {
	var paths []string
	for _, entry := range d.config.Modems {
		_, path := splitModem(entry)
		switch {
		case path == "auto":
		case strings.ContainsAny(path, "*?[") && !modem.IsRemote(path):
			paths = append(paths, d.opener.Glob(path)...)
		default:
			paths = append(paths, path)
		}
	}
	return paths
}

func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// examine looks at all devices at once. The ports left are those that devices
// leaves out.
func (d *doctor) examine(ctx context.Context) (found []examined, left []string) {
	devices, left := d.devices()
	results := make([][]examined, len(devices))
	var looking sync.WaitGroup
	for i, dev := range devices {
		looking.Go(func() { results[i] = d.examineDevice(ctx, dev) })
	}
	looking.Wait()
	return slices.Concat(results...), left
}

// examined is one port with those beside it that were left alone.
type examined struct {
	modem.Examination
	others []string
}

// examineDevice tries the device's ports until one is a modem's.
func (d *doctor) examineDevice(ctx context.Context, dev device) []examined {
	var all []examined
	for _, path := range dev.paths {
		e := modem.Examine(ctx, d.exam, path)
		if e.Modem {
			return []examined{{Examination: e, others: without(dev.paths, path)}}
		}
		if dev.found {
			for i := range e.Findings {
				e.Findings[i].Severity = lenient(e.Findings[i])
			}
		}
		all = append(all, examined{Examination: e})
	}
	return all
}

// lenient is the severity of a finding on a port that nobody has named: that
// there is no modem on it is no error.
func lenient(f modem.Finding) modem.Severity {
	switch f.Code {
	case modem.FoundMute, modem.FoundNMEA, modem.FoundDiag, modem.FoundNoModem, modem.FoundNotAPort, modem.FoundNotThere:
		return modem.Warning
	}
	return f.Severity
}

func without(paths []string, path string) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return p == path })
}

// settings is what keeps the daemon from starting, by its own check. A file that
// only the daemon's user may read is none of it.
func (d *doctor) settings() []doctorFinding {
	wrong := []doctorFinding{}
	files := d.config.pinFiles()
	for _, key := range slices.Sorted(maps.Keys(files)) {
		err := modem.CheckPINFile(files[key])
		if err == nil || errors.Is(err, fs.ErrPermission) {
			continue
		}
		wrong = append(wrong, doctorFinding{
			string(modem.Failing), string(modem.FoundPINFile), fmt.Sprintf("The daemon does not start: %s: %v.", key, err),
			"Mend the file, or name the right one.",
			[]string{"$ smsotpd serve --check-config"},
		})
	}
	return wrong
}

// verdict is nil if a modem can be used and nothing is wrong with any, nor with
// the settings.
func (r doctorReport) verdict() error {
	wrong := 0
	for _, port := range r.Ports {
		if port.Status == string(modem.Failing) {
			wrong++
		}
	}
	switch {
	case r.Send != nil && !r.Send.OK:
		return errors.New("the messages did not all arrive as they should")
	case len(r.Settings) > 0:
		return errors.New("the daemon does not start with these settings")
	case wrong > 0:
		return fmt.Errorf("something is wrong with %d of %d ports", wrong, len(r.Ports))
	case r.Usable == 0:
		return errors.New("no modem that can be used was found")
	}
	return nil
}

// sendOptions are the flags of a loopback.
type sendOptions struct {
	wanted, yes bool
	numbers     map[string]string
}

func (o *sendOptions) add(flags *pflag.FlagSet) {
	flags.BoolVar(&o.wanted, "send", false, "send messages from the first port's SIM to the second one's; costs money")
	flags.BoolVar(&o.yes, "yes", false, "do not ask before sending")
	flags.StringToStringVar(&o.numbers, "number", nil, "a SIM's own number, as PORT=+NUMBER")
}
