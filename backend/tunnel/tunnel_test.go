package tunnel

import (
	"regexp"
	"strings"
	"testing"
)

func TestNewIDIsValidAndRandom(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		id := NewID()
		if err := ValidID(id); err != nil {
			t.Fatalf("NewID() = %q: %v", id, err)
		}
		if seen[id] {
			t.Fatalf("NewID() gave %q twice", id)
		}
		seen[id] = true
	}
}

func TestValidID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"abc": true, "a-b": true, "a--b": true, "000": true, strings.Repeat("a", 63): true,
		"": false, "a": false, "ab": false, "-ab": false, "ab-": false, "Abc": false, "a_b": false,
		"a.b": false, "a b": false, "äbc": false, "ab\n": false, "ab/": false, "_culvert": false, strings.Repeat("a", 64): false,
	} {
		if err := ValidID(id); (err == nil) != want {
			t.Errorf("ValidID(%q) = %v, want valid: %v", id, err, want)
		}
	}
}

func FuzzValidID(f *testing.F) {
	rule := regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]{1,61}[a-z0-9])\z`)
	f.Add("abc")
	f.Add("a-")
	f.Fuzz(func(t *testing.T, id string) {
		if got, want := ValidID(id) == nil, rule.MatchString(id); got != want {
			t.Errorf("ValidID(%q) is %v, the rule says %v", id, got, want)
		}
	})
}
