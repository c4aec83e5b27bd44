//go:build unix

package config

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestReadTokenAgainFromAPipe: nobody writes into it a second time.
func TestReadTokenAgainFromAPipe(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("no pipes here:", err)
	}
	if token, err := ReadTokenAgain(pipe); token != "" || err != nil {
		t.Errorf("%q, %v", token, err)
	}
}
