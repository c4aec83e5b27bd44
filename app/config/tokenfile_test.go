package config

import (
	"os"
	"path/filepath"
	"testing"
)

// TestReadTokenAgain sees what the file has become, and waits for nothing.
func TestReadTokenAgain(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "token")
	if _, err := ReadTokenAgain(file); err == nil {
		t.Error("a file that is not there is read")
	}
	for _, c := range []struct {
		text, token string
		fails       bool
	}{{"one\n", "one", false}, {" two ", "two", false}, {"", "", true}, {"a\nb\n", "", true}} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if token, err := ReadTokenAgain(file); token != c.token || (err != nil) != c.fails {
			t.Errorf("%q gives %q, %v", c.text, token, err)
		}
	}
	if token, err := ReadTokenAgain(folder); token != "" || err != nil {
		t.Errorf("what is no file gives %q, %v", token, err)
	}
}
