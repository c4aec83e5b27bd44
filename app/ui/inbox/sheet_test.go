package inbox

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/test"
	"github.com/google/go-cmp/cmp"
)

// room is a window with the sheet over it, and what the sheet has asked for.
type room struct {
	*Sheet
	t      *testing.T
	window fyne.Window
	now    time.Time
	calls  []string
	way    model.NoticeWay
}

func newRoom(t *testing.T, size fyne.Size, mode look.Mode) *room {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(look.Theme{Mode: mode})
	words.Set("en")
	r := &room{t: t, now: time.Date(2026, 1, 2, 14, 2, 11, 0, time.UTC)}
	r.window = test.NewTempWindow(t, canvas.NewRectangle(look.Color(look.ColorBase)))
	r.window.SetPadded(false)
	r.window.Resize(size)
	note := func(format string, args ...any) { r.calls = append(r.calls, fmt.Sprintf(format, args...)) }
	r.Sheet = New(r.window.Canvas(), Actions{
		Prepare:  func(work func(context.Context), then func()) { work(t.Context()); then() },
		Copy:     func(text string, then func()) { note("copy %s", text); then() },
		CopyWith: func(_ *look.Button, text string) { note("copy %s", text) },
		Read:     func(id string) { note("read %q", id) },
		Clear:    func() { note("clear") },
		Ask:      func(_, text, _, _ string, answer func(bool)) { note("ask %s", text); answer(true) },
		Way:      func(then func(model.NoticeWay)) { then(r.way) },
		Now:      func() time.Time { return r.now },
	})
	return r
}

func (r *room) took() []string {
	calls := r.calls
	r.calls = nil
	return calls
}

// notices are n of them, the newest with the highest number.
func (r *room) notices(n int) []model.Received {
	var list []model.Received
	for i := n; i > 0; i-- {
		list = append(list, model.Received{ID: fmt.Sprint(i), Tunnel: "shop", Title: fmt.Sprint("Order ", i), Text: "came in\nfrom Ann",
			At: r.now.Add(-time.Duration(n-i) * 5 * time.Hour), Data: fmt.Appendf(nil, `{"order":%d,"paid":true}`, i), Read: i <= n/2})
	}
	return list
}

// hostile is what nobody would send who means well.
func (r *room) hostile() []model.Received {
	return []model.Received{
		{ID: "long", Title: strings.Repeat("Donaudampfschifffahrt", 6), Text: strings.Repeat("W", 2000), At: r.now, Data: []byte(`{"x":"` + strings.Repeat("y", 47<<10) + `"}`)},
		{ID: "turned", Title: "invoice\u202efdp.exe", Text: "a\u2066b\u202ec\x1b[31m\rd", Tunnel: strings.Repeat("n", 100), At: r.now, Data: []byte(`{"\u202e":"\u001b[31m\u202efdp"}`)},
		{ID: "lines", Text: strings.Repeat("line\n", 60), At: r.now, Data: []byte(`[` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `]`)},
		{ID: "nothing", At: time.Time{}, Data: []byte(`null`)},
		{ID: "gone", Title: "Data are gone", Text: "long ago", At: r.now},
	}
}

func TestSheetLooks(t *testing.T) {
	for name, set := range map[string]func(*room){
		"list":   func(r *room) { r.Sync(r.notices(30)); r.Show("") },
		"chosen": func(r *room) { r.Sync(r.notices(30)); r.Show("25") },
		"empty":  func(r *room) { r.Show("") },
		"teaches": func(r *room) {
			r.way = model.NoticeWay{URL: "https://tunnel.example.com/_culvert/notify/user", User: "ann", Token: true}
			r.Show("")
		},
		"queue":   func(r *room) { r.way = model.NoticeWay{Queue: true, User: "ann"}; r.Show("") },
		"long":    func(r *room) { r.Sync(r.hostile()); r.Show("long") },
		"turned":  func(r *room) { r.Sync(r.hostile()); r.Show("turned") },
		"lines":   func(r *room) { r.Sync(r.hostile()); r.Show("lines") },
		"nothing": func(r *room) { r.Sync(r.hostile()); r.Show("nothing") },
		"gone":    func(r *room) { r.Sync(r.hostile()); r.Show("gone") },
	} {
		for size, at := range map[string]fyne.Size{"wide": {Width: 900, Height: 600}, "narrow": {Width: 720, Height: 480}} {
			if size == "narrow" && (name == "queue" || name == "gone" || name == "nothing") {
				continue
			}
			r := newRoom(t, at, look.Dark)
			set(r)
			test.AssertRendersToMarkup(t, name+"-"+size+".xml", r.window.Canvas())
		}
	}
	light := newRoom(t, fyne.NewSize(900, 600), look.Light)
	light.Sync(light.notices(3))
	light.Show("")
	test.AssertRendersToMarkup(t, "list-light.xml", light.window.Canvas())
}

// A notice that is shown has been read; the keys lead from one to the next.
func TestReading(t *testing.T) {
	r := newRoom(t, fyne.NewSize(900, 600), look.Dark)
	r.Sync(r.notices(4))
	r.Show("")
	if r.window.Canvas().Focused() != r.list.Focusable() {
		t.Fatal("the list does not have the keyboard")
	}
	key := func(name fyne.KeyName) { r.window.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: name}) }
	key(fyne.KeyDown)
	key(fyne.KeyDown) // has been read
	if diff := cmp.Diff([]string{`read "4"`, `read "3"`}, r.took()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	if r.chosen != "2" || r.detail.title.Text() != "Order 2" {
		t.Errorf("%q is chosen, %q is shown", r.chosen, r.detail.title.Text())
	}
	test.Tap(r.detail.copy)
	test.Tap(r.readAll)
	if diff := cmp.Diff([]string{"copy Order 2\ncame in\nfrom Ann", `read ""`}, r.took()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	read := r.notices(4)
	for i := range read {
		read[i].Read = true
	}
	r.Sync(read)
	if !r.readAll.Disabled() {
		t.Error("all are read, and can be marked so")
	}
	test.Tap(r.clearAll)
	if diff := cmp.Diff([]string{"ask 4 notices are removed from this computer for good.", "clear"}, r.took()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	r.Sync(nil)
	if r.lesson.Title() != "No notices yet" || !r.lesson.Visible() || r.list.Visible() || !r.clearAll.Disabled() {
		t.Errorf("after they were cleared it says %q", r.lesson.Title())
	}
	r.Sync(r.notices(4))
	r.window.Canvas().Focus(r.list.Focusable())
	key(fyne.KeyEscape)
	if r.Visible() {
		t.Error("Escape does not close it")
	}
}

// What comes while somebody reads moves neither the choice nor what is in sight.
func TestNewOnesDoNotDisturb(t *testing.T) {
	r := newRoom(t, fyne.NewSize(900, 600), look.Dark)
	r.Sync(r.notices(50))
	r.Show("20")
	r.took()
	top := r.all[r.list.Top()].ID
	if r.list.Top() == 0 {
		t.Fatal("the chosen notice is in sight without scrolling")
	}
	r.Sync(append(r.notices(53)[:3], r.all...))
	if got := r.all[r.list.Top()].ID; got != top || r.chosen != "20" || r.all[r.list.Selected()].ID != "20" {
		t.Errorf("%s is at the top, was %s; %s is chosen", got, top, r.chosen)
	}
	if calls := r.took(); len(calls) > 0 {
		t.Errorf("it asked for %q", calls)
	}
	r.Sync(r.all[:10]) // the chosen one is gone
	if r.chosen != "" || r.list.Selected() != -1 || r.detail.shown != "" {
		t.Errorf("%q is chosen still", r.chosen)
	}
	r.Hide()
	r.Show("no such") // leads to the newest
	if r.chosen != "53" {
		t.Errorf("it opens at %q", r.chosen)
	}
}

// Notices of days ago say so, also when the day ends while the window is open.
func TestTimesFollowTheDay(t *testing.T) {
	r := newRoom(t, fyne.NewSize(900, 600), look.Dark)
	at := r.now.Add(-time.Hour)
	r.Sync([]model.Received{{ID: "1", At: at}})
	if got := r.when(at, false); got != "13:02" {
		t.Errorf("today's is of %q", got)
	}
	r.now = r.now.Add(24 * time.Hour)
	r.Sync(r.all)
	if got := r.when(at, false); got != "01-02 13:02" {
		t.Errorf("yesterday's is of %q", got)
	}
	if got := r.when(time.Time{}, false); got != "" {
		t.Errorf("one of an unknown time is of %q", got)
	}
}

// What is to be pasted into a shell does no more than it says.
func TestLessonsAreSafeToPaste(t *testing.T) {
	t.Parallel()
	for user, want := range map[string]string{
		"ann": "ann", "key:Ab_-9": "key:Ab_-9", "a.b@c+d": "a.b@c+d", "": "USER", "a'b": "USER", `a"b`: "USER", "a b": "USER", "$(x)": "USER", "ä": "USER",
	} {
		got := shellLine(model.NoticeWay{URL: "http://127.0.0.1:1/_culvert/notify/user", User: user})
		if w := `curl http://127.0.0.1:1/_culvert/notify/user -H 'Content-Type: application/json' -d '{"userId":"` + want + `","data":"Hello"}'`; got != w {
			t.Errorf("for %q it says\n%s, want\n%s", user, got, w)
		}
	}
	for want, way := range map[string]model.NoticeWay{
		`curl https://x.test/n --cacert /etc/ca.pem -H 'Content-Type: application/json' -H "Authorization: Bearer $(cat /etc/token)" -d '{"userId":"ann","data":"Hello"}'`: {
			URL: "https://x.test/n", User: "ann", Token: true, TokenFile: "/etc/token", CAFile: "/etc/ca.pem"},
		`curl https://x.test/n --cacert '/my $(x)' -H 'Content-Type: application/json' -H "Authorization: Bearer $(cat '/my "token')" -d '{"userId":"ann","data":"Hello"}'`: {
			URL: "https://x.test/n", User: "ann", Token: true, TokenFile: `/my "token`, CAFile: "/my $(x)"},
		`curl https://x.test/n -H 'Content-Type: application/json' -H "Authorization: Bearer $CULVERT_TOKEN" -d '{"userId":"ann","data":"Hello"}'`: {
			URL: "https://x.test/n", User: "ann", Token: true},
	} {
		if got := shellLine(way); got != want {
			t.Errorf("it says\n%s, want\n%s", got, want)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	test.NewTempApp(b).Settings().SetTheme(look.Theme{})
	w := test.NewTempWindow(b, canvas.NewRectangle(look.Color(look.ColorBase)))
	w.Resize(fyne.NewSize(900, 600))
	s := New(w.Canvas(), Actions{
		Prepare: func(work func(context.Context), then func()) { work(b.Context()); then() }, Copy: func(string, func()) {},
		CopyWith: func(*look.Button, string) {}, Read: func(string) {}, Clear: func() {}, Way: func(func(model.NoticeWay)) {}, Now: time.Now,
	})
	var list []model.Received
	for i := range 200 {
		list = append(list, model.Received{ID: fmt.Sprint(i), Title: "Order", Text: strings.Repeat("W", 2000), Data: []byte(`{"x":1}`)})
	}
	s.Sync(list)
	for b.Loop() {
		s.Show("")
		s.Hide()
	}
}
