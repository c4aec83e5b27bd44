package look

import (
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"
)

// luminance and contrast are those of https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio.
func luminance(c color.NRGBA) float64 {
	linear := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

func contrast(a, b color.NRGBA) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func TestTextIsReadable(t *testing.T) {
	for name, p := range map[string]palette{"dark": dark, "light": light} {
		surfaces := map[string]color.NRGBA{"base": p.base, "panel": p.panel, "card": p.card, "selected": p.selected, "raised": p.raised}
		inks := map[string]color.NRGBA{"text": p.text, "muted": p.muted, "ok": p.ok, "warn": p.warn, "bad": p.bad, "info": p.info}
		for sn, surface := range surfaces {
			for in, ink := range inks {
				if c := contrast(ink, surface); c < 4.5 {
					t.Errorf("%s: %s on %s has a contrast of %.2f, less than 4.5", name, in, sn, c)
				}
			}
		}
		for fn, fill := range map[string]color.NRGBA{"fill": p.fill, "hovered fill": p.fillHover} {
			if c := contrast(white, fill); c < 4.5 {
				t.Errorf("%s: white on %s has a contrast of %.2f, less than 4.5", name, fn, c)
			}
		}
		if c := contrast(p.accent, p.card); c < 3 {
			t.Errorf("%s: the edge of a selected card has a contrast of %.2f, less than 3", name, c)
		}
	}
}

func TestThemeKnowsItsColours(t *testing.T) {
	for _, name := range []fyne.ThemeColorName{ColorCard, ColorPanel, ColorLine, ColorMuted, ColorAccent, ColorFill, ColorFillHover,
		ColorOK, ColorWarn, ColorBad, ColorInfo, ColorSelected, ColorText, ColorOnFill, ColorBase} {
		for _, variant := range []fyne.ThemeVariant{theme.VariantDark, theme.VariantLight} {
			p := dark
			if variant == theme.VariantLight {
				p = light
			}
			want, ok := p.color(name)
			if got := (Theme{}).Color(name, variant); !ok || got != want {
				t.Errorf("%s in variant %d is %v, want %v", name, variant, got, want)
			}
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain /päth":            "plain /päth",
		"two\r\nlines\tand":      "two  lines and",
		"esc\x1b[31m":            "esc [31m",
		"abc\u202egnp.exe":       "abcgnp.exe",
		"\u2066isolated\u2069":   "isolated",
		"a\u061cb\ufeffc\u2028d": "abc d",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestEllipsis(t *testing.T) {
	test.NewTempApp(t)
	long := strings.Repeat("wide ", 40)
	for _, width := range []float32{1, 20, 100, 333} {
		got := Ellipsis(long, width, TextBody, fyne.TextStyle{})
		if !strings.HasSuffix(got, "…") {
			t.Errorf("at %v the text %q is not marked as cut", width, got)
		}
		if got != "…" && fyne.MeasureText(got, TextBody, fyne.TextStyle{}).Width > width {
			t.Errorf("at %v the text %q is too wide", width, got)
		}
	}
	if got := Ellipsis("short", 500, TextBody, fyne.TextStyle{}); got != "short" {
		t.Errorf("a text that fits became %q", got)
	}
}

func TestWrap(t *testing.T) {
	test.NewTempApp(t)
	text := "The backend at tunnel.example.com refused the connection because of something that takes long to explain"
	lines := Wrap(text, 150, TextBody, fyne.TextStyle{}, 20)
	if strings.Join(lines, " ") != text {
		t.Errorf("wrapping lost words: %q", lines)
	}
	for _, l := range lines {
		if fyne.MeasureText(l, TextBody, fyne.TextStyle{}).Width > 150 {
			t.Errorf("line %q is too wide", l)
		}
	}
	lines = Wrap(text, 150, TextBody, fyne.TextStyle{}, 2)
	if len(lines) != 2 || !strings.HasSuffix(lines[1], "…") {
		t.Errorf("two lines at most, the rest cut: got %q", lines)
	}
	path := "GET /" + strings.Repeat("segment/", 40)
	lines = Wrap(path, 150, TextBody, fyne.TextStyle{}, 100)
	if got := strings.Join(lines, ""); got != strings.Replace(path, " ", "", 1) {
		t.Errorf("wrapping a long path gave %q", lines)
	}
	for _, l := range lines {
		if fyne.MeasureText(l, TextBody, fyne.TextStyle{}).Width > 150 {
			t.Errorf("line %q of a path is too wide", l)
		}
	}
	// As long as a request's head may be: to be wrapped while the window waits.
	huge := strings.Repeat("/segment", 16<<10)
	if got, want := Wrap(huge, 800, TextBody, fyne.TextStyle{}, 3), Wrap(huge[:8<<10], 800, TextBody, fyne.TextStyle{}, 3); !slices.Equal(got, want) {
		t.Errorf("128 KB are shown as %q, 8 KB as %q", got, want)
	}
	if n := len(bound(huge, 800, TextBody, 3)); n > 1000 {
		t.Errorf("of 128 KB, %d bytes are measured for three lines", n)
	}
	// Even the narrowest letters fill the lines.
	if lines := Wrap(strings.Repeat("i", 10000), 800, TextBody, fyne.TextStyle{}, 3); len(lines) != 3 || !strings.HasSuffix(lines[2], "…") {
		t.Errorf("narrow letters gave %d lines", len(lines))
	}
	if lines = Wrap("wide", 1, TextBody, fyne.TextStyle{}, 10); strings.Join(lines, "") != "wide" {
		t.Errorf("a width for nothing gave %q", lines)
	}
	if got := Wrap("", 150, TextBody, fyne.TextStyle{}, 3); len(got) != 0 {
		t.Errorf("no text gave lines %q", got)
	}
}

func TestButtonWorksByKeyboard(t *testing.T) {
	test.NewTempApp(t)
	pressed, escaped := 0, 0
	b := NewButton("Go", Low, func() { pressed++ })
	b.OnEscape = func() { escaped++ }
	w := test.NewTempWindow(t, b)
	w.Canvas().Focus(b)
	for _, key := range []fyne.KeyName{fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter, fyne.KeyA, fyne.KeyEscape} {
		b.TypedKey(&fyne.KeyEvent{Name: key})
	}
	if pressed != 3 || escaped != 1 {
		t.Errorf("pressed %d times and escaped %d times, want 3 and 1", pressed, escaped)
	}
}

// The switch must never show a state that is not in force.
func TestSwitchMovesOnlyWhenTold(t *testing.T) {
	test.NewTempApp(t)
	var asked []bool
	s := NewSwitch("LAN", func(on bool) { asked = append(asked, on) })
	test.NewTempWindow(t, s)
	test.Tap(s)
	if s.On() || len(asked) != 1 || !asked[0] {
		t.Fatalf("after a tap: on %v, asked %v; want off and one wish for on", s.On(), asked)
	}
	s.Set(true)
	s.TypedKey(&fyne.KeyEvent{Name: fyne.KeySpace})
	if !s.On() || len(asked) != 2 || asked[1] {
		t.Errorf("after Space: on %v, asked %v; want on and a wish for off", s.On(), asked)
	}
}
