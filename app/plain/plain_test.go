package plain

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ in, want string }{
		"nothing":                 {"", ""},
		"text of many scripts":    {"plain /päth 日本 שלום", "plain /päth 日本 שלום"},
		"lines":                   {"two\r\nlines\tand", "two  lines and"},
		"escapes":                 {"esc\x1b[31m\u009b1m\x7f", "esc [31m 1m "},
		"separators":              {"a\u2028b\u2029c\u0085d", "a b c d"},
		"overrides":               {"abc\u202egnp.exe\u202c", "abcgnp.exe"},
		"isolates":                {"\u2066isolated\u2069", "isolated"},
		"marks of direction":      {"a\u200e\u200f\u061cb", "ab"},
		"hidden between letters":  {"pay\ufeffpal\u200b\u2060\u00ad", "paypal"},
		"tags":                    {"a\U000e0041\U000e007fb", "ab"},
		"joiners belong to words": {"می\u200cخواهم 👩\u200d💻", "می\u200cخواهم 👩\u200d💻"},
		"a sign that can be seen": {"\u0600١٢", "\u0600١٢"},
		"no UTF-8":                {"a\xff\xfeb", "a��b"},
	} {
		if got := Line(tt.in); got != tt.want {
			t.Errorf("%s: %q became %q, want %q", name, tt.in, got, tt.want)
		}
		for _, r := range Line(tt.in) {
			if Hidden(r) {
				t.Errorf("%s: %U is left", name, r)
			}
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "abc": "abc", "äöü": "äöü", "äöüß": "äöü…", "a\xff\xffb": "a\xff\xff…"} {
		if got := Cut(in, 3); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestContainsFold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text, needle string
		want         bool
	}{
		{"", "", true}, {"abc", "", true}, {"", "a", false}, {"ABC", "bc", true}, {"aab", "ab", true}, {"ab", "abc", false},
		{"Grüße", "grü", true}, {"[x", "{x", false}, {"@", "`", false}, {"A-1", "a-1", true},
	} {
		if got := ContainsFold(tt.text, tt.needle); got != tt.want {
			t.Errorf("%q in %q: %v", tt.needle, tt.text, got)
		}
		if got := ContainsFold([]byte(tt.text), tt.needle); got != tt.want {
			t.Errorf("%q in the bytes of %q: %v", tt.needle, tt.text, got)
		}
	}
}

// TestContainsFoldAgrees holds the matcher against the standard library's.
func TestContainsFoldAgrees(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	text := func(most int) string {
		const pieces = "aAbBz{\xc3\x89"
		b := make([]byte, random.IntN(most))
		for i := range b {
			b[i] = pieces[random.IntN(len(pieces))]
		}
		return string(b)
	}
	lower := func(s string) string {
		return strings.Map(func(r rune) rune {
			if 'A' <= r && r <= 'Z' {
				return r + 'a' - 'A'
			}
			return r
		}, s)
	}
	for range 20000 {
		hay, word := strings.ToValidUTF8(text(20), "?"), lower(strings.ToValidUTF8(text(5), "?"))
		want := strings.Contains(lower(hay), word)
		if got := ContainsFold(hay, word); got != want {
			t.Fatalf("ContainsFold(%q, %q) = %v", hay, word, got)
		}
	}
}
