package history

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// A process that is killed while it writes loses nothing that was on disk, and the
// next one can go on.
func TestKilledWriterLosesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.db")
	written := 0
	for round := range 5 {
		cmd, lines := start(t, "write", path, strconv.Itoa(written))
		for range round + 1 {
			if !lines.Scan() {
				t.Fatalf("the writer has ended: %v", cmd.Wait())
			}
		}
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatal(lines.Text())
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it has still said before its end counts as well
			if later, err := strconv.Atoi(lines.Text()); err == nil {
				n = later
			}
		}
		_ = cmd.Wait()

		h := begun(t, Config{Path: path})
		p, err := h.Search(t.Context(), Query{Limit: maxLimit})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for {
			for _, row := range p.Rows {
				got[row.ID] = true
			}
			if p.Next == 0 {
				break
			}
			if p, err = h.Search(t.Context(), Query{Limit: maxLimit, Before: p.Next}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			if !got[sample(i).ID] {
				t.Fatalf("round %d: exchange %d of %d is lost", round, i, n)
			}
		}
		integral(t, h)
		written = n
		shut(t, h)
	}
}

// integral checks every page of the database.
func integral(t *testing.T, h *History) {
	t.Helper()
	err := h.do(t.Context(), func(ctx context.Context, w *writer) error { return w.db.look(ctx, deep) })
	if err != nil {
		t.Errorf("the database is not whole: %v", err)
	}
}

// shared is how many exchanges each of two processes adds.
const shared = 400

func TestTwoProcessesShareAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.db")
	h := begun(t, Config{Path: path})
	a, aOut := start(t, "share", path, "a")
	b, bOut := start(t, "share", path, "b")
	for n := range shared {
		h.Add(sample(n))
		if n%10 == 9 {
			flush(t, h)
			if _, err := h.Search(t.Context(), Query{Text: "umbrella", Limit: 10}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for aOut.Scan() {
		t.Error("a:", aOut.Text())
	}
	for bOut.Scan() {
		t.Error("b:", bOut.Text())
	}
	if err := errors.Join(a.Wait(), b.Wait()); err != nil {
		t.Fatal(err)
	}
	if h.Dropped() > 0 {
		t.Errorf("%d were dropped", h.Dropped())
	}
	for _, tunnel := range []string{"a", "b", "shop"} {
		p, err := h.Search(t.Context(), Query{Tunnel: tunnel, Limit: maxLimit})
		if err != nil || len(p.Rows) != shared {
			t.Errorf("%d exchanges of %s, %v; want %d", len(p.Rows), tunnel, err, shared)
		}
	}
	integral(t, h)
}

// Whoever clears while another process writes harms neither.
func TestClearBesideAnotherProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.db")
	h := begun(t, Config{Path: path})
	other, out := start(t, "share", path, "other")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for out.Scan() {
			t.Error(out.Text())
		}
	}()
	for clears := 0; ; clears++ {
		if err := h.Clear(t.Context()); err != nil && !errors.Is(err, errTraces) {
			t.Error(err)
		}
		select {
		case <-done:
		default:
			continue
		}
		t.Logf("cleared %d times", clears)
		break
	}
	if err := other.Wait(); err != nil {
		t.Error(err)
	}
	if err := h.Clear(t.Context()); err != nil {
		t.Error(err)
	}
	if s, err := h.Stats(t.Context()); err != nil || s.Exchanges != 0 {
		t.Errorf("%d exchanges are left, %v", s.Exchanges, err)
	}
	integral(t, h)
}

func onlyUnix(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Unix has the means to bring this about")
	}
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	onlyUnix(t)
	folder := t.TempDir()
	for _, f := range []func() error{
		func() error { return os.Chmod(filepath.Dir(folder), 0o755) },
		func() error { return os.WriteFile(filepath.Join(folder, "file"), nil, 0o600) },
		func() error { return os.Chmod(folder, 0o555) },
	} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Chmod(folder, 0o700) })
	paths := []string{filepath.Join(folder, "history.db"), filepath.Join(folder, "file", "history.db"), filepath.Join(folder, "new", "history.db")}
	said := run(t, "readonly", paths...)
	if len(said) != len(paths) {
		t.Fatalf("said %q", said)
	}
	for i, path := range paths {
		if !strings.Contains(said[i], path) {
			t.Errorf("about %s it says %q", path, said[i])
		}
	}
	if !strings.Contains(said[0], "check the permissions") {
		t.Errorf("about a read-only folder it says %q", said[0])
	}
}

// refused is how many exchanges are offered to a full disk.
const refused = 20

func TestDiskThatTakesNoMore(t *testing.T) {
	t.Parallel()
	onlyUnix(t)
	path := filepath.Join(t.TempDir(), "history.db")
	said := run(t, "full", path)
	if len(said) != 3 || !strings.Contains(said[0], path) || said[1] != "trouble: <nil>" || said[2] != fmt.Sprintf("dropped: %d", refused) {
		t.Fatalf("said %q", said)
	}
	h := begun(t, Config{Path: path})
	p, err := h.Search(t.Context(), Query{})
	if err != nil || len(p.Rows) != 2 || p.Rows[0].ID != sample(2000).ID {
		t.Errorf("afterwards there are %v, %v; want the first and the last", p.Rows, err)
	}
	integral(t, h)
}

// The same within SQLite, which has a word for it.
func TestFullDatabase(t *testing.T) {
	t.Parallel()
	troubles := make(chan error, 10)
	h := begun(t, Config{OnTrouble: func(err error) { troubles <- err }})
	h.Add(sample(0))
	flush(t, h)
	pages := func(n int) {
		t.Helper()
		err := h.do(t.Context(), func(ctx context.Context, w *writer) error {
			_, err := w.db.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", n))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	pages(20)
	for range 2 { // said once
		for n := range refused { // none of which has room
			h.Add(heavy(n+1, 200<<10))
		}
		flush(t, h)
	}
	if err := <-troubles; err == nil || !strings.Contains(err.Error(), "the disk is full: make room") {
		t.Errorf("it is told %q", err)
	}
	if h.Dropped() != 2*refused {
		t.Errorf("%d are dropped, want %d", h.Dropped(), 2*refused)
	}
	pages(100000)
	h.Add(sample(7))
	flush(t, h)
	if err := <-troubles; err != nil {
		t.Errorf("then it is told %q, want nil", err)
	}
	if s, err := h.Stats(t.Context()); err != nil || s.Exchanges != 2 {
		t.Errorf("%d exchanges, %v; want 2", s.Exchanges, err)
	}
}
