package look

import (
	"fmt"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
)

// gallery is every widget in every state that it can be drawn in.
func gallery() (fyne.CanvasObject, fyne.Focusable) {
	pressed := func() {}
	disabled := NewButton("Disabled", Low, pressed)
	disabled.Disable()
	danger := NewButton("Remove", Low, pressed)
	danger.SetDanger(true)
	icon := NewButton("Open", Low, pressed)
	icon.SetIcon(IconOpen)
	compact := NewButton("Open", Low, pressed)
	compact.SetIcon(IconOpen)
	compact.SetCompact(true)
	focused := NewButton("Focused", Low, pressed)
	focused.focused = true
	on := NewIconButton(IconFilter, "Filter", pressed)
	on.SetOn(true)
	off := NewIconButton(IconTrash, "Remove", pressed)
	off.Disable()
	var icons []fyne.CanvasObject
	for _, i := range []Icon{IconMore, IconClose, IconPlus, IconCheck, IconCopy, IconOpen, IconQR, IconGear, IconPlay, IconStop, IconPause,
		IconReload, IconEdit, IconTwice, IconTrash, IconUp, IconDown, IconChevron, IconBack} {
		icons = append(icons, NewIconButton(i, "An icon", pressed))
	}
	var more []fyne.CanvasObject
	for _, i := range []Icon{IconWarning, IconError, IconInfo, IconOK, IconSearch, IconFilter, IconFolder, IconSave, IconUpload, IconEye, IconEyeOff,
		IconReplay, IconCompare, IconPulse, IconHistory, IconKey, IconGlobe, IconLock, IconTerminal} {
		more = append(more, NewIconButton(i, "An icon", pressed))
	}
	segments := NewSegmented([]string{"All", "2xx", "3xx", "4xx", "5xx"}, nil)
	segments.Select(2)
	tabs := NewTabs([]string{"Overview", "Headers", "Body", "Timing"}, nil)
	check, ticked := NewCheck("Open at start", nil), NewCheck("Redact secrets", nil)
	ticked.Set(true)
	gone := NewCheck("Not now", nil)
	gone.Disable()
	onSwitch := NewSwitch("Launch at login", func(bool) {})
	onSwitch.Set(true)
	sel := NewSelect([]string{"Built-in relay", "My AWS"}, nil)
	prefixed := NewSelect([]string{"My AWS · eu-west-1"}, nil)
	prefixed.SetPrefix("Backend:")
	name := NewField("shop")
	wrong := NewField("")
	wrong.SetText("no such name!")
	row := NewFormRow("Name", wrong, "The beginning of the URL.")
	row.SetError("Only small letters, digits and hyphens.")
	secret := NewSecretField("")
	secret.SetText("secret")
	area := NewArea("", 3)
	area.SetText("{\n  \"type\": \"invoice.paid\"\n}")
	lamp := func(s LampState, word string) fyne.CanvasObject {
		l := NewLamp("link")
		l.Set(s, word, "")
		return l
	}
	spark := NewSpark(ColorAccent)
	spark.Set([]float32{0, 1, 3, 2, 6, 4, 9, 7, 7, 3, 5, 8}, ColorAccent)
	chip := func(text string, mark ChipMark) fyne.CanvasObject {
		c := NewChip(pressed)
		c.Set(text, mark, "")
		return c
	}
	return NewStack(Inset,
		NewRow(Gap, NewFilledButton("Filled", Low, pressed), NewButton("Outlined", Low, pressed), icon, compact, danger, disabled, focused, on, off),
		NewRow(0, icons...),
		NewRow(0, more...),
		NewRow(2*Gap, segments, tabs),
		NewRow(2*Gap, check, ticked, gone, NewSwitch("Off", func(bool) {}), onSwitch, Space(), NewBadge("101 switching", Info), NewBadge("new", OK)),
		NewRow(2*Gap, Grow(sel), prefixed),
		NewRow(2*Gap, Grow(NewFormRow("Target", name, "A port, an address or a folder.")), Grow(row)),
		NewRow(2*Gap, Grow(secret.Box), Grow(area.Box)),
		NewRow(2*Gap, lamp(LampOff, "unknown"), lamp(LampChecking, "checking"), lamp(LampUp, "up"), lamp(LampDown, "down"), lamp(LampWaits, "waits"), Grow(spark)),
		NewRow(Gap, chip("5173 · vite", ChipPlain), chip("8000 · python", ChipTaken), chip("5432 · postgres", ChipHazard)),
		NewBanner(Info, "The history is kept for 7 days."),
		NewBanner(Warn, "The config file is broken in line 12: nothing is changed in it until that is repaired, and the settings shown are the defaults.",
			NewButton("Open file", Low, pressed)),
		NewBanner(Bad, "The token was refused."),
	), name
}

func showGallery(t *testing.T, mode Mode, size fyne.Size) fyne.Window {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(Theme{Mode: mode})
	content, _ := gallery()
	back := NewPanel(ColorPanel, "", 0)
	w := test.NewTempWindow(t, NewRoot(&fyne.Container{Layout: padded{}, Objects: []fyne.CanvasObject{back, content}}))
	w.SetPadded(false)
	w.Resize(size)
	return w
}

type padded struct{}

func (padded) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.Size{} }
func (padded) Layout(o []fyne.CanvasObject, size fyne.Size) {
	o[0].Resize(size)
	place(o[1], 16, 16, size.Width-32, size.Height-32)
}

func TestMarkup(t *testing.T) {
	for mode, name := range map[Mode]string{Dark: "dark", Light: "light"} {
		t.Run(name, func(t *testing.T) {
			w := showGallery(t, mode, fyne.NewSize(720, 760))
			test.AssertRendersToMarkup(t, fmt.Sprintf("gallery-%s.xml", name), w.Canvas())
		})
	}
}
