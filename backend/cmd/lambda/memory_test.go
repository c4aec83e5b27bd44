package main

import "testing"

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"128": 96 << 20, "1024": 768 << 20, "": 0, "much": 0, "-1": 0, "99999999999": 0} {
		if got := memoryLimit(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
