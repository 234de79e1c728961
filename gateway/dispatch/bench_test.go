package dispatch

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/storage"
)

// benchHall is an index with lines at work and so many messages waiting, one
// more for each that goes out.
type benchHall struct {
	x     *index
	lines []*line
	turn  int
}

func newBenchHall(lines, waiting int) *benchHall {
	h := &benchHall{x: newIndex(DefaultPolicy())}
	for i := range lines {
		h.lines = append(h.lines, h.x.plug(fmt.Sprintf("208%012d", i)))
	}
	for range waiting {
		h.comes()
	}
	return h
}

// comes lets one message come in.
func (h *benchHall) comes() {
	now := time.Now()
	m := queue.Message{State: queue.Queued, Created: storage.TimeOf(now)}
	h.x.put(queue.NewID(), news{message: m, want: anyway(), send: now, advance: now.Add(5 * time.Minute), now: now})
}

// goes is all that the index does for one message of one line: the line takes
// what it has chosen, or the best, chooses the one after, and is told what
// became of both. It returns what the choice took, and all of it.
func (h *benchHall) goes(tb testing.TB) (choice, all time.Duration) {
	l := h.lines[h.turn%len(h.lines)]
	h.turn++
	began := time.Now()
	e := h.x.tryTake(l)
	if e == nil {
		tb.Fatal("nothing to send")
	}
	h.x.choose(l)
	choice = time.Since(began)
	h.x.flew(l, queue.LaneCode, true)
	h.x.begun(e)
	h.x.becomes(e.id, queue.Delivered)
	return choice, time.Since(began)
}

// BenchmarkChoose: what a line's choice of its next message costs, and all that
// the index does for one, over 64 lines with 100 waiting and with 100,000, in
// turn. A ratio is the one over the other: in a loop that does nothing else, where
// all of a short queue stays in the processor's caches; and as in the gateway,
// where other work lies between two messages. That of all is the higher by the
// way from a message's id to its entry, which a long queue has out of the caches.
func BenchmarkChoose(b *testing.B) {
	b.Run("alone", func(b *testing.B) { benchChoose(b, 0) })
	b.Run("between", func(b *testing.B) { benchChoose(b, 4<<20) })
}

// benchChoose looks at so many other bytes between two messages.
func benchChoose(b *testing.B, others int) {
	const lines, few, many, rounds = 64, 100, 100_000, 25
	small, large := newBenchHall(lines, few), newBenchHall(lines, many)
	other := make([]byte, others)
	n := max(b.N/rounds, lines)
	var choices, all [2][]float64
	for range rounds {
		for i, h := range []*benchHall{small, large} {
			runtime.GC()
			var choice, whole time.Duration
			for range n {
				for at := 0; at < len(other); at += 64 {
					other[at]++
				}
				c, w := h.goes(b)
				choice, whole = choice+c, whole+w
				h.comes()
			}
			choices[i] = append(choices[i], float64(choice.Nanoseconds())/float64(n))
			all[i] = append(all[i], float64(whole.Nanoseconds())/float64(n))
		}
	}
	b.ReportMetric(middle(choices[0]), "ns/choice-100")
	b.ReportMetric(middle(choices[1]), "ns/choice-100000")
	b.ReportMetric(middleRatio(choices), "ratio")
	b.ReportMetric(middleRatio(all), "ratio-of-all")
	b.ReportMetric(0, "ns/op")
}

func middle(all []float64) float64 { return slices.Sorted(slices.Values(all))[len(all)/2] }

func middleRatio(costs [2][]float64) float64 {
	var ratios []float64
	for round, few := range costs[0] {
		ratios = append(ratios, costs[1][round]/few)
	}
	return middle(ratios)
}

// BenchmarkWaiting: the memory of a message that waits.
func BenchmarkWaiting(b *testing.B) {
	live := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := live()
	h := newBenchHall(1, max(b.N, 10_000))
	b.ReportMetric(float64(live()-before)/float64(len(h.x.entries)), "B/message")
	b.ReportMetric(0, "ns/op")
	runtime.KeepAlive(h)
}
