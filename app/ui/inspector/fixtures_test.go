package inspector

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"testing"
	"time"

	"culvert/app/exchange"
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
)

// variant is the program's theme, light or dark whatever the system says.
type variant struct {
	look.Theme
	v fyne.ThemeVariant
}

func (v variant) Color(n fyne.ThemeColorName, _ fyne.ThemeVariant) color.Color {
	return v.Theme.Color(n, v.v)
}

// at is when the exchanges of the tests began.
var at = time.Date(2026, 1, 2, 14, 2, 11, 207e6, time.UTC)

func webhook() *exchange.Exchange {
	body := `{"id":"evt_1QZ","type":"invoice.paid","livemode":false,"data":{"object":{"amount_due":12999.50,"customer":"cus_9","lines":["a","b",null]}},"api_key":"sk_live_51H8abcdefghijklmnop"}`
	trace := "Traceback (most recent call last):\n  File \"app.py\", line 41, in stripe_hook\n    order = ORDERS[event[\"data\"][\"id\"]]\nKeyError: 'in_1QZ'\n"
	return &exchange.Exchange{
		ID: "7d1c", Tunnel: "shop", Target: "localhost:5173", URL: "https://shop.tunnel.example.com/webhooks/stripe",
		Start: at, Duration: 212 * time.Millisecond, Waited: 180 * time.Millisecond, RemoteAddr: "198.51.100.4", Method: "POST", Path: "/webhooks/stripe",
		Host: "shop.tunnel.example.com", Status: 500,
		Request: exchange.Message{Header: http.Header{
			"Content-Type": {"application/json"}, "Stripe-Signature": {"t=1763,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd"}, "User-Agent": {"Stripe/1.0"},
			"Authorization": {"Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"}, "Accept": {"*/*"}, "Accept-Encoding": {"gzip"}, "X-Forwarded-For": {"198.51.100.4"},
			"X-Forwarded-Proto": {"https"}, "Content-Length": {"172"}, "Cookie": {"session=abc123; theme=dark"},
		}, Body: []byte(body), Size: int64(len(body))},
		Response: exchange.Message{Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Content-Length": {"1204"}, "Set-Cookie": {"session=xyz; HttpOnly"}},
			Body: []byte(trace), Size: 1204, Truncated: true},
	}
}

func picture() *exchange.Exchange {
	x := webhook()
	x.ID, x.Method, x.Path, x.Status, x.Request.Body, x.Request.Size = "9a", "GET", "/hero.png?token=abcdef123456", 200, nil, 0
	img := image.NewNRGBA(image.Rect(0, 0, 320, 200))
	for i := range img.Pix {
		img.Pix[i] = byte(i / 640)
	}
	for y := range 200 {
		for x := range 320 {
			img.Set(x, y, color.NRGBA{uint8(x * 255 / 320), uint8(y * 255 / 200), 160, 255})
		}
	}
	var b bytes.Buffer
	_ = png.Encode(&b, img)
	x.Response = exchange.Message{Header: http.Header{"Content-Type": {"image/png"}}, Body: b.Bytes(), Size: int64(b.Len())}
	return x
}

func socket() *exchange.Exchange {
	x := webhook()
	x.ID, x.Method, x.Path, x.Status, x.Upgrade, x.Open = "5c", "GET", "/@vite/hmr", 101, "websocket", true
	x.Request.Body, x.Request.Size, x.Response = nil, 0, exchange.Message{Header: http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}}
	return x
}

func frames(n int) []exchange.StreamMessage {
	var all []exchange.StreamMessage
	for i := range n {
		m := exchange.StreamMessage{Time: at.Add(time.Duration(i) * 700 * time.Millisecond), From: exchange.Direction(i % 2), Kind: exchange.Text,
			Data: fmt.Appendf(nil, `{"type":"update","path":"/src/App.tsx","timestamp":17635%05d,"token":"abcdef0123456789"}`, i)}
		switch i % 9 {
		case 4:
			m.Kind, m.Data = exchange.Ping, nil
		case 5:
			m.Kind, m.Data = exchange.Pong, nil
		case 7:
			m.Kind, m.Data = exchange.Binary, []byte{0, 1, 2, 3, 0xfe, 0xff}
		}
		m.Size = int64(len(m.Data))
		all = append(all, m)
	}
	return all
}

// flowing is a live stream of the tests.
type flowing struct {
	messages []exchange.StreamMessage
	gone     int
	done     bool
}

func (f *flowing) Count() int { return f.gone + len(f.messages) }
func (f *flowing) Done() bool { return f.done }
func (f *flowing) Messages(from int) ([]exchange.StreamMessage, int) {
	skipped := max(f.gone-from, 0)
	return f.messages[from+skipped-f.gone:], skipped
}

func newInspector(t testing.TB, size fyne.Size, v fyne.ThemeVariant, change func(*Actions)) (*Inspector, fyne.Window) {
	t.Helper()
	app := test.NewTempApp(t)
	app.Settings().SetTheme(variant{v: v})
	a := Actions{
		Prepare: func(work func(context.Context), then func()) { work(context.Background()); then() },
		Copy:    func(_ string, then func()) { then() },
		Save:    func(string, []byte) {}, Replay: func(*exchange.Exchange) {}, Edit: func(*exchange.Exchange) {},
		Original: func(_ string, then func(*exchange.Exchange)) { then(nil) },
		Close:    func() {}, Now: func() time.Time { return at.Add(3 * time.Minute) },
	}
	if change != nil {
		change(&a)
	}
	i := New(a)
	w := test.NewTempWindow(t, i)
	w.SetPadded(false)
	w.Resize(size)
	return i, w
}
