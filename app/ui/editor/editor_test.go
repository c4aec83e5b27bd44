package editor

import (
	"bytes"
	"errors"
	"image/png"
	"net/http"
	"strings"
	"testing"
	"time"

	"culvert/app/exchange"
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/test"
	"github.com/google/go-cmp/cmp"
)

var (
	wide  = fyne.NewSize(1280, 800)
	small = fyne.NewSize(720, 480)
)

func window(t *testing.T, size fyne.Size) fyne.Window {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(look.Theme{})
	w := test.NewTempWindow(t, canvas.NewRectangle(look.Color(look.ColorBase)))
	w.SetPadded(false)
	w.Resize(size)
	return w
}

func shop() TunnelState {
	return TunnelState{
		Key: "1", Title: "shop", URL: "https://shop.tunnel.example.com", Running: true, Profiles: []string{"My AWS", "relay"},
		Tunnel: Tunnel{Target: "localhost:5173", Name: "shop", Profile: "relay", HostHeader: "app.example.test", Timeout: 30 * time.Second, Start: true},
	}
}

func webhook() *exchange.Exchange {
	body := []byte("{\n  \"type\": \"invoice.paid\"\n}")
	return &exchange.Exchange{
		ID: "7", Method: "POST", Path: "/webhooks/stripe",
		Request: exchange.Message{
			Header: http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer abc.def.ghi"}, "Content-Length": {"28"}},
			Body:   body, Size: int64(len(body)),
		},
	}
}

func TestSheetsLook(t *testing.T) {
	for _, tt := range []struct {
		name string
		size fyne.Size
		open func(c fyne.Canvas)
	}{
		{"tunnel", wide, func(c fyne.Canvas) { NewTunnelForm(c, TunnelActions{}).Show(shop()) }},
		{"tunnel-duplicate-small", small, func(c fyne.Canvas) {
			s := shop()
			s.Key, s.Tunnel.HostHeader = "", ""
			NewTunnelForm(c, TunnelActions{}).Show(s)
		}},
		{"tunnel-wrong", wide, func(c fyne.Canvas) {
			f := NewTunnelForm(c, TunnelActions{CheckTarget: func(string, func(error)) {}})
			f.Show(shop())
			f.name.SetText("Shop!")
			f.timeout.SetText("soon")
			f.trySave()
		}},
		{"share", wide, func(c fyne.Canvas) {
			NewShare(c, ShareActions{}).Show(ShareState{Title: "shop", URL: "https://shop.tunnel.example.com"})
		}},
		{"share-local-small", small, func(c fyne.Canvas) {
			NewShare(c, ShareActions{}).Show(ShareState{Title: "shop", URL: "http://127.0.0.1:40001/shop", Local: true})
		}},
		{"share-too-long", wide, func(c fyne.Canvas) {
			NewShare(c, ShareActions{}).Show(ShareState{Title: "shop", URL: "https://x.example.com/" + strings.Repeat("long", 1000)})
		}},
		{"replay", wide, func(c fyne.Canvas) {
			NewReplay(c, ReplayActions{}).Show(ReplayState{Tunnel: "shop", Exchange: webhook()})
		}},
		{"replay-binary-small", small, func(c fyne.Canvas) {
			x := webhook()
			x.Redacted, x.Request.Body = true, []byte{0xff, 0xd8, 0xff}
			NewReplay(c, ReplayActions{}).Show(ReplayState{Tunnel: "shop", Exchange: x})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := window(t, tt.size)
			tt.open(w.Canvas())
			test.AssertRendersToMarkup(t, tt.name+".xml", w.Canvas())
		})
	}
}

func TestTunnelIsSaved(t *testing.T) {
	w := window(t, wide)
	var key string
	var saved []Tunnel
	var done func(error)
	closed := 0
	f := NewTunnelForm(w.Canvas(), TunnelActions{
		CheckTarget: func(_ string, done func(error)) { done(nil) },
		Save:        func(k string, t Tunnel, d func(error)) { key, saved, done = k, append(saved, t), d },
		Closed:      func() { closed++ },
	})
	f.Show(shop())
	f.target.SetText(" 8000 ")
	f.backend.TypedKey(&fyne.KeyEvent{Name: fyne.KeyUp})
	f.timeout.SetText("2 min")
	test.Tap(f.start)
	test.Tap(f.save)
	test.Tap(f.save) // impatient
	want := []Tunnel{{Target: "8000", Name: "shop", Profile: "My AWS", HostHeader: "app.example.test", Timeout: 2 * time.Minute}}
	if diff := cmp.Diff(want, saved); diff != "" || key != "1" {
		t.Fatalf("saved %q (-want +got):\n%s", key, diff)
	}
	if f.save.Text() != "Saving…" {
		t.Errorf("meanwhile the button says %q", f.save.Text())
	}
	done(errors.New("the name is taken"))
	if closed != 0 || !f.problem.Visible() || !strings.Contains(f.problem.Text(), "The name is taken.") || f.save.Text() != "Save" {
		t.Errorf("a failure is said as %q; closed %d times", f.problem.Text(), closed)
	}
	test.Tap(f.save)
	late := done
	f.Hide()
	twin := shop()
	twin.Key = ""
	f.Show(twin)
	late(errors.New("too late"))
	if f.problem.Visible() || !f.sheet.Shown() || f.save.Text() != "Open tunnel" {
		t.Errorf("the answer to an earlier form reaches the next, whose button says %q", f.save.Text())
	}
	f.Hide()
	f.Show(shop())
	test.Tap(f.save)
	done(nil)
	if closed != 3 || f.sheet.Shown() {
		t.Errorf("saved, the form was closed %d times", closed)
	}
}

func TestTunnelIsChecked(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(f *TunnelForm)
		target  error
		problem func(f *TunnelForm) *look.Field
	}{
		{"no target", func(f *TunnelForm) { f.target.SetText(" ") }, nil, func(f *TunnelForm) *look.Field { return f.target }},
		{"a target that makes no sense", func(*TunnelForm) {}, errors.New("the port is not from 1 to 65535"), func(f *TunnelForm) *look.Field { return f.target }},
		{"a name that cannot be", func(f *TunnelForm) { f.name.SetText("Shop!") }, nil, func(f *TunnelForm) *look.Field { return f.name }},
		{"no host name", func(f *TunnelForm) { f.host.Name().SetText("a b") }, nil, func(f *TunnelForm) *look.Field { return f.host.Name() }},
		{"no time", func(f *TunnelForm) { f.timeout.SetText("soon") }, nil, func(f *TunnelForm) *look.Field { return f.timeout }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := window(t, small)
			f := NewTunnelForm(w.Canvas(), TunnelActions{
				CheckTarget: func(_ string, done func(error)) { done(tt.target) },
				Save:        func(string, Tunnel, func(error)) { t.Error("saved") },
			})
			f.Show(shop())
			tt.change(f)
			test.Tap(f.save)
			if got, want := w.Canvas().Focused(), fyne.Focusable(tt.problem(f)); got != want {
				t.Errorf("the focus went to %T %p, want the field that is wrong", got, got)
			}
		})
	}
}

func TestTunnelFormWarnsAboutTheURL(t *testing.T) {
	w := window(t, wide)
	f := NewTunnelForm(w.Canvas(), TunnelActions{CheckTarget: func(string, func(error)) {}})
	f.Show(shop())
	if !strings.Contains(f.warning.Text(), "connects the tunnel anew") {
		t.Errorf("a running tunnel: %q", f.warning.Text())
	}
	f.name.SetText("other")
	if !strings.Contains(f.warning.Text(), "https://shop.tunnel.example.com stops working") {
		t.Errorf("another name: %q", f.warning.Text())
	}
	f.name.SetText("shop")
	f.backend.TypedKey(&fyne.KeyEvent{Name: fyne.KeyUp})
	if !strings.Contains(f.warning.Text(), "stops working") {
		t.Errorf("another backend: %q", f.warning.Text())
	}
	f.Hide()
	s := shop()
	s.Running, s.URL = false, ""
	f.Show(s)
	if f.warning.Visible() {
		t.Errorf("a stopped tunnel: %q", f.warning.Text())
	}
}

func TestShare(t *testing.T) {
	w := window(t, wide)
	var copied, opened, name string
	var picture []byte
	var done func(string, error)
	s := NewShare(w.Canvas(), ShareActions{
		Copy: func(text string) { copied = text }, Open: func(url string) { opened = url },
		SavePNG: func(n string, p []byte, d func(string, error)) { name, picture, done = n, p, d },
	})
	s.Show(ShareState{Title: "~/my site", URL: "https://shop.tunnel.example.com"})
	s.copyURL()
	test.Tap(s.save)
	if copied != "https://shop.tunnel.example.com" || opened != "" || name != "my-site.png" {
		t.Errorf("copied %q, opened %q, saves %q", copied, opened, name)
	}
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	if side := img.Bounds().Dx(); side < 900 || side > printSize {
		t.Errorf("the picture is %d pixels wide", side)
	}
	done("", nil) // the person has thought better of it
	if s.saved.Text() == "Saved as " {
		t.Error("nothing was saved, and the sheet says so")
	}
	test.Tap(s.save)
	done("/home/me/shop.png", nil)
	if s.saved.Text() != "Saved as /home/me/shop.png" {
		t.Errorf("saved, the sheet says %q", s.saved.Text())
	}
	test.Tap(s.save)
	done("", errors.New("the disk is full"))
	if !s.problem.Visible() {
		t.Error("a failure is not said")
	}
}

// Readers want four light modules around the code (ISO/IEC 18004, 9.1), and dark on light.
func TestQRHasAQuietZone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"http://x", "https://shop.tunnel.example.com", strings.Repeat("https://long.example.com/", 80)} {
		q, err := newQR(text)
		if err != nil {
			t.Fatal(err)
		}
		n := q.size()
		for y := range n {
			for x := range n {
				if edge := min(x, y, n-1-x, n-1-y); edge < 4 && q.modules[y][x] {
					t.Fatalf("%d modules: a dark one at %d, %d", n, x, y)
				}
			}
		}
		if !q.modules[4][4] {
			t.Errorf("%d modules: the quiet zone is wider than four", n)
		}
		img := q.image(3)
		if got := img.At(4*3+1, 4*3+1); got != black {
			t.Errorf("a dark module is drawn %v", got)
		}
	}
	if _, err := newQR(strings.Repeat("x", 5000)); err == nil {
		t.Error("5,000 letters fit into a code")
	}
}

func TestRequestIsSentAgain(t *testing.T) {
	w := window(t, wide)
	var sent []Request
	var done func(error)
	f := NewReplay(w.Canvas(), ReplayActions{Send: func(_ *exchange.Exchange, r Request, d func(error)) { sent, done = append(sent, r), d }})
	x := webhook()
	f.Show(ReplayState{Exchange: x, Tunnel: "shop"})
	if strings.Contains(test.RenderToMarkup(w.Canvas()), "abc.def.ghi") {
		t.Error("the form shows a secret that nobody asked for")
	}
	f.method.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	f.body.SetText("{}")
	f.headers.SetText(f.headers.Text + "\nX-Test: 1")
	test.Tap(f.send)
	want := Request{
		Of: "7", Method: "PUT", Path: "/webhooks/stripe", Body: []byte("{}"),
		Header: http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer abc.def.ghi"}, "X-Test": {"1"}},
	}
	if diff := cmp.Diff([]Request{want}, sent); diff != "" {
		t.Fatalf("sent (-want +got):\n%s", diff)
	}
	done(errors.New("nothing is listening"))
	if !f.problem.Visible() || !f.sheet.Shown() {
		t.Error("a failure is not said")
	}
	test.Tap(f.showSecrets)
	if !strings.Contains(f.headers.Text, "Bearer abc.def.ghi") || !strings.Contains(f.headers.Text, "X-Test: 1") {
		t.Errorf("revealed, the headers are %q", f.headers.Text)
	}
	f.headers.SetText(strings.Replace(f.headers.Text, "abc.def.ghi", "new.new.new", 1))
	test.Tap(f.showSecrets)
	if strings.Contains(f.headers.Text, "new.new.new") {
		t.Errorf("hidden again, the headers are %q", f.headers.Text)
	}
	test.Tap(f.send)
	done(nil)
	if got := sent[1].Header.Get("Authorization"); got != "Bearer new.new.new" || f.sheet.Shown() {
		t.Errorf("sent %q; the form is open: %v", got, f.sheet.Shown())
	}
	if x.Request.Header.Get("Authorization") != "Bearer abc.def.ghi" {
		t.Error("the exchange itself was changed")
	}
}

func TestRequestIsCheckedBeforeItIsSent(t *testing.T) {
	w := window(t, wide)
	f := NewReplay(w.Canvas(), ReplayActions{Send: func(*exchange.Exchange, Request, func(error)) { t.Error("sent") }})
	f.Show(ReplayState{Exchange: webhook(), Tunnel: "shop"})
	for _, path := range []string{"", "webhooks", "/with space", "/with#fragment", "/with\x01control"} {
		f.path.SetText(path)
		test.Tap(f.send)
	}
	f.path.SetText("/")
	f.headers.SetText("nonsense")
	test.Tap(f.send)
	f.Hide()
	x := webhook()
	x.Upgrade = "websocket"
	f.Show(ReplayState{Exchange: x, Tunnel: "shop"})
	test.Tap(f.send)
}

// What cannot be shown as text is sent byte for byte.
func TestBodiesThatAreNoText(t *testing.T) {
	for name, tt := range map[string]struct {
		body     []byte
		editable bool
	}{
		"text":          {[]byte("a\n\tb"), true},
		"nothing":       {nil, true},
		"UTF-8":         {[]byte("žluťoučký 請求"), true},
		"not UTF-8":     {[]byte{0xff, 0xfe}, false},
		"NUL":           {[]byte("a\x00b"), false},
		"CRLF":          {[]byte("a\r\nb"), false}, // an entry would not give it back
		"long":          {bytes.Repeat([]byte("line\n"), 4000), false},
		"one long line": {bytes.Repeat([]byte("x"), 5000), false},
	} {
		w := window(t, small)
		var sent Request
		f := NewReplay(w.Canvas(), ReplayActions{Send: func(_ *exchange.Exchange, r Request, _ func(error)) { sent = r }})
		x := webhook()
		x.Request.Body, x.Request.Size = tt.body, int64(len(tt.body))
		f.Show(ReplayState{Exchange: x, Tunnel: "shop"})
		if f.editable != tt.editable || f.bodyRow.Visible() != tt.editable {
			t.Errorf("%s: editable %v, want %v", name, f.editable, tt.editable)
		}
		test.Tap(f.send)
		if !bytes.Equal(sent.Body, tt.body) {
			t.Errorf("%s: sent %q", name, sent.Body)
		}
	}
}
