// Package look is Culvert's visual language on top of Fyne: one palette in two
// variants, one type scale, a 4 px grid, and the few small widgets that every
// part of the window is built from.
package look

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
)

// Names of the colours that Fyne's own set does not have.
const (
	ColorCard      fyne.ThemeColorName = "culvert.card"
	ColorPanel     fyne.ThemeColorName = "culvert.panel"
	ColorLine      fyne.ThemeColorName = "culvert.line"
	ColorMuted     fyne.ThemeColorName = "culvert.muted"
	ColorAccent    fyne.ThemeColorName = "culvert.accent"
	ColorFill      fyne.ThemeColorName = "culvert.fill"
	ColorFillHover fyne.ThemeColorName = "culvert.fill.hover"
	ColorOK        fyne.ThemeColorName = "culvert.ok"
	ColorWarn      fyne.ThemeColorName = "culvert.warn"
	ColorBad       fyne.ThemeColorName = "culvert.bad"
	ColorInfo      fyne.ThemeColorName = "culvert.info"
	ColorSelected  fyne.ThemeColorName = "culvert.selected"
	// ColorFaint is for what cannot be used now: it need not be readable.
	ColorFaint fyne.ThemeColorName = "culvert.faint"
	// ColorRaised is the surface of menus, sheets and tooltips.
	ColorRaised fyne.ThemeColorName = "culvert.raised"
	// ColorShadow is what raised surfaces throw.
	ColorShadow fyne.ThemeColorName = "culvert.shadow"
	// ColorScrim dims the window beneath a sheet.
	ColorScrim  fyne.ThemeColorName = "culvert.scrim"
	ColorText                       = theme.ColorNameForeground
	ColorOnFill                     = theme.ColorNameForegroundOnPrimary
	ColorBase                       = theme.ColorNameBackground
)

// The type scale, in Fyne's device-independent pixels.
const (
	TextSmall float32 = 12
	TextBody  float32 = 13
	TextTitle float32 = 14
)

// The grid: every distance is a multiple of 4.
const (
	Gap    float32 = 8
	Inset  float32 = 12
	Radius float32 = 6
)

// Mode says whether the theme is light or dark.
type Mode int

// The modes.
const (
	System Mode = iota // as the system is, or FYNE_THEME where that is set
	Dark
	Light
)

// Theme is Culvert's theme.
type Theme struct{ Mode Mode }

var _ fyne.Theme = Theme{}

// Color returns the palette's colour of that name.
func (t Theme) Color(name fyne.ThemeColorName, variant fyne.ThemeVariant) color.Color {
	switch t.Mode {
	case Dark:
		variant = theme.VariantDark
	case Light:
		variant = theme.VariantLight
	}
	p := &dark
	if variant == theme.VariantLight {
		p = &light
	}
	if c, ok := p.color(name); ok {
		return c
	}
	return theme.DefaultTheme().Color(name, variant)
}

// Font returns Fyne's bundled fonts, which cover Latin, and fall back to the system's.
func (Theme) Font(style fyne.TextStyle) fyne.Resource { return theme.DefaultTheme().Font(style) }

// Icon returns Fyne's icons.
func (Theme) Icon(name fyne.ThemeIconName) fyne.Resource { return theme.DefaultTheme().Icon(name) }

// Size returns the dense measures that the grid asks for.
func (Theme) Size(name fyne.ThemeSizeName) float32 {
	switch name {
	case theme.SizeNameText:
		return TextBody
	case theme.SizeNameCaptionText:
		return TextSmall
	case theme.SizeNameSubHeadingText:
		return TextTitle
	case theme.SizeNamePadding:
		return 4
	case theme.SizeNameInnerPadding:
		return 6
	case theme.SizeNameInputRadius, theme.SizeNameButtonRadius:
		return Radius
	case theme.SizeNamePopupRadius, theme.SizeNameDialogRadius, theme.SizeNameMenuRadius:
		return 10
	case theme.SizeNameInputBorder:
		return 0 // fields draw their own box
	case theme.SizeNameScrollBar:
		return 10
	case theme.SizeNameScrollBarSmall:
		return 4
	case theme.SizeNameModalBlurRadius:
		return 0
	default:
		return theme.DefaultTheme().Size(name)
	}
}

// Color resolves a colour name in the running application's theme and variant.
func Color(name fyne.ThemeColorName) color.Color { return theme.Color(name) }
