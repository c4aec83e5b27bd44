// Package alloctest holds operations to the number of allocations that they may cost.
// A table of them serves a test, which fails when one allocates more than before, and
// a benchmark, which tells what it takes:
//
//	func operations(tb testing.TB) []alloctest.Operation { … }
//	func TestAllocations(t *testing.T)       { alloctest.Check(t, operations(t)) }
//	func BenchmarkOperations(b *testing.B)   { alloctest.Benchmark(b, operations(b)) }
//
// Allocations are counted and not timed, so that the test says the same on every
// machine. A bound is what the code allocates with the Go version that go.mod asks for,
// and what Slack adds. Whoever makes an operation cheaper lowers its bound: the test
// says what it counted.
package alloctest

import (
	"runtime/debug"
	"testing"
)

// Operation is one of those that are counted.
type Operation struct {
	Name string
	// Max is how many allocations one run may cost.
	Max int
	// Slack is how many more do not count: for what goroutines besides the one that runs
	// Do allocate now and then, such as the server's of package net/http. It is 0 where
	// there are none.
	Slack int
	// Bytes is how many bytes one run carries, or 0.
	Bytes int64
	// Do runs the operation once. What it fails with is its own to report.
	Do func()
}

// The counting: the least of so many rounds, each the average of so many runs. What
// else goes on in the process only ever adds to a round.
const (
	rounds = 5
	runs   = 200
)

// Check runs each operation and wants it to stay within its bound. It counts the
// allocations of all goroutines, so that t must not be parallel. With the race detector,
// which allocates for itself, it does nothing.
func Check(t *testing.T, operations []Operation) {
	t.Helper()
	if raceDetector {
		t.Skip("the race detector allocates for itself")
	}
	// A collection empties pools, which are then filled anew.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var counts []float64
	for _, o := range operations {
		n := count(o.Do)
		if t.Failed() {
			return // what was counted is not the operation
		}
		counts = append(counts, n)
	}
	for i, o := range operations {
		switch n := counts[i]; {
		case n > float64(o.Max+o.Slack):
			t.Errorf("%s allocates %v times, and %d are allowed: look for what has been added, with\n"+
				"go test -run '^$' -bench 'Operations/%s' -memprofilerate 1 -memprofile mem.out\n"+
				"or raise the bound, and say what for", o.Name, n, o.Max+o.Slack, o.Name)
		case n < float64(o.Max):
			t.Logf("%s allocates %v times: its bound of %d can be lowered", o.Name, n, o.Max)
		}
	}
}

func count(do func()) float64 {
	least := testing.AllocsPerRun(runs, do)
	for range rounds - 1 {
		least = min(least, testing.AllocsPerRun(runs, do))
	}
	return least
}

// Benchmark runs each operation as a benchmark of its own.
func Benchmark(b *testing.B, operations []Operation) {
	for _, o := range operations {
		b.Run(o.Name, func(b *testing.B) {
			b.ReportAllocs()
			if o.Bytes > 0 {
				b.SetBytes(o.Bytes)
			}
			for b.Loop() {
				o.Do()
			}
		})
	}
}
