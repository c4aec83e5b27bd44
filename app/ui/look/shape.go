package look

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// Shape is a rectangle or dot whose colours are theme names.
type Shape struct {
	widget.BaseWidget
	fill, stroke fyne.ThemeColorName
	radius       float32
	raised       bool
}

// NewPanel returns a filled surface; stroke may be "".
func NewPanel(fill, stroke fyne.ThemeColorName, radius float32) *Shape {
	s := &Shape{fill: fill, stroke: stroke, radius: radius}
	s.ExtendBaseWidget(s)
	return s
}

// NewRaised returns the surface of what stands over the window.
func NewRaised(fill fyne.ThemeColorName, radius float32) *Shape {
	s := NewPanel(fill, ColorLine, radius)
	s.raised = true
	return s
}

// NewLine returns a hairline; the parent gives it its length.
func NewLine() *Shape { return NewPanel(ColorLine, "", 0) }

// NewDot returns a status dot of 8 px when resized so.
func NewDot(fill fyne.ThemeColorName) *Shape { return NewPanel(fill, "", 4) }

// Set changes the colours.
func (s *Shape) Set(fill, stroke fyne.ThemeColorName) {
	if s.fill == fill && s.stroke == stroke {
		return
	}
	s.fill, s.stroke = fill, stroke
	s.Refresh()
}

// CreateRenderer implements fyne.Widget.
func (s *Shape) CreateRenderer() fyne.WidgetRenderer {
	r := &shapeRenderer{owner: s, rect: &canvas.Rectangle{CornerRadius: s.radius}}
	r.paint()
	return laid(r, s)
}

type shapeRenderer struct {
	owner *Shape
	rect  *canvas.Rectangle
}

func (r *shapeRenderer) paint() {
	r.rect.FillColor = Color(r.owner.fill)
	r.rect.StrokeColor, r.rect.StrokeWidth = nil, 0
	if r.owner.stroke != "" {
		r.rect.StrokeColor, r.rect.StrokeWidth = Color(r.owner.stroke), 1
	}
	if r.owner.raised {
		r.rect.Shadow = canvas.Shadow{Color: Color(ColorShadow), BlurRadius: 16, Offset: fyne.NewPos(0, 4)}
	}
}

func (r *shapeRenderer) Layout(size fyne.Size)        { r.rect.Resize(size) }
func (r *shapeRenderer) MinSize() fyne.Size           { return fyne.NewSize(0, 0) }
func (r *shapeRenderer) Refresh()                     { r.paint(); r.rect.Refresh() }
func (r *shapeRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.rect} }
func (r *shapeRenderer) Destroy()                     {}
