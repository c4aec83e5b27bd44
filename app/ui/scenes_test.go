package ui

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"culvert/app/config"
	"culvert/app/discover"
	"culvert/app/doctor"
	"culvert/app/exchange"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/settings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
)

// scene is one state of the window.
type scene struct {
	name string
	set  func(*stage)
	both bool // always looked at in both themes, and painted
}

// scenes are all states that a person meets.
func scenes() []scene {
	return []scene{
		{name: "01-no-tunnel", set: func(s *stage) { s.cfg.Store.SetServices(nil); s.Sync() }, both: true},
		{name: "02-services-found", set: func(s *stage) { s.services() }},
		{name: "03-hazard-question", set: func(s *stage) {
			s.engine.hazards["5432"] = discover.HazardOfPort(5432)
			s.services()
			s.open("5432")
			s.settle()
		}},
		{name: "04-open-error", set: func(s *stage) {
			s.services()
			s.opener.SetText("99999")
			s.open("99999")
			s.settle()
		}},
		{name: "05-connecting", set: func(s *stage) {
			s.tunnel(model.Tunnel{Key: "1", Name: "shop", Profile: "work", State: model.Connecting})
		}},
		{name: "06-online-no-request", set: func(s *stage) { s.services(); s.shop() }, both: true},
		{name: "07-reconnecting", set: func(s *stage) {
			s.tunnel(model.Tunnel{Key: "1", Name: "shop", Profile: "work", State: model.Reconnecting, Since: s.now.Add(-12 * time.Second), Attempt: 3,
				NextTry: s.now.Add(4 * time.Second), Cause: "connection refused by tunnel.example.com:443", URL: shopURL, Public: true,
				Lights: model.Lights{Service: up(s.now), Link: model.Light{State: model.LightDown, Cause: "connection refused"}, URL: model.Light{State: model.LightWaits}}})
		}},
		{name: "08-refused", set: func(s *stage) {
			s.tunnel(model.Tunnel{Key: "1", Name: "shop", State: model.Refused, Since: s.now.Add(-time.Minute), Profile: "work", Public: true,
				TokenRefused: true,
				Cause:        "the token has expired: put a new one into the settings of the backend",
				Lights:       model.Lights{Service: up(s.now), Link: model.Light{State: model.LightDown, Cause: "refused"}, URL: model.Light{State: model.LightWaits}}})
		}},
		{name: "09-stopped", set: func(s *stage) { s.tunnel(model.Tunnel{Key: "1", Name: "shop", Profile: "work", State: model.Stopped}) }},
		{name: "10-service-down", set: func(s *stage) {
			t := shop(s.now)
			t.Lights.Service = model.Light{State: model.LightDown, Cause: "nothing is listening on localhost:5173", At: s.now}
			s.tunnel(t)
			s.fail("1", "/cart")
		}},
		{name: "11-many-tunnels", set: func(s *stage) { s.many(); s.traffic() }, both: true},
		{name: "12-one-of-many", set: func(s *stage) { s.many(); s.traffic(); s.selectTunnel("2") }},
		{name: "13-card-menu", set: func(s *stage) { s.many(); s.traffic(); s.tip("More") }},
		{name: "14-traffic", set: func(s *stage) { s.shop(); s.traffic() }},
		{name: "15-filtered-to-nothing", set: func(s *stage) {
			s.shop()
			s.traffic()
			s.bar.SetFilter(model.Filter{Text: "nowhere", Class: 4})
			s.narrow()
		}},
		{name: "16-filtered", set: func(s *stage) { s.shop(); s.traffic(); s.bar.SetFilter(model.Filter{Text: "stripe"}); s.narrow() }},
		{name: "17-paused", set: func(s *stage) { s.shop(); s.traffic(); s.togglePause(); s.traffic(); s.Sync() }},
		{name: "20-overview", set: func(s *stage) { s.inspecting(webhook(s.now)) }, both: true},
		{name: "21-headers", set: func(s *stage) { s.inspecting(webhook(s.now)); s.turnTo("Headers") }},
		{name: "22-body-json", set: func(s *stage) { s.inspecting(webhook(s.now)); s.turnTo("Body") }},
		{name: "23-timing", set: func(s *stage) { s.inspecting(webhook(s.now)); s.turnTo("Timing") }},
		{name: "24-compare", set: func(s *stage) {
			s.inspecting(webhook(s.now))
			s.inspector.Compare()
			again := webhook(s.now.Add(time.Second))
			again.ID, again.Status, again.Response.Body = "second", 200, []byte("received\n")
			again.Request.Header.Set("X-Attempt", "2")
			s.inspecting(again)
		}},
		{name: "25-compare-waits", set: func(s *stage) { s.inspecting(webhook(s.now)); s.inspector.Compare() }},
		{name: "26-stream-open", set: func(s *stage) { s.streaming() }},
		{name: "27-image", set: func(s *stage) { s.inspecting(painting(s.now)); s.turnTo("Body") }},
		{name: "28-hex", set: func(s *stage) {
			x := painting(s.now)
			x.Path, x.Response.Header = "/archive.bin", http.Header{"Content-Type": {"application/octet-stream"}}
			x.Response.Body = bytes.Repeat([]byte{0x00, 0x1f, 'c', 'u', 'l', 'v', 0xff, 0x80}, 90)
			s.inspecting(x)
			s.turnTo("Body")
		}},
		{name: "29-failed", set: func(s *stage) { s.shop(); s.traffic(); s.fail("1", "/cart"); s.selectFirst() }},
		{name: "30-replay-form", set: func(s *stage) { s.inspecting(webhook(s.now)); s.editReplay(webhook(s.now)) }},
		{name: "31-tunnel-form", set: func(s *stage) { s.shop(); s.wish(); s.edit("1") }},
		{name: "32-duplicate-form", set: func(s *stage) { s.shop(); s.wish(); s.duplicate("1") }},
		{name: "33-share", set: func(s *stage) { s.shop(); s.share("1") }},
		{name: "40-settings-backends", set: func(s *stage) { s.configured(settings.Backends) }, both: true},
		{name: "41-settings-tunnels", set: func(s *stage) { s.configured(settings.NewTunnels) }},
		{name: "42-settings-requests", set: func(s *stage) { s.configured(settings.Requests) }},
		{name: "43-settings-notices", set: func(s *stage) { s.configured(settings.Notices) }},
		{name: "44-settings-general", set: func(s *stage) { s.configured(settings.General) }},
		{name: "45-profile", set: func(s *stage) { s.configured(settings.Backends); s.press("Edit") }},
		{name: "46-profile-test-running", set: func(s *stage) {
			s.configured(settings.Backends)
			s.engine.checks = []doctor.Check{
				{ID: doctor.DNS, State: doctor.OK, Detail: "abc123.execute-api.eu-west-1.amazonaws.com is 203.0.113.9", Took: 12 * time.Millisecond},
				{ID: doctor.Proxy, State: doctor.OK, Detail: "the environment names none", Took: time.Millisecond},
				{ID: doctor.TLS, State: doctor.OK, Detail: "TLS 1.3", Took: 31 * time.Millisecond},
				{ID: doctor.Handshake, State: doctor.Running},
			}
			s.press("Test")
			s.cfg.Bridge.wg.Wait()
			for range len(s.engine.checks) { // but not that it is over
				(<-s.kit.queue)()
			}
		}},
		{name: "47-profile-test-failed", set: func(s *stage) {
			s.configured(settings.Backends)
			s.engine.checks = []doctor.Check{
				{ID: doctor.DNS, State: doctor.OK, Detail: "tunnel.example.com is 203.0.113.9", Took: 12 * time.Millisecond},
				{ID: doctor.Proxy, State: doctor.OK, Detail: "the environment names none", Took: time.Millisecond},
				{ID: doctor.TLS, State: doctor.OK, Detail: "TLS 1.3", Took: 31 * time.Millisecond},
				{ID: doctor.Handshake, State: doctor.Failed, Detail: "it answered 401 Unauthorized", Advice: "put a token into the field above", Took: 40 * time.Millisecond},
				{ID: doctor.Clock, State: doctor.Warn, Detail: "this computer's clock is 42 s ahead", Advice: "set it, or tokens may be refused"},
				{ID: doctor.Token, State: doctor.Failed, Detail: "it expired 3 h ago", Advice: "make a new one: culvert token mint"},
				{ID: doctor.RoundTrip, State: doctor.Skipped}, {ID: doctor.Version, State: doctor.Skipped},
			}
			s.press("Test")
			s.settle()
		}},
		{name: "50-quit-question", set: func(s *stage) { s.shop(); s.traffic(); s.RequestQuit() }, both: true},
		{name: "51-notices", set: func(s *stage) {
			s.shop()
			s.cfg.Store.AddNotice("The relay will be restarted at 18:00 and be back within a minute.")
			s.cfg.Store.AddNotice("Could not open 99999. Port 99999 is out of range.")
			s.Sync()
		}},
		{name: "52-broken-config", set: func(s *stage) {
			s.cfg.Store.AddNotice("/home/me/.config/culvert/config.toml: line 12: expected a value, found the end of the line. " +
				"The defaults are used, and the file stays as it is: correct it, then start Culvert again.")
			s.Sync()
		}},
		{name: "53-removed", set: func(s *stage) {
			s.shop()
			s.wish()
			s.tunnel(model.Tunnel{Key: "1", Name: "shop", Profile: "work", State: model.Stopped})
			s.remove("1")
			s.settle()
		}},
		{name: "60-history", set: func(s *stage) { s.shop(); s.past() }},
		{name: "61-history-empty", set: func(s *stage) { s.shop(); s.bar.SetHistory(true); s.setHistory(true); s.settle() }},
		{name: "62-history-fails", set: func(s *stage) {
			s.shop()
			s.engine.fail = errors.New("the history is read by another Culvert: try again in a moment")
			s.bar.SetHistory(true)
			s.setHistory(true)
			s.settle()
		}},
		{name: "64-notices-empty", set: func(s *stage) { s.shop(); s.traffic(); s.showNotices(); s.settle() }},
		{name: "65-notices-how", set: func(s *stage) {
			s.shop()
			s.engine.way = model.NoticeWay{URL: "https://tunnel.example.com/_culvert/notify/user", User: "ann", Token: true}
			s.showNotices()
			s.settle()
		}},
		{name: "66-notices-unread", set: func(s *stage) { s.shop(); s.traffic(); s.noticed(); s.Sync() }},
		{name: "67-notices", set: func(s *stage) { s.shop(); s.traffic(); s.noticed(); s.showNotices(); s.settle() }, both: true},
		{name: "68-notice-hostile", set: func(s *stage) { s.shop(); s.noticed(); s.showNotice("hostile"); s.settle() }},
		{name: "69-notices-clear", set: func(s *stage) { s.shop(); s.noticed(); s.showNotices(); s.settle(); s.press("Clear all…") }},
		{name: "71-backend-silent", set: func(s *stage) {
			s.tunnel(model.Tunnel{Key: "1", Name: "shop", Profile: "work", State: model.Reconnecting, Since: s.now.Add(-2 * time.Second), Attempt: 1,
				NextTry: s.now.Add(time.Second), Cause: "tunnel.example.com gives no sign of life: it is looked for again by itself", URL: shopURL, Public: true,
				Lights: model.Lights{Service: up(s.now), Link: model.Light{State: model.LightDown, Cause: "no sign of life"}, URL: model.Light{State: model.LightWaits}}})
		}},
		{name: "70-lan", set: func(s *stage) {
			s.cfg.Store.SetBackend(model.Backend{Name: "Built-in relay", BuiltIn: true, LAN: true})
			t := shop(s.now)
			t.URL = "http://192.168.1.20:40001/3f9a2c7e51b84d06"
			s.tunnel(t)
		}},
	}
}

const shopURL = "https://shop.tunnel.example.com"

func up(now time.Time) model.Light {
	return model.Light{State: model.LightUp, RTT: 24 * time.Millisecond, At: now}
}

// shop is a tunnel that works.
func shop(now time.Time) model.Tunnel {
	return model.Tunnel{Key: "1", Name: "shop", Profile: "work", Detail: "localhost:5173", Target: "localhost:5173", Framework: "vite", Public: true,
		State: model.Online, Since: now.Add(-12 * time.Minute), URL: shopURL, Lights: model.Lights{Service: up(now), Link: up(now), URL: up(now)}}
}

// tunnel puts one into the store that leads to a relay in the net.
func (s *stage) tunnel(t model.Tunnel) {
	if !s.cfg.Store.Backend().LAN {
		s.cfg.Store.SetBackend(model.Backend{Name: "work", Profile: "work"})
		s.reconfigure(func(c *config.Config) { c.Profiles = profiles(); c.Profile = "work" })
	}
	if t.Target == "" {
		t.Target, t.Detail = "localhost:5173", "localhost:5173"
	}
	s.cfg.Store.PutTunnel(t)
	s.Sync()
}

func (s *stage) shop() { s.tunnel(shop(s.now)) }

func profiles() map[string]config.Profile {
	return map[string]config.Profile{
		"work":   {Backend: config.Address{URL: &url.URL{Scheme: "https", Host: "tunnel.example.com"}}, Keychain: true},
		"My AWS": {Backend: config.Address{URL: &url.URL{Scheme: "wss", Host: "abc123.execute-api.eu-west-1.amazonaws.com", Path: "/prod"}}, Keychain: true},
	}
}

// services are found on this computer, some of them dangerous.
func (s *stage) services() {
	var found []discover.Service
	for _, f := range []struct {
		port             int
		title, framework string
	}{{5173, "vite", "vite"}, {8000, "django", "django"}, {3000, "next", "next"}, {8080, "java", ""}, {5432, "PostgreSQL", ""}, {9229, "Node.js debugger", ""}, {631, "CUPS", ""}} {
		found = append(found, discover.Service{Port: f.port, Address: "127.0.0.1", Title: f.title, Framework: f.framework,
			Hazard: discover.HazardOfPort(f.port), Target: fmt.Sprintf("localhost:%d", f.port)})
	}
	s.cfg.Store.SetServices(found)
	s.Sync()
}

// many are tunnels in all states, more than fit.
func (s *stage) many() {
	s.shop()
	s.tunnel(model.Tunnel{Key: "2", Name: "api", Profile: "work", Target: "localhost:8000", Detail: "localhost:8000", Framework: "django", Public: true, State: model.Reconnecting, Since: s.now,
		Attempt: 2, NextTry: s.now.Add(3 * time.Second), Cause: "connection reset by peer", URL: "https://api.tunnel.example.com"})
	s.tunnel(model.Tunnel{Key: "3", Name: "~/site", Profile: "work", Target: "~/site", Folder: true, Detail: "folder", Public: true, State: model.Online, Since: s.now.Add(-26 * time.Hour),
		URL: "https://tunnel.example.com/3f9a2c7e51b84d06a1", Lights: model.Lights{Service: up(s.now), Link: up(s.now), URL: up(s.now)}})
	s.tunnel(model.Tunnel{Key: "4", Name: "a-name-as-long-as-names-are-allowed-to-be-in-this-program-here-x", Profile: "work", Target: "localhost:8080", Public: true, State: model.Refused,
		Since: s.now, Cause: "the name belongs to somebody else: choose another one"})
	s.tunnel(model.Tunnel{Key: "5", Name: "database", Profile: "work", Target: "localhost:5432", State: model.Stopped, Hazard: "PostgreSQL: a database lets whoever reaches it read or change data."})
}

// traffic are requests of all kinds to the shop.
func (s *stage) traffic() {
	for i, r := range []struct {
		method, path string
		status       int
		took         time.Duration
		size         int64
	}{
		{"GET", "/", 200, 9 * time.Millisecond, 4821}, {"GET", "/src/main.tsx", 200, 14 * time.Millisecond, 1920}, {"GET", "/favicon.ico", 404, 3 * time.Millisecond, 0},
		{"GET", "/assets/hero-image-with-a-very-long-name-that-does-not-fit.webp?v=9f83b1c2&width=1920&quality=80", 200, 61 * time.Millisecond, 381_204},
		{"POST", "/webhooks/stripe", 500, 212 * time.Millisecond, 1204}, {"GET", "/api/cart", 304, 7 * time.Millisecond, 0}, {"DELETE", "/api/cart/1", 204, 21 * time.Millisecond, 0},
		{"GET", "/slow/report", 504, 60 * time.Second, 118}, {"OPTIONS", "/api/cart", 204, 2 * time.Millisecond, 0}, {"PUT", "/api/profile", 422, 33 * time.Millisecond, 230},
	} {
		s.cfg.Store.AddRequest(&model.Request{Tunnel: "1", Name: "shop", Exchange: fmt.Sprintf("x%d", i), Time: s.now.Add(time.Duration(i) * 731 * time.Millisecond), Method: r.method,
			Path: r.path, Status: r.status, Duration: r.took, Size: r.size, Visitor: []string{"198.51.100.4", "2001:db8:85a3::8a2e:370:7334"}[i%2]})
	}
	s.cfg.Store.AddRequest(&model.Request{Tunnel: "1", Name: "shop", Exchange: "hmr", Time: s.now, Method: "GET", Path: "/@vite/hmr", Status: 101, Stream: model.WebSocketStream,
		Messages: 38, Open: true, Live: &flowing{}, Visitor: "198.51.100.4"})
	s.cfg.Store.AddRequest(&model.Request{Tunnel: "1", Name: "shop", Exchange: "replayed", ReplayOf: "x4", Time: s.now, Method: "POST", Path: "/webhooks/stripe", Status: 200,
		Duration: 88 * time.Millisecond, Size: 12, Visitor: "127.0.0.1"})
	s.Sync()
}

// webhook is a request with secrets in it, and an answer that was cut.
func webhook(start time.Time) *exchange.Exchange {
	asked := `{"id":"evt_1QZ","type":"invoice.paid","livemode":false,"data":{"object":{"amount_due":12999.50,"customer":"cus_9","lines":["a","b",null],"note":"` +
		strings.Repeat("Thank you for shopping with us. ", 8) + `"}},"api_key":"sk_live_51H8abcdefghijklmnop"}`
	said := "Traceback (most recent call last):\n  File \"app.py\", line 41, in stripe_hook\n    order = ORDERS[event[\"data\"][\"id\"]]\nKeyError: 'in_1QZ'\n"
	return &exchange.Exchange{
		ID: "first", Tunnel: "shop", Target: "localhost:5173", URL: shopURL + "/webhooks/stripe", Start: start, Duration: 212 * time.Millisecond, Waited: 180 * time.Millisecond,
		RemoteAddr: "198.51.100.4", Method: "POST", Path: "/webhooks/stripe", Host: "shop.tunnel.example.com", Status: 500,
		Request: exchange.Message{Header: http.Header{
			"Content-Type": {"application/json"}, "Stripe-Signature": {"t=1763,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd"}, "User-Agent": {"Stripe/1.0 (+https://stripe.com/docs/webhooks)"},
			"Authorization": {"Bearer abcdefghijklmnopqrstuvwxyz"}, "Accept": {"*/*"}, "X-Forwarded-For": {"198.51.100.4"}, "X-Forwarded-Proto": {"https"}, "Cookie": {"session=abc123; theme=dark"},
		}, Body: []byte(asked), Size: int64(len(asked))},
		Response: exchange.Message{Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Content-Length": {"1204"}, "Set-Cookie": {"session=xyz; HttpOnly"}},
			Body: []byte(said), Size: 1204, Truncated: true},
	}
}

// painting is an exchange whose answer is an image.
func painting(start time.Time) *exchange.Exchange {
	x := webhook(start)
	x.ID, x.Method, x.Path, x.Status, x.Request.Body, x.Request.Size = "image", "GET", "/hero.png", 200, nil, 0
	img := image.NewNRGBA(image.Rect(0, 0, 320, 200))
	for y := range 200 {
		for x := range 320 {
			img.Set(x, y, color.NRGBA{uint8(x * 255 / 320), uint8(y * 255 / 200), 160, 255})
		}
	}
	var b bytes.Buffer
	_ = png.Encode(&b, img) // a buffer takes everything
	x.Response = exchange.Message{Header: http.Header{"Content-Type": {"image/png"}}, Body: b.Bytes(), Size: int64(b.Len())}
	return x
}

// flowing is a WebSocket that is still open.
type flowing struct{ messages []exchange.StreamMessage }

func (f *flowing) Count() int { return len(f.messages) }
func (f *flowing) Done() bool { return false }
func (f *flowing) Messages(from int) ([]exchange.StreamMessage, int) {
	return f.messages[min(from, len(f.messages)):], 0
}

func (s *stage) streaming() {
	s.shop()
	s.traffic()
	live := &flowing{}
	for i := range 38 {
		m := exchange.StreamMessage{Time: s.now.Add(time.Duration(i) * 700 * time.Millisecond), From: exchange.Direction(i % 2), Kind: exchange.Text,
			Data: fmt.Appendf(nil, `{"type":"update","path":"/src/App.tsx","timestamp":17635%05d}`, i)}
		if i%9 == 4 {
			m.Kind, m.Data = exchange.Ping, nil
		}
		m.Size = int64(len(m.Data))
		live.messages = append(live.messages, m)
	}
	x := webhook(s.now)
	x.ID, x.Method, x.Path, x.Status, x.Upgrade, x.Open = "socket", "GET", "/@vite/hmr", 101, "websocket", true
	x.Request.Body, x.Request.Size, x.Response = nil, 0, exchange.Message{Header: http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}}
	s.engine.exchanges[x.ID] = x
	s.cfg.Store.AddRequest(&model.Request{Tunnel: "1", Name: "shop", Exchange: x.ID, Time: x.Start, Method: x.Method, Path: x.Path, Status: 101,
		Stream: model.WebSocketStream, Open: true, Live: live, Visitor: x.RemoteAddr})
	s.Sync()
	s.selectFirst()
	s.turnTo("Messages")
}

// inspecting shows the newest of several requests in the inspector.
func (s *stage) inspecting(x *exchange.Exchange) {
	s.t.Helper()
	if len(s.cfg.Store.Tunnels()) == 0 {
		s.shop()
		s.traffic()
	}
	r := s.add("1", x)
	s.cfg.Store.EndRequest(&model.Request{ID: r.ID, Tunnel: "1", Name: "shop", Exchange: x.ID, Time: x.Start, Method: x.Method, Path: x.Path, Status: x.Status,
		Duration: x.Duration, Size: x.Response.Size, Visitor: x.RemoteAddr})
	s.Sync()
	s.selectFirst()
}

func (s *stage) selectFirst() {
	s.t.Helper()
	s.table.Select(s.view.At(0).ID)
	s.settle()
}

// turnTo shows a tab of the inspector, which has them in a menu where they have no room.
func (s *stage) turnTo(label string) {
	s.t.Helper()
	for _, tabs := range all[*look.Tabs](s) {
		if i := slices.Index(tabs.Labels(), label); i >= 0 {
			s.win.Canvas().Focus(tabs)
			for range i {
				tabs.TypedKey(&fyne.KeyEvent{Name: fyne.KeyRight})
			}
			s.win.Canvas().Unfocus()
			s.settle()
			return
		}
	}
	for _, pick := range all[*look.Select](s) {
		if pick.Text() == "Overview" {
			for range 6 {
				if pick.Text() != label {
					pick.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
				}
			}
			s.settle()
			if pick.Text() == label {
				return
			}
		}
	}
	s.t.Fatalf("the inspector has no tab %q", label)
}

// tip presses the first button of icons that says so.
func (s *stage) tip(words string) {
	s.t.Helper()
	for _, b := range all[*look.IconButton](s) {
		if b.AccessibilityLabel() == words {
			test.Tap(b)
			return
		}
	}
	s.t.Fatalf("there is no button with the tip %q", words)
}

func (s *stage) wish() {
	s.engine.wishes["1"] = model.Wish{Target: "localhost:5173", Name: "shop", Profile: "work", HostHeader: "local", Start: true}
}

// configured opens the settings on a page.
func (s *stage) configured(page settings.Page) {
	s.shop()
	s.traffic()
	s.showSettings(page)
	s.settle()
	s.settings.Sync(settings.State{
		Config: s.engine.Config(), Tokens: map[string]settings.Token{"work": settings.TokenKept}, TokenPlace: "Tokens are kept in this system's keychain.",
		History: settings.Usage{Exchanges: 12842, Bytes: 48 << 20}, ConfigFile: "/home/me/.config/culvert/config.toml", Version: "0.1.0 (1234567890ab) go1.26.0 linux/amd64",
	})
}

// noticed are notices of all kinds, the newest first and some of them read.
func (s *stage) noticed() {
	big := `{"order":1,"items":[` + strings.Repeat(`{"sku":"AB-1","n":2},`, 2000) + `{"sku":"Z"}]}`
	var list []model.Received
	for i, n := range []model.Received{
		{ID: "n1", Title: "Order 4711 came in", Text: "129.99 € from Ann\nShip it before 18:00.", Data: []byte(`{"title":"Order 4711 came in","text":"129.99 € from Ann\nShip it before 18:00.","order":{"id":4711,"paid":true}}`)},
		{ID: "n2", Text: "The nightly build is done: 1,204 tests passed in 3 min 12 s.", Data: []byte(`"The nightly build is done: 1,204 tests passed in 3 min 12 s."`)},
		{ID: "hostile", Title: "invoice\u202efdp.exe " + strings.Repeat("Donaudampfschifffahrtsgesellschaft", 4), Text: "first\r\n\u2066line\x1b[31m\n\n" + strings.Repeat("W", 1900) + "\n" + strings.Repeat("x\n", 40), Data: []byte(big)},
		{ID: "n4", Title: "日本語の通知", Text: "ビルドが完了しました。", Data: []byte(`{"title":"日本語の通知"}`), Read: true},
		{ID: "n5", Title: "Old", Text: "Its data are gone.", Read: true},
	} {
		n.Tunnel, n.At = "shop", s.now.Add(-time.Duration(i*i*3)*time.Hour)
		list = append(list, n)
	}
	for i := range 20 {
		list = append(list, model.Received{ID: fmt.Sprint("o", i), Tunnel: "api", Text: fmt.Sprint("deploy ", 40-i, " is live"), At: s.now.Add(-time.Duration(60+i) * time.Hour), Data: []byte(`"deploy"`), Read: true})
	}
	s.cfg.Store.SetReceived(list)
	s.Sync()
}

// past shows what the history has.
func (s *stage) past() {
	var page model.Page
	for i := range 40 {
		page.Rows = append(page.Rows, &model.Request{Name: []string{"shop", "api"}[i%2], Exchange: fmt.Sprint(i), Time: s.now.Add(-time.Duration(i) * time.Hour), Method: "GET",
			Path: fmt.Sprintf("/orders/%d", 4000-i), Status: []int{200, 200, 404}[i%3], Duration: time.Duration(i+3) * time.Millisecond, Size: 1200, Visitor: "198.51.100.4"})
	}
	s.engine.pages[0] = page
	s.bar.SetHistory(true)
	s.setHistory(true)
	s.settle()
}
