package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/app/config"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Setenv("CULVERT_CONFIG_DIR", "/from/env")
	if _, err := parse([]string{"--open", "3000,4000"}); !errors.As(err, new(usageError)) {
		t.Errorf("two targets in one flag: %v, want a usage error", err)
	}
	got, err := parse([]string{"--open", "3000", "--minimized", "--open", "localhost:8080", "--backend=https://relay.example"})
	if err != nil {
		t.Fatal(err)
	}
	want := &flags{Open: []string{"3000", "localhost:8080"}, Backend: "https://relay.example", Minimized: true, Config: "/from/env"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
	if got, err = parse([]string{"--config", "/flag"}); err != nil || got.Config != "/flag" {
		t.Errorf("--config against the environment: %+v, %v", got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--nope"}, {"3000"}, {"--open"}, {"--open", "0"}, {"--open", "65536"}, {"--open", "gopher://x"},
		{"--backend", "relay.example"}, {"--backend", "ftp://relay.example"}, {"--backend", "http://"}, {"--backend", ":"}} {
		if _, err := parse(args); !errors.As(err, new(usageError)) {
			t.Errorf("%q: %v, want a usage error", args, err)
		}
	}
}

func TestChooseBackend(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		config, token string
		url, notice   string
	}{
		"nothing":   {},
		"a profile": {config: "profile = 'a'\n[profiles.a]\nbackend = 'https://relay.example'\ntoken_file = 'token'", token: "secret\n", url: "https://relay.example"},
		"no token":  {config: "profile = 'a'\n[profiles.a]\nbackend = 'https://relay.example'\ntoken_file = 'nowhere'", notice: "token"},
		"broken":    {config: "profile = \n", notice: "config.toml:1"},
		"no roots":  {config: "profile = 'a'\n[profiles.a]\nbackend = 'https://relay.example'\nca_file = 'token'", token: "no certificate", notice: "PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := config.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{"config.toml": tt.config, "token": tt.token} {
				if err := os.WriteFile(filepath.Join(dir.Path(), file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			b, notice := chooseBackend(dir, nil)
			url := ""
			if b.URL != nil {
				url = b.URL.String()
			}
			if url != tt.url || (notice == "") != (tt.notice == "") || !strings.Contains(notice, tt.notice) {
				t.Errorf("backend %q, notice %q; want %q and a notice about %q", url, notice, tt.url, tt.notice)
			}
			if tt.url != "" && b.Token != strings.TrimSpace(tt.token) {
				t.Errorf("the token is %q", b.Token)
			}
		})
	}
}
