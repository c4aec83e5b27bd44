package inspector

import (
	"fmt"
	"image/png"
	"os"
	"testing"

	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"
)

// states are all that an inspector can look like: each brings it there from the one
// before.
var states = []struct {
	name string
	to   func(i *Inspector)
}{
	{"overview", func(i *Inspector) { i.Inspect(webhook(), nil) }},
	{"headers", func(i *Inspector) { i.turn(headersTab) }},
	{"headers-revealed", func(i *Inspector) { i.reveal("") }},
	{"body", func(i *Inspector) { i.reveal(""); i.turn(bodyTab) }},
	{"body-hex", func(i *Inspector) { i.mode(2) }},
	{"timing", func(i *Inspector) { i.mode(0); i.turn(timingTab) }},
	{"compare-wait", func(i *Inspector) { i.Compare() }},
	{"compare", func(i *Inspector) {
		x := changed()
		x.ReplayOf = "7d1c"
		i.Inspect(x, nil)
	}},
	{"overview-replay", func(i *Inspector) { i.Compare() }},
	{"overview-picture", func(i *Inspector) { i.Inspect(picture(), nil) }},
	{"body-picture", func(i *Inspector) { i.turn(bodyTab) }},
	{"messages", func(i *Inspector) {
		i.Inspect(socket(), &flowing{messages: frames(30), gone: 8})
		i.turn(messagesTab)
	}},
	{"messages-chosen", func(i *Inspector) {
		i.stream().list.pick(9)
		live := i.live.(*flowing)
		live.messages = append(live.messages, frames(12)...)
		i.Sync()
	}},
	{"failed", func(i *Inspector) {
		x := webhook()
		x.ID, x.Status, x.NoTarget, x.Err, x.Detail = "f", 503, true, "nothing answers at localhost:5173: start the service there, then try again", "dial tcp 127.0.0.1:5173: connect: connection refused"
		x.Response.Body, x.Response.Size, x.Response.Header = nil, 0, nil
		i.Inspect(x, nil)
	}},
	{"no-body", func(i *Inspector) { i.turn(bodyTab) }},
	{"menu", func(i *Inspector) { look.ShowMenu(i.head.more, i.moreItems()) }},
}

func (i *Inspector) mode(n int) {
	for _, v := range i.pages[bodyTab].(*bodyPage).sides {
		v.modes.Select(n)
		v.fill(false)
	}
}

func TestEveryState(t *testing.T) {
	for name, size := range map[string]fyne.Size{"wide": wideSize, "narrow": narrowSize} {
		i, w := newInspector(t, size, theme.VariantDark, nil)
		for _, s := range states {
			s.to(i)
			test.AssertRendersToMarkup(t, s.name+"-"+name+".xml", w.Canvas())
		}
	}
}

// TestShots draws what the window would; it is for eyes.
func TestShots(t *testing.T) {
	dir := os.Getenv("SHOTS")
	if dir == "" {
		t.Skip("SHOTS names no folder")
	}
	for name, v := range map[string]fyne.ThemeVariant{"dark": theme.VariantDark, "light": theme.VariantLight} {
		for _, size := range []fyne.Size{wideSize, narrowSize} {
			i, w := newInspector(t, size, v, nil)
			for _, s := range states {
				s.to(i)
				save(t, w, fmt.Sprintf("%s/inspector-%s-%s-%v.png", dir, s.name, name, size.Width))
			}
		}
	}
}

func save(t *testing.T, w fyne.Window, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, w.Canvas().Capture()); err != nil {
		t.Fatal(err)
	}
}
