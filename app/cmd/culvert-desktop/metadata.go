package main

import (
	"culvert/app/version"
	"culvert/assets"

	"fyne.io/fyne/v2"
)

// uiCheckVariable makes Fyne report calls from wrong goroutines, for tests.
const uiCheckVariable = "CULVERT_UI_CHECK"

// What the desktop knows the program by, see assets/linux.
const (
	desktopEntry = "app.culvert.desktop"
	iconName     = "app.culvert.desktop"
)

// metadata says what FyneApp.toml says, for programs built without Fyne's packager.
// With uiCheck it leaves out that the program follows Fyne's threading rules: Fyne
// checks them only in programs that do not claim to.
func metadata(uiCheck bool) fyne.AppMetadata {
	m := fyne.AppMetadata{
		ID:      "app.culvert.desktop",
		Name:    "Culvert",
		Version: version.Number,
		Build:   1,
		Icon:    fyne.NewStaticResource("app.png", assets.Icon),
	}
	if !uiCheck {
		m.Migrations = map[string]bool{"fyneDo": true}
	}
	return m
}
