package main

import (
	"slices"
)

// sample is one target, measured for a moment.
type sample struct {
	Section string             `json:"section"`
	Row     string             `json:"row"` // what was asked of it
	Target  string             `json:"target"`
	Round   int                `json:"round"`
	Values  map[string]float64 `json:"values"`
}

// Names of values. Times are microseconds.
const (
	cpuValue    = "cpu_us" // of the tunnel's processes, per request
	countValue  = "requests"
	rateValue   = "requests_per_second"
	p50Value    = "p50_us"
	p99Value    = "p99_us"
	speedValue  = "mb_per_second" // of 10⁶ bytes
	othersValue = "others"        // share of the machine that others have used meanwhile
)

// samples are all of them.
type samples []sample

// series are values by their round.
type series map[int]float64

// of gives one value of a target.
func (all samples) of(section, row, target, value string) series {
	found := make(series)
	for _, s := range all {
		if v, ok := s.Values[value]; ok && s.Section == section && s.Row == row && s.Target == target {
			found[s.Round] = v
		}
	}
	return found
}

// with combines what two series have in the same round. It is there that a machine is
// most like itself.
func (s series) with(o series, combine func(a, b float64) float64) series {
	combined := make(series)
	for round, v := range s {
		if w, ok := o[round]; ok {
			combined[round] = combine(v, w)
		}
	}
	return combined
}

// over is s as a multiple of o.
func (s series) over(o series) series {
	o = o.where(func(v float64) bool { return v != 0 })
	return s.with(o, func(a, b float64) float64 { return a / b })
}

// above is how much s is more than o.
func (s series) above(o series) series {
	return s.with(o, func(a, b float64) float64 { return a - b })
}

func (s series) where(keep func(float64) bool) series {
	kept := make(series)
	for round, v := range s {
		if keep(v) {
			kept[round] = v
		}
	}
	return kept
}

// spread is what is told of a series.
type spread struct {
	median, least, most float64
	n                   int
}

func (s series) spread() spread {
	var all []float64
	for _, v := range s {
		all = append(all, v)
	}
	return spreadOf(all)
}

func spreadOf(all []float64) spread {
	if len(all) == 0 {
		return spread{}
	}
	slices.Sort(all)
	n := len(all)
	return spread{median: (all[(n-1)/2] + all[n/2]) / 2, least: all[0], most: all[n-1], n: n}
}
