package modem

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// fakeSys builds a sysfs and a /dev.
type fakeSys struct {
	t    *testing.T
	root string
}

func (f fakeSys) usb() HostUSB {
	return HostUSB{Sys: filepath.Join(f.root, "sys"), Dev: filepath.Join(f.root, "dev")}
}

func (f fakeSys) write(dir, name, content string) {
	f.t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content+"\n"), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// device adds a USB device and returns its directory.
func (f fakeSys) device(at string, attributes map[string]string) string {
	dir := filepath.Join(f.root, "sys", "devices", "pci0000:00", "0000:00:14.0", "usb1", at)
	for name, content := range attributes {
		f.write(dir, name, content)
	}
	return dir
}

// tty adds a serial port on an interface of a device. The ports of usb-serial
// drivers have a directory of their own below the interface, those of cdc_acm
// have not.
func (f fakeSys) tty(device, name, driver string, number, protocol int) {
	f.t.Helper()
	iface := filepath.Join(device, fmt.Sprintf("%s:1.%x", filepath.Base(device), number))
	f.write(iface, "bInterfaceNumber", fmt.Sprintf("%02x", number))
	f.write(iface, "bInterfaceProtocol", fmt.Sprintf("%02x", protocol))
	port := iface
	if driver != "cdc_acm" {
		port = filepath.Join(iface, name)
	}
	f.write(filepath.Join(port, "tty", name), "dev", "188:0")
	f.link(filepath.Join(f.root, "sys", "bus", "usb", "drivers", driver), filepath.Join(iface, "driver"))
	f.link(filepath.Join(port, "tty", name), filepath.Join(f.root, "sys", "class", "tty", name))
}

// link makes a relative symbolic link, as sysfs has them.
func (f fakeSys) link(target, link string) {
	f.t.Helper()
	relative, err := filepath.Rel(filepath.Dir(link), target)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Symlink(relative, link); err != nil {
		f.t.Fatal(err)
	}
}

func TestUSBPorts(t *testing.T) {
	f := fakeSys{t, t.TempDir()}
	ec25 := f.device("1-1.4", map[string]string{
		"idVendor": "2c7c", "idProduct": "0125", "manufacturer": "Quectel", "product": "EC25-E\x01",
		"busnum": "1", "devnum": "17",
	})
	for i := range 4 {
		f.tty(ec25, fmt.Sprint("ttyUSB", 8+i), "option", i, 0)
	}
	f.tty(f.device("1-2", map[string]string{"idVendor": "1E2D", "idProduct": "0058", "serial": "42"}), "ttyACM0", "cdc_acm", 10, 1)
	f.tty(f.device("1-3", map[string]string{}), "ttyUSB3", "option", 0, 0) // half gone
	f.write(filepath.Join(f.root, "sys", "devices", "platform", "serial8250", "tty", "ttyS0"), "dev", "4:64")
	f.link(filepath.Join(f.root, "sys", "devices", "platform", "serial8250", "tty", "ttyS0"), filepath.Join(f.root, "sys", "class", "tty", "ttyS0"))

	dev := f.usb().Dev
	quectel := USBPort{Device: "1-1.4", ID: "2c7c:0125", Manufacturer: "Quectel", Product: "EC25-E", Driver: "option", Bus: 1, Number: 17}
	var want []USBPort
	for i := range 4 {
		p := quectel
		p.Path, p.Interface = filepath.Join(dev, fmt.Sprint("ttyUSB", 8+i)), i
		want = append(want, p)
	}
	want = append(want, USBPort{
		Path: filepath.Join(dev, "ttyACM0"), Device: "1-2", ID: "1e2d:0058", Serial: "42",
		Interface: 10, Protocol: 1, Driver: "cdc_acm",
	})
	if got := f.usb().Ports(); !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if none := (HostUSB{Sys: t.TempDir()}).Ports(); none != nil {
		t.Errorf("of a host without USB: %v", none)
	}
}

// TestUSBReset: without the device's node, or where it is none, the reset is
// an error and no more.
func TestUSBReset(t *testing.T) {
	f := fakeSys{t, t.TempDir()}
	p := USBPort{Path: "/dev/ttyUSB0", Bus: 1, Number: 17}
	if err := f.usb().Reset(p); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	f.write(filepath.Join(f.root, "dev", "bus", "usb", "001"), "017", "")
	if err := f.usb().Reset(p); err == nil {
		t.Error("a plain file was reset")
	}
	if err := f.usb().Reset(USBPort{Path: "/dev/ttyS0"}); err == nil {
		t.Error("no device was reset")
	}
}
