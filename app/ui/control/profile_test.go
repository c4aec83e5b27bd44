package control

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/app/ui/model"

	"github.com/google/go-cmp/cmp"
)

// The keychain has the tokens that profiles name, and no others.
func TestTokensDoNotStayBehind(t *testing.T) {
	t.Parallel()
	const backend = "http://127.0.0.1:9"
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("in a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	type tokens = map[string]string
	for name, tt := range map[string]struct {
		old  string
		save model.Profile
		kept tokens
	}{
		"as it was":              {"work", model.Profile{Name: "work"}, tokens{"work": "one"}},
		"another token":          {"work", model.Profile{Name: "work", Token: "two"}, tokens{"work": "two"}},
		"a file instead":         {"work", model.Profile{Name: "work", TokenFile: file}, tokens{}},
		"a file, another name":   {"work", model.Profile{Name: "home", TokenFile: file}, tokens{}},
		"removed":                {"work", model.Profile{Name: "work", RemoveToken: true}, tokens{}},
		"removed, another name":  {"work", model.Profile{Name: "home", RemoveToken: true}, tokens{}},
		"another name":           {"work", model.Profile{Name: "home"}, tokens{"home": "one"}},
		"another name and token": {"work", model.Profile{Name: "home", Token: "two"}, tokens{"home": "two"}},
		"one more":               {"", model.Profile{Name: "home", Token: "two"}, tokens{"work": "one", "home": "two"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := moveIn(t, t.TempDir(), Config{})
			if err := h.SaveProfile(t.Context(), "", model.Profile{Name: "work", Backend: backend, Token: "one"}); err != nil {
				t.Fatal(err)
			}
			tt.save.Backend = backend
			text, err := os.ReadFile(h.dir.ConfigFile())
			if err != nil {
				t.Fatal(err)
			}

			// While the file cannot be written, nothing changes.
			if err := os.WriteFile(h.dir.ConfigFile(), []byte("no [toml"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := h.SaveProfile(t.Context(), tt.old, tt.save); err == nil {
				t.Error("it was saved into a broken file")
			}
			if diff := cmp.Diff(tokens{"work": "one"}, h.keys.tokens); diff != "" {
				t.Errorf("after a change that failed the keychain is another:\n%s", diff)
			}
			if err := os.WriteFile(h.dir.ConfigFile(), text, 0o600); err != nil {
				t.Fatal(err)
			}

			if err := h.SaveProfile(t.Context(), tt.old, tt.save); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.kept, h.keys.tokens); diff != "" {
				t.Errorf("the keychain has other tokens:\n%s", diff)
			}
			for _, name := range h.Profiles() {
				if err := h.RemoveProfile(t.Context(), name); err != nil {
					t.Error(err)
				}
			}
			if len(h.keys.tokens) > 0 {
				t.Errorf("without profiles the keychain has %v", h.keys.tokens)
			}
		})
	}
}

// A token that an earlier version has left leaves with its profile.
func TestRemovingTakesEveryToken(t *testing.T) {
	t.Parallel()
	h := moveIn(t, t.TempDir(), Config{})
	if err := h.SaveProfile(t.Context(), "", model.Profile{Name: "work", Backend: "http://127.0.0.1:9"}); err != nil {
		t.Fatal(err)
	}
	h.keys.tokens = map[string]string{"work": "left"}
	if err := h.RemoveProfile(t.Context(), "work"); err != nil || len(h.keys.tokens) > 0 {
		t.Errorf("left are %v (%v)", h.keys.tokens, err)
	}
}

// A file without an end is no certificate, and no reason to run out of memory.
func TestRootsAreBounded(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 64<<20); err != nil {
		t.Fatal(err)
	}
	h := moveIn(t, t.TempDir(), Config{})
	err := h.SaveProfile(t.Context(), "", model.Profile{Name: "work", Backend: "https://relay.example", CAFile: file})
	if err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a file of 64 MB says %v", err)
	}
}
