package ui

import (
	"image/color"

	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
)

// dressed is the program's theme: "light", "dark", or as the desktop has it.
func dressed(name string) fyne.Theme {
	switch name {
	case "light":
		return fixed{variant: theme.VariantLight}
	case "dark":
		return fixed{variant: theme.VariantDark}
	default:
		return look.Theme{}
	}
}

// fixed is the theme in one variant, whatever the desktop's is.
type fixed struct {
	look.Theme
	variant fyne.ThemeVariant
}

// Color implements fyne.Theme.
func (f fixed) Color(name fyne.ThemeColorName, _ fyne.ThemeVariant) color.Color {
	return f.Theme.Color(name, f.variant)
}
