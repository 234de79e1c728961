package modem

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// USBPort is one serial port of a USB device, as the kernel describes it.
type USBPort struct {
	// Path of the device node, "/dev/ttyUSB2".
	Path string
	// Device is the USB device's place on the bus, "1-1.4": it is the same for
	// all ports of one stick, and for whatever is plugged in there.
	Device string
	// ID is vendor and product in hexadecimal digits, "2c7c:0125".
	ID string
	// Manufacturer, Product and Serial are what the device says of itself, ""
	// where it doesn't; many devices of one make may have the same Serial.
	Manufacturer, Product, Serial string
	// Interface is bInterfaceNumber, Protocol bInterfaceProtocol.
	Interface, Protocol int
	// Driver of the port: "option", "cdc_acm", "ftdi_sio".
	Driver string
	// Bus and Number name the device under /dev/bus/usb; they change at each
	// plugging.
	Bus, Number int
}

// USB knows the USB devices of a host. Its methods may be called from many
// goroutines.
type USB interface {
	// Ports lists the serial ports of USB devices, in the order of their
	// devices and interfaces.
	Ports() []USBPort
	// Reset resets the device that the port is one of, as if it had been
	// plugged in anew.
	Reset(USBPort) error
}

var _ USB = HostUSB{}

// HostUSB is the USB of this host.
type HostUSB struct {
	// Sys and Dev are where sysfs and the device nodes are; "": /sys and /dev.
	Sys, Dev string

	cache *usbCache // nil: everything is read each time
}

// usbCache keeps what was read of the ports that are still the same.
type usbCache struct {
	mu    sync.Mutex
	known map[string]cachedPort // by the tty's name; guarded by mu
}

type cachedPort struct {
	directory fs.FileInfo // of the tty: sysfs makes a new one at each plugging
	port      USBPort
}

func newUSBCache() *usbCache { return &usbCache{known: make(map[string]cachedPort)} }

// read is readUSBPort, or what it said before of the same tty.
func (c *usbCache) read(name, dir string) (USBPort, bool) {
	if c == nil {
		return readUSBPort(dir)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(dir)
	if err != nil {
		delete(c.known, name)
		return USBPort{}, false
	}
	if k, ok := c.known[name]; ok && os.SameFile(k.directory, info) && k.directory.ModTime().Equal(info.ModTime()) {
		return k.port, true
	}
	port, ok := readUSBPort(dir)
	if ok {
		c.known[name] = cachedPort{info, port}
	}
	return port, ok
}

// Ports implements USB.
func (h HostUSB) Ports() []USBPort {
	class := filepath.Join(cmp.Or(h.Sys, "/sys"), "class", "tty")
	entries, _ := os.ReadDir(class)
	var ports []USBPort
	for _, e := range entries {
		// /sys/class/tty/ttyUSB2 → ../../devices/…/usb1/1-1/1-1:1.2/ttyUSB2/tty/ttyUSB2
		link, err := os.Readlink(filepath.Join(class, e.Name()))
		if err != nil || !strings.Contains(link, "/usb") {
			continue
		}
		if p, ok := h.cache.read(e.Name(), filepath.Join(class, link)); ok {
			p.Path = filepath.Join(cmp.Or(h.Dev, "/dev"), e.Name())
			ports = append(ports, p)
		}
	}
	slices.SortFunc(ports, func(a, b USBPort) int {
		return cmp.Or(
			cmp.Compare(a.Device, b.Device), cmp.Compare(a.Interface, b.Interface),
			cmp.Compare(len(a.Path), len(b.Path)), cmp.Compare(a.Path, b.Path),
		)
	})
	return ports
}

// maxDepth bounds the way up from a port to its USB device.
const maxDepth = 6

// readUSBPort climbs from the directory of a tty to that of its interface and
// reads both it and the device above.
func readUSBPort(dir string) (USBPort, bool) {
	for range maxDepth {
		if number, ok := readHex(dir, "bInterfaceNumber"); ok {
			protocol, _ := readHex(dir, "bInterfaceProtocol")
			driver, _ := os.Readlink(filepath.Join(dir, "driver"))
			device := filepath.Dir(dir)
			vendor, product := readAttribute(device, "idVendor"), readAttribute(device, "idProduct")
			bus, _ := strconv.Atoi(readAttribute(device, "busnum"))
			at, _ := strconv.Atoi(readAttribute(device, "devnum"))
			return USBPort{
				Device:       filepath.Base(device),
				ID:           strings.ToLower(vendor + ":" + product),
				Manufacturer: readAttribute(device, "manufacturer"),
				Product:      readAttribute(device, "product"),
				Serial:       readAttribute(device, "serial"),
				Interface:    number,
				Protocol:     protocol,
				Driver:       filepath.Base(driver),
				Bus:          bus,
				Number:       at,
			}, vendor != "" && product != ""
		}
		dir = filepath.Dir(dir)
	}
	return USBPort{}, false
}

func readHex(dir, name string) (int, bool) {
	n, err := strconv.ParseUint(readAttribute(dir, name), 16, 8)
	return int(n), err == nil
}

// readAttribute is what a file of sysfs says, printable and of bounded length:
// a device may call itself anything.
func readAttribute(dir, name string) string {
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	printable := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(raw[:min(len(raw), 126)]))
	return strings.TrimSpace(printable)
}

// Reset implements USB, by USBDEVFS_RESET.
func (h HostUSB) Reset(p USBPort) error {
	if p.Bus == 0 || p.Number == 0 {
		return fmt.Errorf("modem: the USB device of %s is not known", p.Path)
	}
	node := filepath.Join(cmp.Or(h.Dev, "/dev"), "bus", "usb", fmt.Sprintf("%03d", p.Bus), fmt.Sprintf("%03d", p.Number))
	f, err := os.OpenFile(node, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = control(f, func(fd int) error { return unix.IoctlSetInt(fd, usbdevfsReset, 0) })
	return cmp.Or(err, f.Close())
}

// usbdevfsReset is USBDEVFS_RESET, _IO('U', 20): linux/usbdevice_fs.h.
const usbdevfsReset = 'U'<<8 | 20

// isBridge tells a chip that gives any serial device a USB plug: what is
// behind it is not known, and each of its ports has something of its own.
func (p USBPort) isBridge() bool {
	switch p.Driver {
	case "ftdi_sio", "ch341", "ch343", "ch348", "ch9344", "cp210x", "pl2303", "ark3116", "f81232", "f81534", "io_ti",
		"io_edgeport", "keyspan", "mct_u232", "mos7720", "mos7840", "mxuport", "oti6858", "quatech2", "spcp8x5",
		"ssu100", "ti_usb_3410_5052", "upd78f0730", "usb_serial_simple", "xr_serial", "xr_usb_serial_common",
		"belkin_sa", "cypress_m8", "digi_acceleport", "empeg", "iuu_phoenix", "metro_usb", "whiteheat", "wishbone_serial":
		return true
	}
	vendor, _, _ := strings.Cut(p.ID, ":")
	switch vendor {
	case "0403", "067b", "10c4", "1a86", "04e2", "04d8", "2341", "2e8a", "303a":
		return p.Driver == "cdc_acm" // chips and boards that come as a CDC device
	}
	return false
}

// modemID is the vendor and product of the modem, "" if the port says nothing
// of it.
func (p USBPort) modemID() string {
	if p.isBridge() {
		return ""
	}
	return p.ID
}

// isModemDriver tells a driver that serves nothing but modems.
func (p USBPort) isModemDriver() bool {
	switch p.Driver {
	case "option", "qcserial", "sierra", "hso", "ipw":
		return true
	}
	return false
}

// realPath is what path leads to, or path itself.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// usbPortAt is the USB port that path leads to, by its name or by that of the
// node behind it.
func usbPortAt(ports []USBPort, path string) (USBPort, bool) {
	if len(ports) == 0 {
		return USBPort{}, false
	}
	for _, name := range [...]func() string{func() string { return path }, func() string { return realPath(path) }} {
		at := name()
		if i := slices.IndexFunc(ports, func(p USBPort) bool { return p.Path == at }); i >= 0 {
			return ports[i], true
		}
	}
	return USBPort{}, false
}
