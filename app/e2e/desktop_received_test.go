package e2e

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

var (
	// bell is where the number of unread notices stands in a window of 1280 × 800.
	bell = image.Rect(1186, 18, 1232, 46)
	fill = color.RGBA{0x2a, 0x6d, 0xdd, 0xff}
)

// notifyUser sends a notice to a user through a relay.
func (r *relay) notifyUser(t testing.TB, token, user string, data any) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"userId": user, "data": data})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url()+"/_culvert/notify/user", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	if a, err := do(t, req); err != nil || a.status != http.StatusOK {
		t.Fatalf("the relay answered %d to a notice: %v: %s", a.status, err, a.body)
	}
}

// keptNotice is one in the config folder's list.
type keptNotice struct {
	Title, Text string
	Data        any
	Read        bool
}

// keptNotices are those that the desktop has written down, newest first.
func (dt *desktop) keptNotices() (list []keptNotice) {
	text, err := os.ReadFile(filepath.Join(dt.config, "notices.json"))
	if err != nil {
		return nil
	}
	var file struct{ Notices []keptNotice }
	_ = json.Unmarshal(text, &file) // what is none is an empty list
	return file.Notices
}

// awaitKept waits until the list has these titles, and of how many it is said that
// nobody has read them.
func (dt *desktop) awaitKept(t testing.TB, unread int, titles ...string) {
	t.Helper()
	eventually(t, func() error {
		var got []string
		n := 0
		for _, k := range dt.keptNotices() {
			got = append(got, k.Title)
			if !k.Read {
				n++
			}
		}
		if !slices.Equal(got, titles) || n != unread {
			return fmt.Errorf("the notices %q are kept, %d of them unread; want %q, %d unread", got, n, titles, unread)
		}
		return nil
	})
}

// withToken is a config whose default profile leads to the relay, with a token from a
// file, which it returns, too.
func withToken(t testing.TB, r *relay, token, more string) (config, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	return writeConfig(t, fmt.Sprintf("profile = \"work\"\n%s\n[profiles.work]\nbackend = %q\ntoken_file = %q\n", more, r.url(), file)), file
}

// What somebody sends to the user is told once, however many tunnels are open, leads to
// the window at a click, and is still there after a restart.
func TestDesktopShowsWhatWasSent(t *testing.T) {
	d := startDisplay(t)
	a := d.startAnnouncer(t)
	r := startRelay(t, "--jwt-secret-file", writeSecret(t, testSecret))
	token := mint(t, jwt.SigningMethodHS256, []byte(testSecret), jwt.MapClaims{"sub": "ada", "exp": time.Now().Add(time.Hour).Unix()})
	config, _ := withToken(t, r, token, "")
	_, one := hello(t)
	_, two := hello(t)
	dt := startDesktopIn(t, d, config, "--minimized", "--open", one, "--open", two)
	dt.tray.awaitTitles(t, "localhost:"+one+" — Online", "localhost:"+two+" — Online")

	r.notifyUser(t, token, "ada", map[string]any{"title": "Order 4711", "text": "came in", "order": map[string]any{"id": 4711, "paid": true}})
	a.await(t, "Order 4711")
	dt.awaitKept(t, 1, "Order 4711")
	hostile := "two\nlines \u202eoverride"
	r.notifyUser(t, token, "ada", map[string]any{"title": hostile, "text": strings.Repeat("W", 40<<10)})
	a.await(t, "Order 4711", "2 notices") // and none of them twice
	dt.awaitKept(t, 2, "two lines override", "Order 4711")

	a.click(t)
	dt.awaitWindow(t)
	dt.awaitKept(t, 1, "two lines override", "Order 4711") // a look at it has read it
	keep(t, dt.picture(t), "desktop-notice.png")
	dt.keys(t, "Down", "Tab", "space") // the next one, and its button Copy
	eventually(t, func() error {
		if got := dt.clipboard(); got != "Order 4711\ncame in" {
			return fmt.Errorf("the clipboard holds %q", got)
		}
		return nil
	})
	keep(t, dt.picture(t), "desktop-notices.png")
	dt.awaitKept(t, 0, "two lines override", "Order 4711")
	dt.stop(t)

	next := startDesktopIn(t, d, config, "--open", one)
	next.awaitWindow(t)
	next.tray.awaitTitles(t, "localhost:"+one+" — Online")
	next.awaitInk(t, "the bell with all notices read", bell, fill, false)
	r.notifyUser(t, token, "ada", "the build is done")
	next.awaitInk(t, "the bell with an unread notice", bell, fill, true)
	keep(t, next.picture(t), "desktop-bell.png")
	next.keys(t, "ctrl+i")
	next.awaitInk(t, "the bell beneath the list", bell, fill, false)
	next.awaitKept(t, 0, "", "two lines override", "Order 4711")
	if info, err := os.Stat(filepath.Join(config, "notices.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the list of notices: %v, %v; want 0600", info, err)
	}
	next.stop(t)
}

// Who wants no notifications has them in the list alone.
func TestDesktopNoticesInTheListAlone(t *testing.T) {
	d := startDisplay(t)
	a := d.startAnnouncer(t)
	r := startRelay(t, "--jwt-secret-file", writeSecret(t, testSecret))
	token := mint(t, jwt.SigningMethodHS256, []byte(testSecret), jwt.MapClaims{"sub": "ada", "exp": time.Now().Add(time.Hour).Unix()})
	config, _ := withToken(t, r, token, "\n[notices]\nmessages = false\n")
	_, port := hello(t)
	own := "localhost:" + port
	dt := startDesktopIn(t, d, config, "--minimized", "--open", port)
	dt.tray.awaitTitles(t, own+" — Online")
	r.notifyUser(t, token, "ada", map[string]any{"title": "quiet", "text": "please"})
	dt.awaitKept(t, 1, "quiet")
	mustGet(t, http.StatusOK, dt.copyURL(t, port))
	a.await(t, "First request to "+own) // what comes later shows that it did not come
	dt.stop(t)
}

// A list that makes no sense is put aside and said; the program works.
func TestDesktopStartsOnBrokenNotices(t *testing.T) {
	d := startDisplay(t)
	config := t.TempDir()
	file := filepath.Join(config, "notices.json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, port := hello(t)
	dt := startDesktopIn(t, d, config, "--open", port)
	dt.tray.awaitTitles(t, "localhost:"+port+" — Online")
	dt.awaitWindow(t)
	dt.awaitNotice(t, true)
	dt.stop(t)
	if text, err := os.ReadFile(file + ".broken"); err != nil || string(text) != "{" {
		t.Errorf("put aside was %q: %v", text, err)
	}
}
