package modem

import (
	"bytes"
	"testing"
)

// say is what a server sends, decoded in chunks of the given size.
func say(t *telnet, said []byte, chunk int) []byte {
	var heard []byte
	for len(said) > 0 {
		n := min(chunk, len(said))
		heard = append(heard, t.decode(bytes.Clone(said[:n]))...)
		said = said[n:]
	}
	return heard
}

func octets(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func option(verb, option byte) []byte { return []byte{telnetIAC, verb, option} }

func sub(values ...byte) []byte {
	return octets([]byte{telnetIAC, telnetSB}, escapeIAC(values), []byte{telnetIAC, telnetSE})
}

// TestTelnetDecoding: what is data comes out, whatever is between and however
// it is cut, and only what negotiates is answered.
func TestTelnetDecoding(t *testing.T) {
	t.Parallel()
	do := option(telnetDo, optionComPort)
	for _, c := range []struct {
		name  string
		said  []byte
		heard string
	}{
		{"raw", []byte("\r\nOK\r\n"), "\r\nOK\r\n"},
		{"a command in the middle", octets([]byte("O"), do, []byte("K")), "OK"},
		{"a doubled 255", octets(do, []byte{'a', 255, 255, 'b'}), "a\xffb"},
		{"255 twice", octets(do, []byte{255, 255, 255, 255}), "\xff\xff"},
		{"a 255 without a command", []byte{'a', 'b', 255}, "ab"},
		{"a subnegotiation", octets(do, sub(optionComPort, 101, 0, 1, 194, 0), []byte("OK")), "OK"},
		{"one with 255 in it", octets(do, sub(optionComPort, 255, 255, 240), []byte("OK")), "OK"},
		{"one that is long", octets(do, sub(bytes.Repeat([]byte{'x'}, 5000)...), []byte("OK")), "OK"},
		{"one that is broken off", octets(do, []byte{telnetIAC, telnetSB, 44, 1, telnetIAC, telnetWill, 1, 'O', 'K'}), "OK"},
		{"commands without option", octets(do, []byte{telnetIAC, 241, 'O', telnetIAC, 249, 'K'}), "OK"},
		{"a banner first", octets([]byte("hello\r\n"), option(telnetWill, 1), []byte("OK")), "hello\r\nOK"},
		{
			"far behind the beginning", octets(bytes.Repeat([]byte{'x'}, maxBanner), []byte("x"), do),
			string(octets(bytes.Repeat([]byte{'x'}, maxBanner), []byte("x"), do)),
		},
	} {
		for chunk := 1; chunk <= len(c.said); chunk++ {
			var whole, cut telnet
			want := say(&whole, c.said, len(c.said))
			heard := say(&cut, c.said, chunk)
			if string(heard) != c.heard || string(want) != c.heard {
				t.Errorf("%s in pieces of %d: %q", c.name, chunk, heard)
			}
			if !bytes.Equal(whole.reply, cut.reply) {
				t.Errorf("%s in pieces of %d: other replies", c.name, chunk)
			}
		}
	}
}

// TestTelnetNegotiation: offers are confirmed without an answer, requests are
// answered once, and the settings are sent once.
func TestTelnetNegotiation(t *testing.T) {
	var n telnet
	n.offer()
	offered := bytes.Clone(n.reply)
	for _, want := range [][]byte{
		option(telnetWill, optionComPort), option(telnetWill, optionBinary), option(telnetDo, optionBinary),
	} {
		if !bytes.Contains(offered, want) {
			t.Errorf("not offered: %v", want)
		}
	}
	answer := func(said ...[]byte) []byte {
		n.reply = n.reply[:0]
		say(&n, octets(said...), 1)
		return n.reply
	}
	if got := answer(option(telnetDo, optionBinary), option(telnetWill, optionBinary), option(telnetWill, optionNoGoAway)); len(got) != 0 {
		t.Errorf("a confirmation is answered: %v", got)
	}
	if got := answer(option(telnetWill, 1), option(telnetDo, 24)); !bytes.Equal(got, octets(option(telnetDont, 1), option(telnetWont, 24))) {
		t.Errorf("echo and terminal type: %v", got)
	}
	settings := answer(option(telnetDo, optionComPort))
	for _, want := range [][]byte{
		sub(44, comBaudRate, 0, 1, 0xc2, 0), sub(44, comDataSize, 8), sub(44, comParity, 1), sub(44, comStopSize, 1),
		sub(44, comControl, 1), sub(44, comPurge, 3),
	} {
		if !bytes.Contains(settings, want) {
			t.Errorf("not set: %v in %v", want, settings)
		}
	}
	if n.settled() {
		t.Error("settled before anything is confirmed")
	}
	if got := answer(option(telnetDo, optionComPort)); len(got) != 0 {
		t.Errorf("the settings are sent again: %v", got)
	}
	answer(sub(44, 101, 0, 1, 0xc2, 0), sub(44, 102, 8), sub(44, 107, 0), sub(44, 103, 1), sub(44, 104, 1), sub(44, 105, 1), sub(44, 105, 8), sub(44, 105, 11))
	if n.settled() {
		t.Error("settled before the purge is confirmed")
	}
	if answer(sub(44, 112, 3)); !n.settled() {
		t.Error("not settled although all is confirmed")
	}
	if got := answer(option(telnetDont, optionBinary)); !bytes.Equal(got, option(telnetWont, optionBinary)) {
		t.Errorf("an option that is withdrawn: %v", got)
	}

	var refused telnet
	refused.offer()
	say(&refused, option(telnetDont, optionComPort), 1)
	if !refused.settled() {
		t.Error("a server that knows no RFC 2217 is waited for")
	}
}

// TestTelnetWithoutEnd: a server can't make us speak or remember without end.
func TestTelnetWithoutEnd(t *testing.T) {
	var n telnet
	n.offer()
	toggle := octets(option(telnetDo, optionBinary), option(telnetDont, optionBinary))
	say(&n, bytes.Repeat(toggle, 100_000), 4096)
	say(&n, octets([]byte{telnetIAC, telnetSB}, bytes.Repeat([]byte{'x'}, 100_000)), 4096)
	if len(n.reply) > 3*maxReplies+200 || !n.hostileReply || len(n.sub) > maxSubnegotiation {
		t.Errorf("%d octets to answer, %d kept", len(n.reply), len(n.sub))
	}
}

func FuzzTelnet(f *testing.F) {
	f.Add([]byte("\r\nOK\r\n"), 3, false)
	f.Add(octets(option(telnetDo, 44), sub(44, 101, 255, 1), []byte("\r\n+CSQ: 20,99\r\n")), 1, true)
	f.Add([]byte{255, 250, 44, 255, 251, 0, 255, 255, 255, 240}, 2, false)
	f.Fuzz(func(t *testing.T, said []byte, chunk int, insist bool) {
		if chunk < 1 {
			chunk = 1
		}
		var whole, cut telnet
		if insist {
			whole.offer()
			cut.offer()
		}
		a, b := say(&whole, said, len(said)), say(&cut, said, chunk)
		if len(a) > len(said) || len(b) > len(said) {
			t.Fatal("more is heard than was said")
		}
		for _, n := range []*telnet{&whole, &cut} {
			if len(n.sub) > maxSubnegotiation || len(n.reply) > 3*maxReplies+200 || n.unconfirmed < 0 {
				t.Fatal("it grows without end")
			}
		}
		// Telnet is the same however it is cut.
		if insist && (!bytes.Equal(a, b) || !bytes.Equal(whole.reply, cut.reply) || whole.state != cut.state) {
			t.Fatalf("%q and %q", a, b)
		}
		// What we send comes back as it was.
		echo := telnet{framing: telnetFraming}
		if got := say(&echo, escapeIAC(said), chunk); !bytes.Equal(got, said) {
			t.Fatalf("escaped and back: %q", got)
		}
	})
}
