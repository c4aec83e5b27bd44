package ui

import (
	"strings"

	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"
)

// detail is the selected request beneath the table: all that its row has no room
// for, and, if it failed, why.
type detail struct {
	widget.BaseWidget
	request *model.Request // nil while nothing is selected

	back, line         *look.Shape
	head               *look.Paragraph // method and path, as long as they are
	facts              *look.Text
	cause              *look.Paragraph // in plain words
	system             *look.Paragraph // in the system's words
	copyURL, copyCause *look.Button
}

func newDetail(copyURL, copyCause func()) *detail {
	d := &detail{
		back:   look.NewPanel(look.ColorPanel, "", 0),
		line:   look.NewLine(),
		head:   look.NewCode("", look.ColorText, look.TextSmall, 3),
		facts:  look.NewText("", look.ColorMuted, look.TextSmall, fyne.TextStyle{}),
		cause:  look.NewParagraph("", look.ColorBad, look.TextBody, 4),
		system: look.NewCode("", look.ColorMuted, look.TextSmall, 3),
	}
	d.copyURL = look.NewButton("Copy URL", look.Low, copyURL)
	d.copyCause = look.NewButton("Copy error", look.Low, copyCause)
	d.ExtendBaseWidget(d)
	return d
}

// set shows a request that came through the tunnel with that label.
func (d *detail) set(r *model.Request, tunnel string) {
	d.request = r
	d.head.Set(r.Method+" "+r.Path, look.ColorText)
	facts := []string{r.StatusText(), model.Took(r.Duration), model.Size(r.Size)}
	if tunnel != "" {
		facts = append([]string{tunnel}, facts...)
	}
	if r.Visitor != "" {
		facts = append(facts, "from "+r.Visitor)
	}
	d.facts.Set(strings.Join(facts, "  ·  "), look.ColorMuted)
	d.cause.Set(model.Sentence(r.Err), look.ColorBad)
	d.system.Set(r.Detail, look.ColorMuted)
	show(d.copyCause, r.Err != "")
}

// causeText is what the user would paste into a search or a report.
func (d *detail) causeText() string {
	r := d.request
	text := r.Method + " " + r.Path + ": " + r.StatusText() + "\n" + model.Sentence(r.Err) + "\n"
	if r.Detail != "" {
		text += r.Detail + "\n"
	}
	return text
}

const detailPad float32 = 8

// textWidth is what the buttons leave.
func (d *detail) textWidth(width float32) float32 {
	width -= 2 * 12
	if d.copyURL.Visible() || d.copyCause.Visible() {
		width -= 12 + d.buttonWidth()
	}
	return width
}

func (d *detail) buttonWidth() float32 {
	return max(d.copyURL.MinSize().Width, d.copyCause.MinSize().Width, 96)
}

// heightFor is the height needed at a width.
func (d *detail) heightFor(width float32) float32 {
	w := d.textWidth(width)
	h := d.head.HeightFor(w) + factsHeight
	if c := d.cause.HeightFor(w); c > 0 {
		h += 4 + c
	}
	if s := d.system.HeightFor(w); s > 0 {
		h += 4 + s
	}
	buttons := float32(0)
	for _, b := range []*look.Button{d.copyURL, d.copyCause} {
		if b.Visible() {
			buttons += look.Low + 4
		}
	}
	return 1 + 2*detailPad + max(h, buttons-4)
}

const factsHeight float32 = 20

// CreateRenderer implements fyne.Widget.
func (d *detail) CreateRenderer() fyne.WidgetRenderer { return &detailRenderer{d} }

type detailRenderer struct{ *detail }

func (r *detailRenderer) Layout(size fyne.Size) {
	r.back.Resize(size)
	place(r.line, 0, 0, size.Width, 1)
	w, y := r.textWidth(size.Width), 1+detailPad
	for _, p := range []*look.Paragraph{r.head, r.cause, r.system} {
		h := p.HeightFor(w)
		place(p, 12, y, w, h)
		if h > 0 {
			y += h + 4
		}
		if p == r.head {
			place(r.facts, 12, y-4, w, factsHeight)
			y += factsHeight
		}
	}
	y = 1 + detailPad
	for _, b := range []*look.Button{r.copyURL, r.copyCause} {
		if b.Visible() {
			place(b, size.Width-12-r.buttonWidth(), y, r.buttonWidth(), look.Low)
			y += look.Low + 4
		}
	}
}

func (r *detailRenderer) MinSize() fyne.Size { return fyne.NewSize(0, 0) }
func (r *detailRenderer) Refresh()           { r.Layout(r.Size()) }
func (r *detailRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.back, r.line, r.head, r.facts, r.cause, r.system, r.copyURL, r.copyCause}
}
func (r *detailRenderer) Destroy() {}
