//go:build unix

package folder

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSpecialFiles are not opened: a named pipe would wait for its other end for ever.
func TestSpecialFiles(t *testing.T) {
	t.Parallel()
	dir := site(t)
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	short, err := os.MkdirTemp("", "s") // paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short)
	ln, err := net.Listen("unix", filepath.Join(short, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	link(t, "/dev/zero", filepath.Join(dir, "zero"))
	link(t, "/proc/self/environ", filepath.Join(dir, "environ"))
	h := NewHandler(dir, nil)
	for _, target := range []string{"/fifo", "/zero", "/environ"} {
		if r := ask(h, "GET", target); r.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", target, r.StatusCode)
		}
	}
	if r := ask(NewHandler(short, nil), "GET", "/socket"); r.StatusCode != http.StatusForbidden || !strings.Contains(body(t, r), "no plain file") {
		t.Errorf("a socket: %d", r.StatusCode)
	}
	// A pipe that takes the file's place after it was found does not make anybody wait.
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	found, err := root.Lstat("fifo")
	if err != nil {
		t.Fatal(err)
	}
	if err := serveFile(nil, nil, root, "fifo", found); err != errSpecial {
		t.Errorf("opening it: %v", err)
	}
}

func TestForbiddenFiles(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Log("root may read everything: only the words are looked at")
	}
	dir := site(t)
	if err := os.Chmod(filepath.Join(dir, "app.js"), 0); err != nil {
		t.Fatal(err)
	}
	r := ask(NewHandler(dir, nil), "GET", "/app.js")
	if os.Getuid() != 0 && r.StatusCode != http.StatusForbidden {
		t.Errorf("status %d", r.StatusCode)
	}
	unavailable := &UnavailableError{dir, os.ErrPermission}
	if text := unavailable.Error(); !strings.Contains(text, "permissions") || strings.Contains(text, dir) {
		t.Errorf("it says %q", text)
	}
}
