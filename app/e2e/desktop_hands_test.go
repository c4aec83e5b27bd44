package e2e

import (
	"fmt"
	"image"
	"image/color"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Where the tests click in a window of 1280 × 800.
var (
	firstCardMenu  = image.Pt(341, 100)
	firstRowAt     = image.Pt(700, 157)
	editAndReplay  = image.Pt(1032, 410) // a button of the inspector
	firstEdit      = image.Pt(1025, 293) // of the first profile in the settings
	lightTheme     = image.Pt(982, 313)  // in the settings, page General
	languageChoice = image.Pt(971, 356)
	clearAll       = image.Pt(1016, 423) // in the settings, page Requests

	centre    = image.Rect(400, 300, 860, 500) // where questions stand
	noticeBar = image.Rect(0, 66, 360, 100)    // its left end: farther right there may be a chosen tab of this colour
)

// Colours of the dark theme, and of the light one.
var (
	lightPanel = color.RGBA{0xff, 0xff, 0xff, 0xff}
	noticeBack = color.RGBA{0x26, 0x32, 0x4a, 0xff}
)

// Steps from the settings' first page to others.
const (
	toRequests = 2
	toGeneral  = 4
)

// click presses the left button at a place of the window. Clicks and keys reach the
// program in their order, so nothing has to be waited for between them unless the
// program itself fetches something first.
func (dt *desktop) click(t testing.TB, at image.Point) {
	t.Helper()
	dt.xdotool(t, "mousemove", "--window", dt.windowID(t), strconv.Itoa(at.X), strconv.Itoa(at.Y), "click", "1")
}

func (dt *desktop) windowID(t testing.TB) (id string) {
	t.Helper()
	eventually(t, func() error {
		found := dt.windows()
		if len(found) == 0 {
			return fmt.Errorf("there is no window")
		}
		id = found[0]
		return nil
	})
	return id
}

func (dt *desktop) keys(t testing.TB, keys ...string) {
	t.Helper()
	dt.xdotool(t, append([]string{"key", "--clearmodifiers"}, keys...)...)
}

func (dt *desktop) types(t testing.TB, text string) {
	t.Helper()
	dt.xdotool(t, "type", "--delay", "1", "--", text)
}

// fromMenu chooses an item of the first card's menu by its first letter.
func (dt *desktop) fromMenu(t testing.TB, letter string) {
	t.Helper()
	dt.click(t, firstCardMenu)
	dt.keys(t, letter, "Return")
}

// openSettings shows a page of the settings, so many steps below the first one.
func (dt *desktop) openSettings(t testing.TB, steps int) {
	t.Helper()
	dt.keys(t, append([]string{"ctrl+comma"}, slices.Repeat([]string{"Down"}, steps)...)...)
}

// awaitQuestion waits for a sheet with an answer that does something, or for none.
func (dt *desktop) awaitQuestion(t testing.TB, want bool) {
	t.Helper()
	eventually(t, func() error {
		// The answer that does something is written in red; statuses stand further right.
		if n := inked(dt.picture(t), centre, badInk); n > 30 != want {
			return fmt.Errorf("there are %d red pixels in the middle; wanted a question: %v", n, want)
		}
		return nil
	})
}

// awaitNotice waits for a message above the cards, or for none.
func (dt *desktop) awaitNotice(t testing.TB, want bool) {
	t.Helper()
	eventually(t, func() error {
		if n := inked(dt.picture(t), noticeBar, noticeBack); n > 1000 != want {
			return fmt.Errorf("the bar of notices has %d pixels; wanted a notice: %v", n, want)
		}
		return nil
	})
}

// awaitTitles waits until these are the tunnels in the menu, whatever can be done about them.
func (tr *tray) awaitTitles(t testing.TB, want ...string) {
	t.Helper()
	eventually(t, func() error {
		items, _, err := tr.menu()
		if err != nil {
			return err
		}
		var got []string
		for _, i := range items {
			if len(i.children) > 0 {
				got = append(got, i.label)
			}
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("the tunnels are %q, want %q", got, want)
		}
		return nil
	})
}

// urlOf copies the URL of a tunnel that has this title.
func (dt *desktop) urlOf(t testing.TB, title string) (text string) {
	t.Helper()
	dt.forget(t)
	eventually(t, func() error {
		if err := dt.tray.click(title, "Copy URL"); err != nil {
			return err
		}
		if text = dt.clipboard(); !strings.HasPrefix(text, "http") {
			return fmt.Errorf("the clipboard holds %q", text)
		}
		return nil
	})
	return text
}

// configText is what the config file says.
func (dt *desktop) configText() string {
	text, _ := os.ReadFile(filepath.Join(dt.config, "config.toml")) // there may be none yet
	return string(text)
}

// writeConfig makes a config folder.
func writeConfig(t testing.TB, text string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// found lists the files in a folder that have a text in them.
func found(t testing.TB, dir, text string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil // it has just been removed, or is a socket
		}
		data, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(data), text) {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// diary is a local service that keeps what it is asked for.
type diary struct {
	port string

	mu      sync.Mutex
	entries []entry
}

// entry is a request.
type entry struct{ line, body, authorization string }

func keepDiary(t testing.TB) *diary {
	t.Helper()
	d := &diary{}
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		d.mu.Lock()
		d.entries = append(d.entries, entry{r.Method + " " + r.RequestURI, string(body), r.Header.Get("Authorization")})
		d.mu.Unlock()
		fmt.Fprint(w, "noted")
	}))
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	d.port = u.Port()
	return d
}

func (d *diary) read() []entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.entries)
}

// await waits until exactly these requests have come.
func (d *diary) await(t testing.TB, want ...entry) {
	t.Helper()
	eventually(t, func() error {
		if got := d.read(); !slices.Equal(got, want) {
			return fmt.Errorf("the service got %+v, want %+v", got, want)
		}
		return nil
	})
}

// mustPost sends a form through a tunnel.
func mustPost(t testing.TB, url, body, authorization string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	a, err := do(t, req)
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("POST %s: status %d, %v", url, a.status, err)
	}
}
