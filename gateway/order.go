package gateway

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"smsotpd/gateway/keyring"
	"smsotpd/gateway/ledger"
	"smsotpd/modem"
	"smsotpd/storage"
)

// maxReason is how many characters a reason has at most.
const maxReason = 200

// maxOthers bounds how many modems are told that are held and not there.
const maxOthers = 1000

// orders keeps what operators ordered of the modems, by their names. There is a
// record only while an order stands.
type orders struct {
	keys  *keyring.Keyring
	table storage.Table[order]
}

// order is one that stands.
type order struct {
	// Held: no new message goes by the modem. Drained: it was asked to come to
	// rest, so that it can be unplugged.
	Held    bool `cbor:"1,keyasint,omitempty"`
	Drained bool `cbor:"2,keyasint,omitempty"`
	// Why is sealed; nil for no reason.
	Why []byte       `cbor:"3,keyasint,omitempty"`
	By  string       `cbor:"4,keyasint,omitempty"`
	At  storage.Time `cbor:"5,keyasint,omitempty"`
}

// heldOrder is an order as it is worked with: its reason opened.
type heldOrder struct {
	Held, Drained bool
	Why, By       string
	At            time.Time
}

func newOrders(keys *keyring.Keyring) *orders {
	return &orders{keys: keys, table: storage.NewTable[order]("order", 1)}
}

func (o *orders) ref(name string) keyring.Ref {
	return keyring.Ref{Table: o.table.Name(), Key: []byte(name), Field: "why"}
}

// get is the order that stands for the named modem, the zero one for none. A
// reason that doesn't open any more is none: the order stands all the same.
func (o *orders) get(tx storage.Tx, name string) (heldOrder, error) {
	rec, found, err := o.table.Find(tx, []byte(name))
	if err != nil || !found {
		return heldOrder{}, err
	}
	h := heldOrder{Held: rec.Held, Drained: rec.Drained, By: rec.By, At: rec.At.Time()}
	if len(rec.Why) > 0 {
		why, err := o.keys.Unseal(o.ref(name), rec.Why)
		if err == nil {
			h.Why = string(why)
		}
	}
	return h, nil
}

// heldModem is a modem of the name for which an order stands.
type heldModem struct {
	name string
	heldOrder
}

// others are the modems but those given for which an order stands.
func (o *orders) others(tx storage.Tx, but []modem.Status) ([]heldModem, error) {
	rows, err := o.table.Scan(tx, nil, nil, maxOthers+len(but))
	if err != nil {
		return nil, err
	}
	var all []heldModem
	for _, row := range rows {
		name := string(row.Key)
		if slices.ContainsFunc(but, func(s modem.Status) bool { return s.Name == name }) {
			continue
		}
		h, err := o.get(tx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, heldModem{name, h})
	}
	return all, nil
}

// put makes h the order that stands.
func (o *orders) put(tx storage.Tx, name string, nonce keyring.Nonce, h heldOrder) error {
	if !h.Held {
		return o.table.Delete(tx, []byte(name))
	}
	rec := order{Held: true, Drained: h.Drained, By: h.By, At: storage.TimeOf(h.At)}
	if h.Why != "" {
		rec.Why = o.keys.SealNonce(nonce, o.ref(name), []byte(h.Why))
	}
	return o.table.Put(tx, []byte(name), rec)
}

// said is the order in words.
func (h heldOrder) said() string {
	said := "paused by " + h.By
	if h.Why != "" {
		said += ": " + h.Why
	}
	return said
}

// held is the change that a pause or a drain makes to the order that stands;
// the new one has everything but reason, author and time, which command knows.
func held(drained bool) func(heldOrder) (heldOrder, bool) {
	return func(o heldOrder) (heldOrder, bool) {
		changed := !o.Held || drained && !o.Drained
		return heldOrder{Held: true, Drained: o.Drained || drained}, changed
	}
}

// command gives an order to the named modem. One that changes nothing leaves no
// entry in the trail.
func (g *Gateway) command(ctx context.Context, call Call, action, name, why string, change func(heldOrder) (heldOrder, bool)) error {
	if err := checkReason(why); err != nil {
		return err
	}
	e, nonce := entry(call, action, name, detail("reason", why)), keyring.NewNonce()
	return g.ordered(ctx, call, e, func(tx storage.Tx) (bool, error) {
		stands, err := g.orders.get(tx, name)
		if err != nil {
			return false, err
		}
		next, changed := change(stands)
		if next.Held && stands.Held && why == "" { // whoever gave the reason is named with it
			next.Why, next.By, next.At = stands.Why, stands.By, stands.At
		} else if next.Held {
			next.Why, next.By, next.At = why, call.by(), tx.Now()
			changed = changed || why != stands.Why || next.By != stands.By
		}
		if !changed {
			return false, nil
		}
		return true, g.orders.put(tx, name, nonce, next)
	}, func(ctx context.Context) { g.tellHeld(ctx, name) })
}

// ordered makes an order: what do changes and the entry in the trail are one
// transaction; tell tells the dispatcher after it. The dispatcher hears the orders
// as they were made, since one is made at a time.
func (g *Gateway) ordered(
	ctx context.Context, call Call, e ledger.Entry, do func(storage.Tx) (changed bool, err error), tell func(context.Context),
) error {
	g.ordering.Lock()
	defer g.ordering.Unlock()
	changed := false
	err := g.update(storage.WithReserve(ctx), func(tx storage.Tx) (err error) {
		if changed, err = do(tx); err != nil || !changed {
			return err
		}
		return g.trail.Record(tx, e)
	})
	tell(context.WithoutCancel(ctx))
	if err == nil && changed {
		g.acted(e.Action, call, e.Subject)
	}
	return err
}

// tellHeld tells the dispatcher what the store says of the named modem,
// whatever became of the transaction before. The caller has ordering.
func (g *Gateway) tellHeld(ctx context.Context, name string) {
	stands, err := g.standing(ctx, name)
	if err != nil {
		g.log.Error("the order that stands for a modem can't be read; what was said before goes on", "modem", name, "error", err)
		return
	}
	g.hands.Hold(name, stands.Held)
}

// standing is the order that stands for the named modem.
func (g *Gateway) standing(ctx context.Context, name string) (stands heldOrder, err error) {
	err = g.store.View(ctx, func(tx storage.Tx) error {
		stands, err = g.orders.get(tx, name)
		return err
	})
	return stands, failure(err)
}

// checkReason says what is wrong with a reason.
func checkReason(why string) error {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if utf8.RuneCountInString(why) > maxReason || !utf8.ValidString(why) || strings.ContainsFunc(why, unprintable) {
		return invalid("reason", "A reason has at most %d printable characters.", maxReason)
	}
	return nil
}

// recall tells the dispatcher every order that stands, before it begins.
func (g *Gateway) recall(ctx context.Context) error {
	g.ordering.Lock()
	defer g.ordering.Unlock()
	if err := storage.Each(ctx, g.store, g.orders.table, func(name []byte, o order) {
		g.hands.Hold(string(name), o.Held)
	}); err != nil {
		return err
	}
	return storage.Each(ctx, g.store, g.limits, func(sim []byte, o budgetOrder) {
		g.hands.Limit(ctx, string(sim), o.Change)
	})
}
