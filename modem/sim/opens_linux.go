package sim

import (
	"encoding/binary"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// opens tells when files are opened for the first time: any number of them
// with one inotify instance, of which a user may have 128 unless
// fs.inotify.max_user_instances says otherwise.
type opens struct {
	file *os.File

	mu      sync.Mutex
	waiting map[int32]chan struct{} // by watch descriptor; guarded by mu
}

func newOpens() (*opens, error) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	o := &opens{file: os.NewFile(uintptr(fd), "inotify"), waiting: map[int32]chan struct{}{}}
	go o.run()
	return o, nil
}

// watch returns a channel that is closed when path is opened from now on, and
// a function that ends the watch.
func (o *opens) watch(path string) (opened <-chan struct{}, end func(), err error) {
	o.mu.Lock() // before run can look for what is added here
	defer o.mu.Unlock()
	wd := 0
	err = control(o.file, func(fd int) (err error) {
		wd, err = unix.InotifyAddWatch(fd, path, unix.IN_OPEN|unix.IN_ONESHOT)
		return os.NewSyscallError("inotify_add_watch", err)
	})
	if err != nil {
		return nil, nil, err
	}
	c := make(chan struct{})
	o.waiting[int32(wd)] = c
	return c, func() { o.drop(wd) }, nil
}

// drop ends a watch, which may be over already.
func (o *opens) drop(wd int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, waits := o.waiting[int32(wd)]; !waits {
		return
	}
	delete(o.waiting, int32(wd))
	_ = control(o.file, func(fd int) error {
		_, err := unix.InotifyRmWatch(fd, uint32(wd))
		return err // what was watched may be gone, and its watch with it
	})
}

// run takes in events until close.
func (o *opens) run() {
	events := make([]byte, 64*unix.SizeofInotifyEvent)
	for {
		n, err := o.file.Read(events)
		if err != nil {
			return
		}
		for rest := events[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			wd, mask := binary.NativeEndian.Uint32(rest), binary.NativeEndian.Uint32(rest[4:])
			name := int(binary.NativeEndian.Uint32(rest[12:]))
			rest = rest[min(unix.SizeofInotifyEvent+name, len(rest)):]
			if mask&unix.IN_OPEN != 0 {
				o.opened(int32(wd))
			}
		}
	}
}

func (o *opens) opened(wd int32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c := o.waiting[wd]; c != nil {
		delete(o.waiting, wd)
		close(c)
	}
}

// close ends all watches; nothing that was watched is told of any more.
func (o *opens) close() error { return o.file.Close() }
