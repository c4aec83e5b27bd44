package inspector

import (
	"cmp"
	"mime"
	"path"
	"strings"

	"culvert/app/exchange"
	"culvert/app/inspect"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// bodyPage shows both bodies side by side, or one of them where there is no room.
type bodyPage struct {
	box
	in    *Inspector
	sides [2]*bodyView
	which *look.Segmented // in a narrow inspector
	line  *look.Shape
}

func newBodyPage(i *Inspector) *bodyPage {
	p := &bodyPage{in: i, line: look.NewLine()}
	for side := range p.sides {
		var save func(*exchange.Exchange, []byte)
		if i.actions.Save != nil {
			save = func(x *exchange.Exchange, data []byte) { i.actions.Save(fileName(x, side), data) }
		}
		p.sides[side] = newBodyView(i, func(mode inspect.Mode, then func()) *prepared { return i.view(side, mode, then) }, save)
	}
	p.sides[response].empty = func() string {
		if i.exchange.Open {
			return words.T("It is still coming in.")
		}
		return words.T("No body.")
	}
	p.which = look.NewSegmented([]string{words.T("Request"), words.T("Response")}, func(int) { p.layout(nil, p.Size()) })
	p.which.Select(response)
	p.box.Container = container.New(layoutFunc(p.layout), p.sides[request], p.sides[response], p.line, p.which)
	return p
}

func (p *bodyPage) layout(_ []fyne.CanvasObject, size fyne.Size) {
	if one := p.only(); one >= 0 {
		hide(p.which, p.line, p.sides[1-one])
		show(p.sides[one])
		place(p.sides[one], 0, 0, size.Width, size.Height)
		return
	}
	if !p.in.narrow {
		half := float32(int(size.Width / 2))
		show(p.sides[request], p.sides[response], p.line)
		hide(p.which)
		place(p.sides[request], 0, 0, half, size.Height)
		place(p.sides[response], half+1, 0, size.Width-half-1, size.Height)
		place(p.line, half, 0, 1, size.Height)
		return
	}
	hide(p.line, p.sides[1-p.which.Selected()])
	show(p.sides[p.which.Selected()], p.which)
	place(p.which, look.Inset, (toolHeight-24)/2, p.which.MinSize().Width, 24)
	place(p.sides[p.which.Selected()], 0, 0, size.Width, size.Height)
}

// only is the one side that has a body, or -1 if both have. Where there is none, the
// response says so.
func (p *bodyPage) only() int {
	has := func(side int) bool {
		m := p.in.message(side)
		return m.Size > 0 || len(m.Body) > 0
	}
	switch {
	case p.in.exchange == nil || has(request) && has(response):
		return -1
	case has(request):
		return request
	default:
		return response
	}
}

func (p *bodyPage) fill(keep bool) {
	one := p.only()
	for side, v := range p.sides {
		if p.in.narrow && one < 0 {
			v.tell("") // the choice of the side stands there
		} else {
			v.tell(p.in.bodyTitle(side))
		}
		v.fill(keep)
	}
	p.layout(nil, p.Size())
}

func (p *bodyPage) focus() fyne.Focusable {
	if one := p.only(); one >= 0 {
		return p.sides[one].pane.sheet
	}
	if p.in.narrow {
		return p.sides[p.which.Selected()].pane.sheet
	}
	return p.sides[response].pane.sheet
}

// bodyTitle is whose body it is, of what type and length.
func (i *Inspector) bodyTitle(side int) string {
	m := i.message(side)
	title := words.T("Request")
	if side == response {
		title = words.T("Response")
	}
	if t := mediaType(m); t != "" {
		title += " · " + t
	}
	if m.Size > 0 {
		title += " · " + model.Size(m.Size)
	}
	return title
}

func mediaType(m exchange.Message) string {
	t, _, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

func number(n int) string { return model.Number(n) }

// fileName is a name to propose for a body: the one in the path if it has one, with an
// extension for its type.
func fileName(x *exchange.Exchange, side int) string {
	m := x.Response
	if side == request {
		m = x.Request
	}
	raw, _, _ := strings.Cut(x.Path, "?")
	name := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, path.Base(raw))
	name = strings.Trim(name, ".-")
	if len(name) > 80 {
		name = name[len(name)-80:]
	}
	name = cmp.Or(name, "body")
	if side == request {
		name = "request-" + name
	}
	if path.Ext(name) == "" || side == request {
		name += extension(mediaType(m))
	}
	return name
}

// extension of a file of that type; the system's own table differs from machine to
// machine and knows ten for some.
func extension(mediaType string) string {
	switch {
	case mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"):
		return ".json"
	case mediaType == "text/html":
		return ".html"
	case mediaType == "image/svg+xml":
		return ".svg"
	case strings.HasSuffix(mediaType, "/xml") || strings.HasSuffix(mediaType, "+xml"):
		return ".xml"
	case mediaType == "image/jpeg":
		return ".jpg"
	case mediaType == "image/png", mediaType == "image/gif", mediaType == "image/webp":
		return "." + strings.TrimPrefix(mediaType, "image/")
	case mediaType == "application/pdf":
		return ".pdf"
	case mediaType == "text/css":
		return ".css"
	case mediaType == "text/javascript", mediaType == "application/javascript":
		return ".js"
	case strings.HasPrefix(mediaType, "text/"), mediaType == "application/x-www-form-urlencoded":
		return ".txt"
	default:
		return ".bin"
	}
}
