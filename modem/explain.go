package modem

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// explain says what an error of opening path means and what helps.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no %s: is the modem plugged in? (%w)", path, err)
	case errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%s is there, but this system lets nobody here open it, as in a container that was not given the device: "+
			"start it with --device %s, or allow the device in the service's DeviceAllow= (%w)", path, path, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("no permission to open %s: %s (%w)", path, permit(path), err)
	case errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.EWOULDBLOCK):
		return fmt.Errorf("%s is in use by %s (%w)", path, describe(path, holders(path)), err)
	case errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("%s is a directory: name the port itself, or %s (%w)", path, filepath.Join(path, "*"), err)
	case errors.Is(err, syscall.ENOTTY), errors.Is(err, syscall.EINVAL):
		return fmt.Errorf("%s is not a serial port (%w)", path, err)
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV):
		return fmt.Errorf("there is no device behind %s now (%w)", path, err)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fmt.Errorf("can't open %s: too many files are open; raise LimitNOFILE= of the service (%w)", path, err)
	}
	return fmt.Errorf("can't open %s: %w", path, err)
}

// permit says how this process comes to be allowed to open path.
func permit(path string) string {
	owner, mode := "dialout", fs.FileMode(0o660)
	gid := -1
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			gid = int(st.Gid)
			owner = groupName(gid)
		}
	}
	me := "user " + strconv.Itoa(os.Geteuid())
	name := "USER"
	if u, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil {
		me, name = "user "+u.Username, u.Username
	}
	groups, _ := os.Getgroups()
	switch {
	case mode&0o060 != 0o060:
		return fmt.Sprintf("only its owner may (mode %04o), and this is %s; let a udev rule give it to a group: "+
			`KERNEL=="%s", MODE="0660", GROUP="dialout"`, mode, me, filepath.Base(realPath(path)))
	case slices.Contains(groups, gid) || gid == os.Getegid():
		return fmt.Sprintf("although group %s may and this is %s, a member: a security module or a container forbids it", owner, me)
	}
	return fmt.Sprintf("group %s may, and this is %s: sudo usermod -aG %s %s, then start the daemon anew", owner, me, owner, name)
}

func groupName(gid int) string {
	if g, err := user.LookupGroupId(strconv.Itoa(gid)); err == nil {
		return g.Name
	}
	return strconv.Itoa(gid)
}

// process has a port open.
type process struct {
	pid  int
	name string
}

func (p process) String() string { return fmt.Sprintf("%s (process %d)", p.name, p.pid) }

// holders are the processes that have path open, as far as /proc tells; this
// one is among them if it has.
func holders(path string) []process {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil
	}
	var found []process
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err != nil || target != real {
			continue
		}
		pid, _ := strconv.Atoi(strings.Split(fd, "/")[2])
		if slices.ContainsFunc(found, func(p process) bool { return p.pid == pid }) {
			continue
		}
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		found = append(found, process{pid, strings.TrimSpace(string(comm))})
	}
	return found
}

// others are holders without this process.
func others(path string) []process {
	return slices.DeleteFunc(holders(path), func(p process) bool { return p.pid == os.Getpid() })
}

// describe puts the holders of a port in words that help.
func describe(path string, held []process) string {
	for _, p := range held {
		switch {
		case p.name == "ModemManager":
			return fmt.Sprintf("%v: tell it to leave the device alone by a udev rule (%s), then sudo udevadm control --reload "+
				"and sudo systemctl restart ModemManager; or, if nothing needs it, sudo systemctl disable --now ModemManager", p, ignoreRule(path))
		case p.pid == os.Getpid() && len(held) == 1:
			return "this daemon itself under another path"
		}
	}
	if i := slices.IndexFunc(held, func(p process) bool { return p.pid != os.Getpid() }); i >= 0 {
		return fmt.Sprintf("%v: stop it, or give it another port", held[i])
	}
	return "a process that this user can't see: sudo fuser -v " + path + " names it"
}

// ignoreRule is the udev rule that keeps ModemManager off the port's device.
func ignoreRule(path string) string {
	match := `KERNEL=="` + filepath.Base(realPath(path)) + `"`
	if p, ok := usbPortAt(HostUSB{}.Ports(), path); ok {
		vendor, product, _ := strings.Cut(p.ID, ":")
		match = fmt.Sprintf(`ATTRS{idVendor}=="%s", ATTRS{idProduct}=="%s"`, vendor, product)
	}
	return match + `, ENV{ID_MM_DEVICE_IGNORE}="1"`
}
