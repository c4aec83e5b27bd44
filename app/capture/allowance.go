package capture

import (
	"sync/atomic"
	"time"
)

// allowance is so many of something each second, and a burst of so many at once. It is
// filled up again when it is used up and not before, so that taking from it is cheap:
// after a pause, a burst may be up to twice as large.
type allowance struct {
	rate, burst int64        // rate 0: no limit
	left        atomic.Int64 // below 0 for a moment
	filled      atomic.Int64 // when that was last done, since began
	began       time.Time
}

func (a *allowance) init(rate, burst int64) {
	a.rate, a.burst, a.began = rate, burst, time.Now()
	a.left.Store(burst)
}

// take reports whether n more are allowed.
func (a *allowance) take(n int64) bool {
	if a.rate == 0 || a.left.Add(-n) >= 0 {
		return true
	}
	a.left.Add(n)
	a.fill()
	if a.left.Add(-n) >= 0 {
		return true
	}
	a.left.Add(n)
	return false
}

// fill adds what has been earned since the last time. One of those who come at once does
// it.
func (a *allowance) fill() {
	last, now := a.filled.Load(), int64(time.Since(a.began))
	earned := int64(min(float64(a.burst), float64(a.rate)*time.Duration(now-last).Seconds()))
	if earned > 0 && a.filled.CompareAndSwap(last, now) {
		a.left.Add(earned)
	}
}
