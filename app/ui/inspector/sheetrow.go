package inspector

import (
	"image/color"

	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
)

// row is one line on the screen.
type row struct {
	back  *canvas.Rectangle
	texts []*canvas.Text
	ends  []float32 // of the spans, from the left
	line  line
	index int
}

var (
	_ fyne.Tappable      = (*sheet)(nil)
	_ fyne.Draggable     = (*sheet)(nil)
	_ fyne.Focusable     = (*sheet)(nil)
	_ fyne.Shortcutable  = (*sheet)(nil)
	_ desktop.Hoverable  = (*sheet)(nil)
	_ desktop.Cursorable = (*sheet)(nil)
	_ desktop.Mouseable  = (*sheet)(nil)
)

// show fills the row, and reports whether it got more objects.
func (r *row) show(index int, l line, y, width, char float32) (grown bool) {
	r.index, r.line = index, l
	r.back.FillColor = backColor(l.back)
	r.back.Move(fyne.NewPos(0, y))
	r.back.Resize(fyne.NewSize(width, lineHeight))
	r.back.Refresh()
	for len(r.texts) < len(l.spans) {
		r.texts = append(r.texts, &canvas.Text{TextSize: look.TextSmall, TextStyle: mono})
		grown = true
	}
	x := look.Inset
	r.ends = r.ends[:0]
	for i, t := range r.texts {
		if i >= len(l.spans) {
			if t.Text != "" {
				t.Text = ""
				t.Hide()
				t.Refresh()
			}
			continue
		}
		s := l.spans[i]
		text, tint := look.Clean(s.text), look.Color(orText(s.color))
		w := widthOf(text, char, s.bold)
		if t.Text != text || t.Color != tint || t.TextStyle.Bold != s.bold {
			t.Text, t.Color, t.TextStyle, t.TextSize = text, tint, styleOf(s.bold), sizeOf(s.bold)
			t.Hidden = text == ""
			t.Refresh()
		}
		h := t.MinSize().Height
		t.Move(fyne.NewPos(x, y+(lineHeight-h)/2))
		t.Resize(fyne.NewSize(w, h))
		x += w
		r.ends = append(r.ends, x)
	}
	return grown
}

// Backgrounds of lines that a comparison has found on one side only: a breath of the
// colour of their sign.
const (
	backRemoved fyne.ThemeColorName = "inspector.removed"
	backAdded   fyne.ThemeColorName = "inspector.added"
)

func backColor(name fyne.ThemeColorName) color.Color {
	switch name {
	case "":
		return color.Transparent
	case backRemoved:
		return faint(look.Color(look.ColorBad))
	case backAdded:
		return faint(look.Color(look.ColorOK))
	default:
		return look.Color(name)
	}
}

func faint(c color.Color) color.Color {
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	n.A = 0x24
	return n
}

func orText(name fyne.ThemeColorName) fyne.ThemeColorName {
	if name == "" {
		return look.ColorText
	}
	return name
}

// styleOf is the fixed-width font, or a bold one, which there is only in other widths.
func styleOf(bold bool) fyne.TextStyle {
	if bold {
		return fyne.TextStyle{Bold: true}
	}
	return mono
}

func sizeOf(bold bool) float32 {
	if bold {
		return look.TextBody
	}
	return look.TextSmall
}

// widthOf counts where it can: measuring each of a screen's words would cost more
// than drawing them.
func widthOf(text string, char float32, bold bool) float32 {
	for i := 0; !bold; i++ {
		if i == len(text) {
			return float32(len(text)) * char
		}
		if text[i] >= 0x80 {
			break
		}
	}
	return fyne.MeasureText(text, sizeOf(bold), styleOf(bold)).Width
}
