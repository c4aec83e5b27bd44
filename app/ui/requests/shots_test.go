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
	day := time.Now()
	at := func(h, m, sec, ms int) time.Time {
		return time.Date(day.Year(), day.Month(), day.Day(), h, m, sec, ms*1e6, time.Local)
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

// TestShots draws what the window would; it is for eyes.
func TestShots(t *testing.T) {
	dir := os.Getenv("SHOTS")
	if dir == "" {
		t.Skip("SHOTS names no folder")
	}
	for name, v := range map[string]fyne.ThemeVariant{"dark": theme.VariantDark, "light": theme.VariantLight} {
		for _, width := range []float32{907, 447} {
			app := test.NewTempApp(t)
			app.Settings().SetTheme(variant{v: v})
			table := NewTable(model.NewView(sample()))
			bar := NewBar(BarActions{Export: func() {}, Import: func() {}, ShowAll: func() {}})
			bar.Sync(BarState{Scope: "shop", Scoped: true, Fresh: 32})
			w := test.NewTempWindow(t, container.NewBorder(bar, nil, nil, nil, table))
			w.SetPadded(false)
			w.Resize(fyne.NewSize(width, 400))
			table.Sync()
			table.selectRequest(table.view.At(3))
			table.body.hover(5)
			table.Mark(table.view.At(2).ID)
			table.Focus()
			save(t, w, fmt.Sprintf("%s/table-%s-%v.png", dir, name, width))
			bar.SetFilter(model.Filter{Text: "stripe", Method: "POST", Class: 5})
			bar.Sync(BarState{Scope: "all tunnels", Paused: true})
			save(t, w, fmt.Sprintf("%s/table-filter-%s-%v.png", dir, name, width))
			look.ShowMenu(bar.narrow, bar.filterItems())
			save(t, w, fmt.Sprintf("%s/table-menu-%s-%v.png", dir, name, width))
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
