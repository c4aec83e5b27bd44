package look

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// Kind is how good or bad the news of a badge or banner is. Its icon says the same
// as its colour.
type Kind int

// The kinds.
const (
	Neutral Kind = iota
	Info
	OK
	Warn
	Bad
)

// Color is the ink of a kind.
func (k Kind) Color() fyne.ThemeColorName {
	switch k {
	case Info:
		return ColorInfo
	case OK:
		return ColorOK
	case Warn:
		return ColorWarn
	case Bad:
		return ColorBad
	default:
		return ColorMuted
	}
}

// Icon is the picture of a kind.
func (k Kind) Icon() Icon {
	switch k {
	case OK:
		return IconOK
	case Warn:
		return IconWarning
	case Bad:
		return IconError
	default:
		return IconInfo
	}
}

// Badge is a word or two in a small outlined box.
type Badge struct {
	widget.BaseWidget
	text string
	kind Kind
}

// NewBadge returns a badge.
func NewBadge(text string, kind Kind) *Badge {
	b := &Badge{text: text, kind: kind}
	b.ExtendBaseWidget(b)
	return b
}

// Set changes text and kind, and redraws only if either differs.
func (b *Badge) Set(text string, kind Kind) {
	if b.text != text || b.kind != kind {
		b.text, b.kind = text, kind
		b.Refresh()
	}
}

// Text is what the badge says.
func (b *Badge) Text() string { return b.text }

// CreateRenderer implements fyne.Widget.
func (b *Badge) CreateRenderer() fyne.WidgetRenderer {
	r := &badgeRenderer{owner: b, back: &canvas.Rectangle{CornerRadius: 4, StrokeWidth: 1},
		label: &canvas.Text{TextSize: TextSmall, Alignment: fyne.TextAlignCenter}}
	r.paint()
	return laid(r, b)
}

type badgeRenderer struct {
	owner *Badge
	back  *canvas.Rectangle
	label *canvas.Text
}

func (r *badgeRenderer) paint() {
	ink := Color(r.owner.kind.Color())
	r.back.StrokeColor = Color(ColorLine)
	r.label.Text, r.label.Color = Clean(r.owner.text), ink
}

func (r *badgeRenderer) Layout(size fyne.Size) {
	y := (size.Height - badgeHeight) / 2
	place(r.back, 0, y, size.Width, badgeHeight)
	h := r.label.MinSize().Height
	place(r.label, 0, (size.Height-h)/2, size.Width, h)
}

const badgeHeight float32 = 20

func (r *badgeRenderer) MinSize() fyne.Size {
	return fyne.NewSize(float32(int(fyne.MeasureText(r.owner.text, TextSmall, fyne.TextStyle{}).Width+0.999))+12, badgeHeight)
}

func (r *badgeRenderer) Refresh() {
	r.paint()
	r.Layout(r.owner.Size())
	r.back.Refresh()
	r.label.Refresh()
}
func (r *badgeRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.back, r.label} }
func (r *badgeRenderer) Destroy()                     {}

// Banner is a message of one or more lines with its kind's icon, and buttons at the
// right. Its height follows from its width.
type Banner struct {
	widget.BaseWidget
	kind    Kind
	back    *Shape
	icon    *canvas.Image
	text    *Paragraph
	buttons []fyne.CanvasObject
}

// NewBanner returns a banner.
func NewBanner(kind Kind, text string, buttons ...fyne.CanvasObject) *Banner {
	b := &Banner{kind: kind, back: NewPanel(ColorSelected, "", Radius), icon: NewImage(kind.Icon(), kind.Color()),
		text: NewParagraph(text, ColorText, TextBody, 5), buttons: buttons}
	b.ExtendBaseWidget(b)
	return b
}

// Set changes kind and text, and redraws only if either differs.
func (b *Banner) Set(kind Kind, text string) {
	if b.kind != kind || b.text.Text() != text {
		b.kind = kind
		b.text.Set(text, ColorText)
		b.Refresh()
	}
}

// Text is what the banner says.
func (b *Banner) Text() string { return b.text.Text() }

func (b *Banner) textWidth(width float32) float32 {
	width -= 36 + 12
	for _, o := range b.buttons {
		if o.Visible() {
			width -= WidthOf(o) + Gap
		}
	}
	return max(width, 0)
}

// HeightFor is the height needed at that width.
func (b *Banner) HeightFor(width float32) float32 {
	h := b.text.HeightFor(b.textWidth(width))
	for _, o := range b.buttons {
		if o.Visible() {
			h = max(h, o.MinSize().Height-4)
		}
	}
	return h + 16
}

// CreateRenderer implements fyne.Widget.
func (b *Banner) CreateRenderer() fyne.WidgetRenderer { return &bannerRenderer{b} }

type bannerRenderer struct{ *Banner }

func (r *bannerRenderer) Layout(size fyne.Size) {
	r.back.Resize(size)
	r.icon.Resource = r.kind.Icon().Resource(r.kind.Color())
	w := r.textWidth(size.Width)
	h := r.text.HeightFor(w)
	place(r.text, 36, (size.Height-h)/2, w, h)
	place(r.icon, 12, (size.Height-h)/2+(r.text.lineHeight()-IconSize)/2, IconSize, IconSize)
	x := size.Width - Gap
	for i := len(r.buttons) - 1; i >= 0; i-- {
		if o := r.buttons[i]; o.Visible() {
			bw, bh := WidthOf(o), o.MinSize().Height
			x -= bw
			place(o, x, (size.Height-bh)/2, bw, bh)
			x -= Gap
		}
	}
}
func (r *bannerRenderer) MinSize() fyne.Size { return fyne.NewSize(120, 0) }
func (r *bannerRenderer) Refresh() {
	r.Layout(r.Size())
	r.icon.Refresh() // it may be another one
	canvas.Refresh(r.Banner)
}
func (r *bannerRenderer) Objects() []fyne.CanvasObject {
	return append([]fyne.CanvasObject{r.back, r.icon, r.text}, r.buttons...)
}
func (r *bannerRenderer) Destroy() {}
