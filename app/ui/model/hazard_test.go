package model

import (
	"testing"

	"culvert/app/discover"
)

// In English the window says what the package that knows about hazards says.
func TestHazardsKeepTheirWords(t *testing.T) {
	t.Parallel()
	seen := map[discover.HazardKind]bool{}
	for port := range 65536 {
		h := discover.HazardOfPort(port)
		if seen[h.Kind] {
			continue
		}
		seen[h.Kind] = true
		if got := HazardWhy(h); got != h.Why {
			t.Errorf("port %d: %q, want %q", port, got, h.Why)
		}
	}
	if len(seen) < 4 {
		t.Errorf("only %d kinds were seen", len(seen))
	}
}
