package look

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// Picture is an icon on its own whose colour follows the theme.
type Picture struct {
	widget.BaseWidget
	icon  Icon
	color fyne.ThemeColorName
}

// NewPicture returns an icon in a colour of the theme. Where there are many, and
// somebody repaints them anyway, NewImage is cheaper.
func NewPicture(icon Icon, color fyne.ThemeColorName) *Picture {
	p := &Picture{icon: icon, color: color}
	p.ExtendBaseWidget(p)
	return p
}

// Set changes icon and colour, and redraws only if either differs.
func (p *Picture) Set(icon Icon, color fyne.ThemeColorName) {
	if p.icon != icon || p.color != color {
		p.icon, p.color = icon, color
		p.Refresh()
	}
}

// CreateRenderer implements fyne.Widget.
func (p *Picture) CreateRenderer() fyne.WidgetRenderer {
	return laid(&pictureRenderer{p, NewImage(p.icon, p.color)}, p)
}

type pictureRenderer struct {
	owner *Picture
	image *canvas.Image
}

func (r *pictureRenderer) Layout(size fyne.Size) { r.image.Resize(size) }
func (r *pictureRenderer) MinSize() fyne.Size    { return fyne.NewSquareSize(IconSize) }
func (r *pictureRenderer) Refresh() {
	r.image.Resource = r.owner.icon.Resource(r.owner.color)
	r.image.Refresh()
}
func (r *pictureRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.image} }
func (r *pictureRenderer) Destroy()                     {}
