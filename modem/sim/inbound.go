package sim

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Inbound is a message to a modem, and how its sender encoded it.
type Inbound struct {
	// From is "+" and digits, digits, or up to eleven letters.
	From string
	Text string
	// Data is sent instead of Text, as 8-bit data.
	Data []byte
	// UCS2: in UCS-2 although the default alphabet would do. What doesn't fit
	// the alphabets below is in UCS-2 anyway.
	UCS2 bool
	// Locking and Single are the national tables of TS 23.038 that the text is
	// written by.
	Locking, Single Language
	// Wide: the reference of a message of several parts has 16 bits.
	Wide bool
	// Ref is that reference.
	Ref uint16
	// Order is which parts come, counted from 1, one after the other: [2, 1],
	// [1, 1, 2], [2]; nil is all in order.
	Order []int
	PID   byte
	// Sent is the service centre's time stamp; zero is now.
	Sent time.Time
}

// String keeps numbers and texts out of logs.
func (in Inbound) String() string { return "inbound message" }

// GoString keeps numbers and texts out of logs.
func (in Inbound) GoString() string { return in.String() }

// LogValue keeps numbers and texts out of logs.
func (in Inbound) LogValue() slog.Value { return slog.StringValue(in.String()) }

// Receive sends the modem a message from a number or name.
func (m *Modem) Receive(from, text string) {
	// Only what is asked for otherwise can be wrong, or a book in length.
	if err := m.ReceiveMessage(Inbound{From: from, Text: text}); err != nil {
		m.network.config.Logger.Error("no such message", "modem", m.index, "error", err)
	}
}

// ReceiveMessage sends the modem a message, part by part.
func (m *Modem) ReceiveMessage(in Inbound) error {
	if in.Sent.IsZero() {
		in.Sent = time.Now().UTC()
	}
	parts, err := in.parts()
	if err != nil {
		return err
	}
	order := in.Order
	if order == nil {
		for i := range parts {
			order = append(order, i+1)
		}
	}
	for _, part := range order {
		if part < 1 || part > len(parts) {
			return fmt.Errorf("sim: there is no part %d of %d", part, len(parts))
		}
	}
	for _, part := range order {
		m.deliver(parts[part-1])
	}
	return nil
}

// ReceiveTPDU sends the modem the octets of a TPDU, whatever they are; the
// service centre's address is put in front.
func (m *Modem) ReceiveTPDU(tpdu []byte) {
	m.deliver(deliver{from: "TPDU", scts: time.Now().UTC(), raw: append([]byte{}, tpdu...)})
}

// forward sends the modem what another one submitted.
func (m *Modem) forward(msg Message) {
	if msg.data == nil {
		m.Receive(msg.From, msg.Text)
		return
	}
	m.deliver(deliver{
		from: msg.From, scts: msg.Accepted, pid: msg.PID, dcs: msg.DCS, header: msg.UDH != nil, data: msg.data, text: msg.Text,
	})
}

func (m *Modem) deliver(d deliver) {
	m.mu.Lock()
	d.sca = m.config.SMSC
	m.mu.Unlock()
	m.receive(incoming{sms: &d}, 0)
}

const (
	maxUserData = 140 // octets, TS 23.040 9.2.3.24
	dcs8Bit     = 0x04
	dcsUCS2     = 0x08
)

// parts encodes the message: one part, or as many as it takes.
func (in Inbound) parts() ([]deliver, error) {
	if nationalBasic(in.Locking) == nil || nationalExtension(in.Single) == nil {
		return nil, errors.New("sim: a language has no such table")
	}
	if in.Data != nil {
		return in.split(dcs8Bit, nil, in.Data, 1)
	}
	characters, fits := septetsIn(in.Text, in.Locking, in.Single)
	if in.UCS2 || !fits {
		return in.split(dcsUCS2, nil, ucs2Octets(in.Text), 2)
	}
	return in.split(0, characters, nil, 0)
}

// languageElements are the information elements that name the tables in use.
func (in Inbound) languageElements() []byte {
	const singleShift, lockingShift = 0x24, 0x25
	var header []byte
	if in.Single != DefaultLanguage {
		header = append(header, singleShift, 1, byte(in.Single))
	}
	if in.Locking != DefaultLanguage {
		header = append(header, lockingShift, 1, byte(in.Locking))
	}
	return header
}

// split puts characters or octets, of which unit belong together, into as few
// parts as hold them. Surrogate pairs are torn apart, as phones do.
func (in Inbound) split(dcs byte, characters [][]byte, octets []byte, unit int) ([]deliver, error) {
	elements := []byte(nil)
	if characters != nil {
		elements = in.languageElements()
	}
	bodies := cut(characters, octets, unit, len(elements))
	several := len(bodies) > 1
	if several {
		concatenation := 5
		if in.Wide {
			concatenation = 6
		}
		bodies = cut(characters, octets, unit, len(elements)+concatenation)
	}
	if len(bodies) > 255 {
		return nil, errors.New("sim: a message has at most 255 parts")
	}
	var parts []deliver
	for i, body := range bodies {
		header := elements
		if several {
			header = append(in.concatenation(len(bodies), i+1), elements...)
		}
		parts = append(parts, deliver{
			from: in.From, scts: in.Sent, pid: in.PID, dcs: dcs, header: len(header) > 0, data: userData(header, body, characters != nil), text: in.Text,
		})
	}
	return parts, nil
}

// concatenation is the information element of TS 23.040 9.2.3.24.1, or .8 with
// a wide reference.
func (in Inbound) concatenation(total, part int) []byte {
	if in.Wide {
		return []byte{8, 4, byte(in.Ref >> 8), byte(in.Ref), byte(total), byte(part)}
	}
	return []byte{0, 3, byte(in.Ref), byte(total), byte(part)}
}

// cut is the bodies of the parts where each has a header of so many octets,
// its length octet not counted: septets one an octet, or octets.
func cut(characters [][]byte, octets []byte, unit, header int) [][]byte {
	room := maxUserData
	if header > 0 {
		room -= 1 + header
	}
	bodies := [][]byte{nil}
	if characters == nil {
		room -= room % unit
		for len(octets) > room {
			bodies[len(bodies)-1], octets = octets[:room:room], octets[room:]
			bodies = append(bodies, nil)
		}
		bodies[len(bodies)-1] = octets
		return bodies
	}
	room = 8 * room / 7
	for _, c := range characters {
		last := len(bodies) - 1
		if len(bodies[last])+len(c) > room {
			bodies = append(bodies, nil)
			last++
		}
		bodies[last] = append(bodies[last], c...)
	}
	return bodies
}

// userData is TP-UDL and TP-UD, TS 23.040 9.2.3.24: septets begin at a septet
// boundary behind the header.
func userData(header, body []byte, septets bool) []byte {
	var data []byte
	if len(header) > 0 {
		data = append([]byte{byte(len(header))}, header...)
	}
	if !septets {
		return append([]byte{byte(len(data) + len(body))}, append(data, body...)...)
	}
	headerSeptets := (8*len(data) + 6) / 7
	padded := append(make([]byte, headerSeptets), body...)
	packed := pack7(padded)
	copy(packed, data) // the fill bits behind it are zero
	return append([]byte{byte(headerSeptets + len(body))}, packed...)
}

// inbound is the message that a table describes.
func (t inboundTable) inbound() (Inbound, error) {
	in := Inbound{
		From: t.From, Text: t.Text, UCS2: t.UCS2, Locking: Language(t.Locking), Single: Language(t.Single),
		Wide: t.Wide, Ref: t.Ref, Order: t.Order, PID: t.PID,
	}
	if t.From == "" || (t.Text == "") == (t.Data == "") {
		return in, errors.New("sim: a message needs from, and text or data")
	}
	if t.Data != "" {
		data, err := hex.DecodeString(t.Data)
		if err != nil {
			return in, errors.New("sim: data is hexadecimal")
		}
		in.Data = data
	}
	return in, nil
}
