package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The form on a card: another name makes another URL, and everything says so.
func TestDesktopEditAndDuplicate(t *testing.T) {
	d := startDisplay(t)
	dt := startDesktop(t, d)
	_, port := hello(t)
	dt.awaitWindow(t)
	dt.types(t, port)
	dt.keys(t, "Return")
	own := "localhost:" + port
	dt.tray.awaitTitles(t, own+" — Online")
	before := dt.urlOf(t, own+" — Online")

	dt.fromMenu(t, "e")
	dt.keys(t, "Tab") // from the service to the name
	dt.types(t, "renamed")
	dt.keys(t, "Return")
	dt.tray.awaitTitles(t, "renamed — Online")
	public := dt.urlOf(t, "renamed — Online")
	if public == before || !strings.Contains(public, "renamed") {
		t.Errorf("the URL was %s and is now %s", before, public)
	}
	if a := mustGet(t, http.StatusOK, public+"/first"); a.body != "hello from /first" {
		t.Errorf("through the tunnel came %q", a.body)
	}
	if text := dt.configText(); !strings.Contains(text, `name = "renamed"`) {
		t.Errorf("the config file says\n%s", text)
	}

	dt.fromMenu(t, "d")
	dt.keys(t, "Return") // as it is
	dt.tray.awaitTitles(t, "renamed — Online", own+" — Online")
	if second := dt.urlOf(t, own+" — Online"); second == public {
		t.Errorf("both have the URL %s", public)
	} else {
		mustGet(t, http.StatusOK, second)
	}
	mustGet(t, http.StatusOK, public)
	dt.stop(t)
}

// What was opened in the window comes back with the next start, but closed; what a
// command line has opened does not.
func TestDesktopRemembersWhatWasTyped(t *testing.T) {
	d := startDisplay(t)
	_, typed := hello(t)
	_, given := hello(t)
	dt := startDesktop(t, d, "--open", given)
	dt.awaitWindow(t)
	dt.tray.awaitTitles(t, "localhost:"+given+" — Online")
	dt.types(t, typed)
	dt.keys(t, "Return")
	dt.tray.awaitTitles(t, "localhost:"+given+" — Online", "localhost:"+typed+" — Online")
	dt.stop(t)

	next := startDesktopIn(t, d, dt.config, "--minimized")
	next.tray.awaitMenu(t, append(tunnelItems(typed, "Stopped"), ownItems...)...)
	eventually(t, func() error { return next.tray.click("localhost:"+typed+" — Stopped", "Start") })
	next.tray.awaitTitles(t, "localhost:"+typed+" — Online")
	mustGet(t, http.StatusOK, next.copyURL(t, typed))
	next.stop(t)
}

// A folder is a website: its files and nothing else.
func TestDesktopServesAFolder(t *testing.T) {
	d := startDisplay(t)
	root := t.TempDir()
	site := filepath.Join(root, "site")
	for path, text := range map[string]string{
		"site/index.html": "<h1>the index</h1>", "site/deep/page.txt": "deep", "site/.env": "planted", "secret.txt": "planted",
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"out": root, "out.txt": filepath.Join(root, "secret.txt")} {
		if err := os.Symlink(to, filepath.Join(site, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, how := range []string{"typed", "--open"} {
		var args []string
		if how == "--open" {
			args = []string{"--open", site}
		}
		dt := startDesktop(t, d, args...)
		dt.awaitWindow(t)
		if how == "typed" {
			dt.types(t, site)
			dt.keys(t, "Return")
		}
		var title string
		eventually(t, func() error {
			items, _, err := dt.tray.menu()
			if err != nil {
				return err
			}
			if title = items[0].label; !strings.HasSuffix(title, " — Online") {
				return fmt.Errorf("%s: the first item is %q", how, title)
			}
			return nil
		})
		public := dt.urlOf(t, title)
		for path, want := range map[string]string{"/": "the index", "/index.html": "", "/deep/page.txt": "deep"} {
			if a, err := get(t, public+path); err != nil || a.status >= 400 || !strings.Contains(a.body, want) {
				t.Errorf("%s: GET %s: status %d, %v, %q", how, path, a.status, err, a.body)
			}
		}
		for _, path := range []string{"/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/out/secret.txt", "/out.txt", "/.env", "/deep/../../secret.txt", "/deep/..%5c..%5csecret.txt"} {
			a, err := get(t, public+path)
			if err != nil || a.status == http.StatusOK && !strings.Contains(a.body, "the index") || strings.Contains(a.body, "planted") {
				t.Errorf("%s: GET %s: status %d, %v, %q; want no such page", how, path, a.status, err, a.body)
			}
		}
		dt.stop(t)
	}
}

// What looks like a database is opened only by those who mean it.
func TestDesktopAsksBeforeADatabase(t *testing.T) {
	d := startDisplay(t)
	dt := startDesktop(t, d)
	dt.awaitWindow(t)
	const port = "5432" // of PostgreSQL, whether it runs or not
	dt.types(t, port)
	for _, no := range []string{"Escape", "Return"} { // the harmless answer has the focus
		dt.keys(t, "ctrl+l", "Return")
		dt.awaitQuestion(t, true)
		dt.keys(t, no)
		dt.awaitQuestion(t, false)
	}
	dt.tray.awaitMenu(t, ownItems...)
	dt.keys(t, "ctrl+l", "Return")
	dt.awaitQuestion(t, true)
	keep(t, dt.picture(t), "desktop-hazard.png")
	dt.keys(t, "Tab", "Return")
	dt.tray.awaitMenu(t, append(tunnelItems(port, "Online"), ownItems...)...)
	dt.stop(t)
}

// The card tells that its service has gone before a visitor has to find out, and when
// it is there again.
func TestDesktopSeesItsService(t *testing.T) {
	d := startDisplay(t)
	service, port := hello(t)
	dt := startDesktop(t, d, "--open", port)
	dt.awaitWindow(t)
	dt.tray.awaitTitles(t, "localhost:"+port+" — Online")
	light := func(down bool) {
		eventually(t, func() error {
			if n := inked(dt.picture(t), firstCard, badInk); n > 5 != down { // one word
				return fmt.Errorf("the card has %d red pixels; wanted there: %v", n, down)
			}
			return nil
		})
	}
	light(false)
	service.Close()
	light(true)
	keep(t, dt.picture(t), "desktop-service-down.png")
	var again net.Listener
	eventually(t, func() (err error) {
		again, err = net.Listen("tcp", "127.0.0.1:"+port)
		return err
	})
	defer again.Close()
	light(false)
	dt.awaitRows(t) // nobody came
	dt.stop(t)
}
