package look

import (
	"image"
	"image/color"
	"math"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// Spark is a small line of how much there was over time, oldest at the left. The
// line is one picture, drawn anew only when the values differ.
type Spark struct {
	widget.BaseWidget
	values []float32
	color  fyne.ThemeColorName
}

// NewSpark returns a line in a colour of the theme.
func NewSpark(color fyne.ThemeColorName) *Spark {
	s := &Spark{color: color}
	s.ExtendBaseWidget(s)
	return s
}

// Set changes values and colour, and redraws only if either differs.
func (s *Spark) Set(values []float32, color fyne.ThemeColorName) {
	if s.color == color && slices.Equal(s.values, values) {
		return
	}
	s.values, s.color = slices.Clone(values), color
	s.Refresh()
}

// CreateRenderer implements fyne.Widget.
func (s *Spark) CreateRenderer() fyne.WidgetRenderer {
	return laid(&sparkRenderer{owner: s, raster: canvas.NewRaster(s.draw)}, s)
}

type sparkRenderer struct {
	owner  *Spark
	raster *canvas.Raster
}

func (r *sparkRenderer) Layout(size fyne.Size)        { r.raster.Resize(size) }
func (r *sparkRenderer) MinSize() fyne.Size           { return fyne.NewSize(0, 0) }
func (r *sparkRenderer) Refresh()                     { r.raster.Refresh() }
func (r *sparkRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.raster} }
func (r *sparkRenderer) Destroy()                     {}

// point is a place in pixels.
type point struct{ x, y float64 }

// draw paints the line for so many pixels, with a faint shade beneath it.
func (s *Spark) draw(w, h int) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, max(w, 1), max(h, 1)))
	if len(s.values) < 2 || w < 4 || h < 4 {
		return img
	}
	ink := color.NRGBAModel.Convert(Color(s.color)).(color.NRGBA)
	scale := 1.0 // how many pixels a stroke of 1 takes
	if size := s.Size(); size.Width > 0 {
		scale = float64(w) / float64(size.Width)
	}
	line := s.points(w, h, scale)
	half := 0.75 * scale
	at := 0
	for x := 0; x < w; x++ {
		px := float64(x) + 0.5
		for at+2 < len(line) && line[at+1].x < px {
			at++
		}
		level := between(line[at], line[at+1], px)
		for y := 0; y < h; y++ {
			py := float64(y) + 0.5
			d := math.MaxFloat64
			for i := max(at-3, 0); i <= min(at+3, len(line)-2); i++ {
				d = min(d, distance(point{px, py}, line[i], line[i+1]))
			}
			alpha := min(max(half+0.5-d, 0), 1)
			if py > level {
				alpha = max(alpha, 0.14)
			}
			img.SetNRGBA(x, y, color.NRGBA{R: ink.R, G: ink.G, B: ink.B, A: uint8(alpha * 255)})
		}
	}
	return img
}

// points places the values: the largest at the top, but never fewer than a few at once,
// so that single requests do not look like a flood.
func (s *Spark) points(w, h int, scale float64) []point {
	most := float32(4)
	for _, v := range s.values {
		most = max(most, v)
	}
	margin := 1.5 * scale
	out := make([]point, len(s.values))
	for i, v := range s.values {
		out[i] = point{
			x: margin + (float64(w)-2*margin)*float64(i)/float64(len(s.values)-1),
			y: float64(h) - margin - (float64(h)-2*margin)*float64(v/most),
		}
	}
	return out
}

// between is the height of a line at x.
func between(a, b point, x float64) float64 {
	if b.x <= a.x {
		return a.y
	}
	t := min(max((x-a.x)/(b.x-a.x), 0), 1)
	return a.y + t*(b.y-a.y)
}

// distance of a point from a line between two others.
func distance(p, a, b point) float64 {
	dx, dy := b.x-a.x, b.y-a.y
	t := 0.0
	if l := dx*dx + dy*dy; l > 0 {
		t = min(max(((p.x-a.x)*dx+(p.y-a.y)*dy)/l, 0), 1)
	}
	return math.Hypot(p.x-a.x-t*dx, p.y-a.y-t*dy)
}
