package gateway

import (
	"cmp"
	"context"
	"time"

	"smsotpd/gateway/inbound"
	"smsotpd/modem"
	"smsotpd/storage"
)

// DefaultInboundRetention is how long received messages are kept unless the
// operator says otherwise.
const DefaultInboundRetention = 7 * 24 * time.Hour

// Received keeps a message that somebody sent to one of the SIMs, durably. Test
// messages of ours are not kept.
func (g *Gateway) Received(ctx context.Context, m modem.Inbound) error {
	if g.canaries.take(ctx, m) {
		return nil
	}
	draft := g.inbound.Draft(inbound.Part{
		Modem: m.Modem, SIM: cmp.Or(m.IMSI, "modem-"+m.Modem), From: m.From,
		Ref: m.Ref, Wide: m.Wide, Number: int(m.Part), Of: int(m.Parts),
		Sent: m.SCTS, Undecodable: m.Undecodable, TPDU: m.PDU,
	})
	fresh := false
	err := g.update(ctx, func(tx storage.Tx) (err error) {
		fresh, err = g.inbound.Keep(tx, draft)
		return err
	})
	if err == nil && fresh {
		g.metrics.received.Inc()
		g.log.Info("a message was received", "modem", m.Modem, "undecodable", m.Undecodable)
	}
	return err
}

// Inbound lists received messages, the newest first.
func (g *Gateway) Inbound(ctx context.Context, r inbound.Range) (list []inbound.Message, err error) {
	err = g.store.View(ctx, func(tx storage.Tx) error {
		list, err = g.inbound.List(tx, r)
		return err
	})
	return list, failure(err)
}

// readInbound is what the TPDUs of one message say.
func readInbound(tpdus [][]byte) (inbound.Content, error) {
	text, data, err := modem.DecodeParts(tpdus)
	return inbound.Content{Text: text, Data: data}, err
}
