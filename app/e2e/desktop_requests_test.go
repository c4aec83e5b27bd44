package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A request is looked at, sent again, changed and sent again, and found again.
func TestDesktopInspectReplayFilter(t *testing.T) {
	d := startDisplay(t)
	service := keepDiary(t)
	dt := startDesktop(t, d, "--open", service.port)
	dt.awaitWindow(t)
	public := dt.copyURL(t, service.port)
	mustPost(t, public+"/hook?n=1", "a=1&b=two", "Bearer abcdefgh")
	first := entry{"POST /hook?n=1", "a=1&b=two", "Bearer abcdefgh"}
	service.await(t, first)
	dt.awaitRows(t, okInk)

	dt.click(t, firstRowAt)
	dt.awaitInk(t, "the answer's status in the inspector", inspector, okInk, true)
	keep(t, dt.picture(t), "desktop-inspector.png")
	dt.keys(t, "Escape")
	dt.awaitInk(t, "the inspector of no request", inspector, okInk, false)
	dt.keys(t, "Down") // the same by the keyboard, into the inspector and back
	dt.awaitInk(t, "the inspector of the row that was chosen by a key", inspector, okInk, true)
	dt.keys(t, "Return", "Escape")
	dt.awaitInk(t, "the inspector after Escape in it", inspector, okInk, false)
	dt.keys(t, "Down", "r")
	service.await(t, first, first)
	dt.awaitRows(t, okInk, okInk)

	dt.click(t, editAndReplay)
	dt.keys(t, "End")
	dt.types(t, "&again=1")
	dt.keys(t, "Return")
	changed := first
	changed.line += "&again=1"
	service.await(t, first, first, changed)
	dt.keys(t, "Escape") // the inspector closes

	dt.keys(t, "ctrl+f")
	dt.types(t, "again")
	dt.awaitRows(t, okInk) // one of three
	dt.types(t, "-not-there")
	dt.awaitRows(t)
	dt.keys(t, "Escape")
	dt.awaitRows(t, okInk, okInk)
	if got := service.read(); len(got) != 3 {
		t.Errorf("the service got %+v", got)
	}
	dt.stop(t)
}

// What passed is known after the program was killed; what was secret in it never
// reached the disk, and the user can have all of it removed.
func TestDesktopHistorySurvivesACrash(t *testing.T) {
	d := startDisplay(t)
	service := keepDiary(t)
	dt := startDesktop(t, d, "--open", service.port)
	dt.awaitWindow(t)
	public := dt.copyURL(t, service.port)
	const planted = "planted-and-never-to-be-found"
	mustPost(t, public+"/remarkable?token="+planted, "note=unremarkable&password="+planted, "Bearer "+planted)
	mustGet(t, http.StatusOK, public+"/second")
	onDisk := func(text string) []string { return found(t, dt.config, text) }
	eventually(t, func() error {
		if len(onDisk("/remarkable")) == 0 || len(onDisk("/second")) == 0 || len(onDisk("unremarkable")) == 0 {
			return fmt.Errorf("the requests are not on the disk")
		}
		return nil
	})
	if files := onDisk(planted); len(files) > 0 {
		t.Errorf("the secret is in %q", files)
	}
	dt.kill(t)
	for _, path := range onDisk("/remarkable") {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want 0600", path, info.Mode(), err)
		}
	}

	next := startDesktopIn(t, d, dt.config)
	next.awaitWindow(t)
	next.awaitRows(t) // nothing has passed since
	next.keys(t, "ctrl+h")
	next.awaitRows(t, okInk, okInk)
	keep(t, next.picture(t), "desktop-history.png")
	next.keys(t, "ctrl+f")
	next.types(t, "unremarkable") // in a body
	next.awaitRows(t, okInk)
	next.keys(t, "Escape")
	next.awaitRows(t, okInk, okInk)

	next.openSettings(t, toRequests)
	next.awaitQuestion(t, false)
	next.click(t, clearAll)
	next.awaitQuestion(t, true)
	next.keys(t, "Tab", "Return")
	eventually(t, func() error {
		if files := slices.Concat(onDisk("/remarkable"), onDisk("unremarkable"), onDisk("/second")); len(files) > 0 {
			return fmt.Errorf("they are still in %q", files)
		}
		return nil
	})
	next.keys(t, "Escape")
	next.awaitRows(t)
	if files := onDisk(planted); len(files) > 0 {
		t.Errorf("the secret is in %q", files)
	}
	next.stop(t)
	if text := strings.ToLower(next.errors()); strings.Contains(text, planted) {
		t.Errorf("the secret is in the log:\n%s", text)
	}
	if _, err := os.Stat(filepath.Join(dt.config, "history.db")); err != nil {
		t.Error(err)
	}
}
