package look

import (
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/test"
)

// What Fyne makes anew after a widget has been hidden for long stands where the first
// drawing stood.
func TestRenderersComeBackAsTheyWere(t *testing.T) {
	test.NewTempApp(t).Settings().SetTheme(Theme{})
	bold := fyne.TextStyle{Bold: true}
	for name, w := range map[string]fyne.Widget{
		"panel": NewPanel(ColorCard, ColorLine, Radius), "dot": NewDot(ColorOK), "line": NewLine(),
		"text": NewText("some words", ColorText, TextBody, bold), "paragraph": NewParagraph("some words over lines", ColorText, TextBody, 3),
		"button": NewButton("Press", Low, nil), "filled button": NewFilledButton("Press", High, nil),
		"icon button": NewIconButton(IconMore, "More", nil), "picture": NewPicture(IconMore, ColorText),
		"switch": NewSwitch("On or off", func(bool) {}), "check": NewCheck("Yes or no", func(bool) {}),
		"select": NewSelect([]string{"one", "two"}, func(int) {}), "tabs": NewTabs([]string{"one", "two"}, func(int) {}),
		"segmented": NewSegmented([]string{"one", "two"}, func(int) {}), "badge": NewBadge("new", Info),
		"spark": NewSpark(ColorAccent),
	} {
		t.Run(name, func(t *testing.T) {
			w.Resize(fyne.NewSize(160, 60))
			first, again := test.WidgetRenderer(w).Objects(), w.CreateRenderer().Objects()
			if len(first) != len(again) || len(first) == 0 {
				t.Fatalf("it was drawn by %d objects, and then by %d", len(first), len(again))
			}
			for i, o := range first {
				if text, ok := o.(*canvas.Text); ok && text.Text != again[i].(*canvas.Text).Text {
					t.Errorf("object %d says %q, then %q", i, text.Text, again[i].(*canvas.Text).Text)
				}
				if o.Position() != again[i].Position() || o.Size() != again[i].Size() || o.Visible() != again[i].Visible() {
					t.Errorf("object %d, a %T, was at %v %v, and then at %v %v", i, o, o.Position(), o.Size(), again[i].Position(), again[i].Size())
				}
			}
		})
	}
}
