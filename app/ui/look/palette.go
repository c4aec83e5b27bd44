package look

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
)

// palette is one variant of the theme. Every text colour keeps 4.5:1 on the
// surfaces that it stands on (https://www.w3.org/TR/WCAG22/#contrast-minimum);
// fill is a deeper accent than the one used for lines and links, because white
// text has to be readable on it.
type palette struct {
	base, panel, card, line color.NRGBA
	text, muted             color.NRGBA
	accent, fill, fillHover color.NRGBA
	ok, warn, bad, info     color.NRGBA
	selected, shadow        color.NRGBA
	faint, raised, scrim    color.NRGBA
	hover, pressed          color.NRGBA
}

var white = rgb(0xffffff)

var dark = palette{
	base: rgb(0x16181d), panel: rgb(0x1c1f26), card: rgb(0x232730), line: rgb(0x3a414e),
	text: rgb(0xe6e8ec), muted: rgb(0x98a0ae),
	accent: rgb(0x4c9aff), fill: rgb(0x2b6cdb), fillHover: rgb(0x2663cc),
	ok: rgb(0x3fb67f), warn: rgb(0xe0a63a), bad: rgb(0xee7770), info: rgb(0x6ea8fe),
	selected: rgb(0x26324a), shadow: color.NRGBA{A: 0x90},
	faint: rgb(0x5b6372), raised: rgb(0x2a2f3a), scrim: color.NRGBA{A: 0xa0},
	hover: color.NRGBA{R: 0xff, G: 0xff, B: 0xff, A: 0x10}, pressed: color.NRGBA{R: 0xff, G: 0xff, B: 0xff, A: 0x20},
}

var light = palette{
	base: rgb(0xf6f7f9), panel: rgb(0xffffff), card: rgb(0xffffff), line: rgb(0xd5dae2),
	text: rgb(0x1b1f27), muted: rgb(0x5d6675),
	accent: rgb(0x1f6fe0), fill: rgb(0x1f6fe0), fillHover: rgb(0x1a60c6),
	ok: rgb(0x177a4c), warn: rgb(0x8f5d00), bad: rgb(0xc4352e), info: rgb(0x1b62c8),
	selected: rgb(0xe3edfc), shadow: color.NRGBA{A: 0x40},
	faint: rgb(0xa5adba), raised: rgb(0xffffff), scrim: color.NRGBA{R: 0x1b, G: 0x1f, B: 0x27, A: 0x70},
	hover: color.NRGBA{A: 0x0c}, pressed: color.NRGBA{A: 0x18},
}

// color maps Culvert's and Fyne's names onto the palette.
func (p *palette) color(name fyne.ThemeColorName) (color.Color, bool) {
	switch name {
	case theme.ColorNameBackground:
		return p.base, true
	case ColorPanel, theme.ColorNameHeaderBackground:
		return p.panel, true
	case ColorCard, theme.ColorNameOverlayBackground, theme.ColorNameMenuBackground:
		return p.card, true
	case ColorLine, theme.ColorNameSeparator, theme.ColorNameInputBorder:
		return p.line, true
	case theme.ColorNameForeground:
		return p.text, true
	case ColorMuted, theme.ColorNamePlaceHolder, theme.ColorNameDisabled:
		return p.muted, true
	case ColorAccent, theme.ColorNamePrimary, theme.ColorNameHyperlink:
		return p.accent, true
	case ColorFill:
		return p.fill, true
	case ColorFillHover:
		return p.fillHover, true
	case ColorOnFill:
		return white, true
	case ColorOK, theme.ColorNameSuccess:
		return p.ok, true
	case ColorWarn, theme.ColorNameWarning:
		return p.warn, true
	case ColorBad, theme.ColorNameError:
		return p.bad, true
	case ColorInfo:
		return p.info, true
	case ColorSelected, theme.ColorNameSelection:
		return p.selected, true
	case ColorFaint:
		return p.faint, true
	case ColorRaised:
		return p.raised, true
	case ColorScrim:
		return p.scrim, true
	case theme.ColorNameInputBackground:
		return color.Transparent, true // fields draw their own box
	case theme.ColorNameScrollBar:
		return p.line, true
	case theme.ColorNameScrollBarBackground:
		return color.Transparent, true
	case theme.ColorNameHover, theme.ColorNameFocus:
		return p.hover, true
	case theme.ColorNamePressed:
		return p.pressed, true
	case theme.ColorNameShadow:
		return color.Transparent, true // scrolls draw it over their first and last line
	case ColorShadow:
		return p.shadow, true
	default:
		return nil, false
	}
}

func rgb(v uint32) color.NRGBA {
	return color.NRGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 0xff}
}
