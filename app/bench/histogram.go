package main

import (
	"math/bits"
	"time"
)

// precision is how many parts each doubling is cut into, as in HdrHistogram
// (https://hdrhistogram.org): what is read from a histogram is wrong by less than 1 in
// that many.
const (
	precisionBits = 7
	precision     = 1 << precisionBits
	slots         = (41 - precisionBits) * precision // to 2⁴⁰ ns, 18 minutes
)

// histogram counts durations without keeping them.
type histogram struct {
	counts [slots]uint32
	n      uint64
}

// slot is where a duration is counted.
func slot(d time.Duration) int {
	v := uint64(max(0, d))
	if v < precision {
		return int(v)
	}
	shift := bits.Len64(v) - precisionBits - 1
	return min((shift+1)*precision+int(v>>shift)-precision, slots-1)
}

// floor is the least duration that slot i counts.
func floor(i int) time.Duration {
	if i < precision {
		return time.Duration(i)
	}
	shift := i/precision - 1
	return time.Duration((i%precision + precision) << shift)
}

func (h *histogram) add(d time.Duration) {
	h.counts[slot(d)]++
	h.n++
}

func (h *histogram) merge(o *histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
}

// quantile is the duration that a share q of all does not exceed; 0 of none.
func (h *histogram) quantile(q float64) time.Duration {
	rank, seen := uint64(q*float64(h.n)), uint64(0)
	for i, c := range h.counts {
		if seen += uint64(c); seen > rank || seen == h.n && c > 0 {
			return floor(i)
		}
	}
	return 0
}
