package folder

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLinkInPlaceOfWhatWasFound is not followed: it was not looked at where it leads.
func TestLinkInPlaceOfWhatWasFound(t *testing.T) {
	t.Parallel()
	dir := site(t)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	tr := &tree{root, dir}
	name, info, err := tr.find("/app.js")
	if err != nil {
		t.Fatal(err)
	}
	swap := func(name, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, name+"-old")); err != nil { // and not removed: its number could be given again
			t.Fatal(err)
		}
		link(t, to, filepath.Join(dir, name))
	}
	swap("app.js", ".env")
	w := httptest.NewRecorder()
	if err := serveFile(w, httptest.NewRequest("GET", "/app.js", nil), root, name, info); !errors.Is(err, errChanged) || w.Body.Len() != 0 {
		t.Errorf("a file: %v, %q", err, w.Body)
	}
	name, info, err = tr.find("/docs")
	if err != nil {
		t.Fatal(err)
	}
	swap("docs", ".git")
	if l, err := tr.list(name, "/docs/", info); !errors.Is(err, errChanged) {
		t.Errorf("a folder: %v, %v", l, err)
	}
	if r := ask(NewHandler(dir, nil), "GET", "/app.js"); r.StatusCode != http.StatusNotFound || strings.Contains(body(t, r), "secret") {
		t.Errorf("status %d", r.StatusCode)
	}
}

// TestDeepListsCostNoMore than others: the way to a folder is gone once. It counts what
// is allocated, as every step of the way does.
func TestDeepListsCostNoMore(t *testing.T) {
	dir := t.TempDir()
	deep := strings.Repeat("d/", 50)
	for i := range 100 {
		write(t, filepath.Join(dir, "flat", fmt.Sprint(i)), "")
		write(t, filepath.Join(dir, deep, fmt.Sprint(i)), "")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	tr := &tree{root, dir}
	cost := func(path string) float64 {
		name, info, err := tr.find(path)
		if err != nil {
			t.Fatal(err)
		}
		return testing.AllocsPerRun(3, func() {
			if l, err := tr.list(name, path, info); err != nil || len(l.Entries) != 100 {
				t.Error(l, err)
			}
		})
	}
	if flat, far := cost("flat"), cost(deep); far > 2*flat {
		t.Errorf("a list costs %v allocations at the top and %v far down", flat, far)
	}
}

// TestListsWaitForOneAnother, and visitors who have left do not.
func TestListsWaitForOneAnother(t *testing.T) {
	t.Parallel()
	h := NewHandler(site(t), nil)
	for range maxLists {
		h.lists <- struct{}{}
	}
	gone, leave := context.WithCancel(context.Background())
	leave()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(gone, "GET", "/docs/", nil))
	if strings.Contains(w.Body.String(), "page.bin") {
		t.Error("there is a list more than there may be")
	}
	<-h.lists
	for range 2 {
		if r := ask(h, "GET", "/docs/"); r.StatusCode != http.StatusOK || !strings.Contains(body(t, r), "page.bin") {
			t.Errorf("status %d", r.StatusCode)
		}
	}
}

func TestManyRanges(t *testing.T) {
	t.Parallel()
	h := NewHandler(site(t), nil)
	for n, want := range map[int]int{1: 206, maxRanges: 206, maxRanges + 1: 416, 10000: 416} {
		r := ask(h, "GET", "/docs/page.bin", "Range", "bytes=0-0"+strings.Repeat(",1-1", n-1))
		if b := body(t, r); r.StatusCode != want || len(b) > 4<<10 {
			t.Errorf("%d ranges: %d, %d bytes", n, r.StatusCode, len(b))
		}
	}
}
