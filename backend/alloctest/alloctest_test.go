package alloctest

import "testing"

var sink []byte

// Allocations that are there are found, and those of warming up do not count.
func TestCount(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates for itself")
	}
	allocate := func(n int) func() {
		return func() {
			for range n {
				sink = make([]byte, 100)
			}
		}
	}
	for _, want := range []int{0, 1, 7} {
		if n := count(allocate(want)); n != float64(want) {
			t.Errorf("%d allocations are counted as %v", want, n)
		}
	}
	first := true
	warm := func() {
		if first {
			first = false
			allocate(10 * runs)()
		}
	}
	if n := count(warm); n != 0 {
		t.Errorf("an operation that allocates when it runs first only is counted as %v", n)
	}
	now := 0
	if n := count(func() {
		if now++; now <= 2*runs { // what else goes on, for a while
			allocate(1)()
		}
	}); n != 0 {
		t.Errorf("what goes on in some rounds only is counted as %v", n)
	}
}
