package look

import (
	"fmt"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
)

// Icon is a small picture of the program's own set: strokes of 1.5 on a 16 px
// grid, in the colour of the text that it stands beside.
type Icon string

// The icons. Each is the inside of an SVG of 16 × 16 whose strokes and fills are
// "currentColor".
const (
	IconMore     Icon = `<circle cx="3" cy="8" r="1.25" fill="currentColor"/><circle cx="8" cy="8" r="1.25" fill="currentColor"/><circle cx="13" cy="8" r="1.25" fill="currentColor"/>`
	IconClose    Icon = `<path d="M4 4 L12 12 M12 4 L4 12"/>`
	IconPlus     Icon = `<path d="M8 3 L8 13 M3 8 L13 8"/>`
	IconCheck    Icon = `<path d="M3 8.5 L6.5 12 L13 4.5"/>`
	IconCopy     Icon = `<path d="M6 5.5 L13 5.5 L13 13.5 L6 13.5 Z M10 5.5 L10 2.5 L3 2.5 L3 10.5 L6 10.5"/>`
	IconOpen     Icon = `<path d="M9 3 L13 3 L13 7 M13 3 L7.5 8.5 M7 4 L3 4 L3 13 L12 13 L12 9"/>`
	IconQR       Icon = `<path d="M2.75 2.75 L6.25 2.75 L6.25 6.25 L2.75 6.25 Z M9.75 2.75 L13.25 2.75 L13.25 6.25 L9.75 6.25 Z M2.75 9.75 L6.25 9.75 L6.25 13.25 L2.75 13.25 Z M9.75 9 L9.75 11 M13.25 9 L13.25 10.5 M11.5 10.5 L11.5 13.75 M9.25 13.25 L10 13.25 M13.25 12.5 L13.25 13.75"/>`
	IconGear     Icon = `<path d="M2 4.75 L7.75 4.75 M12.25 4.75 L14 4.75 M2 11.25 L3.75 11.25 M8.25 11.25 L14 11.25"/><circle cx="10" cy="4.75" r="2"/><circle cx="6" cy="11.25" r="2"/>`
	IconPlay     Icon = `<path d="M5 3.5 L12 8 L5 12.5 Z"/>`
	IconStop     Icon = `<path d="M4 4 L12 4 L12 12 L4 12 Z"/>`
	IconPause    Icon = `<path d="M5.5 3.5 L5.5 12.5 M10.5 3.5 L10.5 12.5"/>`
	IconReload   Icon = `<path d="M13 8 A5 5 0 1 1 11.2 4.2 M11.6 1.8 L11.6 4.6 L8.8 4.6"/>`
	IconEdit     Icon = `<path d="M3 13 L3.6 10.2 L10.8 3 L13 5.2 L5.8 12.4 Z M9.2 4.6 L11.4 6.8"/>`
	IconTwice    Icon = `<path d="M5.5 5.5 L13 5.5 L13 13 L5.5 13 Z M10.5 5.5 L10.5 3 L3 3 L3 10.5 L5.5 10.5 M9.25 7.5 L9.25 11 M7.5 9.25 L11 9.25"/>`
	IconTrash    Icon = `<path d="M3 4.5 L13 4.5 M6 4.5 L6 2.5 L10 2.5 L10 4.5 M4.5 4.5 L5 13.5 L11 13.5 L11.5 4.5 M7 7 L7 11 M9 7 L9 11"/>`
	IconUp       Icon = `<path d="M8 13 L8 3.5 M4 7.5 L8 3.5 L12 7.5"/>`
	IconDown     Icon = `<path d="M8 3 L8 12.5 M4 8.5 L8 12.5 L12 8.5"/>`
	IconChevron  Icon = `<path d="M4.5 6.5 L8 10 L11.5 6.5"/>`
	IconBack     Icon = `<path d="M10 3.5 L5.5 8 L10 12.5"/>`
	IconWarning  Icon = `<path d="M8 2.5 L14 13 L2 13 Z M8 6.5 L8 9.5"/><circle cx="8" cy="11.3" r="0.5" fill="currentColor"/>`
	IconError    Icon = `<circle cx="8" cy="8" r="5.75"/><path d="M8 5 L8 8.5"/><circle cx="8" cy="10.8" r="0.5" fill="currentColor"/>`
	IconInfo     Icon = `<circle cx="8" cy="8" r="5.75"/><path d="M8 7.5 L8 11"/><circle cx="8" cy="5.2" r="0.5" fill="currentColor"/>`
	IconOK       Icon = `<circle cx="8" cy="8" r="5.75"/><path d="M5.3 8.2 L7.2 10.1 L10.7 6"/>`
	IconSearch   Icon = `<circle cx="7" cy="7" r="4.25"/><path d="M10.2 10.2 L13.5 13.5"/>`
	IconFilter   Icon = `<path d="M2.5 3.5 L13.5 3.5 L9.5 8.5 L9.5 13 L6.5 11.5 L6.5 8.5 Z"/>`
	IconFolder   Icon = `<path d="M2 12.5 L2 3.5 L6.2 3.5 L7.7 5.2 L14 5.2 L14 12.5 Z"/>`
	IconSave     Icon = `<path d="M8 2.5 L8 10 M4.8 7 L8 10.2 L11.2 7 M3 13 L13 13"/>`
	IconUpload   Icon = `<path d="M8 10.2 L8 2.8 M4.8 6 L8 2.8 L11.2 6 M3 13 L13 13"/>`
	IconEye      Icon = `<path d="M1.75 8 C3.5 4.8 5.6 3.75 8 3.75 C10.4 3.75 12.5 4.8 14.25 8 C12.5 11.2 10.4 12.25 8 12.25 C5.6 12.25 3.5 11.2 1.75 8 Z"/><circle cx="8" cy="8" r="2"/>`
	IconEyeOff   Icon = `<path d="M1.75 8 C3.5 4.8 5.6 3.75 8 3.75 C10.4 3.75 12.5 4.8 14.25 8 C12.5 11.2 10.4 12.25 8 12.25 C5.6 12.25 3.5 11.2 1.75 8 Z M3 13 L13 3"/>`
	IconReplay   Icon = `<path d="M3 8 A5 5 0 1 0 4.8 4.2 M4.4 1.8 L4.4 4.6 L7.2 4.6"/>`
	IconCompare  Icon = `<path d="M2.5 5 L12.5 5 M9.8 2.3 L12.5 5 L9.8 7.7 M13.5 11 L3.5 11 M6.2 8.3 L3.5 11 L6.2 13.7"/>`
	IconPulse    Icon = `<path d="M1.5 8.5 L4.5 8.5 L6.5 3.5 L9.5 12.5 L11.5 8.5 L14.5 8.5"/>`
	IconHistory  Icon = `<circle cx="8" cy="8" r="5.75"/><path d="M8 4.75 L8 8.25 L10.5 9.75"/>`
	IconKey      Icon = `<circle cx="5" cy="10.5" r="2.75"/><path d="M7 8.5 L13 2.5 M10.5 5 L12.5 7"/>`
	IconGlobe    Icon = `<circle cx="8" cy="8" r="5.75"/><path d="M2.5 8 L13.5 8 M8 2.25 C5.2 5.5 5.2 10.5 8 13.75 C10.8 10.5 10.8 5.5 8 2.25 Z"/>`
	IconLock     Icon = `<path d="M3.5 7.5 L12.5 7.5 L12.5 13.5 L3.5 13.5 Z M5.5 7.5 L5.5 5 A2.5 2.5 0 0 1 10.5 5 L10.5 7.5"/>`
	IconBell     Icon = `<path d="M3 11.5 L13 11.5 L11.5 9.5 L11.5 6.5 A3.5 3.5 0 0 0 4.5 6.5 L4.5 9.5 Z M6.75 13.5 L9.25 13.5"/>`
	IconTerminal Icon = `<path d="M3 4.5 L6.5 8 L3 11.5 M8 12 L13 12"/>`
)

// Resource is the icon in a colour of the running theme.
func (i Icon) Resource(name fyne.ThemeColorName) fyne.Resource { return &iconResource{i, Color(name)} }

// iconResource names itself by shape and colour, because Fyne keeps pictures by name.
type iconResource struct {
	icon Icon
	tint color.Color
}

func (r *iconResource) hex() string {
	c := color.NRGBAModel.Convert(r.tint).(color.NRGBA)
	return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B)
}

// Name implements fyne.Resource.
func (r *iconResource) Name() string { return r.icon.name() + r.hex() + ".svg" }

// Content implements fyne.Resource.
func (r *iconResource) Content() []byte { return r.icon.svg(r.hex()) }

// NewImage returns an icon on its own, in a colour of the running theme: whoever
// shows it sets its Resource anew when the theme changes.
func NewImage(i Icon, name fyne.ThemeColorName) *canvas.Image {
	img := canvas.NewImageFromResource(i.Resource(name))
	img.FillMode = canvas.ImageFillContain
	return img
}
