package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseRevocations(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		text string
		want []Revocation
		err  string
	}{
		"nothing":             {"", nil, ""},
		"comments":            {"# id a\n\n  # id b\r\n\t\n", nil, ""},
		"a token":             {"id a", []Revocation{{ID: "a"}}, ""},
		"tokens":              {"id a # of ann\r\nid\tb#c\n", []Revocation{{ID: "a"}, {ID: "b#c"}}, ""},
		"a user":              {"user ann\n", []Revocation{{User: "ann"}}, ""},
		"a user until":        {"user ann 2026-01-31T12:00:00Z # left", []Revocation{{User: "ann", Before: noon}}, ""},
		"another time zone":   {"user ann 2026-01-31T13:00:00+01:00", []Revocation{{User: "ann", Before: noon}}, ""},
		"quotes":              {`user "Ann Lee" 2026-01-31T12:00:00Z` + "\n" + `id "a#\"\u00e4"`, []Revocation{{User: "Ann Lee", Before: noon}, {ID: `a#"ä`}}, ""},
		"a mark at the start": {"\ufeffid a", []Revocation{{ID: "a"}}, ""},
		"too few words":       {"id a\nid\n", nil, "line 2: want"},
		"too many words":      {"id a b\n", nil, "line 1: want"},
		"no time":             {"user ann yesterday", nil, `line 1: "yesterday" is no time such as`},
		"no such kind":        {"token a", nil, "line 1: want"},
		"an empty name":       {`id ""`, nil, "line 1: want"},
		"an open quote":       {`id "a`, nil, "line 1: a quote that does not end"},
		"quote and text":      {`id "a"b`, nil, "line 1: no space after a quote"},
		"too many lines":      {strings.Repeat("\n", maxRevocationsLines+1), nil, "more than 10000 lines"},
		"too long":            {strings.Repeat("#", maxRevocations+1), nil, "longer than 1024 KB"},
	} {
		got, err := ParseRevocations([]byte(c.text))
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", name, err, c.err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRevoked(t *testing.T) {
	t.Parallel()
	r, err := OpenRevocations(write(t, filepath.Join(t.TempDir(), "revoked"), `
id a
user bob
user cid 2026-01-31T12:00:00Z
user cid 2026-01-30T12:00:00Z
user dan 2026-01-31T12:00:00Z
user dan
user dan 2026-01-30T12:00:00Z
`))
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		identity Identity
		want     bool
	}{
		"that token":                  {Identity{Subject: "ann", ID: "a"}, true},
		"another of the user":         {Identity{Subject: "ann", ID: "b"}, false},
		"one without a name":          {Identity{Subject: "ann"}, false},
		"the ID as a user":            {Identity{Subject: "a"}, false},
		"the user as an ID":           {Identity{Subject: "ann", ID: "bob"}, false},
		"a user for ever":             {Identity{Subject: "bob", IssuedAt: noon.AddDate(9, 0, 0)}, true},
		"a user before":               {Identity{Subject: "cid", IssuedAt: noon.Add(-time.Second)}, true},
		"a user then":                 {Identity{Subject: "cid", IssuedAt: noon}, false},
		"a user at no time":           {Identity{Subject: "cid"}, true},
		"for ever beats until a time": {Identity{Subject: "dan", IssuedAt: noon.AddDate(1, 0, 0)}, true},
		"nobody":                      {Identity{}, false},
		"case counts":                 {Identity{Subject: "Bob", ID: "A"}, false},
	} {
		if got := r.Revoked(c.identity); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The list is read again when it changes, at most once a second; what cannot be read
// changes nothing, and is told once.
func TestRevocationsAreReadAgain(t *testing.T) {
	t.Parallel()
	path := write(t, filepath.Join(t.TempDir(), "revoked"), "id a\n")
	synctest.Test(t, func(t *testing.T) {
		r, err := OpenRevocations(path)
		if err != nil {
			t.Fatal(err)
		}
		log := &lines{}
		r.Logger = log.logger()
		check := func(when string, ids ...string) {
			t.Helper()
			for _, id := range []string{"a", "b", "c"} {
				if got := r.Revoked(Identity{ID: id}); got != slices.Contains(ids, id) {
					t.Errorf("%s: %s is revoked: %v", when, id, got)
				}
			}
		}
		next := func() { time.Sleep(watchEvery) }
		check("at first", "a")
		write(t, path, "id b\n")
		check("within the second", "a")
		next()
		check("changed", "b")
		// Of the same length, in the same tick of the file's clock: older than this test's.
		write(t, path, "id c\n")
		if err := os.Chtimes(path, time.Now(), time.Now()); err != nil {
			t.Fatal(err)
		}
		next()
		check("changed again", "c")
		write(t, path, "id a\n")
		if err := os.Chtimes(path, time.Now().Add(-watchEvery), time.Now().Add(-watchEvery)); err != nil {
			t.Fatal(err)
		}
		next()
		check("changed within one tick", "a")

		write(t, path, "id a\nid b\nnonsense\n")
		for range 5 {
			next()
			check("broken", "a")
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			next()
			check("removed", "a")
		}
		if n := log.count("cannot be read"); n != 2 || log.count("line 3: want") != 1 {
			t.Errorf("%d lines for two troubles:\n%s", n, log.text.String())
		}
		write(t, path, "id a\n")
		next()
		check("back", "a")
		write(t, path, "")
		next()
		check("emptied")
		if n := log.count("can be read again"); n != 1 {
			t.Errorf("told %d times that it can be read again", n)
		}
		if err := os.Rename(write(t, path+".new", "id c\n"), path); err != nil {
			t.Fatal(err)
		}
		next()
		check("replaced", "c")
	})
}

// Whoever does not touch the file is not asked for it again.
func TestSettledFileIsNotRead(t *testing.T) {
	t.Parallel()
	path := write(t, filepath.Join(t.TempDir(), "file"), "one")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	reads := 0
	w := watched{path: path, max: 100, parse: func([]byte) error { reads++; return nil }}
	for n := range 5 {
		w.looked = time.Time{}
		if err, _ := w.look(); err != nil {
			t.Fatal(err)
		}
		if w.info == nil || reads != 1 {
			t.Errorf("look %d: %d reads, settled: %v", n, reads, w.info != nil)
		}
	}
	write(t, path, "two")
	w.looked = time.Time{}
	for range 3 { // it is read again, in case that it changed within a tick, but not taken for new
		w.looked = time.Time{}
		if w.look(); reads != 2 || w.info != nil {
			t.Errorf("a fresh change: %d reads, settled: %v", reads, w.info != nil)
		}
	}
	for n, text := range []string{"abc", "def"} { // as long, as old, and another file
		if err := os.Chtimes(write(t, path+".new", text), old, old); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		w.looked = time.Time{}
		if w.look(); reads != 3+n || w.info == nil {
			t.Errorf("replaced by %s: %d reads, settled: %v", text, reads, w.info != nil)
		}
	}
}

func TestKeyFileIsReadAgain(t *testing.T) {
	t.Parallel()
	path := write(t, filepath.Join(t.TempDir(), "jwks"), jwks(key("ed")))
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		v, err := New(Config{JWKS: path, Logger: log.logger()})
		if err != nil {
			t.Fatal(err)
		}
		check := func(when string, kids ...string) {
			t.Helper()
			time.Sleep(watchEvery)
			for _, kid := range []string{"ed", "p256"} {
				_, err := v.Verify(t.Context(), key(kid).token(t, ann))
				if (err == nil) != slices.Contains(kids, kid) || err != nil && !errors.Is(err, ErrInvalidToken) {
					t.Errorf("%s: %s: %v", when, kid, err)
				}
			}
		}
		check("at first", "ed")
		write(t, path, jwks(key("p256"), key("weak")))
		check("replaced", "p256")
		if err := v.Refresh(t.Context()); err != nil {
			t.Errorf("refresh: %v", err)
		}
		write(t, path, jwks(key("p256"))[:40])
		check("half written", "p256")
		check("still", "p256")
		if err := v.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "no JSON Web Key Set") {
			t.Errorf("an operator is told %v", err)
		}
		write(t, path, jwks(key("ed"), key("p256")))
		check("whole again", "ed", "p256")
		if log.count("cannot be read") != 1 || log.count("can be read again") != 1 || log.count("level=WARN") != 1 {
			t.Errorf("the log says\n%s", log.text.String())
		}
	})
}

func TestOpenRevocationsRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := OpenRevocations(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "make an empty file") {
		t.Errorf("no file: %v", err)
	}
	if _, err := OpenRevocations(dir); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a folder: %v", err)
	}
	path := write(t, filepath.Join(dir, "broken"), "id\n")
	if _, err := OpenRevocations(path); err == nil || !strings.Contains(err.Error(), "broken: line 1") {
		t.Errorf("a broken file: %v", err)
	}
	if _, err := OpenRevocations(write(t, path, strings.Repeat("#", maxRevocations+1))); err == nil || !strings.Contains(err.Error(), "longer than 1024 KB") {
		t.Errorf("a long file: %v", err)
	}
}

// Many revoke at once, and somebody has edited the file by hand: no line is lost.
func TestRevoke(t *testing.T) {
	t.Parallel()
	path := write(t, filepath.Join(t.TempDir(), "revoked"), "# ours\nid edited")
	var wg sync.WaitGroup
	want := []string{"edited"}
	for n := range 40 {
		id := fmt.Sprintf("id-%d", n)
		want = append(want, id)
		wg.Go(func() {
			if added, err := Revoke(path, Revocation{ID: id}, "by a\ntest"); err != nil || !added {
				t.Errorf("%s: %v, %v", id, added, err)
			}
		})
	}
	wg.Wait()
	r, err := OpenRevocations(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range want {
		if !r.Revoked(Identity{ID: id}) {
			t.Errorf("%s is lost", id)
		}
	}
	if added, err := Revoke(path, Revocation{ID: "edited"}, ""); added || err != nil {
		t.Errorf("a second time: %v, %v", added, err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "# by a test\n") {
		t.Errorf("%v, no comment in\n%s", err, text)
	}
}

func TestRevokeRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if added, err := Revoke(filepath.Join(dir, "new"), Revocation{User: "ann lee"}, ""); !added || err != nil {
		t.Errorf("a new list: %v, %v", added, err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "new")); string(text) != "user \"ann lee\"\n" {
		t.Errorf("%v, %q", err, text)
	}
	for name, c := range map[string]struct{ text, says string }{
		"broken":         {"id\n", "line 1: want"},
		"full of lines":  {strings.Repeat("\n", maxRevocationsLines), "take out what has expired"},
		"full of text":   {strings.Repeat("#", maxRevocations-2), "take out what has expired"},
		"beyond reading": {strings.Repeat("#", maxRevocations+1), "longer than"},
	} {
		path := write(t, filepath.Join(dir, name), c.text)
		if added, err := Revoke(path, Revocation{ID: "a"}, ""); added || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v, want %q", name, added, err, c.says)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != c.text {
			t.Errorf("%s was changed", name)
		}
	}
	if _, err := Revoke(filepath.Join(dir, "no", "folder"), Revocation{ID: "a"}, ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

// What is read can be written, and is then the same; and no text is read as something
// that it does not say.
func FuzzParseRevocations(f *testing.F) {
	f.Add([]byte("id a\nuser ann 2026-01-31T12:00:00Z # x\n"))
	f.Add([]byte(`user "Ann \"Lee" # "`))
	f.Add([]byte("id \"\\x00\"\r\nid a\"b\nuser \xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := ParseRevocations(text)
		if err != nil {
			if list != nil {
				t.Fatal("a list and an error")
			}
			return
		}
		var again strings.Builder
		for _, r := range list {
			if (r.ID == "") == (r.User == "") {
				t.Fatalf("%+v", r)
			}
			r.Before = r.Before.Truncate(time.Second)
			fmt.Fprintln(&again, r)
		}
		if again.Len() > maxRevocations {
			return // quotes make it longer
		}
		second, err := ParseRevocations([]byte(again.String()))
		if err != nil || len(second) != len(list) {
			t.Fatalf("%v, %d of %d from\n%s", err, len(second), len(list), again.String())
		}
		for n, r := range second {
			r.Before, list[n].Before = r.Before.UTC(), list[n].Before.Truncate(time.Second).UTC()
			if !reflect.DeepEqual(r, list[n]) {
				t.Fatalf("%+v became %+v", list[n], r)
			}
		}
	})
}
