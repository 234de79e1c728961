package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// Delay is how long something takes: always the same time, or log-normal. The
// zero value stands for the default of the field that it is in.
type Delay struct {
	set         bool
	median, p95 time.Duration
}

// Fixed is always d; Fixed(0) is at once, without any timer.
func Fixed(d time.Duration) Delay { return Delay{set: true, median: d, p95: d} }

// LogNormal has the given median and 95th percentile.
func LogNormal(median, p95 time.Duration) Delay {
	return Delay{set: true, median: median, p95: p95}
}

// ParseDelay reads "3s" as Fixed and "3s/8s" as LogNormal.
func ParseDelay(s string) (Delay, error) {
	first, second, two := strings.Cut(s, "/")
	median, err := time.ParseDuration(first)
	p95 := median
	if err == nil && two {
		p95, err = time.ParseDuration(second)
	}
	if err != nil || median < 0 || p95 < median {
		return Delay{}, fmt.Errorf("sim: delay %q is neither like 3s nor, median and 95th percentile, like 3s/8s", s)
	}
	return LogNormal(median, p95), nil
}

func (d Delay) or(other Delay) Delay {
	if d.set {
		return d
	}
	return other
}

func (d Delay) draw(random *rand.Rand) time.Duration {
	if d.p95 == d.median || d.median == 0 {
		return d.median
	}
	const z95 = 1.6449 // the standard normal's 95th percentile
	sigma := math.Log(float64(d.p95)/float64(d.median)) / z95
	return time.Duration(float64(d.median) * math.Exp(sigma*random.NormFloat64()))
}
