package sim

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Handset is the phone behind one number and what it has received.
type Handset struct {
	asked bool // guarded by the network

	mu       sync.Mutex
	received []Message
	off      bool
	held     []*held
	next     int           // of received: the first that Next has not returned
	changed  chan struct{} // closed and replaced when a message arrives
}

// String keeps texts out of logs.
func (h *Handset) String() string { return "handset" }

// GoString keeps texts out of logs.
func (h *Handset) GoString() string { return h.String() }

// maxInbox bounds what one phone keeps.
const maxInbox = 1000

// Handset is the phone with the given number, "+" and digits.
func (n *Network) Handset(number string) *Handset { return n.phone(number, true) }

// phone finds or makes a handset. Of those that nobody asked for only so many
// are kept, so that a long run over many numbers does not fill the memory.
func (n *Network) phone(number string, asked bool) *Handset {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.handsets[number]
	if h == nil {
		h = &Handset{changed: make(chan struct{})}
		n.handsets[number] = h
		if !asked {
			n.passing = append(n.passing, number)
		}
	}
	h.asked = h.asked || asked
	if len(n.passing) > n.config.Keep {
		oldest := n.passing[0]
		n.passing = n.passing[1:]
		if !n.handsets[oldest].asked {
			delete(n.handsets, oldest)
		}
	}
	return h
}

// held is a message that waits at the service centre for a phone that is off.
type held struct {
	arrive func()
	end    *time.Timer
}

// Switch turns the phone on or off, as does whoever carries it out of reach. What
// is sent to it while it is off waits at the service centre until it is on, for
// as long as its validity lasts; it is on at first.
func (h *Handset) Switch(on bool) {
	h.mu.Lock()
	h.off = !on
	waiting := h.held
	if on {
		h.held = nil
	}
	h.mu.Unlock()
	for _, w := range waiting {
		if on && w.end.Stop() {
			w.arrive()
		}
	}
}

// hold keeps a message for a phone that is off: it arrives when the phone is on,
// or expires after d. It returns false if the phone is on.
func (h *Handset) hold(d time.Duration, arrive, expire func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.off {
		return false
	}
	w := &held{arrive: arrive}
	w.end = time.AfterFunc(d, func() {
		h.mu.Lock()
		h.held = slices.DeleteFunc(h.held, func(other *held) bool { return other == w })
		h.mu.Unlock()
		expire()
	})
	h.held = append(h.held, w)
	return true
}

// take receives msg. A replace-type message (TP-PID 0x41…0x47, TS 23.040
// 9.2.3.9) overwrites the text of an earlier one of its type and sender.
func (h *Handset) take(msg Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if msg.PID >= 0x41 && msg.PID <= 0x47 {
		i := slices.IndexFunc(h.received, func(old Message) bool { return old.PID == msg.PID && old.From == msg.From })
		if i >= 0 {
			h.remove(i)
		}
	}
	h.received = append(h.received, msg)
	if len(h.received) > maxInbox {
		h.remove(0)
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *Handset) remove(i int) {
	h.received = slices.Delete(h.received, i, i+1)
	if i < h.next {
		h.next--
	}
}

// Messages are those on the phone, oldest first.
func (h *Handset) Messages() []Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.received)
}

// Latest is the newest message, if there is one.
func (h *Handset) Latest() (Message, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.received) == 0 {
		return Message{}, false
	}
	return h.received[len(h.received)-1], true
}

// Next waits for the next message that no earlier call has returned, or for
// ctx to end.
func (h *Handset) Next(ctx context.Context) (Message, error) {
	for {
		h.mu.Lock()
		if h.next < len(h.received) {
			msg := h.received[h.next]
			h.next++
			h.mu.Unlock()
			return msg, nil
		}
		changed := h.changed
		h.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
}
