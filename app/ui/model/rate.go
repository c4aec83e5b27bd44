package model

import (
	"slices"
	"time"
)

// The shape of Tunnel.Rate: five minutes.
const (
	RateBuckets  = 60
	RateInterval = 5 * time.Second
)

// sampled is over how many of the latest requests percentiles are taken.
const sampled = 512

// stats counts one tunnel's requests.
type stats struct {
	buckets [RateBuckets]int
	current int64 // number of the newest bucket since 1970
	began   bool

	took [sampled]time.Duration // a ring of the latest
	n    int                    // how many it has seen

	dirty    bool // p50, p95 are older than took
	p50, p95 time.Duration

	// shown is what rate gave last, for that bucket and number of requests: it is asked
	// for with every frame.
	shown   []float32
	shownAt int64
	shownN  int
	added   int
}

func bucketOf(t time.Time) int64 { return t.UnixNano() / int64(RateInterval) }

func (s *stats) add(now time.Time, took time.Duration, lasts bool) {
	s.turn(now)
	s.buckets[s.current%RateBuckets]++
	s.added++
	if lasts {
		return // how long a stream lasts says nothing about the service's speed
	}
	s.took[s.n%sampled] = took
	s.n++
	s.dirty = true
}

// turn moves on to the bucket of now. A clock that was put back counts into the newest.
func (s *stats) turn(now time.Time) {
	at := bucketOf(now)
	if !s.began || at-s.current >= RateBuckets {
		s.buckets, s.current, s.began = [RateBuckets]int{}, at, true
	}
	for s.current < at {
		s.current++
		s.buckets[s.current%RateBuckets] = 0
	}
}

// rate is Tunnel.Rate at a moment.
func (s *stats) rate(now time.Time) []float32 {
	if !s.began {
		return nil
	}
	s.turn(now)
	if s.shownAt == s.current && s.shownN == s.added {
		return s.shown
	}
	s.shown, s.shownAt, s.shownN = nil, s.current, s.added
	rate, any := make([]float32, RateBuckets), false
	for i := range rate {
		n := s.buckets[(s.current+1+int64(i))%RateBuckets]
		rate[i] = float32(n)
		any = any || n > 0
	}
	if any {
		s.shown = rate
	}
	return s.shown
}

// percentiles are how long half, and nineteen in twenty, of the latest took at most.
func (s *stats) percentiles() (p50, p95 time.Duration) {
	if s.dirty {
		sorted := slices.Clone(s.took[:min(s.n, sampled)])
		slices.Sort(sorted)
		s.p50, s.p95 = sorted[(len(sorted)-1)/2], sorted[(len(sorted)-1)*95/100]
		s.dirty = false
	}
	return s.p50, s.p95
}
