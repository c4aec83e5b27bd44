package history

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBrokenDatabaseIsKeptAside(t *testing.T) {
	t.Parallel()
	whole := func(t *testing.T) []byte {
		t.Helper()
		path := filepath.Join(t.TempDir(), "history.db")
		h := begun(t, Config{Path: path})
		for n := range 300 {
			h.Add(sample(n))
		}
		flush(t, h)
		shut(t, h)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	for _, c := range []struct {
		name string
		make func(t *testing.T) []byte
	}{
		{"text", func(*testing.T) []byte { return []byte(strings.Repeat("this is no database\n", 100)) }},
		{"cut short", func(t *testing.T) []byte { return whole(t)[:9000] }},
		{"zeros in the head", func(t *testing.T) []byte { b := whole(t); clear(b[:100]); return b }},
		{"garbage in the schema", func(t *testing.T) []byte {
			b := whole(t)
			for i := 100; i < 4096; i++ {
				b[i] = byte(i * 7)
			}
			return b
		}},
		{"another program's", func(t *testing.T) []byte {
			path := filepath.Join(t.TempDir(), "other.db")
			db, err := connect(path, 1)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(`CREATE TABLE accounts (name TEXT)`); err != nil {
				t.Fatal(err)
			}
			db.Close()
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "history.db")
			content := c.make(t)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			h, err := Open(t.Context(), Config{Path: path})
			broken := (*BrokenError)(nil)
			if !errors.As(err, &broken) || h == nil {
				t.Fatalf("opening gives %v and %v; want a history and a *BrokenError", h, err)
			}
			defer shut(t, h)
			if kept, err := os.ReadFile(broken.Kept); err != nil || string(kept) != string(content) {
				t.Errorf("%s has %d bytes, %v; want the %d that were there", broken.Kept, len(kept), err, len(content))
			}
			if !strings.Contains(broken.Error(), broken.Kept) {
				t.Errorf("%q does not say where the file is", broken)
			}
			h.Add(sample(1))
			flush(t, h)
			if _, err := h.Get(t.Context(), sample(1).ID); err != nil {
				t.Error(err)
			}
		})
	}
}

// What a later version has written is left alone.
func TestNewerDatabaseIsLeftAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.db")
	shut(t, begun(t, Config{Path: path}))
	db, err := connect(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`PRAGMA user_version = 2`); err != nil {
		t.Fatal(err)
	}
	db.Close()
	h, err := Open(t.Context(), Config{Path: path})
	if h != nil || !errors.Is(err, errNewer) || !strings.Contains(err.Error(), path) {
		t.Errorf("opening gives %v and %v; want no history and %v", h, err, errNewer)
	}
	if kept, _ := filepath.Glob(path + ".broken-*"); len(kept) > 0 {
		t.Errorf("%v: it was taken for broken", kept)
	}
}

// A database that breaks while it is in use is found out by the next who reads or
// writes, and replaced.
func TestDatabaseBreaksInUse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		use  func(t *testing.T, h *History)
	}{
		{"found by writing", func(t *testing.T, h *History) {}},
		{"found by reading", func(t *testing.T, h *History) {
			if _, err := h.Search(t.Context(), Query{Text: "nothing has this"}); err == nil {
				t.Error("a search in a broken database finds nothing wrong")
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			troubles := make(chan error, 10)
			h := begun(t, Config{OnTrouble: func(err error) { troubles <- err }})
			for n := range 2000 {
				h.Add(sample(n))
			}
			flush(t, h)
			// Everything into the file, and garbage over it.
			err := h.do(t.Context(), func(ctx context.Context, w *writer) error {
				var busy, log, done int
				if err := w.db.conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &done); err != nil {
					return err
				}
				if err := spoil(w.cfg.Path); err != nil {
					return err
				}
				w.over = false                                               // it would find out by itself
				_, err := w.db.conn.ExecContext(ctx, `PRAGMA shrink_memory`) // it would go on with what it remembers
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			c.use(t, h)
			for n := range 500 {
				h.Add(sample(5000 + n))
			}
			flush(t, h)
			broken := (*BrokenError)(nil)
			if err := <-troubles; !errors.As(err, &broken) {
				t.Fatalf("it is told %v, want a *BrokenError", err)
			}
			if _, err := os.Stat(broken.Kept); err != nil {
				t.Error(err)
			}
			h.Add(sample(9999))
			flush(t, h)
			if _, err := h.Get(t.Context(), sample(9999).ID); err != nil {
				t.Error(err)
			}
			integral(t, h)
		})
	}
}

// spoil writes over all pages but the first.
func spoil(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	garbage := make([]byte, info.Size()-4096)
	for i := range garbage {
		garbage[i] = byte(i*31 + i>>8)
	}
	_, err = f.WriteAt(garbage, 4096)
	return err
}

func TestOnlyOneBrokenDatabaseIsKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.db")
	var last string
	for range 3 {
		if err := os.WriteFile(path, []byte(strings.Repeat("garbage", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := Open(t.Context(), Config{Path: path})
		broken := (*BrokenError)(nil)
		if !errors.As(err, &broken) {
			t.Fatal(err)
		}
		last = broken.Kept
		shut(t, h)
	}
	kept, _ := filepath.Glob(path + ".broken-*")
	if !slices.Equal(kept, []string{last}) {
		t.Errorf("kept %q; want the last, %s", kept, last)
	}
	// A log goes with its database.
	if err := os.WriteFile(kept[0]+"-wal", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h := begun(t, Config{Path: path})
	if err := h.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if kept, _ := filepath.Glob(path + ".broken-*"); len(kept) > 0 {
		t.Errorf("after clearing there is still %q", kept)
	}
}

// A file that somebody has deleted or moved does not take what comes later with it.
func TestFileIsTakenAway(t *testing.T) {
	t.Parallel()
	h := begun(t, Config{})
	h.Add(sample(1))
	flush(t, h)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(h.cfg.Path + suffix); err != nil {
			t.Fatal(err)
		}
	}
	h.Add(sample(2))
	flush(t, h)
	shut(t, h)
	again := begun(t, Config{Path: h.cfg.Path})
	if _, err := again.Get(t.Context(), sample(2).ID); err != nil {
		t.Error(err)
	}
}

// What was put aside counts, and leaves when it is too old or larger than allowed.
func TestBrokenDatabaseIsWithinTheLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		age    time.Duration
		size   int
		stays  bool
		limits Limits
	}{
		{"young", time.Hour, 2 << 20, true, Limits{}},
		{"too old", 8 * 24 * time.Hour, 2 << 20, false, Limits{}},
		{"too large", time.Hour, 2 << 20, false, Limits{MaxBytes: 1 << 20}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "history.db")
			kept := path + keptMark + time.Now().Add(-c.age).UTC().Format(keptTime)
			strange := path + keptMark + "by-somebody-else-who-knows-when"
			for name, size := range map[string]int{kept: c.size, kept + "-wal": 1000, strange: 10} {
				if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			h := begun(t, Config{Path: path}) // with limits that are changed while it is in use
			settle(t, h)
			if err := h.SetLimits(c.limits); err != nil {
				t.Fatal(err)
			}
			h.Add(sample(1))
			settle(t, h)
			_, err := os.Stat(kept)
			if stays := err == nil; stays != c.stays {
				t.Errorf("it stays: %v, want %v", stays, c.stays)
			}
			if _, err := os.Stat(strange); err != nil {
				t.Errorf("a file of somebody else is gone: %v", err)
			}
			s, err := h.Stats(t.Context())
			if want := int64(c.size + 1000); err != nil || c.stays && (s.Broken != want || s.Bytes <= want) {
				t.Errorf("stats are %+v, %v; want %d bytes of a broken database among all", s, err, want)
			}
			if !c.stays && s.Broken != 0 {
				t.Errorf("%d bytes of a broken database are left", s.Broken)
			}
		})
	}
}
