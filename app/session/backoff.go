package session

import (
	"math/rand/v2"
	"time"
)

// backoff is exponential back-off with full jitter: the n-th wait is uniform in
// [0, min(max, min·2ⁿ⁻¹)), so that a backend's agents, all cut off at the same
// moment, come back spread out.
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
type backoff struct {
	min, max time.Duration
	// jitter picks a duration in [0, below); below is positive.
	jitter func(below time.Duration) time.Duration
}

// wait is the time before try n, counted from 1.
func (b backoff) wait(n int) time.Duration {
	window := b.min
	for i := 1; i < n && window < b.max; i++ {
		window *= 2
	}
	return b.jitter(min(window, b.max))
}

func uniform(below time.Duration) time.Duration { return rand.N(below) }
