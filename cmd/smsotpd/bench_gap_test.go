package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"smsotpd/modem/sim"
	"smsotpd/storage"
	"smsotpd/storage/bolt"
)

// BenchmarkGap: from one AT+CMGS to the next with work waiting, against a bare
// loop on the same simulated modem, and against bare commits of as many keys by
// one goroutine. ratio is what the gateway adds to the bare loop, in bare
// commits made at the same pace. Without air time the delivery reports, which follow after 1 ms, take
// their commits between the messages too; with some they don't.
func BenchmarkGap(b *testing.B) {
	for _, air := range []time.Duration{0, 20 * time.Millisecond} {
		b.Run(fmt.Sprint("air=", air), func(b *testing.B) { benchGap(b, air) })
	}
}

func benchGap(b *testing.B, air time.Duration) {
	n := max(b.N, 100)
	d, bare := newBenchDaemon(b, sim.Fixed(air)), bareStore(b)
	clients := make([]*starter, 16)
	for i := range clients {
		clients[i] = d.connect(b)
	}
	startAll(b, clients, 0, n)
	d.plug(b)
	at := make([]time.Time, 0, n)
	for range n {
		at = append(at, <-d.submits)
	}
	d.idle(b, n)
	gaps := make([]time.Duration, 0, n)
	for i := range at[1:] {
		gaps = append(gaps, at[i+1].Sub(at[i]))
	}
	if err := d.life.stop(10 * time.Second); err != nil {
		b.Fatal(err)
	}
	loop := bareLoop(b, d.link, n)
	value := make([]byte, messageSize)
	commits := make([]time.Duration, 0, n)
	for i := range n {
		time.Sleep(air) // a commit after a rest takes longer
		began := time.Now()
		if err := bareGap(b.Context(), bare, i, value); err != nil {
			b.Fatal(err)
		}
		commits = append(commits, time.Since(began))
	}
	gap, loopGap, commit := medianSeconds(gaps), medianSeconds(loop), medianSeconds(commits)
	b.ReportMetric(gap*1000, "ms-gap")
	b.ReportMetric(loopGap*1000, "ms-bare-loop")
	b.ReportMetric(commit*1000, "ms-bare-commit")
	b.ReportMetric((gap-loopGap)/commit, "ratio")
	b.ReportMetric(1/gap, "messages/s")
	b.ReportMetric(0, "ns/op")
}

// bareGap commits what lies between two messages: the settled one, what report
// matching and the day's count keep of it, the one that begins, and the lease
// of the one after; and it reads the reports that are held.
func bareGap(ctx context.Context, s *bolt.Store, n int, value []byte) error {
	key := func(table string, i int) []byte {
		return binary.BigEndian.AppendUint64([]byte(table+"/"), uint64(i)) //nolint:gosec // counts up from 0
	}
	var sibling [16]byte
	_, _ = rand.Read(sibling[:])
	return s.Update(ctx, func(tx storage.Tx) error {
		if _, err := tx.Scan([]byte("held/"), []byte("held0"), 16); err != nil {
			return err
		}
		for _, e := range []storage.Entry{
			{Key: key("message", n), Value: value},
			{Key: append([]byte("siblings/"), sibling[:]...), Value: value[:48]},
			{Key: []byte("sentcount/today"), Value: value[:8]},
			{Key: key("message", n+1), Value: value},
			{Key: key("message", n+2), Value: value},
		} {
			if _, err := tx.Get(e.Key); err != nil && err != storage.ErrNotFound { //nolint:errorlint // the bare engine's own
				return err
			}
			if err := tx.Put(e.Key, e.Value); err != nil {
				return err
			}
		}
		return nil
	})
}

// bareLoop sends n messages as fast as a plain loop can, and returns the times
// from one AT+CMGS to the next.
func bareLoop(b *testing.B, link string, n int) []time.Duration {
	b.Helper()
	m, err := openBareModem(link, false)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = m.port.Close() }()
	took := make([]time.Duration, 0, n)
	for range n {
		began := time.Now()
		if err := m.send(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	return took
}

// medianSeconds is in seconds.
func medianSeconds(took []time.Duration) float64 {
	slices.Sort(took)
	return took[len(took)/2].Seconds()
}
