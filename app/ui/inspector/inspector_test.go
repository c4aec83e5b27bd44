package inspector

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/app/exchange"
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"
)

var (
	wideSize   = fyne.NewSize(907, 404)
	narrowSize = fyne.NewSize(447, 335)
)

func newWide(t testing.TB, change func(*Actions)) *Inspector {
	t.Helper()
	i, _ := newInspector(t, wideSize, theme.VariantDark, change)
	return i
}

// textOf is all that a pane would show, in sight or not.
func textOf(p *pane) string {
	var b strings.Builder
	for n := range p.doc.len() {
		b.WriteString(p.doc.at(n).text() + "\n")
	}
	return b.String()
}

// pages of an inspector, by what they are.
func (i *Inspector) twinAt(t tab) *twin { return i.pages[t].(*twin) }
func (i *Inspector) bodyAt(side int) *bodyView {
	return i.pages[bodyTab].(*bodyPage).sides[side]
}
func (i *Inspector) stream() *messages { return i.pages[messagesTab].(*messages) }

// press taps a word of a pane.
func press(t *testing.T, p *pane, lineWith, word string) {
	t.Helper()
	for n := range p.doc.len() {
		l := p.doc.at(n)
		if !strings.Contains(l.text(), lineWith) {
			continue
		}
		for _, s := range l.spans {
			if s.text == word && s.tap != nil {
				s.tap()
				return
			}
		}
	}
	t.Fatalf("no line with %q has the word %q in\n%s", lineWith, word, textOf(p))
}

func wantText(t *testing.T, p *pane, want ...string) {
	t.Helper()
	for _, s := range want {
		if !strings.Contains(textOf(p), s) {
			t.Errorf("%q is missing in\n%s", s, textOf(p))
		}
	}
}

func wantNoText(t *testing.T, p *pane, not ...string) {
	t.Helper()
	for _, s := range not {
		if strings.Contains(textOf(p), s) {
			t.Errorf("%q stands in\n%s", s, textOf(p))
		}
	}
}

func TestOverviewSaysWhatHappened(t *testing.T) {
	i := newWide(t, nil)
	i.Inspect(webhook(), nil)
	panes := i.twinAt(overviewTab).panes
	wantText(t, panes[request], "POST /webhooks/stripe", "Content-Type  application/json", "… 4 more headers", `"type": "invoice.paid",`)
	wantText(t, panes[response], "500 Internal Server Error  212 ms", "Cut: only the first", "KeyError: 'in_1QZ'")
	press(t, panes[request], "more headers", "… 4 more headers")
	if i.tab != headersTab || i.head.tabs.Selected() != 1 {
		t.Errorf("the way to all headers leads to tab %v", i.tab)
	}
	wantText(t, i.twinAt(headersTab).panes[request], "Host  shop.tunnel.example.com", "X-Forwarded-Proto  https")
}

func TestFailuresSayTheirCause(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*exchange.Exchange)
		want   string
	}{
		"no target": {func(x *exchange.Exchange) {
			x.Status, x.Err, x.Detail = 503, "nothing answers at localhost:5173", "connection refused"
		}, "503 Service Unavailable  212 ms\nNothing answers at localhost:5173.\nconnection refused"},
		"visitor left": {func(x *exchange.Exchange) { x.Status = 0 }, "No answer reached the visitor"},
		"open":         {func(x *exchange.Exchange) { x.Status, x.Open = 0, true }, "No answer yet  open for 3 min"},
		"odd status":   {func(x *exchange.Exchange) { x.Status = 799 }, "799  212 ms"},
		"redacted":     {func(x *exchange.Exchange) { x.Redacted = true }, "500 Internal"},
	} {
		i := newWide(t, nil)
		x := webhook()
		c.change(x)
		i.Inspect(x, nil)
		if got := textOf(i.twinAt(overviewTab).panes[response]); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: the response begins with %q, want %q", name, got[:min(len(got), 100)], c.want)
		}
		i, _ = newInspector(t, narrowSize, theme.VariantDark, nil)
		i.Inspect(x, nil)
		lines := strings.SplitN(textOf(i.twinAt(overviewTab).panes[request]), "\n", 4)
		if head := strings.Join(lines[1:3], "\n"); !strings.Contains(head, strings.SplitN(c.want, " ", 2)[0]) {
			t.Errorf("%s: narrow, the cause is not at the top: %q", name, head)
		}
	}
}

func TestSecretsAreMaskedUntilAskedFor(t *testing.T) {
	i := newWide(t, nil)
	x := webhook()
	x.Path = "/webhooks/stripe?api_key=topsecret1"
	i.Inspect(x, nil)
	i.turn(headersTab)
	p := i.twinAt(headersTab).panes
	secrets := []string{"eyJhbGciOiJIUzI1NiJ9", "abc123", "5257a869"}
	wantNoText(t, p[request], append(secrets, "topsecret1")...)
	wantNoText(t, p[response], "session=xyz")
	press(t, p[request], "Authorization", "show")
	wantText(t, p[request], "eyJhbGciOiJIUzI1NiJ9")
	wantNoText(t, p[request], secrets[1:]...)
	press(t, p[request], "c2lnbmF0dXJl", "hide") // the value is wrapped
	wantNoText(t, p[request], secrets...)
	press(t, p[request], "api_key", "show")
	wantText(t, p[request], "topsecret1")

	i.reveal("")
	wantText(t, p[request], append(secrets, "topsecret1")...)
	wantText(t, p[response], "session=xyz")
	i.turn(bodyTab)
	wantText(t, i.bodyAt(request).pane, "sk_live_51H8")

	ended := *x // the same exchange, told anew
	i.Inspect(&ended, nil)
	wantText(t, i.bodyAt(request).pane, "sk_live_51H8")
	other := webhook()
	other.ID = "another"
	i.Inspect(other, nil)
	wantNoText(t, i.bodyAt(request).pane, "sk_live_51H8")
	if got := i.bodyAt(request).notes.Text(); got != "Secrets in it are hidden." {
		t.Errorf("of a body with hidden secrets it is said: %q", got)
	}
	i.turn(headersTab)
	wantNoText(t, p[request], secrets...)
}

func TestActionsAreOfferedWhereTheyMakeSense(t *testing.T) {
	var replayed, edited int
	actions := func(a *Actions) {
		a.Replay = func(*exchange.Exchange) { replayed++ }
		a.Edit = func(*exchange.Exchange) { edited++ }
	}
	i := newWide(t, actions)
	for name, c := range map[string]struct {
		change       func(*exchange.Exchange)
		replay, edit bool
	}{
		"plain":     {func(*exchange.Exchange) {}, true, true},
		"websocket": {func(x *exchange.Exchange) { x.Status, x.Upgrade = 101, "websocket" }, false, false},
		"redacted":  {func(x *exchange.Exchange) { x.Redacted = true }, false, true},
		"cut":       {func(x *exchange.Exchange) { x.Request.Truncated = true }, false, true},
	} {
		x := webhook()
		c.change(x)
		i.Inspect(x, nil)
		if i.head.replay.Disabled() == c.replay || i.head.edit.Disabled() == c.edit || i.head.again.Disabled() == c.replay {
			t.Errorf("%s: replay offered: %v, edit offered: %v", name, !i.head.replay.Disabled(), !i.head.edit.Disabled())
		}
		replayed, edited = 0, 0
		test.Tap(i.head.replay)
		test.Tap(i.head.edit)
		if (replayed == 1) != c.replay || (edited == 1) != c.edit {
			t.Errorf("%s: replayed %d, edited %d", name, replayed, edited)
		}
		if (i.notReplayable() == "") != c.replay {
			t.Errorf("%s: why not is said as %q", name, i.notReplayable())
		}
	}
	i = newWide(t, func(a *Actions) { a.Replay, a.Edit, a.Save, a.Close = nil, nil, nil, nil })
	i.Inspect(webhook(), nil)
	for name, o := range map[string]fyne.CanvasObject{"replay": i.head.replay, "edit": i.head.edit, "close": i.head.closeIcon} {
		if o.Visible() {
			t.Errorf("%s is offered although nobody serves it", name)
		}
	}
}

func TestCopyingIsMaskedAndSaysSo(t *testing.T) {
	var copied string
	now := at
	i := newWide(t, func(a *Actions) {
		a.Copy = func(text string, then func()) { copied = text; then() }
		a.Now = func() time.Time { return now }
	})
	i.Inspect(webhook(), nil)
	i.turn(bodyTab)
	test.Tap(i.bodyAt(request).copyAll)
	if !strings.Contains(copied, "invoice.paid") || strings.Contains(copied, "sk_live") || i.bodyAt(request).copyAll.Tip() != "Copied" {
		t.Errorf("copied %q, the button says %q", copied, i.bodyAt(request).copyAll.Tip())
	}
	i.CopyCURL()
	if !strings.Contains(copied, "curl") || strings.Contains(copied, "eyJhbGciOiJIUzI1NiJ9") || i.head.copyAs.Text() != "Copied without secrets ▾" || !i.head.copyAs.Visible() || i.head.more.Tip() != "Copied without secrets" {
		t.Errorf("copied %q, the button says %q", copied, i.head.copyAs.Text())
	}
	if got := i.bodyAt(request).copyAll.Tip(); got != "Copy all, without the secrets" {
		t.Errorf("two buttons say at once that they have copied (%q)", got)
	}
	now = now.Add(flashTime + time.Millisecond)
	i.Sync()
	if i.head.copyAs.Text() != "Copy as ▾" {
		t.Errorf("after a while the button still says %q", i.head.copyAs.Text())
	}
	for _, it := range i.copyItems() {
		if it.Text == "With secrets" {
			it.Run()
		}
	}
	for name, want := range map[string]string{"Copy as cURL": "curl", "Copy as raw HTTP": "POST /webhooks/stripe HTTP/1.1", "Copy as Markdown": "#"} {
		for _, it := range i.moreItems() {
			if it.Text == name {
				it.Run()
			}
		}
		if !strings.Contains(copied, want) || !strings.Contains(copied, "eyJhbGciOiJIUzI1NiJ9") {
			t.Errorf("%s with secrets copied %q", name, copied)
		}
	}
}

func TestSavingTakesTheWholeBody(t *testing.T) {
	saved := map[string][]byte{}
	i := newWide(t, func(a *Actions) { a.Save = func(name string, data []byte) { saved[name] = data } })
	x := picture()
	i.Inspect(x, nil)
	i.turn(bodyTab)
	test.Tap(i.bodyAt(response).saveAll)
	if got := saved["hero.png"]; !slices.Equal(got, x.Response.Body) {
		t.Errorf("saved %v", saved)
	}
	i.Inspect(webhook(), nil)
	test.Tap(i.bodyAt(request).saveAll)
	if got := string(saved["request-stripe.json"]); !strings.HasPrefix(got, `{"id":"evt_1QZ"`) {
		t.Errorf("saved %q", got)
	}
	i.saveHAR()
	if !strings.Contains(string(saved["exchange.har"]), `"log"`) {
		t.Errorf("the archive is %q", saved["exchange.har"])
	}
}

func TestFileNamesAreHarmless(t *testing.T) {
	for path, want := range map[string]string{
		"/": "body.json", "/a/users?x=1": "users.json", "/a/../../etc/passwd": "passwd.json", "/.bashrc": "bashrc.json",
		"/report.pdf": "report.pdf", "/a%2f..%2fb": "a-2f..-2fb", "/" + strings.Repeat("x", 300): strings.Repeat("x", 80) + ".json", "/übung": "bung.json",
	} {
		x := webhook()
		x.Path = path
		x.Response.Header.Set("Content-Type", "application/problem+json")
		if got := fileName(x, response); got != want {
			t.Errorf("%s is proposed as %q, want %q", path, got, want)
		}
	}
}

// queue holds what was handed to Prepare until the test lets it run.
type queue struct{ jobs []func() }

func (q *queue) prepare(work func(context.Context), then func()) {
	q.jobs = append(q.jobs, func() { work(context.Background()); then() })
}

func (q *queue) run() {
	for len(q.jobs) > 0 {
		f := q.jobs[0]
		q.jobs = q.jobs[1:]
		f()
	}
}

func TestWhatWasPreparedForAnotherIsNotShown(t *testing.T) {
	var q queue
	i := newWide(t, func(a *Actions) { a.Prepare = q.prepare })
	i.turn(bodyTab)
	i.Inspect(webhook(), nil)
	wantText(t, i.bodyAt(response).pane, "Reading the body…")
	slow := q.jobs
	q.jobs = nil
	other := webhook()
	other.ID, other.Response.Body = "other", []byte("all is well")
	i.Inspect(other, nil)
	q.run()
	wantText(t, i.bodyAt(response).pane, "all is well")
	q.jobs = slow
	q.run()
	wantText(t, i.bodyAt(response).pane, "all is well")
	wantNoText(t, i.bodyAt(response).pane, "KeyError")
}

func TestLongBodiesComeInSteps(t *testing.T) {
	var q queue
	i := newWide(t, func(a *Actions) { a.Prepare = q.prepare })
	i.turn(bodyTab)
	x := webhook()
	x.Request = exchange.Message{}
	x.Response.Body = []byte(strings.Repeat("a line of some length\n", 40_000) + "password=hunter2222\nthe last")
	x.Response.Size, x.Response.Truncated = int64(len(x.Response.Body)), false
	i.Inspect(x, nil)
	v := i.bodyAt(response)
	for v.ready == nil {
		f := q.jobs[0]
		q.jobs = q.jobs[1:]
		f()
	}
	if !v.ready.partial || !v.copyAll.Disabled() || !v.saveAll.Disabled() || v.rows.len() < 20 {
		t.Errorf("the start came as %+v with %d rows; it cannot be copied: %v", v.ready, v.rows.len(), v.copyAll.Disabled())
	}
	q.run()
	if v.ready.partial || v.copyAll.Disabled() {
		t.Error("the rest did not come")
	}
	if v.rows.len() > 5000 {
		t.Errorf("%d rows were laid out before anybody wanted them", v.rows.len())
	}
	for n := 0; n < 60 && !strings.Contains(textOf(v.pane), "the last"); n++ {
		v.pane.sheet.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEnd})
		q.run()
	}
	wantText(t, v.pane, "the last")
	wantNoText(t, v.pane, "hunter2222")
}

func TestBodiesShareTheRoom(t *testing.T) {
	i := newWide(t, nil)
	i.turn(bodyTab)
	i.Inspect(webhook(), nil)
	ask, answer := i.bodyAt(request), i.bodyAt(response)
	if !ask.Visible() || !answer.Visible() || ask.Size().Width > 460 {
		t.Errorf("two bodies have %v and %v", ask.Size(), answer.Size())
	}
	i.Inspect(picture(), nil)
	if ask.Visible() || answer.Size().Width != 907 || !answer.picture.Visible() || answer.pane.Visible() {
		t.Errorf("a lone picture has %v (visible: %v)", answer.Size(), answer.picture.Visible())
	}
	answer.modes.Select(2)
	answer.fill(false)
	if answer.picture.Visible() {
		t.Error("in hex, the picture stays")
	}
	wantText(t, answer.pane, "89 50 4e 47")

	i, _ = newInspector(t, narrowSize, theme.VariantDark, nil)
	i.turn(bodyTab)
	i.Inspect(webhook(), nil)
	p := i.pages[bodyTab].(*bodyPage)
	if i.bodyAt(request).Visible() || !p.which.Visible() {
		t.Error("narrow, both bodies are shown, or there is no choice")
	}
	test.TapAt(p.which, fyne.NewPos(5, 5))
	if !i.bodyAt(request).Visible() || i.bodyAt(response).Visible() {
		t.Error("the request's body cannot be chosen")
	}
}

func TestHeadHasRoomForWhatItShows(t *testing.T) {
	i, w := newInspector(t, wideSize, theme.VariantDark, nil)
	sse := webhook()
	sse.Messages = frames(3)
	for name, x := range map[string]*exchange.Exchange{"plain": webhook(), "socket": socket(), "events": sse} {
		i.Inspect(x, nil)
		for _, compare := range []bool{false, true} {
			if i.comparing() != compare {
				i.Compare()
			}
			for width := float32(400); width < 1400; width += 9 {
				w.Resize(fyne.NewSize(width, 404))
				var shown []fyne.CanvasObject
				for _, o := range test.WidgetRenderer(i.head).Objects() {
					if o.Visible() {
						shown = append(shown, o)
					}
				}
				slices.SortFunc(shown, func(a, b fyne.CanvasObject) int { return int(a.Position().X - b.Position().X) })
				end := float32(0)
				for _, o := range shown {
					if o.Position().X < end-0.5 {
						t.Fatalf("%s at %v: %T at %v begins before %v", name, width, o, o.Position().X, end)
					}
					end = o.Position().X + o.Size().Width
				}
				if end > width || i.head.tabs.Visible() && i.head.tabs.Size().Width < i.head.tabs.MinSize().Width {
					t.Fatalf("%s at %v: the line ends at %v, tabs have %v", name, width, end, i.head.tabs.Size())
				}
			}
		}
		i.Compare()
	}
}

func TestTimingTellsPartsAndFacts(t *testing.T) {
	i := newWide(t, nil)
	i.Inspect(webhook(), nil)
	i.turn(timingTab)
	p := i.pages[timingTab].(*timing)
	if p.rows[0].took.Text() != "180 ms" || p.rows[1].took.Text() != "32 ms" || p.total.Text() != "212 ms" {
		t.Errorf("waited %q, sent %q, altogether %q", p.rows[0].took.Text(), p.rows[1].took.Text(), p.total.Text())
	}
	if wait, rest := p.rows[0].bar, p.rows[1].bar; rest.Position().X < wait.Position().X+wait.Size().Width-0.5 || wait.Size().Width < 5*rest.Size().Width {
		t.Errorf("the bars are %v+%v and %v+%v", wait.Position(), wait.Size(), rest.Position(), rest.Size())
	}
	wantText(t, p.facts, "Started         2026-01-02 14:02:11.207", "Response body   1.2 KB (1,204 bytes)", "Visitor         198.51.100.4", "Service         localhost:5173")
	x := webhook()
	x.ID, x.Waited = "unknown", 0
	i.Inspect(x, nil)
	if p.rows[0].bar.Visible() || p.rows[1].name.Text() != "Altogether" {
		t.Error("a wait that is not known is shown")
	}
}

func TestOpenExchangesGrowOlder(t *testing.T) {
	now := at.Add(time.Minute)
	i := newWide(t, func(a *Actions) { a.Now = func() time.Time { return now } })
	i.Inspect(socket(), &flowing{messages: frames(2)})
	wantText(t, i.twinAt(overviewTab).panes[response], "101 Switching Protocols  open for 1 min", "Show the messages")
	now = now.Add(time.Minute)
	i.Sync()
	wantText(t, i.twinAt(overviewTab).panes[response], "open for 2 min")
	i.turn(timingTab)
	now = now.Add(time.Minute)
	i.Sync()
	if got := i.pages[timingTab].(*timing).total.Text(); got != "open for 3 min" {
		t.Errorf("the timing says %q", got)
	}
	press(t, i.twinAt(overviewTab).panes[response], "Show the messages", "Show the messages")
	if i.tab != messagesTab {
		t.Errorf("the way to the messages leads to tab %v", i.tab)
	}
	x := webhook()
	x.ID, x.Open, x.Response = "sse", true, exchange.Message{}
	i.Inspect(x, &flowing{})
	i.turn(bodyTab)
	wantText(t, i.bodyAt(response).pane, "It is still coming in.")
}

func TestNothingToInspect(t *testing.T) {
	i, w := newInspector(t, narrowSize, theme.VariantDark, nil)
	i.Sync()
	i.Focus()
	i.CopyCURL()
	i.Compare()
	i.replay()
	for tb := overviewTab; tb <= compareTab; tb++ {
		i.turn(tb)
	}
	w.Resize(wideSize)
	i.Inspect(nil, nil)
	i.Inspect(&exchange.Exchange{}, nil)
	for _, tb := range i.available() {
		i.turn(tb)
		i.Focus()
		if w.Canvas().Focused() == nil {
			t.Errorf("tab %v takes no keyboard", tb)
		}
	}
}

func TestHostileTextsAreDrawnHarmlessly(t *testing.T) {
	i := newWide(t, nil)
	x := webhook()
	x.Method, x.Path = "GET\x1b[2J", "/\u202eevil"+strings.Repeat("%41", 5000)
	x.Request.Header["X-Odd\n"] = []string{"a\x00b", strings.Repeat("v", 100_000)}
	x.RemoteAddr = "\u202e1"
	i.Inspect(x, nil)
	for _, tb := range i.available() {
		i.turn(tb)
	}
	i.turn(headersTab)
	p := i.twinAt(headersTab).panes[request]
	if n := p.doc.len(); n > 1000 {
		t.Errorf("%d lines for a value of 100,000 letters", n)
	}
	for _, r := range p.sheet.pool {
		for _, txt := range r.texts {
			if txt.Text != look.Clean(txt.Text) {
				t.Errorf("drawn as it came: %q", txt.Text)
			}
		}
	}
	if got := fmt.Sprint(i.head.all); got == "" {
		t.Error("no tabs")
	}
}

// Work goes on in other goroutines while the user does this and that; this is for the
// race detector.
func TestPreparingBesideTheWindow(t *testing.T) {
	then := make(chan func(), 1000)
	var working sync.WaitGroup
	i := newWide(t, func(a *Actions) {
		a.Prepare = func(work func(context.Context), done func()) {
			working.Go(func() {
				work(t.Context())
				then <- done
			})
		}
	})
	x := long(1 << 20)
	socket := socket()
	socket.Messages = frames(20)
	for n, tb := range []tab{bodyTab, overviewTab, bodyTab, headersTab, bodyTab} {
		i.Inspect([]*exchange.Exchange{x, webhook(), picture(), socket}[n%4], nil)
		i.turn(tb)
		i.turn(bodyTab)
		i.bodyAt(response).pane.sheet.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEnd})
		i.bodyAt(response).copyText()
		i.reveal("")
		i.Compare()
		i.CopyCURL()
		select {
		case f := <-then:
			f()
		default:
		}
	}
	i.Inspect(webhook(), nil)
	i.turn(bodyTab)
	for {
		working.Wait()
		if len(then) == 0 {
			break
		}
		(<-then)()
	}
	wantText(t, i.bodyAt(response).pane, "KeyError")
}

// A command that lacks its secrets is refused, and who copied it has to know why; one
// that never had any is whole.
func TestCopiesSayWhetherSecretsAreMissing(t *testing.T) {
	i := newWide(t, nil)
	i.Inspect(webhook(), nil)
	if tip := i.head.copyTip(); !strings.Contains(tip, "With secrets") {
		t.Errorf("nothing tells how to copy secrets: %q", tip)
	}
	i.reveal("")
	i.CopyCURL()
	if got, tip := i.head.copyAs.Text(), i.head.copyTip(); got != "Copied ▾" || tip != "" {
		t.Errorf("with secrets it says %q, %q", got, tip)
	}
	x := webhook()
	x.ID, x.Request = "plain", exchange.Message{Header: http.Header{"Accept": {"*/*"}}}
	i.Inspect(x, nil)
	i.CopyCURL()
	if got := i.head.copyAs.Text(); got != "Copied ▾" {
		t.Errorf("of a request without secrets it says %q", got)
	}
}
