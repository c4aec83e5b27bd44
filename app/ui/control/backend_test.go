package control

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"culvert/app/config"
	"culvert/app/doctor"
	"culvert/app/ui/model"
)

func mustURL(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u
}

func TestBackendOfAProfile(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		config, file string
		locked       bool
		token, says  string
	}{
		"plain":            {config: "backend = 'https://relay.example'"},
		"a token's file":   {config: "backend = 'https://relay.example'\ntoken_file = 'token'", file: "secret\n", token: "secret"},
		"no such file":     {config: "backend = 'https://relay.example'\ntoken_file = 'nowhere'", says: "token"},
		"the keychain":     {config: "backend = 'https://relay.example'\nkeychain = true", token: "kept"},
		"locked":           {config: "backend = 'https://relay.example'\nkeychain = true", locked: true, says: "unlock"},
		"no roots in file": {config: "backend = 'https://relay.example'\nca_file = 'token'", file: "no certificate", says: "PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			for file, text := range map[string]string{"config.toml": "profile = 'a'\n[profiles.a]\n" + tt.config, "token": tt.file} {
				if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			h := moveIn(t, folder, Config{})
			h.keys.tokens, h.keys.locked = map[string]string{"a": "kept"}, tt.locked
			b, err := h.backend(t.Context(), h.current())
			if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("it says %v, want something about %q", err, tt.says)
			}
			if err == nil && (b.URL == nil || b.URL.Host != "relay.example" || b.Token != tt.token || (b.TokenFile != "") != (tt.file != "" && tt.token != "")) {
				t.Errorf("the backend is %v with token %q", b.URL, b.Token)
			}
			// Whoever cannot have the one that was chosen must not get another.
			if _, openErr := h.Open(t.Context(), "3001", false); (openErr == nil) != (err == nil) {
				t.Errorf("opening a tunnel says %v", openErr)
			}
			for _, tun := range h.engine.Tunnels() {
				if tun.Spec().TokenFile != b.TokenFile {
					t.Errorf("the tunnel's token is read again in %q", tun.Spec().TokenFile)
				}
			}
		})
	}
}

func TestProfilesComeGoAndChange(t *testing.T) {
	t.Parallel()
	h := moveIn(t, t.TempDir(), Config{})
	for _, bad := range []model.Profile{
		{Name: "", Backend: "https://relay.example"}, {Name: "a", Backend: "ftp://x"}, {Name: "a", Backend: ""}, {Name: "https://x", Backend: "https://relay.example"},
	} {
		if err := h.SaveProfile(t.Context(), "", bad); err == nil {
			t.Errorf("%+v was saved", bad)
		}
	}
	if err := h.SaveProfile(t.Context(), "", model.Profile{Name: "work", Backend: "http://127.0.0.1:9", Token: "one"}); err != nil {
		t.Fatal(err)
	}
	if err := h.SaveProfile(t.Context(), "", model.Profile{Name: "work", Backend: "http://127.0.0.1:9"}); err == nil {
		t.Error("a second one of that name was saved")
	}
	if err := h.ChooseProfile(t.Context(), "work"); err != nil {
		t.Fatal(err)
	}
	if err := h.ChooseProfile(t.Context(), "nowhere"); err == nil {
		t.Error("one that is not there was chosen")
	}
	if b := h.store.Backend(); b.Profile != "work" || !b.Local || b.BuiltIn {
		t.Errorf("the backend is shown as %+v", b)
	}
	key, err := h.Open(t.Context(), "3001", true)
	if err != nil {
		t.Fatal(err)
	}
	if spec := h.engine.Tunnel(key).Spec(); spec.Token != "one" || spec.Profile != "work" {
		t.Errorf("the tunnel has token %q of profile %q", spec.Token, spec.Profile)
	}

	// Another name, another token: what is open follows, and so does what is remembered.
	if err := h.SaveProfile(t.Context(), "work", model.Profile{Name: "office", Backend: "http://127.0.0.1:9", Token: "two"}); err != nil {
		t.Fatal(err)
	}
	if spec := h.engine.Tunnel(key).Spec(); spec.Token != "two" || spec.Profile != "office" {
		t.Errorf("after the change the tunnel has token %q of profile %q", spec.Token, spec.Profile)
	}
	file := h.Config()
	if file.Profile != "office" || len(file.Tunnels) != 1 || file.Tunnels[0].Profile != "office" || len(file.Profiles) != 1 {
		t.Errorf("the file says %+v", file)
	}
	if _, old := h.keys.tokens["work"]; old || h.keys.tokens["office"] != "two" {
		t.Errorf("the keychain has %v", h.keys.tokens)
	}
	text, err := os.ReadFile(h.dir.ConfigFile())
	if err != nil || strings.Contains(string(text), "two") {
		t.Errorf("the token stands in the file (%v):\n%s", err, text)
	}
	// Saved once more under another name, without a new token: it moves.
	if err := h.SaveProfile(t.Context(), "office", model.Profile{Name: "home", Backend: "http://127.0.0.1:9"}); err != nil {
		t.Fatal(err)
	}
	if h.keys.tokens["home"] != "two" || len(h.keys.tokens) != 1 {
		t.Errorf("the keychain has %v", h.keys.tokens)
	}

	if err := h.RemoveProfile(t.Context(), "home"); err == nil {
		t.Error("a profile was removed under a tunnel")
	}
	if err := h.Remove(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := h.RemoveProfile(t.Context(), "home"); err != nil {
		t.Fatal(err)
	}
	if len(h.keys.tokens) > 0 || len(h.Profiles()) > 0 || !h.store.Backend().BuiltIn {
		t.Errorf("left are tokens %v, profiles %v, backend %+v", h.keys.tokens, h.Profiles(), h.store.Backend())
	}
}

// A locked keychain must leave everything as it was.
func TestTokenThatCannotBeKept(t *testing.T) {
	t.Parallel()
	h := moveIn(t, t.TempDir(), Config{})
	h.keys.locked = true
	if err := h.SaveProfile(t.Context(), "", model.Profile{Name: "work", Backend: "https://relay.example", Token: "one"}); err == nil || !strings.Contains(err.Error(), "unlock") {
		t.Errorf("saving says %v", err)
	}
	if p := h.Profiles(); len(p) > 0 {
		t.Errorf("profiles %q were saved without their token", p)
	}
}

// A token that was renewed while its tunnel was stopped is used when it starts.
func TestStartTakesTheNewToken(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	text := "[profiles.a]\nbackend = 'http://127.0.0.1:9'\nkeychain = true\n[[tunnels]]\ntarget = '3001'\nprofile = 'a'\n"
	if err := os.WriteFile(filepath.Join(folder, "config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h := moveIn(t, folder, Config{})
	tunnel := h.engine.Tunnels()[0]
	if got := tunnel.Spec().Token; got != "" {
		t.Errorf("before its start the keychain was asked: %q", got)
	}
	if err := h.Start(t.Context(), tunnel.Key()); err == nil {
		t.Error("it started without its token")
	}
	h.keys.tokens = map[string]string{"a": "new"}
	if err := h.Start(t.Context(), tunnel.Key()); err != nil {
		t.Fatal(err)
	}
	if got := tunnel.Spec().Token; got != "new" {
		t.Errorf("it started with %q", got)
	}
}

func TestChecksUseTheKeptToken(t *testing.T) {
	t.Parallel()
	h := moveIn(t, t.TempDir(), Config{})
	if err := h.SaveProfile(t.Context(), "", model.Profile{Name: "a", Backend: "http://127.0.0.1:9", Token: "one"}); err != nil {
		t.Fatal(err)
	}
	var ids []doctor.ID
	err := h.TestProfile(t.Context(), "a", model.Profile{Name: "a", Backend: "http://127.0.0.1:9"}, func(c doctor.Check) {
		if c.State != doctor.Running {
			ids = append(ids, c.ID)
		}
	})
	if err != nil || !slices.Contains(ids, doctor.Handshake) {
		t.Errorf("checked %v (%v)", ids, err)
	}
	if err := h.TestProfile(t.Context(), "", model.Profile{Name: "a", Backend: "no url"}, func(doctor.Check) {}); err == nil {
		t.Error("nonsense was checked")
	}
	h.keys.locked = true
	if err := h.TestProfile(t.Context(), "a", model.Profile{Name: "a", Backend: "http://127.0.0.1:9"}, func(doctor.Check) {}); err == nil {
		t.Error("it was checked without its token")
	}
}

func TestEditIsInForce(t *testing.T) {
	t.Parallel()
	h := moveIn(t, t.TempDir(), Config{})
	err := h.Edit(t.Context(), func(c *config.Config) {
		c.History.Enabled = false
		c.Defaults.HostHeader = "public"
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.past.opened(t.Context()); err == nil {
		t.Error("the history is still on")
	}
	key, err := h.Open(t.Context(), "3001", false)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.engine.Tunnel(key).Spec().HostHeader; got != "public" {
		t.Errorf("a new tunnel has host header %q", got)
	}
	if err := h.Edit(t.Context(), func(c *config.Config) { c.History.Enabled = true }); err != nil {
		t.Fatal(err)
	}
	if _, err := h.past.opened(t.Context()); err != nil {
		t.Errorf("the history is off: %v", err)
	}
}
