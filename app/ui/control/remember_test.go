package control

import (
	"os"
	"strings"
	"testing"
	"time"

	"culvert/app/config"
	"culvert/app/ui/model"

	"github.com/google/go-cmp/cmp"
)

// targets are what the config file remembers.
func (h *house) targets(t *testing.T) []string {
	t.Helper()
	file, err := h.dir.Load()
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, entry := range file.Tunnels {
		targets = append(targets, entry.Target)
	}
	return targets
}

// names are those of the cards.
func (h *house) names() (names []string) {
	for _, t := range h.store.Tunnels() {
		names = append(names, t.Name+" "+t.State.String())
	}
	return names
}

// Tunnels that were opened in the window are there after a restart, in their order and
// stopped, unless they were to be started; those of the command line are not.
func TestTunnelsAreRememberedInOrder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	h := moveIn(t, folder, Config{})
	var keys []string
	for _, open := range []struct {
		target   string
		remember bool
	}{{"3001", true}, {"3002", false}, {"3003", true}, {"3004", true}} {
		key, err := h.Open(t.Context(), open.target, open.remember)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	if err := h.Move(t.Context(), keys[3], 0); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Change(t.Context(), keys[2], model.Wish{Target: "3003", Name: "shop", HostHeader: "public", Timeout: time.Minute, Start: true}); err != nil {
		t.Fatal(err)
	}
	want := []string{"localhost:3004", "localhost:3001", "localhost:3003"}
	if diff := cmp.Diff(want, h.targets(t)); diff != "" {
		t.Fatalf("remembered (-want +got):\n%s", diff)
	}
	for _, m := range h.store.Tunnels() {
		if m.Remembered != (m.Key != keys[1]) {
			t.Errorf("%s is shown as remembered: %v", m.Name, m.Remembered)
		}
	}
	h.moveOut(t)

	again := moveIn(t, folder, Config{})
	eventually(t, "the third one online", func() bool { return strings.HasSuffix(again.names()[2], "Online") })
	if diff := cmp.Diff([]string{"localhost:3004 Stopped", "localhost:3001 Stopped", "shop Online"}, again.names()); diff != "" {
		t.Errorf("after a restart the cards are (-want +got):\n%s", diff)
	}
	shop := again.store.Tunnels()[2]
	if w, ok := again.Wish(shop.Key); !ok || w != (model.Wish{Target: "localhost:3003", Name: "shop", HostHeader: "public", Timeout: time.Minute, Start: true}) {
		t.Errorf("it was wished as %+v", w)
	}

	// The target of a card that rests is started, not opened once more.
	key, err := again.Open(t.Context(), "3001", true)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(again.store.Tunnels()); n != 3 || key != again.store.Tunnels()[1].Key {
		t.Errorf("opening a remembered target leads to %q among %d cards", key, n)
	}
	if err := again.Remove(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"localhost:3004", "localhost:3003"}, again.targets(t)); diff != "" {
		t.Errorf("after removing (-want +got):\n%s", diff)
	}
	if err := again.BringBack(t.Context(), model.Wish{Target: "3001"}, 1); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"localhost:3004", "localhost:3001", "localhost:3003"}, again.targets(t)); diff != "" {
		t.Errorf("brought back (-want +got):\n%s", diff)
	}
}

// What a person writes into the file while the program runs stays theirs.
func TestEntriesOfOthersStay(t *testing.T) {
	t.Parallel()
	h := moveIn(t, t.TempDir(), Config{})
	key, err := h.Open(t.Context(), "3001", true)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(h.dir.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	mine := "# by hand\n[[tunnels]]\ntarget = \"9000\"\nsecret_sauce = true\n\n"
	if err := os.WriteFile(h.dir.ConfigFile(), append([]byte(mine), file...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.Remove(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(h.dir.ConfigFile())
	if err != nil || !strings.Contains(string(text), "# by hand\n[[tunnels]]\ntarget = \"9000\"\nsecret_sauce = true") || strings.Contains(string(text), "3001") {
		t.Errorf("the file is (%v)\n%s", err, text)
	}
}

// A tunnel of the command line's backend could not be found again: nothing says later
// where it led.
func TestUnnamedBackendsAreNotRemembered(t *testing.T) {
	t.Parallel()
	h := moveIn(t, t.TempDir(), Config{Backend: mustURL("http://127.0.0.1:9")})
	key, err := h.Open(t.Context(), "3001", true)
	if err != nil {
		t.Fatal(err)
	}
	if targets := h.targets(t); len(targets) > 0 {
		t.Errorf("remembered: %q", targets)
	}
	if w, _ := h.Wish(key); w.Profile != "http://127.0.0.1:9" {
		t.Errorf("it was wished as %+v", w)
	}
	// Changing something else leaves it with its backend.
	if _, err := h.Change(t.Context(), key, model.Wish{Target: "3002", Profile: "http://127.0.0.1:9"}); err != nil {
		t.Fatal(err)
	}
	if spec := h.engine.Tunnel(key).Spec(); spec.Backend == nil || spec.Backend.Host != "127.0.0.1:9" {
		t.Errorf("it leads to %v", spec.Backend)
	}
}

// A file that cannot be used is not written to, and nothing else is kept from working.
func TestBrokenConfig(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	dir, err := config.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	const broken = "profile = \n[[["
	if err := os.WriteFile(dir.ConfigFile(), []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	h := moveIn(t, folder, Config{})
	if text, _ := h.store.Notice(); !strings.Contains(text, "config.toml:1") {
		t.Errorf("the window says %q", text)
	}
	if _, err := h.Open(t.Context(), "3001", true); err != nil {
		t.Fatal(err)
	}
	if text, n := h.store.Notice(); n != 2 || !strings.HasPrefix(text, "The tunnel works, but it will not be remembered.") {
		t.Errorf("of what is not kept it says %q", text)
	}
	if s := h.State(t.Context()); s.ConfigProblem == "" {
		t.Error("the settings do not say so")
	}
	if text, err := os.ReadFile(dir.ConfigFile()); err != nil || string(text) != broken {
		t.Errorf("the file is %q (%v)", text, err)
	}
}

// A tunnel without a name has the same URL after a restart: the ID that the backend has
// chosen is remembered, too.
func TestURLsAreTheSameAfterARestart(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	h := moveIn(t, folder, Config{})
	if _, err := h.Open(t.Context(), "3001", true); err != nil {
		t.Fatal(err)
	}
	url := func(h *house) string { return h.store.Tunnels()[0].URL }
	eventually(t, "online", func() bool { return url(h) != "" })
	before := url(h)
	eventually(t, "the ID in the file", func() bool {
		file, err := h.dir.Load()
		return err == nil && len(file.Tunnels) == 1 && file.Tunnels[0].ID != "" && strings.HasSuffix(before, file.Tunnels[0].ID)
	})
	h.moveOut(t)

	again := moveIn(t, folder, Config{})
	if err := again.Start(t.Context(), again.store.Tunnels()[0].Key); err != nil {
		t.Fatal(err)
	}
	eventually(t, "online again", func() bool { return url(again) != "" })
	if after := url(again); after != before {
		t.Errorf("the URL was %s and is now %s", before, after)
	}

	// So it is when a tunnel is removed, and that is undone.
	key := again.store.Tunnels()[0].Key
	wish, _ := again.Wish(key)
	if err := again.Remove(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no card", func() bool { return len(again.store.Tunnels()) == 0 })
	if err := again.BringBack(t.Context(), wish, 0); err != nil {
		t.Fatal(err)
	}
	if err := again.Start(t.Context(), again.store.Tunnels()[0].Key); err != nil {
		t.Fatal(err)
	}
	eventually(t, "online once more", func() bool { return url(again) != "" })
	if after := url(again); after != before {
		t.Errorf("brought back, the URL is %s, and was %s", after, before)
	}

	// What is open already is not opened twice by typing it again.
	if _, err := again.Open(t.Context(), "3001", true); err != nil {
		t.Fatal(err)
	}
	if n := len(again.store.Tunnels()); n != 1 {
		t.Errorf("typed again, there are %d cards", n)
	}
}
