package share

import "testing"

func TestWord(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"/home/ann/ca.pem": "/home/ann/ca.pem",
		"/home/my files":   "'/home/my files'",
		"a'b":              `'a'\''b'`,
		"$(x)":             "'$(x)'",
		"-o":               "'-o'",
		"~ann":             "'~ann'",
		"":                 "''",
		`C:\ca.pem`:        `'C:'\\'ca.pem'`,
	} {
		if got := Word(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}
