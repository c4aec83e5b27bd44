package inbox

import (
	"cmp"
	"strings"

	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
)

const rowHeight float32 = 52

// row is one line of the list: what it is about, when it came, and how it begins. One
// that nobody has looked at has a dot before it.
type row struct {
	sheet *Sheet
	back  *look.Shape
	dot   *look.Shape
	title [2]*look.Text // read, and in bold: not read yet
	time  *look.Text
	text  *look.Text
	line  *look.Shape
	width float32
	y     float32
}

func newRow(s *Sheet) *row {
	r := &row{sheet: s, back: look.NewPanel(look.ColorSelected, "", 0), dot: look.NewDot(look.ColorAccent), line: look.NewLine()}
	for i, style := range []fyne.TextStyle{{}, {Bold: true}} {
		r.title[i] = look.NewText("", look.ColorText, look.TextBody, style)
	}
	r.time = look.NewText("", look.ColorMuted, look.TextSmall, fyne.TextStyle{})
	r.text = look.NewText("", look.ColorMuted, look.TextSmall, fyne.TextStyle{})
	return r
}

// Objects implements look.ListRow.
func (r *row) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.back, r.dot, r.title[0], r.title[1], r.time, r.text, r.line}
}

// Place implements look.ListRow.
func (r *row) Place(y, width float32) {
	r.y, r.width = y, width
	place(r.back, 0, y, width, rowHeight-1)
	place(r.dot, 8, y+14, 8, 8)
	place(r.text, 24, y+27, max(width-24-look.Inset, 0), 18)
	place(r.line, 0, y+rowHeight-1, width, 1)
	r.placeTop()
}

// placeTop gives the title what room the time leaves.
func (r *row) placeTop() {
	w := r.time.Natural().Width
	place(r.time, r.width-look.Inset-w, r.y+9, w, 18)
	for _, t := range r.title {
		place(t, 24, r.y+9, max(r.width-24-2*look.Inset-w, 0), 18)
	}
}

// Show implements look.ListRow.
func (r *row) Show(i int, selected bool) {
	show(r.back, selected && i >= 0)
	show(r.line, i >= 0)
	if i < 0 || i >= len(r.sheet.all) {
		for _, t := range []*look.Text{r.title[0], r.title[1], r.time, r.text} {
			t.Set("", look.ColorMuted)
		}
		show(r.dot, false)
		return
	}
	n := &r.sheet.all[i]
	title, text := headings(n)
	bold := 0
	if !n.Read {
		bold = 1
	}
	show(r.dot, !n.Read)
	show(r.title[bold], true)
	show(r.title[1-bold], false)
	r.title[bold].Set(title, look.ColorText)
	r.text.Set(text, look.ColorMuted)
	r.time.Set(r.sheet.when(n.At, false), look.ColorMuted)
	r.placeTop()
}

// headings are the two lines of a notice in the list. One without a title begins with
// its text.
func headings(n *model.Received) (title, text string) {
	first, rest, _ := strings.Cut(n.Text, "\n")
	if n.Title != "" {
		return n.Title, cmp.Or(first, n.Tunnel)
	}
	return cmp.Or(first, words.T("Notice")), cmp.Or(strings.TrimSpace(rest), n.Tunnel)
}
