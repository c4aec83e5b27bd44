package history

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/app/exchange"
)

// held has another process hold the lock of a history, and gives its number.
func held(t *testing.T, path string) (pid string) {
	t.Helper()
	cmd, lines := start(t, "hold", path)
	if !lines.Scan() {
		t.Fatalf("nobody holds the lock: %v", cmd.Wait())
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return lines.Text()
}

// soon fails if something does not end while another one holds the lock.
func soon(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s hangs", what)
	}
}

func TestOpenWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.db")
	pid := held(t, path)
	hurry, cancel := context.WithCancel(t.Context())
	cancel()
	soon(t, "opening", func() {
		h, err := Open(hurry, Config{Path: path})
		if h != nil || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), pid) || !strings.Contains(err.Error(), path) {
			t.Errorf("opening gives %v, %v; want no history, and an error about %s and process %s", h, err, path, pid)
		}
	})
	soon(t, "opening without a limit", func() {
		if h, err := Open(context.WithoutCancel(t.Context()), Config{Path: path}); h != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("opening gives %v, %v; want no history and %v", h, err, context.DeadlineExceeded)
		}
	})
}

// A writer that has to open the file anew and cannot keeps neither readers nor those
// who close waiting.
func TestNobodyHangsBehindTheLock(t *testing.T) {
	t.Parallel()
	onlyUnix(t) // an open file cannot be deleted elsewhere
	h := begun(t, Config{})
	held(t, h.cfg.Path)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(h.cfg.Path + suffix); err != nil {
			t.Fatal(err)
		}
	}
	h.Add(sample(1))
	wait(t, func() bool { // until the writer has noticed
		_, err := h.Stats(t.Context())
		return errors.Is(err, errUnavailable)
	})
	hurry, cancel := context.WithCancel(t.Context())
	soon(t, "searching", func() {
		if _, err := h.Search(t.Context(), Query{}); err == nil {
			t.Error("there is something to be found in a file that is not there")
		}
	})
	cancel()
	soon(t, "flushing", func() { _ = h.Flush(hurry) })
	soon(t, "closing", func() {
		if err := h.Close(hurry); !errors.Is(err, context.Canceled) {
			t.Errorf("closing gives %v, want %v", err, context.Canceled)
		}
	})
	<-h.done
	if h.Dropped() != 1 {
		t.Errorf("%d are dropped, want the one that could not be stored", h.Dropped())
	}
}

// However long secrets are looked for in an exchange, Close ends when it has to.
func TestCloseDuringALongRedaction(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	h, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "history.db"), redact: func(x *exchange.Exchange) *exchange.Exchange {
		close(begun)
		<-release
		return x
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer close(release)
	h.Add(sample(1))
	<-begun
	hurry, cancel := context.WithCancel(t.Context())
	cancel()
	soon(t, "closing", func() {
		if err := h.Close(hurry); !errors.Is(err, context.Canceled) {
			t.Errorf("closing gives %v, want %v", err, context.Canceled)
		}
		<-h.done
	})
	if h.Dropped() != 1 {
		t.Errorf("%d are dropped, want 1", h.Dropped())
	}
}
