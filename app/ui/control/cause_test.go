package control

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Whatever the packages below say of flags, it can be said at a window.
func TestCauseKnowsNoFlags(t *testing.T) {
	t.Parallel()
	texts, n := regexp.MustCompile(`"[^"\n]*--[a-z][^"\n]*"`), 0
	for _, pattern := range []string{"link/*.go", "session/*.go", "../backend/auth/*.go"} {
		files, err := filepath.Glob(filepath.Join("..", "..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range texts.FindAllString(string(source), -1) {
				n++
				if got := cause(errors.New(text)); strings.Contains(got, "--") {
					t.Errorf("%s: a window would say %s", file, got)
				}
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d texts with flags were found: look where they are now", n)
	}
	if got := cause(nil); got != "" {
		t.Errorf("no error is told as %q", got)
	}
	want := "this backend wants a token: put one into the settings of the backend"
	if got := cause(errors.New("this backend wants a token: name a file that holds one with --token-file")); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
