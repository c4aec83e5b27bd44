package config

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func open(t *testing.T) *Dir {
	t.Helper()
	d, err := Open(filepath.Join(t.TempDir(), "deep", "culvert"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	d := open(t)
	if c, err := d.Load(); err != nil || c.Profile != "" || len(c.Profiles) != 0 {
		t.Fatalf("without a file: %+v, %v", c, err)
	}
	write(t, d.ConfigFile(), `
profile = "work"
colour = "a key of a later version"

[profiles.work]
backend = "https://tunnel.example.com"
token_file = "work.token"
ca_file = "/etc/ca.pem"

[profiles.aws]
backend = "wss://abc.execute-api.eu-west-1.amazonaws.com/prod"
throttle = 3
`)
	c, err := d.Load()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"colour", "profiles.aws.throttle"}; !slices.Equal(c.Unknown, want) {
		t.Errorf("unknown keys %q, want %q", c.Unknown, want)
	}
	work, aws := c.Profiles["work"], c.Profiles["aws"]
	if c.Profile != "work" || work.Backend.String() != "https://tunnel.example.com" || aws.Backend.Path != "/prod" {
		t.Errorf("got %+v", c)
	}
	if want := filepath.Join(d.Path(), "work.token"); work.TokenFile != want || work.CAFile != "/etc/ca.pem" || aws.TokenFile != "" {
		t.Errorf("token file %q, want %q; %+v, %+v", work.TokenFile, want, work, aws)
	}
}

func TestLoadBroken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		line int
		says string
	}{
		"syntax":              {"# mine\n\nthis is [not TOML\n", 3, ""},
		"unfinished string":   {"profile = \"work\n", 1, ""},
		"wrong type":          {"\nprofile = 3\n", 2, "string"},
		"backend no URL":      {"[profiles.a]\nbackend = \"tunnel.example.com\"\n", 2, "https://"},
		"backend scheme":      {"[profiles.a]\n\nbackend = \"ftp://tunnel.example.com\"\n", 3, "https://"},
		"no backend":          {"\n[profiles.a]\ntoken_file = \"x\"\n", 2, `"a"`},
		"profile is not here": {"profile = \"b\"\n[profiles.a]\nbackend = \"http://a\"\n", 1, "profiles.b"},
		"history too large":   {"[history]\n\nmax_mb = 1048577\n", 3, "1048576 or less"},
		"history too small":   {"[history]\nmax_mb = 0\n", 2, "1 or more"},
		"history too old":     {"[history]\nmax_days = 1000000\n", 2, "3653 or less"},
		"days beyond numbers": {"[history]\nmax_days = 9223372036854775807\n", 2, "3653 or less"},
		"given twice":         {"profile = \"a\"\nprofile = \"b\"\n", 2, "profile"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			write(t, d.ConfigFile(), c.text)
			_, err := d.Load()
			var about *FileError
			if !errors.As(err, &about) || about.Path != d.ConfigFile() || about.Line != c.line {
				t.Fatalf("error %v, want one about line %d", err, c.line)
			}
			if !strings.Contains(about.Problem, c.says) || about.Problem == "" || strings.Contains(about.Problem, "toml:") {
				t.Errorf("problem %q does not mention %q", about.Problem, c.says)
			}
			if left, err := os.ReadFile(d.ConfigFile()); err != nil || string(left) != c.text {
				t.Errorf("the file was touched: %q, %v", left, err)
			}
		})
	}
}

func TestDirIsPrivate(t *testing.T) {
	t.Parallel()
	d := open(t)
	info, err := os.Stat(d.Path())
	if err != nil {
		t.Fatal(err)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 && os.PathSeparator == '/' {
		t.Errorf("the folder has mode %v", perm)
	}
}

func TestReadToken(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	if _, err := ReadToken(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is not there: %v", err)
	}
	for text, want := range map[string]string{"abc": "abc", " abc\r\n": "abc", "": "", " \n": "", "abc\ndef\n": ""} {
		write(t, path, text)
		got, err := ReadToken(path)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
		if err != nil && (!strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "abc")) {
			t.Errorf("%q: error %q must name the file and keep the secret", text, err)
		}
	}
}

func TestReadRoots(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if _, err := ReadRoots(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is not there: %v", err)
	}
	write(t, path, "no certificate\n")
	if _, err := ReadRoots(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file without certificates: %v", err)
	}
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	write(t, path, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	roots, err := ReadRoots(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Certificate().Verify(x509.VerifyOptions{Roots: roots}); err != nil {
		t.Error(err)
	}
}

func TestFilesAreBounded(t *testing.T) {
	t.Parallel()
	d := open(t)
	write(t, d.ConfigFile(), strings.Repeat("# much\n", maxFile/7+1))
	var about *FileError
	if _, err := d.Load(); !errors.As(err, &about) || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("error %v", err)
	}
}
