package sim

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTry(t *testing.T) {
	n := NewNetwork(NetworkConfig{Air: Fixed(0), Report: Fixed(0)})
	defer n.Close()
	m, err := n.NewModem(ModemConfig{})
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "m0")
	if err := m.Open(link); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(link, os.O_RDWR|0x800, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.SetReadDeadline(time.Now().Add(time.Second))
	exch := func(s, until string) {
		f.Write([]byte(s))
		var got strings.Builder
		b := make([]byte, 1000)
		for !strings.Contains(got.String(), until) {
			k, err := f.Read(b)
			got.Write(b[:k])
			if err != nil {
				t.Fatalf("%q: %q %v", s, got.String(), err)
			}
		}
		t.Logf("%q -> %q", s, got.String())
	}
	exch("AT\r", "OK\r\n")
	exch("ATE0\r", "OK\r\n")
	exch("AT+CPIN?;+CSQ;+CREG?;+CNMI=2,1,0,1,0\r", "OK\r\n")
	exch("AT+CMGF=0\r", "OK\r\n")
	exch("AT+CMGS=23\r", "> ")
	exch("0031000B913366214365F70000000AE8329BFD4697D9EC37\x1a", "+CDS")
	t.Log(m.Violations(), n.Messages())
}

func BenchmarkPTY(b *testing.B) {
	n := NewNetwork(NetworkConfig{Air: Fixed(0), Report: Fixed(0)})
	defer n.Close()
	m, _ := n.NewModem(ModemConfig{})
	link := filepath.Join(b.TempDir(), "m0")
	if err := m.Open(link); err != nil {
		b.Fatal(err)
	}
	f, err := os.OpenFile(link, os.O_RDWR|0x800, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 1000)
	exch := func(s, until string) {
		f.Write([]byte(s))
		var got []byte
		for !strings.Contains(string(got), until) {
			k, err := f.Read(buf)
			if err != nil {
				b.Fatal(err)
			}
			got = append(got, buf[:k]...)
		}
	}
	exch("ATE0\r", "OK\r\n")
	for b.Loop() {
		exch("AT+CMGS=23\r", "> ")
		exch("0011000B913366214365F70000000AE8329BFD4697D9EC37\x1a", "OK\r\n")
	}
}
