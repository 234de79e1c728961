// Package inbound keeps the messages that people send to the SIMs, for as long
// as their retention says.
//
// It knows keys and storage, and nothing of modems: it is handed TPDUs (3GPP
// TS 23.040 9.2.2.1) with what was read in them, and what reads several as one
// text.
//
// What always holds:
//
//   - A message handed in is durable when its transaction is, whole or in
//     parts, readable or not, so that the modem may forget it.
//   - The same TPDU from the same SIM is kept once, however often it is handed
//     in, or sent again by the network, while it is kept. So is a part that its
//     sender sent again at once.
//   - A message has its id and its place by its newest part: whoever asks for
//     what came after an id sees it again when more of it has come.
//   - Sender and content are sealed; nothing here prints them.
package inbound

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"smsotpd/gateway/keyring"
	"smsotpd/storage"
)

// MaxParts is how many parts a message may have; one that claims more is kept
// as messages of their own (otp-rules: bound hostile PDUs).
const MaxParts = 10

// ErrBadID: the text is no message's id.
var ErrBadID = errors.New("inbound: no such id")

// ID names a message as far as it has come. Its order is that of arrival, the
// newest first.
type ID [16]byte

// newID is the id of what arrives at the given time; tail makes it unique.
func newID(at time.Time, tail [8]byte) ID {
	key := storage.NewestKey(at)
	return ID(slices.Concat(key[:], tail[:]))
}

// String is the id in hex.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ParseID reads an ID, or answers ErrBadID.
func ParseID(s string) (ID, error) {
	var id ID
	if !storage.ParseKey(id[:], s) {
		return ID{}, ErrBadID
	}
	return id, nil
}

// Part is one TPDU that came in.
type Part struct {
	// Modem that received it, and the SIM in it: its IMSI, or what else tells
	// it from all others.
	Modem, SIM string
	// From is its sender as the network gave it.
	From string
	// Ref, Number and Of place it in a message of several parts (TS 23.040
	// 9.2.3.24.1); Of is 0 for one that is whole. Wide references, of 16 bits,
	// are others than those of 8.
	Ref        uint16
	Wide       bool
	Number, Of int
	// Sent is when the service centre took it, as it says.
	Sent time.Time
	// Undecodable: the TPDU is all that there is.
	Undecodable bool
	TPDU        []byte
}

// Content is what the TPDUs of one message say together: text, or the octets
// of an 8-bit message.
type Content struct {
	Text string
	Data []byte
}

// Message is one that was received.
type Message struct {
	ID    ID
	Modem string
	From  string
	Content
	Sent, Received time.Time
	// Parts is how many parts the message has, Missing which of them have not
	// come, counted from 1; Text then holds what has come before the first gap
	// and behind it.
	Parts   int
	Missing []int
	// Undecodable: TPDU is all that there is.
	Undecodable bool
	TPDU        []byte
}

// Format keeps sender and text out of logs.
func (m Message) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "inbound message") }

// LogValue keeps sender and text out of logs.
func (m Message) LogValue() slog.Value { return slog.StringValue("inbound message") }

// record is a Message as it is kept.
type record struct {
	Modem       string       `cbor:"1,keyasint,omitempty"`
	Sent        storage.Time `cbor:"2,keyasint,omitempty"`
	Received    storage.Time `cbor:"3,keyasint"`
	Undecodable bool         `cbor:"4,keyasint,omitempty"`
	// Numbers are the parts that have come, in the order of Sealed's TPDUs; nil
	// for a message that is whole by itself.
	Numbers []int `cbor:"5,keyasint,omitempty"`
	Of      int   `cbor:"6,keyasint,omitempty"`
	// Thread is the key in threads of a message that has parts, Seen are those in
	// seen. Received is when the first part came, Sent is of that too.
	Thread []byte   `cbor:"7,keyasint,omitempty"`
	Seen   [][]byte `cbor:"8,keyasint,omitempty"`
	// Sealed is the CBOR of secret.
	Sealed []byte `cbor:"9,keyasint"`
}

// secret is what of a record is sealed.
type secret struct {
	From  string   `cbor:"1,keyasint,omitempty"`
	TPDUs [][]byte `cbor:"2,keyasint"`
}

// Book keeps the messages. Its methods touch its own tables only.
type Book struct {
	keys     *keyring.Keyring
	read     func(tpdus [][]byte) (Content, error)
	messages storage.Table[record]
	// threads find the messages that a part may be of: the ids of those that are
	// whole, and then of those of which parts are missing, one behind the other,
	// the oldest first.
	threads storage.Table[[]byte]
	// seen has the TPDUs that are kept; the values say nothing.
	seen storage.Table[[]byte]
}

// NewBook makes a Book; read makes one content of a message's TPDUs in their
// order, of which some may be missing.
func NewBook(keys *keyring.Keyring, read func(tpdus [][]byte) (Content, error)) *Book {
	return &Book{
		keys: keys, read: read,
		messages: storage.NewTable[record]("inbound", 1),
		threads:  storage.NewTable[[]byte]("inboundpart", 1),
		seen:     storage.NewTable[[]byte]("inboundseen", 1),
	}
}

// Draft is a part made ready before its transaction.
type Draft struct {
	part         Part
	tail         [8]byte
	nonce        keyring.Nonce
	seen, thread keyring.Token
}

// Draft prepares a part to be kept.
func (b *Book) Draft(p Part) Draft {
	if p.Of < 2 || p.Of > MaxParts || p.Number < 1 || p.Number > p.Of || p.Undecodable {
		p.Number, p.Of = 0, 0
	}
	d := Draft{part: p, nonce: keyring.NewNonce(), seen: b.keys.Lookup("inbound seen", []byte(p.SIM), lasting(p))}
	random := keyring.NewNonce()
	copy(d.tail[:], random[:])
	kind := byte(0)
	if p.Wide {
		kind = 1
	}
	d.thread = b.keys.Lookup("inbound thread", []byte(p.SIM), []byte(p.From),
		binary.BigEndian.AppendUint16(nil, p.Ref), []byte{byte(p.Of), kind}) //nolint:gosec // at most MaxParts
	return d
}

// own is what of a TPDU's first octet is the message's own: TP-MTI, TP-UDHI.
const own = 0x43

// lasting is the TPDU without what may differ when the network sends it again:
// of the first octet, only message type and header indicator are the message's
// own (TS 23.040 9.2.2.1), TP-MMS, TP-LP and their like are of the way it came.
func lasting(p Part) []byte {
	if p.Undecodable || len(p.TPDU) == 0 {
		return p.TPDU
	}
	return slices.Concat([]byte{p.TPDU[0] & own}, p.TPDU[1:])
}

func (b *Book) ref(id ID) keyring.Ref {
	return keyring.Ref{Table: b.messages.Name(), Key: id[:], Field: "content"}
}

func (b *Book) unseal(id ID, rec record) (secret, error) {
	var sec secret
	plain, err := b.keys.Unseal(b.ref(id), rec.Sealed)
	if err != nil {
		return sec, fmt.Errorf("inbound: %w", err)
	}
	if err := cbor.Unmarshal(plain, &sec); err != nil {
		return sec, fmt.Errorf("%w: inbound: %w", storage.ErrForeign, err)
	}
	return sec, nil
}

// Range says which messages are asked for. A zero ID bounds nothing.
type Range struct {
	// After and Before leave only what came after and before these.
	After, Before ID
	Limit         int
}

// List returns messages, the newest first. One that doesn't open any more has
// neither sender nor content.
func (b *Book) List(tx storage.Tx, r Range) ([]Message, error) {
	return storage.Newest(tx, b.messages, r.After[:], r.Before[:], r.Limit, b.message)
}

func (b *Book) message(key []byte, rec record) Message {
	id := ID(key)
	sec, err := b.unseal(id, rec)
	m := Message{
		ID: id, Modem: rec.Modem, From: sec.From,
		Sent: rec.Sent.Time(), Received: rec.Received.Time(), Parts: max(1, rec.Of),
		Undecodable: rec.Undecodable || err != nil,
	}
	for n := 1; n <= rec.Of; n++ {
		if !slices.Contains(rec.Numbers, n) {
			m.Missing = append(m.Missing, n)
		}
	}
	if !m.Undecodable {
		if m.Content, err = b.read(sec.TPDUs); err == nil {
			return m
		}
		m.Undecodable = true
	}
	m.TPDU = slices.Concat(sec.TPDUs...)
	return m
}

// Dated says whether Drop has something to do.
func (b *Book) Dated(tx storage.Tx, retention time.Duration) (bool, error) {
	rows, err := b.dated(tx, retention, 1)
	return len(rows) > 0, err
}

// dropPage is how many messages of MaxParts parts one transaction deletes
// within storage.MaxKeys.
const dropPage = 6

// Drop deletes up to limit messages that were kept for the retention, or as
// many as fit one transaction, and returns how many.
func (b *Book) Drop(tx storage.Tx, retention time.Duration, limit int) (int, error) {
	rows, err := b.dated(tx, retention, min(limit, dropPage))
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		if err := b.forget(tx, row); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

// dated are messages that are too old.
func (b *Book) dated(tx storage.Tx, retention time.Duration, limit int) ([]storage.Row[record], error) {
	oldest := newID(tx.Now().Add(-retention), [8]byte{})
	return b.messages.Scan(tx, oldest[:], nil, limit)
}

func (b *Book) forget(tx storage.Tx, row storage.Row[record]) error {
	for _, seen := range row.Value.Seen {
		if err := b.seen.Delete(tx, seen); err != nil {
			return err
		}
	}
	if err := b.leave(tx, row.Value.Thread, row.Key); err != nil {
		return err
	}
	return b.messages.Delete(tx, row.Key)
}
