package requests

import (
	"fmt"
	"image/color"
	"image/png"
	"os"
	"testing"
	"time"

	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"
)

type variant struct {
	look.Theme
	v fyne.ThemeVariant
}

func (v variant) Color(n fyne.ThemeColorName, _ fyne.ThemeVariant) color.Color {
	return v.Theme.Color(n, v.v)
}

func sample() *model.Store {
	s := model.NewStore()
	at := func(h, m, sec, ms int) time.Time {
		return time.Date(day.Year(), day.Month(), day.Day(), h, m, sec, ms*1e6, time.UTC)
	}
	add := func(t time.Time, method, path string, status int, d time.Duration, size int64, visitor string) *model.Request {
		r := &model.Request{Tunnel: "1", Time: t, Method: method, Path: path, Status: status, Duration: d, Size: size, Visitor: visitor}
		return r
	}
	s.AddRequest(add(at(0, 1, 55, 640).AddDate(0, 0, -1), "GET", "/favicon.svg", 304, 2*time.Millisecond, 0, "203.0.113.7"))
	r := add(at(14, 1, 58, 17), "GET", "/events", 200, 0, 900, "203.0.113.7")
	r.Stream, r.Open, r.Messages = model.EventStream, true, 12
	s.AddRequest(r)
	s.AddRequest(add(at(14, 2, 2, 300), "GET", "/admin", 403, 0, 89, "192.0.2.99"))
	s.AddRequest(add(at(14, 2, 10, 912), "GET", "/", 200, 9*time.Millisecond, 612, "203.0.113.7"))
	s.AddRequest(add(at(14, 2, 10, 944), "GET", "/@vite/client", 200, 4*time.Millisecond, 182<<10, "203.0.113.7"))
	r = add(at(14, 2, 10, 951), "GET", "/@vite/hmr", 101, 0, 9000, "203.0.113.7")
	r.Stream, r.Open, r.Messages = model.WebSocketStream, true, 38
	s.AddRequest(r)
	s.AddRequest(add(at(14, 2, 11, 207), "POST", "/webhooks/stripe", 500, 212*time.Millisecond, 1230, "198.51.100.4"))
	r = add(at(14, 2, 11, 300), "POST", "/webhooks/stripe", 200, 212*time.Millisecond, 1230, "")
	r.ReplayOf = "x"
	s.AddRequest(r)
	s.AddRequest(add(at(14, 2, 11, 482), "GET", "/src/App.tsx?t=1763", 200, 6*time.Millisecond, 4200, "203.0.113.7"))
	s.AddRequest(add(at(14, 2, 12, 482), "GET", "/gone", 0, 2*time.Second, 0, "203.0.113.7"))
	return s
}

// states are all that bar and table can look like: each brings them there from the one
// before.
var states = []struct {
	name string
	to   func(b *Bar, t *Table)
}{
	{"live", func(b *Bar, t *Table) { b.Sync(BarState{Scope: "all tunnels"}) }},
	{"chosen", func(b *Bar, t *Table) {
		b.Sync(BarState{Scope: "shop", Scoped: true, Fresh: 32})
		t.Mark(t.view.At(2).ID)
		t.Select(t.view.At(3).ID)
		t.body.hover(5)
		t.Focus()
	}},
	{"filtered", func(b *Bar, t *Table) {
		b.SetFilter(model.Filter{Text: "stripe", Method: "POST", Class: 5})
		b.Sync(BarState{Scope: "all tunnels", Paused: true})
		t.SetLabels(map[string]string{"1": "shop"})
	}},
	{"history", func(b *Bar, t *Table) {
		b.SetFilter(model.Filter{})
		b.SetHistory(true)
		t.SetLabels(nil)
		t.SetRows(foundRows(0, 40))
	}},
	{"no-history", func(b *Bar, t *Table) {
		b.SetHistory(false)
		b.Sync(BarState{Scope: "all tunnels", NoHistory: true})
	}},
	{"filters", func(b *Bar, t *Table) { look.ShowMenu(b.narrow, b.filterItems()) }},
}

func newState(t *testing.T, width float32, v fyne.ThemeVariant) (*Bar, *Table, fyne.Window) {
	t.Helper()
	app := test.NewTempApp(t)
	app.Settings().SetTheme(variant{v: v})
	table := NewTable(model.NewView(sample()))
	table.now = func() time.Time { return day }
	bar := NewBar(BarActions{Export: func() {}, Import: func() {}, ShowAll: func() {}})
	w := test.NewTempWindow(t, container.NewBorder(bar, nil, nil, nil, table))
	w.SetPadded(false)
	w.Resize(fyne.NewSize(width, 400))
	table.Sync()
	return bar, table, w
}

func TestEveryState(t *testing.T) {
	for name, width := range map[string]float32{"wide": 907, "narrow": 447} {
		bar, table, w := newState(t, width, theme.VariantDark)
		for _, s := range states {
			s.to(bar, table)
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
		for _, width := range []float32{907, 447} {
			bar, table, w := newState(t, width, v)
			for _, s := range states {
				s.to(bar, table)
				save(t, w, fmt.Sprintf("%s/table-%s-%s-%v.png", dir, s.name, name, width))
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
