package words

import "testing"

func TestPlurals(t *testing.T) {
	Set("en")
	for n, want := range map[int]string{0: "0 requests", 1: "1 request", 1284: "1,284 requests"} {
		if got := T("%d requests", n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if got := T("not in any catalogue: %s", "x"); got != "not in any catalogue: x" {
		t.Errorf("a text without an entry: %q", got)
	}
}
