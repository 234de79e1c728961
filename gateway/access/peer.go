package access

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// PeerCred returns the user, group and process that connected a Unix socket,
// as the kernel recorded them at connect(2) (SO_PEERCRED, unix(7)).
func PeerCred(conn net.Conn) (uid, gid uint32, pid int32, err error) {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, 0, 0, fmt.Errorf("access: the peer of a %T has no credentials", conn)
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return 0, 0, 0, fmt.Errorf("access: peer credentials: %w", err)
	}
	var cred *syscall.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err == nil {
		err = credErr
	}
	if err != nil {
		return 0, 0, 0, fmt.Errorf("access: peer credentials: %w", err)
	}
	return cred.Uid, cred.Gid, cred.Pid, nil
}

// Local returns the principal of a local user: root and the daemon's own user
// may do everything, any other is nobody.
func Local(uid uint32) (Principal, bool) {
	if uid != 0 && int64(uid) != int64(os.Geteuid()) {
		return Principal{}, false
	}
	id := "local:" + strconv.FormatUint(uint64(uid), 10)
	return Principal{KeyID: id, Name: id, Scopes: Scopes()}, true
}

// Peer returns the principal at the other end of a Unix socket:
// ErrUnauthenticated for a user whom Local doesn't know, another error where
// the connection has no credentials.
func Peer(conn net.Conn) (Principal, error) {
	uid, _, _, err := PeerCred(conn)
	if err != nil {
		return Principal{}, err
	}
	p, ok := Local(uid)
	if !ok {
		return Principal{}, ErrUnauthenticated
	}
	return p, nil
}
