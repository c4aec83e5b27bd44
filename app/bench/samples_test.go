package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	t.Parallel()
	if got := new(histogram).quantile(.5); got != 0 {
		t.Errorf("median of nothing: %v", got)
	}
	for _, d := range []time.Duration{-1, 0, 1, 127, 128, 129, 255, 256, 1e3, 1e6, 1e9, 1e12} {
		i := slot(d)
		if low, high := floor(i), floor(i+1); max(0, d) < low || d >= high || float64(high-low) > 1+float64(low)/precision {
			t.Errorf("%d is counted with %d to %d", d, low, high)
		}
	}
	if got := slot(1 << 62); got != slots-1 {
		t.Errorf("for ever is in slot %d", got)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	var halves [2]histogram
	for i := range 9999 {
		d := time.Duration(random.ExpFloat64() * float64(time.Millisecond))
		all = append(all, d)
		halves[i%2].add(d)
	}
	halves[0].merge(&halves[1])
	slices.Sort(all)
	for _, q := range []float64{0, .5, .9, .99, 1} {
		exact := float64(all[min(int(q*float64(len(all))), len(all)-1)])
		if got := float64(halves[0].quantile(q)); got > exact || got < exact*(1-1.0/precision)-1 {
			t.Errorf("%v of all: %v, want at most %v", q, got, exact)
		}
	}
}

// loadSamples are two rounds, of which the second was twice as slow for everybody.
func loadSamples() (all samples) {
	for round := 1; round <= 2; round++ {
		for target, cpu := range map[string]float64{direct: 0, oneHop: 50, twoHops: 100, ourTunnel: 30 + 10*float64(round), linkPlain: 40, linkTLS: 45, ourTLS: 80, twoHopsTLS: 160} {
			for _, row := range loadRows() {
				all = append(all, sample{loadSection, row.name, target, round, map[string]float64{
					cpuValue: cpu * float64(round), rateValue: 12345, p50Value: 7 * float64(round), p99Value: 9, othersValue: .02 * float64(round),
				}})
			}
		}
	}
	return all
}

func TestRatiosAreOfOneRound(t *testing.T) {
	t.Parallel()
	all := loadSamples()
	row := loadRows()[1].name
	of := func(target string) series { return all.of(loadSection, row, target, cpuValue) }
	if got, want := of(ourTunnel).over(of(twoHops)).spread(), (spread{.45, .4, .5, 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, want := of(linkTLS).above(of(linkPlain)).over(of(twoHops)).spread(), (spread{.05, .05, .05, 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for name, empty := range map[string]series{"of nothing": of(oneHop).over(of(direct)), "of nobody": of("?").over(of(oneHop)), "in other rounds": series{1: 1}.over(series{2: 1})} {
		if len(empty) > 0 {
			t.Errorf("a ratio %s: %v", name, empty)
		}
	}
	if got := spreadOf([]float64{3, 1, 2, 9}); got != (spread{2.5, 1, 9, 4}) {
		t.Errorf("got %+v", got)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	all := loadSamples()
	r := &report{samples: &all, out: &out}
	r.machine(&machine{Processor: "Z80", Cores: 2, Kernel: "6.1", Go: "go1.26"}, false)
	for _, s := range sections() {
		s.report(r) // those without samples have dashes
	}
	r.disturbance(90 * time.Second)
	for _, want := range []string{
		"on Z80, 2 processors, Linux 6.1",
		"| 200 B, 64 connections | Culvert | 70 | 0.45 (0.40–0.50) | 12,345 | 1.00 (1.00–1.00) | 10 | 1.00 (1.00–1.00) | 9 | 1.00 (1.00–1.00) |",
		"| 200 B, 64 connections | 60 | 68 | 0.05 (0.05–0.05) | 120 | 240 | 0.50 (0.50–0.50) |",
		"| 1 GB upload | Culvert | – | – | – | – |",
		"Taken in 1m30s. Others used 3 % of the machine meanwhile (median; at most 4 %",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"0": number(.4, 0), "999": number(999, 0), "1,000": number(1000, 0), "−1,234,567.8": number(-1234567.8, 1), "12.30": number(12.3, 2), "0.00": number(-.001, 2),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTurned(t *testing.T) {
	t.Parallel()
	first := make(map[int]bool)
	for round := 1; round <= 6; round++ {
		got := turned([]int{0, 1, 2}, round)
		first[got[0]] = true
		if slices.Sort(got); !slices.Equal(got, []int{0, 1, 2}) {
			t.Errorf("round %d: %v", round, got)
		}
	}
	if len(first) != 3 {
		t.Errorf("only %v ever come first", first)
	}
	if a, b := fmt.Sprint(turned([]int{0, 1, 2}, 1)), fmt.Sprint(turned([]int{0, 1, 2}, 2)); a != "[0 1 2]" || b != "[2 1 0]" {
		t.Errorf("%s, then %s", a, b)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	if got, err := choose("tunnels,load"); err != nil || len(got) != 2 || got[0].name != loadSection {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := choose(""); err != nil || len(got) != len(sections()) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := choose("load,everything"); err == nil || !strings.Contains(err.Error(), "want some of load,bodies,scale,tunnels") {
		t.Errorf("got %v", err)
	}
}
