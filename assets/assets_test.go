package assets

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// Whatever names or shows the program outside of itself must say the same.
func TestPackagingAgrees(t *testing.T) {
	t.Parallel()
	var app struct {
		Details     struct{ Name, ID, Icon string }
		LinuxAndBSD struct {
			GenericName, Comment string
			Categories, Keywords []string
		}
	}
	if _, err := toml.DecodeFile("../FyneApp.toml", &app); err != nil {
		t.Fatal(err)
	}
	id := app.Details.ID
	entry := desktopEntry(t, filepath.Join("linux", id+".desktop"))
	for key, want := range map[string]string{
		"Name":        app.Details.Name,
		"GenericName": app.LinuxAndBSD.GenericName,
		"Comment":     app.LinuxAndBSD.Comment,
		"Categories":  strings.Join(app.LinuxAndBSD.Categories, ";") + ";",
		"Keywords":    strings.Join(app.LinuxAndBSD.Keywords, ";") + ";",
		"Icon":        id,
		// By X11's class, which Fyne takes from the window's title; Wayland goes by the ID.
		"StartupWMClass": app.Details.Name,
		"Exec":           "culvert-desktop",
	} {
		if entry[key] != want {
			t.Errorf("%s of the desktop entry is %q, want %q", key, entry[key], want)
		}
	}
	var meta struct {
		ID         string `xml:"id"`
		Name       string `xml:"name"`
		Summary    string `xml:"summary"`
		Launchable string `xml:"launchable"`
		Categories struct {
			List []string `xml:"category"`
		} `xml:"categories"`
	}
	text, err := os.ReadFile(filepath.Join("linux", id+".metainfo.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(text, &meta); err != nil {
		t.Fatal(err)
	}
	if meta.ID != id || meta.Name != app.Details.Name || meta.Summary != app.LinuxAndBSD.Comment || meta.Launchable != id+".desktop" ||
		strings.Join(meta.Categories.List, ";") != strings.Join(app.LinuxAndBSD.Categories, ";") {
		t.Errorf("the AppStream metadata differ from FyneApp.toml: %+v", meta)
	}
}

func desktopEntry(t *testing.T, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	entry := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok {
			entry[key] = value
		}
	}
	return entry
}

// Every picture has its source and the size that its name or its user promises.
func TestIcons(t *testing.T) {
	t.Parallel()
	sizes := map[string]int{"app.png": 256}
	for _, size := range []int{16, 22, 24, 32, 48, 64, 128, 512} {
		sizes[fmt.Sprintf("app-%d.png", size)] = size
	}
	trays, err := filepath.Glob("icons/tray-*.svg")
	if err != nil || len(trays) != 7 {
		t.Fatalf("there are %d tray icons (%v), want 7", len(trays), err)
	}
	for _, source := range trays {
		sizes[strings.TrimSuffix(filepath.Base(source), ".svg")+".png"] = 64
	}
	for name, want := range sizes {
		text, err := os.ReadFile(filepath.Join("icons", name))
		if err != nil {
			t.Error(err)
			continue
		}
		if c, err := png.DecodeConfig(bytes.NewReader(text)); err != nil || c.Width != want || c.Height != want {
			t.Errorf("%s is %d × %d (%v), want %d × %d", name, c.Width, c.Height, err, want, want)
		}
	}
}
