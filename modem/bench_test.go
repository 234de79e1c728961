package modem_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// BenchmarkSubmit is one message after the other over a pty at air time 0.
func BenchmarkSubmit(b *testing.B) {
	w := start(b, at0(), modems(1), modem.PoolConfig{})
	line := w.line("modem0")
	sub := modem.Submission{To: number, Text: text}
	for b.Loop() {
		if r := line.Submit(context.Background(), sub); r.Class != modem.Accepted {
			b.Fatalf("%+v", r)
		}
	}
}

// BenchmarkBareLoop is the floor: the same messages by a loop that writes
// AT+CMGS, waits for the prompt, writes the PDU and reads the answer.
func BenchmarkBareLoop(b *testing.B) {
	net := sim.NewNetwork(at0())
	defer net.Close()
	m, err := net.NewModem(sim.ModemConfig{})
	if err != nil {
		b.Fatal(err)
	}
	link := b.TempDir() + "/modem0"
	if err := m.Open(link); err != nil {
		b.Fatal(err)
	}
	port, err := modem.Devices{}.Open(link)
	if err != nil {
		b.Fatal(err)
	}
	defer port.Close()
	buf := make([]byte, 4096)
	say := func(s, until string) {
		if _, err := io.WriteString(port, s); err != nil {
			b.Fatal(err)
		}
		var got []byte
		for !bytes.Contains(got, []byte(until)) {
			n, err := port.Read(buf)
			if err != nil {
				b.Fatal(err)
			}
			if got = append(got, buf[:n]...); bytes.Contains(got, []byte("ERROR")) {
				b.Fatalf("%q", got)
			}
		}
	}
	say("ATE0\r", "OK")
	say("AT+CMGF=0\r", "OK")
	pdu := "0001000B913316325476F800002E" + fmt.Sprintf("%082d", 0)
	for b.Loop() {
		say("AT+CMGS=54\r", "> ")
		say(pdu+"\x1a", "OK")
	}
}
