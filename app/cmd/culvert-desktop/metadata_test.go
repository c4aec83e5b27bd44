package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

// Fyne's packager reads FyneApp.toml, a plain build has metadata.go: they must not
// drift apart.
func TestMetadataAgrees(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "..")
	var file struct {
		Details struct {
			Icon, Name, ID, Version string
			Build                   int
		}
		LinuxAndBSD map[string]any
		Migrations  map[string]bool
	}
	if _, err := toml.DecodeFile(filepath.Join(root, "FyneApp.toml"), &file); err != nil {
		t.Fatal(err)
	}
	m := metadata(false)
	type details struct {
		Name, ID, Version string
		Build             int
		Migrations        map[string]bool
	}
	inFile := details{file.Details.Name, file.Details.ID, file.Details.Version, file.Details.Build, file.Migrations}
	inMain := details{m.Name, m.ID, m.Version, m.Build, m.Migrations}
	if diff := cmp.Diff(inFile, inMain); diff != "" {
		t.Errorf("metadata.go differs from FyneApp.toml (-file +main):\n%s", diff)
	}
	icon, err := os.ReadFile(filepath.Join(root, file.Details.Icon))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(icon, m.Icon.Content()) {
		t.Errorf("%s is not the icon that the program carries", file.Details.Icon)
	}
}

func TestUICheckLeavesTheMigrationOut(t *testing.T) {
	t.Parallel()
	if _, declared := metadata(true).Migrations["fyneDo"]; declared {
		t.Error("Fyne would not check the goroutines of calls")
	}
	if !metadata(false).Migrations["fyneDo"] {
		t.Error("Fyne would complain in releases")
	}
}
