package target

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestParseFolder cannot run beside others: it changes the current and the home folder.
func TestParseFolder(t *testing.T) {
	home, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home) // Windows
	site := filepath.Join(home, "my site")
	inner := filepath.Join(site, "dist")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(site, "file.txt")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(site)
	if runtime.GOOS != "windows" {
		spaced := filepath.Join(home, "ends in a space ")
		if err := os.Mkdir(spaced, 0o755); err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(spaced); err != nil || got.Folder != spaced {
			t.Errorf("%q: %v, %v", spaced, got, err)
		}
	}
	separator := string(filepath.Separator)
	for in, want := range map[string]struct{ folder, short string }{
		".": {site, "~" + separator + "my site"}, "./": {site, "~" + separator + "my site"}, " ./dist/ ": {inner, "~" + separator + filepath.Join("my site", "dist")},
		"..": {home, "~"}, "../my site": {site, "~" + separator + "my site"}, "~": {home, "~"}, "~/my site/dist": {inner, "~" + separator + filepath.Join("my site", "dist")},
		site: {site, "~" + separator + "my site"}, "./dist/..": {site, "~" + separator + "my site"}, filepath.Dir(home): {filepath.Dir(home), filepath.Dir(home)},
	} {
		got, err := Parse(in)
		if err != nil {
			t.Errorf("Parse(%q): %v", in, err)
			continue
		}
		if !got.IsFolder() || got.Folder != want.folder || got.String() != want.folder || got.Short() != want.short {
			t.Errorf("Parse(%q) = %#v, %s, short %s", in, got, got, got.Short())
		}
		if got.Scheme != "http" || got.Address() != "" || got.HostHeader() != "localhost" || !got.IsLoopback() || got.IsLocalhost() || got.URL().String() != "http://localhost" {
			t.Errorf("%s is at %q, %q, %v, %s", got, got.Address(), got.HostHeader(), got.IsLoopback(), got.URL())
		}
		text, _ := got.MarshalText()
		var again Target
		if err := again.UnmarshalText(text); err != nil || again != got {
			t.Errorf("%q read again: %#v, %v", text, again, err)
		}
	}
	refused := map[string]string{
		"./none": "there is no folder " + filepath.Join(site, "none"), file: "is no folder: name the folder that it is in, " + site,
		"~someone": "write the whole path", "./a\x07b": "cannot be shown", "./a\xffb": "cannot be shown",
		"./" + strings.Repeat("a", maxPath): "longer than 4096", "./" + strings.Repeat("a", 300): "the folder",
		"dist": "no port", "file:///tmp": "write its path", "site/dist": "write http://",
	}
	if runtime.GOOS != "windows" {
		refused[`C:\site`], refused[`.\site`], refused[`~\site`] = "path of Windows", "write / in place of", "write / in place of"
	}
	for in, says := range refused {
		if got, err := Parse(in); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("Parse(%.60q) = %v, %v; does not say %q", in, got, err, says)
		}
	}
}

func TestRemembered(t *testing.T) {
	t.Parallel()
	gone := filepath.Join(t.TempDir(), "gone")
	if got, err := Remembered(gone); err != nil || got.Folder != gone {
		t.Errorf("a folder that is away: %v, %v", got, err)
	}
	if got, err := Remembered("http://localhost:3000"); err != nil || got.Port != 3000 {
		t.Errorf("a service: %v, %v", got, err)
	}
	if _, err := Remembered("nonsense"); !errors.Is(err, ErrInvalid) {
		t.Errorf("nonsense: %v", err)
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"3000": "localhost:3000", "80": "localhost", "https://localhost:8443": "https://localhost:8443", "[::1]:9": "[::1]:9",
	} {
		if got, err := Parse(in); err != nil || got.Short() != want {
			t.Errorf("%s: %q, %v", in, got.Short(), err)
		}
	}
}
