package gateway

import (
	"testing"

	"smsotpd/gateway/inbound"
	"smsotpd/modem"
)

// The same text that somebody sent to two SIMs in the same second is two
// messages, also where the modems don't tell the SIMs' IMSI. One that a modem
// gives twice is one.
func TestReceivedByTwoModems(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		receive := func(name, imsi string) {
			w.must(w.gw.Received(t.Context(), modem.Inbound{
				Modem: name, IMSI: imsi, From: alice, PDU: []byte{0x04, 0x00, 0x00}, Undecodable: true,
			}))
		}
		for _, c := range []struct {
			name, imsi string
			want       int
		}{
			{"a", "", 1}, {"a", "", 1}, {"b", "", 2}, {"a", "208011234567890", 3}, {"b", "208011234567890", 3},
		} {
			receive(c.name, c.imsi)
			list, err := w.gw.Inbound(t.Context(), inbound.Range{Limit: 10})
			w.must(err)
			if len(list) != c.want {
				t.Errorf("%+v: %d messages are kept, want %d", c, len(list), c.want)
			}
		}
	})
}
