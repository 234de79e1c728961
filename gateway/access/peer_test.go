package access

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPeerCred(t *testing.T) {
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	client, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	uid, gid, pid, err := PeerCred(conn)
	if err != nil || int(uid) != os.Getuid() || int(gid) != os.Getgid() || int(pid) != os.Getpid() {
		t.Errorf("PeerCred = %d, %d, %d, %v", uid, gid, pid, err)
	}
	if p, err := Peer(conn); err != nil || !p.Can(Admin) {
		t.Errorf("Peer = %+v, %v", p, err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Peer(conn); err == nil {
		t.Error("a closed connection has a peer")
	}
	if _, _, _, err := PeerCred(conn); err == nil {
		t.Error("a closed connection has credentials")
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, _, _, err := PeerCred(a); err == nil {
		t.Error("a pipe has credentials")
	}
}

func TestLocal(t *testing.T) {
	own := uint32(os.Geteuid())
	for _, uid := range []uint32{0, own} {
		p, ok := Local(uid)
		if !ok || !slices.Equal(p.Scopes, Scopes()) {
			t.Errorf("uid %d: %+v, %v", uid, p, ok)
		}
	}
	for _, uid := range []uint32{own + 1, 65534, 1<<32 - 1} {
		if p, ok := Local(uid); ok || p.Can(Verify) {
			t.Errorf("uid %d: %+v", uid, p)
		}
	}
}
