package inbox

import (
	"cmp"
	"strings"

	"culvert/app/ui/inspector"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// maxLines bounds the lines of a paragraph of the text. What is longer is in the data.
const maxLines = 60

// detail is the chosen notice: its title, when and through which tunnel it came, its
// text, and the data as they were sent.
type detail struct {
	*fyne.Container
	actions Actions
	shown   string // ID of the notice
	bare    bool   // it has no data
	title   *look.Paragraph
	about   *look.Text
	copy    *look.Button
	words   string // what is copied
	text    *fyne.Container
	scroll  *container.Scroll
	line    *look.Shape
	data    *inspector.Data
}

func newDetail(a Actions) *detail {
	d := &detail{actions: a, line: look.NewLine(),
		title: look.NewHeading("", look.ColorText, look.TextTitle, 3),
		about: look.NewText("", look.ColorMuted, look.TextSmall, fyne.TextStyle{}),
		text:  look.NewStack(0),
		data:  inspector.NewData(inspector.Actions{Prepare: a.Prepare, Copy: a.Copy, Shortcut: a.Shortcut, Now: a.Now}),
	}
	d.copy = look.NewButton(words.T("Copy"), look.Low, func() { a.CopyWith(d.copy, d.words) })
	d.scroll = container.NewVScroll(d.text)
	d.Container = container.New(layoutFunc(d.layout), d.title, d.about, d.copy, d.scroll, d.line, d.data)
	return d
}

// set shows a notice that came at a time.
func (d *detail) set(n *model.Received, when string) {
	if d.shown == n.ID && d.bare == (n.Data == nil) {
		return
	}
	d.shown, d.bare = n.ID, n.Data == nil
	about := when
	if n.Tunnel != "" {
		about += " · " + words.T("via %s", n.Tunnel)
	}
	title, text := n.Title, n.Text
	if title == "" && !strings.Contains(text, "\n") && len(text) <= 200 {
		title, text = text, "" // a short one speaks for itself
	}
	d.words = strings.Trim(n.Title+"\n"+n.Text, "\n")
	d.title.Set(cmp.Or(title, words.T("Notice")), look.ColorText)
	d.about.Set(about, look.ColorMuted)
	var lines []fyne.CanvasObject
	for _, line := range strings.Split(text, "\n") {
		if line == "" {
			line = "\u00a0" // keeps its height
		}
		lines = append(lines, look.NewParagraph(line, look.ColorText, look.TextBody, maxLines))
	}
	if text == "" {
		lines = nil
	}
	d.text.Objects = lines
	d.scroll.ScrollToTop()
	d.data.Set(n.Data, words.T("Data"), words.T("The data of this notice are not kept any more."))
	d.refresh()
}

// clear shows nothing.
func (d *detail) clear() {
	if d.shown == "" && d.words == "" {
		return
	}
	d.shown, d.words = "", ""
	d.title.Set("", look.ColorText)
	d.about.Set("", look.ColorMuted)
	d.text.Objects = nil
	d.data.Set(nil, words.T("Data"), "")
	d.refresh()
}

func (d *detail) refresh() {
	d.layout(nil, d.Size())
	d.text.Refresh()
	d.scroll.Refresh()
}

// sync takes back what a button says for a moment.
func (d *detail) sync() { d.data.Sync() }

func (d *detail) layout(_ []fyne.CanvasObject, size fyne.Size) {
	if size.IsZero() {
		return
	}
	chosen := d.shown != ""
	for _, o := range []fyne.CanvasObject{d.title, d.about, d.copy, d.scroll, d.line, d.data} {
		show(o, chosen)
	}
	const inset = look.Inset
	w := size.Width - 2*inset
	y := look.Inset
	button := d.copy.MinSize().Width
	h := d.title.HeightFor(w - button - look.Gap)
	place(d.copy, size.Width-inset-button, y, button, look.Low)
	place(d.title, inset, y+4, w-button-look.Gap, h)
	y += max(h+4, 4)
	place(d.about, inset, y, w-button-look.Gap, 18)
	y = max(y+18, look.Inset+look.Low) + look.Gap
	least := d.data.Height()
	text := look.HeightOf(d.text, w)
	room := max(size.Height-y-least-look.Gap, 0)
	h = min(text, room)
	place(d.scroll, inset, y, w, h)
	d.text.Resize(fyne.NewSize(w, max(text, h)))
	if h > 0 {
		y += h + look.Gap
	}
	place(d.line, 0, y, size.Width, 1)
	place(d.data, 0, y+1, size.Width, max(size.Height-y-1, 0))
}
