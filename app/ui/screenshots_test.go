package ui

import (
	"flag"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"culvert/app/config"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"
)

var screenshots = flag.String("screenshots", "", "write a picture of each state of the window to this folder")

// TestScreenshots draws every state of the window, in both sizes and both themes, and
// looks for texts that do not fit. With -screenshots it writes the pictures for people
// (make screenshots).
func TestScreenshots(t *testing.T) {
	for _, size := range []fyne.Size{wide, smallest} {
		for _, theme := range []string{"dark", "light"} {
			for _, sc := range scenes() {
				name := fmt.Sprintf("%s-%.0fx%.0f-%s", sc.name, size.Width, size.Height, theme)
				if *screenshots == "" && theme == "light" && !sc.both {
					continue // the same but for its colours
				}
				t.Run(name, func(t *testing.T) {
					s := newStage(t, size)
					if *screenshots != "" {
						s.now = time.Now() // rows of other days have dates
					}
					s.engine.config.Theme = theme
					s.Sync()
					sc.set(s)
					s.checkTexts()
					if *screenshots != "" {
						s.write(filepath.Join(*screenshots, name+".png"))
					} else if sc.both {
						s.win.Canvas().Capture() // the painter must not fall over either
					}
				})
			}
		}
	}
}

// reconfigure changes what the config file says, as somebody else would.
func (s *stage) reconfigure(change func(*config.Config)) {
	s.t.Helper()
	if err := s.engine.Edit(s.t.Context(), change); err != nil {
		s.t.Fatal(err)
	}
	s.Sync()
}

func (s *stage) write(path string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, s.win.Canvas().Capture()); err != nil {
		s.t.Fatal(err)
	}
}

// placed is a text where it stands in the window.
type placed struct {
	text  *canvas.Text
	box   box
	trail string // the types of what it stands in
}

// box is a rectangle between two corners.
type box struct{ from, to fyne.Position }

func (b box) within(o box) box {
	return box{fyne.NewPos(max(b.from.X, o.from.X), max(b.from.Y, o.from.Y)), fyne.NewPos(min(b.to.X, o.to.X), min(b.to.Y, o.to.Y))}
}

// shared is how far two boxes lie over one another, the smaller way.
func (b box) shared(o box) float32 {
	c := b.within(o)
	return min(c.to.X-c.from.X, c.to.Y-c.from.Y)
}

// checkTexts reports texts that leave the window, or that stand on top of each other.
func (s *stage) checkTexts() {
	s.t.Helper()
	root := s.win.Content()
	if top := s.win.Canvas().Overlays().Top(); top != nil {
		root = top
	}
	size := s.win.Canvas().Size()
	whole := box{to: fyne.NewPos(size.Width, size.Height)}
	var texts []placed
	collect(root, fyne.NewPos(0, 0), whole, "", &texts)
	if len(texts) < 3 {
		s.t.Errorf("only %d texts are found: the window is empty, or they are not looked for where they are", len(texts))
	}
	const slack = 2 // letters seldom fill their boxes
	for i, p := range texts {
		if out := p.box.within(whole); p.box.to.X > out.to.X+slack || p.box.to.Y > out.to.Y+slack || p.box.from.X < -slack || p.box.from.Y < -slack {
			s.t.Errorf("%q leaves the window: it stands at %v (%s)", p.text.Text, p.box, p.trail)
		}
		for _, q := range texts[:i] {
			if p.box.shared(q.box) > slack {
				s.t.Errorf("%q at %v and %q at %v stand on top of each other (%s)", q.text.Text, q.box, p.text.Text, p.box, p.trail)
			}
		}
	}
}

// collect finds the texts in o that can be seen. What a scroll shows is cut at its
// edges, so texts that it cuts are left out.
func collect(o fyne.CanvasObject, at fyne.Position, clip box, trail string, texts *[]placed) {
	if !o.Visible() {
		return
	}
	at = at.Add(o.Position())
	own := box{at, at.Add(o.Size())}
	var children []fyne.CanvasObject
	switch o := o.(type) {
	case *canvas.Text:
		b := box{at, at.Add(o.MinSize())}
		switch o.Alignment {
		case fyne.TextAlignTrailing:
			b.from.X = own.to.X - o.MinSize().Width
			b.to.X = own.to.X
		case fyne.TextAlignCenter:
			b.from.X = at.X + (o.Size().Width-o.MinSize().Width)/2
			b.to.X = b.from.X + o.MinSize().Width
		}
		if o.Text != "" && b.within(clip) == b || o.Text != "" && clip.from == (fyne.Position{}) {
			*texts = append(*texts, placed{o, b, trail})
		}
		return
	case *fyne.Container:
		children = o.Objects
	case *container.Scroll:
		clip = clip.within(own)
		children = test.WidgetRenderer(o).Objects()
	case fyne.Widget:
		children = test.WidgetRenderer(o).Objects()
	}
	for _, c := range children {
		collect(c, at, clip, trail+fmt.Sprintf("%T ", o), texts)
	}
}
