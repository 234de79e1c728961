package modem_test

import (
	"fmt"
	"log/slog"
	"runtime"
	"syscall"
	"testing"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// BenchmarkIdle has 64 modems idle over ptys, each by its own path, for ten
// seconds a round (use -benchtime 6x or more), and tells the share of one core and the memory that each
// costs. The simulator's share is in it: the driver's own is less.
func BenchmarkIdle(b *testing.B) {
	const many = 64
	before := memoryInUse()
	w := start(b, at0(), make([]sim.ModemConfig, many), modem.PoolConfig{
		Timeouts: modem.Timeouts{Quiet: 300 * time.Millisecond}, // as they are in earnest
		Logger:   slog.New(slog.DiscardHandler),
	})
	for i := range many {
		w.line(fmt.Sprint("modem", i))
	}
	began, used := time.Now(), cpuTime()
	for b.Loop() {
		time.Sleep(10 * time.Second)
	}
	b.ReportMetric(100*float64(cpuTime()-used)/float64(time.Since(began)), "%core")
	b.ReportMetric(float64(memoryInUse()-before)/many/1024, "KiB/modem")
}

// memoryInUse is what heap and stacks hold after a collection.
func memoryInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
