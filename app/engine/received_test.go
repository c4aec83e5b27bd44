package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"culvert/app/link"
	"culvert/app/plain"
	"culvert/app/session"
	"culvert/backend/wire"
)

func TestNoticeTexts(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	long := strings.Repeat("ä", 3000)
	for data, want := range map[string]struct{ title, text string }{
		`"hello"`:                                {"", "hello"},
		`"two\r\nlines\n and\tmore "`:            {"", "two\nlines\n and more"},
		`{"title":"Build","message":"failed"}`:   {"Build", "failed"},
		`{"title":"a\nb","text":"c","body":"d"}`: {"a b", "c"},
		`{"body":"c"}`:                           {"", "c"},
		`{"message":"","body":"c"}`:              {"", "c"},
		`{"title":"only"}`:                       {"", "only"},
		`{"title":5,"message":{"a":1}}`:          {"", `{"title":5,"message":{"a":1}}`},
		`{"order":7}`:                            {"", `{"order":7}`},
		`[1,2]`:                                  {"", `[1,2]`},
		`null`:                                   {"", `null`},
		`""`:                                     {"", `""`},
		`" \u001b\n"`:                            {"", `" \u001b\n"`},
		`{"title":"\u202egnp.exe","text":"\u001b[2Jx"}`:  {"gnp.exe", "[2Jx"},
		`{"title":"` + long + `","text":"` + long + `"}`: {long[:400] + "…", long[:4000] + "…"},
	} {
		got := noticeReceived(nil, &wire.Notice{ID: "i\u202ed", Data: json.RawMessage(data), Time: 5}, now)
		if got.Title != want.title || got.Text != want.text {
			t.Errorf("%.60s: %.60q and %.60q", data, got.Title, got.Text)
		}
		if got.ID != "id" || string(got.Data) != data || !got.At.Equal(time.UnixMilli(5)) {
			t.Errorf("%.60s: %+v", data, got)
		}
	}
	for sent, want := range map[int64]time.Time{0: now, -1: now, 1: time.UnixMilli(1), now.UnixMilli() + 1: now, 1 << 62: now} {
		if got := noticeReceived(nil, &wire.Notice{ID: "x", Data: json.RawMessage("1"), Time: sent}, now); !got.At.Equal(want) {
			t.Errorf("sent at %d is shown at %v", sent, got.At)
		}
	}
}

func FuzzNotice(f *testing.F) {
	f.Add(`{"title":"a","message":"b\u202e"}`)
	f.Add(`"a\u001b[2J\n\n"`)
	f.Add(`[null]`)
	f.Fuzz(func(t *testing.T, data string) {
		if !json.Valid([]byte(data)) || !utf8.ValidString(data) {
			return
		}
		n := noticeReceived(nil, &wire.Notice{ID: data, Data: json.RawMessage(data)}, time.Now())
		for _, r := range n.Title + n.ID + strings.ReplaceAll(n.Text, "\n", "") {
			if plain.Hidden(r) {
				t.Errorf("%q and %q have %U in them", n.Title, n.Text, r)
			}
		}
		if utf8.RuneCountInString(n.Title) > maxNoticeTitle+1 || utf8.RuneCountInString(n.Text) > maxNoticeText+1 {
			t.Error("too long")
		}
		if n.Text == "" {
			t.Errorf("%q shows nothing", data)
		}
	})
}

func TestInbox(t *testing.T) {
	t.Parallel()
	var b inbox
	now := time.Now()
	ann, bob, other := sender{"a", "ann"}, sender{"a", "bob"}, sender{"b", "ann"}
	take := func(s sender, id string, want verdict) {
		t.Helper()
		if got := b.take(s, id, now); got != want {
			t.Errorf("%v %s: %v, want %v", s, id, got, want)
		}
	}
	for _, s := range []sender{ann, bob, other} { // one's IDs are not another's
		take(s, "1", show)
		take(s, "1", again)
		take(s, "2", show)
	}
	for i := range knownNotices - 1 { // the oldest is forgotten in the end, the second is not
		now = now.Add(time.Second)
		take(ann, fmt.Sprint("more", i), show)
	}
	take(ann, "2", again)
	take(ann, "1", show)
	if l := b.of(ann); len(l.known) != knownNotices || len(l.order) != knownNotices {
		t.Errorf("%d and %d are remembered", len(l.known), len(l.order))
	}
	take(bob, "1", again) // untouched by that

	for i := range maxSenders { // whoever was silent longest is forgotten
		take(sender{"x", fmt.Sprint(i)}, "1", show)
	}
	if len(b.senders) != maxSenders {
		t.Errorf("%d senders are remembered", len(b.senders))
	}
}

// TestFlood: more than a person can read is left out, counted, and told once.
func TestFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var shown int
		var told []string
		e := &Engine{cfg: Config{OnEvent: func(event Event) {
			mu.Lock()
			defer mu.Unlock()
			switch e := event.(type) {
			case NoticeReceived:
				shown++
			case Notice:
				told = append(told, e.Message)
			}
		}}}
		ctx, cancel := context.WithCancel(t.Context())
		tun := &Tunnel{engine: e, ctx: ctx}
		from, calm := sender{"https://loud.example", "ann"}, sender{"https://calm.example", "ann"}
		send := func(n int, from sender) {
			for i := range n {
				tun.received(from, &wire.Notice{ID: fmt.Sprint(time.Now().UnixNano(), i), Data: json.RawMessage("1")})
			}
		}
		send(noticeBurst+100, from)
		send(1, calm) // others are heard
		time.Sleep(time.Second)
		send(noticeRate+7, from)
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := noticeBurst + noticeRate + 1; shown != want {
			t.Errorf("%d shown, want %d", shown, want)
		}
		if diff := cmp.Diff([]string{"107 notices were left out: https://loud.example sends more than 20 a second"}, told); diff != "" {
			t.Error(diff)
		}
		send(noticeBurst+1, from) // and goes before it is told
		cancel()
		tun.floods.Wait()
		if len(told) != 1 {
			t.Errorf("told %q", told)
		}
	})
}

func TestSenderOf(t *testing.T) {
	t.Parallel()
	mint := func(sub, jti string) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": sub, "jti": jti}).SignedString([]byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	of := func(backend, token string) sender {
		u, err := url.Parse(backend)
		if err != nil {
			t.Fatal(err)
		}
		return senderOf(&link.Config{Backend: u, Token: token})
	}
	base := of("https://relay.example", mint("ann", "1"))
	if got := of("https://RELAY.example/", mint("ann", "2")); got != base {
		t.Errorf("the same user by another token: %v and %v", got, base)
	}
	seen := map[sender]bool{base: true}
	for _, s := range []sender{
		of("https://relay.example", mint("bob", "1")), of("https://relay.example:8443", mint("ann", "1")), of("https://relay.example", ""),
		of("https://relay.example", "opaque"), of("https://relay.example", "opaque2"), of("wss://relay.example/live", mint("ann", "1")), of("wss://relay.example/test", mint("ann", "1")),
	} {
		if seen[s] || strings.Contains(s.user, "opaque") {
			t.Errorf("sender %v", s)
		}
		seen[s] = true
	}
}

// noticeBackend greets agents in form 1 and sends them what the test wants.
type noticeBackend struct {
	url   *url.URL
	ready chan string // what an agent said first
	mu    sync.Mutex
	conns []*websocket.Conn
}

func newNoticeBackend(t *testing.T) *noticeBackend {
	t.Helper()
	b := &noticeBackend{ready: make(chan string, 16)}
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		_, text, err := ws.ReadMessage()
		if err != nil {
			return
		}
		b.mu.Lock()
		n++
		b.conns = append(b.conns, ws)
		_ = ws.WriteMessage(websocket.TextMessage, fmt.Appendf(nil,
			`{"type":"connection_established","connection_id":"c%d","tunnel_id":"t%d","public_url":"http://x.test/t","protocol":2,"capabilities":["resume","notices"]}`, n, n))
		b.mu.Unlock()
		b.ready <- string(text)
		for err == nil {
			_, _, err = ws.ReadMessage()
		}
	}))
	t.Cleanup(srv.Close)
	var err error
	if b.url, err = url.Parse(srv.URL); err != nil {
		t.Fatal(err)
	}
	return b
}

// tell sends a notice to all who are connected.
func (b *noticeBackend) tell(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ws := range b.conns {
		_ = ws.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"type":"notice","id":%q,"data":{"title":"T","text":%q},"time":1}`, id, id))
	}
}

func (b *noticeBackend) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ws := range b.conns {
		_ = ws.Close()
	}
	b.conns = nil
}

// TestNoticesComeOnce, however many tunnels their user has, and after a reconnect.
func TestNoticesComeOnce(t *testing.T) {
	t.Parallel()
	b, other := newNoticeBackend(t), newNoticeBackend(t)
	var mu sync.Mutex
	var got []string
	e, l := start(t, Config{Dir: folder(t)}, func(e Event) {
		if n, ok := e.(NoticeReceived); ok {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, n.Title+" "+n.Text)
			if n.Tunnel == nil || string(n.Data) != fmt.Sprintf(`{"title":"T","text":%q}`, n.Text) {
				t.Errorf("%+v", n)
			}
		}
	})
	to := service(t)
	for _, backend := range []*noticeBackend{b, b, other} {
		open(t, e, Spec{Target: to, Backend: backend.url})
		if text := <-backend.ready; !strings.Contains(text, `"notices"`) || !strings.Contains(text, `"actions"`) {
			t.Errorf("the agent says %s", text)
		}
		state(t, l, session.Online)
	}
	arrived := func(id string) {
		t.Helper()
		wait(t, l, "notice "+id, func(e NoticeReceived) bool { return e.ID == id })
	}
	b.tell("one")
	arrived("one")
	b.cut()
	<-b.ready
	<-b.ready
	b.tell("one") // the queue delivers again
	b.tell("two")
	arrived("two")
	other.tell("one") // another backend's
	arrived("one")
	closeNow(t, e)
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]string{"T one", "T two", "T one"}, got); diff != "" {
		t.Error(diff)
	}
}
