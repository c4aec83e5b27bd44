package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"culvert/app/config"
	"culvert/app/target"
)

// TestTokenGoesWhereItBelongs has a token in every place.
func TestTokenGoesWhereItBelongs(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeMode := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write := func(name, text string) string { return writeMode(name, text, 0o600) }
	write("config.toml", "profile = \"home\"\n[profiles.home]\nbackend = \"https://home.example.com\"\ntoken_file = \"home.token\"\n")
	write("home.token", "home\n")
	slip := t.TempDir()
	if err := os.WriteFile(filepath.Join(slip, "config.toml"), []byte("profil = \"home\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	misspelt, err := config.Open(slip)
	if err != nil {
		t.Fatal(err)
	}
	file := write("file.token", " file\n")
	public := writeMode("public.token", "file\n", 0o644)
	warnings := 1
	if runtime.GOOS == "windows" {
		warnings = 0
	}
	dir, err := config.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := config.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	vault := t.TempDir()
	for name, text := range map[string]string{
		"config.toml": "profile = \"vault\"\n[profiles.vault]\nbackend = \"https://home.example.com\"\nkeychain = true\n", "tokens/vault": "kept\n",
	} {
		path := filepath.Join(vault, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := config.Open(vault)
	if err != nil {
		t.Fatal(err)
	}
	const other = "https://other.example.com"
	for name, c := range map[string]struct {
		dir            *config.Dir
		cmd            httpCmd
		env            string
		backend, token string
		notices        int
	}{
		"profile":                {dir, httpCmd{}, "", "https://home.example.com", "home", 0},
		"profile, other token":   {dir, httpCmd{backendFlags: backendFlags{Token: "flag"}}, "env", "https://home.example.com", "flag", 0},
		"profile, environment":   {dir, httpCmd{}, "env", "https://home.example.com", "env", 0},
		"profile, token file":    {dir, httpCmd{backendFlags: backendFlags{TokenFile: filePath(file)}}, "env", "https://home.example.com", "file", 0},
		"readable token file":    {dir, httpCmd{backendFlags: backendFlags{TokenFile: filePath(public)}}, "", "https://home.example.com", "file", warnings},
		"kept token":             {kept, httpCmd{}, "", "https://home.example.com", "kept", 0},
		"kept, environment":      {kept, httpCmd{}, "env", "https://home.example.com", "env", 0},
		"kept, another backend":  {kept, httpCmd{backendFlags: backendFlags{Backend: other}}, "", other, "", 0},
		"another backend":        {dir, httpCmd{backendFlags: backendFlags{Backend: other}}, "", other, "", 0},
		"another, environment":   {dir, httpCmd{backendFlags: backendFlags{Backend: other}}, "env", other, "env", 0},
		"a key misspelt":         {misspelt, httpCmd{backendFlags: backendFlags{Backend: other}}, "", other, "", 1},
		"no profile":             {empty, httpCmd{}, "", "", "", 1},
		"no profile, but token":  {empty, httpCmd{}, "env", "", "env", 2},
		"a folder":               {empty, httpCmd{backendFlags: backendFlags{Backend: other}, Target: target.Target{Scheme: "http", Folder: folder}}, "", other, "", 0},
		"everything":             {empty, httpCmd{backendFlags: backendFlags{Backend: other}, Target: target.Target{Scheme: "http", Folder: filepath.VolumeName(folder) + string(filepath.Separator)}}, "", other, "", 1},
		"gateway":                {empty, httpCmd{backendFlags: backendFlags{Backend: "wss://a/b"}}, "", "wss://a/b", "", 0},
		"gateway, long timeout":  {empty, httpCmd{backendFlags: backendFlags{Backend: "wss://a/b"}, Timeout: timeout(90 * time.Second)}, "", "wss://a/b", "", 1},
		"gateway, short timeout": {empty, httpCmd{backendFlags: backendFlags{Backend: "wss://a/b"}, Timeout: timeout(9 * time.Second)}, "", "wss://a/b", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := c.cmd
			cmd.HostHeader = "local"
			if cmd.Target == (target.Target{}) {
				cmd.Target = target.Target{Scheme: "http", Host: "localhost", Port: 3000}
			}
			if cmd.Timeout == 0 {
				cmd.Timeout = timeout(time.Minute)
			}
			spec, notices, err := cmd.spec(c.dir, c.env)
			if err != nil {
				t.Fatal(err)
			}
			backend := ""
			if spec.Backend != nil {
				backend = spec.Backend.String()
			}
			if backend != c.backend || spec.Token != c.token || len(notices) != c.notices {
				t.Errorf("backend %q, token %q, notices %q", backend, spec.Token, notices)
			}
			// What was in a file is read there again, and nothing else is.
			reads, err := os.ReadFile(spec.TokenFile)
			inFile := c.token == "file" || c.token == "home"
			if inFile != (spec.TokenFile != "") || inFile && (err != nil || strings.TrimSpace(string(reads)) != c.token) {
				t.Errorf("the token is read again in %q: %v", spec.TokenFile, err)
			}
		})
	}
}
