package relay

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/tunnel"
)

var silent = slog.New(slog.DiscardHandler)

func mustOpen(t *testing.T, path string) *stateDir {
	t.Helper()
	d, err := openStateDir(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Several processes make the key at once: all must have the same one.
func TestSigningKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "state")
	keys := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range keys {
		d := mustOpen(t, dir) // as another process would
		wg.Go(func() {
			var err error
			if keys[i], err = d.signingKey(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, key := range keys {
		if len(key) != tunnel.ResumeKeySize || !bytes.Equal(key, keys[0]) {
			t.Fatalf("keys differ: %x", keys)
		}
	}
	info, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want mode 0600", info.Mode(), err)
	}
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v, want 0700", info.Mode())
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*.tmp"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDamagedKeyIsNotReplaced(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"empty": "", "short": "aGVsbG8\n", "no base64": strings.Repeat("*", 43), "long": strings.Repeat("A", 5000)} {
		dir := t.TempDir()
		path := filepath.Join(dir, keyFile)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := New(Config{PublicURL: mustURL("http://127.0.0.1:1"), StateDir: dir})
		if err == nil {
			s.Shutdown(t.Context())
			t.Errorf("%s: accepted", name)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: the error does not name the file: %v", name, err)
		}
		if now, _ := os.ReadFile(path); string(now) != text {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestReservationsRoundTrip(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	d := mustOpen(t, t.TempDir())
	ann := tunnel.Record{ID: "shop", Owner: "key:a", Epoch: 7, Instance: "one", Named: true, Seen: now.Add(-time.Hour)}
	live := tunnel.Record{ID: "live", Owner: "user:b", Epoch: 1, Live: true, Seen: now.Add(-time.Hour)}
	old := tunnel.Record{ID: "old", Owner: "key:c", Epoch: 1, Named: true, Seen: now.Add(-tunnel.KeepNamed)}
	if err := d.saveReservations(silent, []tunnel.Record{ann, live, old}, now); err != nil {
		t.Fatal(err)
	}
	got, err := d.loadReservations(silent, now)
	if err != nil {
		t.Fatal(err)
	}
	live.Live, live.Seen = false, now // its relay was killed just now, as far as anybody knows
	if diff := cmp.Diff([]tunnel.Record{live, ann}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// Another process that shares the folder adds its own.
	other := tunnel.Record{ID: "other", Owner: "key:d", Epoch: 1, Named: true, Seen: now}
	if err := mustOpen(t, d.path).saveReservations(silent, []tunnel.Record{other}, now); err != nil {
		t.Fatal(err)
	}
	if got, _ = d.loadReservations(silent, now); len(got) != 3 {
		t.Errorf("after another process: %+v", got)
	}
}

// One bad record must not free the names of everybody else.
func TestBadRecordsAreDroppedAlone(t *testing.T) {
	t.Parallel()
	now := time.Now()
	seen := now.Add(-time.Hour).UTC().Format(time.RFC3339)
	good := `{"id":"good","owner":"key:g","named":true,"seen":"` + seen + `"}`
	for name, bad := range map[string]string{
		"bad ID":     `{"id":"../x","owner":"key:a","seen":"` + seen + `"}`,
		"no owner":   `{"id":"shop","seen":"` + seen + `"}`,
		"epoch":      `{"id":"shop","owner":"key:a","epoch":-1,"seen":"` + seen + `"}`,
		"wrong type": `{"id":7}`,
		"null":       `null`,
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, reservationsFile)
		text := `{"version":1,"tunnels":[` + bad + `,` + good + `]}`
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var log safeBuffer
		for range 2 {
			got, err := mustOpen(t, dir).loadReservations(slog.New(slog.NewTextHandler(&log, nil)), now)
			if err != nil || len(got) != 1 || got[0].ID != "good" {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		}
		aside, _ := filepath.Glob(path + ".broken-*")
		if len(aside) != 1 {
			t.Fatalf("%s: kept aside: %v", name, aside)
		}
		if kept, _ := os.ReadFile(aside[0]); string(kept) != text {
			t.Errorf("%s: %q was kept", name, kept)
		}
		if !strings.Contains(log.String(), filepath.Base(aside[0])) {
			t.Errorf("%s: the log does not name the file: %s", name, log.String())
		}
	}
}

// A relay of an older version must not free the names that a newer one has kept.
func TestReservationsOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, reservationsFile)
	const text = `{"version":2,"names":{}}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{PublicURL: mustURL("http://127.0.0.1:1"), StateDir: dir})
	if err == nil {
		s.Shutdown(t.Context())
	}
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("New: %v", err)
	}
	if err := mustOpen(t, dir).saveReservations(slog.New(slog.DiscardHandler), nil, time.Now()); err == nil {
		t.Error("the file was written over")
	}
	if kept, _ := os.ReadFile(path); string(kept) != text {
		t.Errorf("the file is %q now", kept)
	}
}

func TestReservationsAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	d := mustOpen(t, t.TempDir())
	var all []tunnel.Record
	for i := range maxReservations + 50 {
		all = append(all, tunnel.Record{ID: fmt.Sprintf("t-%d", i), Owner: "key:a", Named: i >= 100, Seen: now.Add(-time.Duration(i) * time.Second)})
	}
	if err := d.saveReservations(silent, all, now); err != nil {
		t.Fatal(err)
	}
	got, err := d.loadReservations(silent, now)
	if err != nil || len(got) != maxReservations {
		t.Fatalf("%d records, %v", len(got), err)
	}
	kept := map[string]bool{}
	for _, record := range got {
		kept[record.ID] = true
	}
	// Nobody asked for the first 100 by name: the oldest of them went.
	if !kept["t-0"] || kept["t-99"] || !kept[fmt.Sprintf("t-%d", maxReservations+49)] {
		t.Error("the wrong ones were forgotten")
	}
}

func TestBrokenReservationsAreKeptAside(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, text := range map[string]string{
		"cut short": `{"version":1,"tunnels":[{"id":"sh`, "empty": "", "no version": `{"tunnels":[]}`, "no list": `{"version":1,"tunnels":7}`,
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, reservationsFile)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var log safeBuffer
		got, err := mustOpen(t, dir).loadReservations(slog.New(slog.NewTextHandler(&log, nil)), now)
		if err != nil || len(got) != 0 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		aside, _ := filepath.Glob(path + ".broken-*")
		if len(aside) != 1 {
			t.Fatalf("%s: kept aside: %v", name, aside)
		}
		if kept, _ := os.ReadFile(aside[0]); string(kept) != text {
			t.Errorf("%s: %q was kept", name, kept)
		}
		if !strings.Contains(log.String(), filepath.Base(aside[0])) {
			t.Errorf("%s: the log does not name the file: %s", name, log.String())
		}
	}
}

func TestRegistryForgetsTheLeastWorthy(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	g := newRegistry(10, nil, func() {})
	for i := range maxOffline {
		g.entries[fmt.Sprint(i)] = &entry{record: tunnel.Record{ID: fmt.Sprint(i), Owner: "key:a", Named: true, Seen: now.Add(-time.Duration(i) * time.Second)}}
	}
	a := &agent{ready: make(chan struct{}), gone: make(chan struct{})}
	if _, _, err := g.claim(tunnel.Claim{ID: "new", Owner: "key:a"}, a, 1, nil, now); err != nil {
		t.Fatal(err)
	}
	if len(g.entries) != maxOffline*9/10+1 || g.entries["0"] == nil || g.entries[fmt.Sprint(maxOffline-1)] != nil {
		t.Errorf("%d left", len(g.entries))
	}
}

// The tunnel of an agent that vanished before it was told goes back.
func TestRegistryGivesBack(t *testing.T) {
	t.Parallel()
	now := time.Now()
	newAgent := func() *agent {
		return &agent{quota: "q", ready: make(chan struct{}), gone: make(chan struct{})}
	}
	g := newRegistry(10, nil, func() {})
	first, second, third := newAgent(), newAgent(), newAgent()
	claim := tunnel.Claim{ID: "shop", Owner: "key:a", Instance: "one", Resumed: true}
	for _, a := range []*agent{first, second, third} {
		if _, _, err := g.claim(claim, a, 1, nil, now); err != nil {
			t.Fatal(err)
		}
		if a == first {
			g.settle(a)
		}
	}
	holder := func() *agent { st, _ := g.find("shop", now); return st.agent }
	close(third.gone)
	g.release(third, now)
	if holder() != second {
		t.Error("not given back to the second")
	}
	close(second.gone)
	g.release(second, now)
	if holder() != first {
		t.Error("not given back to the first")
	}
	g.release(third, now)
	if holder() != first || g.live != 1 || g.quota["q"] != 1 {
		t.Errorf("a late release counted: %d live", g.live)
	}
	close(first.gone)
	g.release(first, now)
	if holder() != nil || g.live != 0 || len(g.quota) != 0 {
		t.Errorf("%d live, quota %v", g.live, g.quota)
	}
	if _, ok := g.find("shop", now.Add(tunnel.Linger-1)); !ok {
		t.Error("unknown before its time")
	}
	if _, ok := g.find("shop", now.Add(tunnel.Linger)); ok {
		t.Error("known for ever")
	}
}
