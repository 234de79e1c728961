package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"smsotpd/modem"
	"smsotpd/modem/wire"
)

// bareModem is the least that sends messages: it writes AT+CMGS, waits for the
// prompt, writes the PDU and waits for the answer.
type bareModem struct {
	port wire.Port
	in   *bufio.Reader
	pdu  string
}

// What a bareModem sends: to +33612345678, with and without TP-SRR.
const (
	barePDU         = "0001000B913316325476F800000AE8329BFD4697D9EC37"
	barePDUReported = "0021000B913316325476F800000AE8329BFD4697D9EC37"
)

// openBareModem opens the port and prepares the modem. reports: it asks for
// delivery reports, which it does not look at.
func openBareModem(path string, reports bool) (*bareModem, error) {
	port, err := modem.Devices{}.Open(path)
	if err != nil {
		return nil, err
	}
	m := &bareModem{port: port, in: bufio.NewReader(port), pdu: barePDU}
	route := "AT+CNMI=2,0,0,0,0\r"
	if reports {
		m.pdu, route = barePDUReported, "AT+CNMI=2,0,0,1,0\r"
	}
	for _, command := range []string{"ATE0\r", "AT+CMGF=0\r", route} {
		if err := m.say(command, "OK\r\n"); err != nil {
			_ = port.Close()
			return nil, err
		}
	}
	return m, nil
}

// send sends one message.
func (m *bareModem) send() error {
	if err := m.say(fmt.Sprintf("AT+CMGS=%d\r", len(m.pdu)/2-1), "> "); err != nil {
		return err
	}
	return m.say(m.pdu+"\x1a", "OK\r\n")
}

// say writes the text and reads until the given end of an answer.
func (m *bareModem) say(text, until string) error {
	if _, err := io.WriteString(m.port, text); err != nil {
		return err
	}
	var got []byte
	for {
		c, err := m.in.ReadByte()
		if err != nil {
			return err
		}
		got = append(got, c)
		switch {
		case strings.HasSuffix(string(got), until):
			return nil
		case strings.HasSuffix(string(got), "ERROR"):
			return fmt.Errorf("%q was answered %q", text, got)
		}
	}
}

// bareFleet sends with all modems as fast as bare loops can, until ctx ends.
func bareFleet(ctx context.Context, paths []string) error {
	modems := make([]*bareModem, len(paths))
	for i, path := range paths {
		m, err := openBareModem(path, true)
		if err != nil {
			return fmt.Errorf("modem %d: %w", i, err)
		}
		defer m.port.Close()
		modems[i] = m
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	failed := make(chan error, len(modems))
	for _, m := range modems {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := m.send(); err != nil {
					failed <- err
					stop()
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}
