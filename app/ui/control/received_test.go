package control

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/app/engine"
	"culvert/app/ui/model"

	"github.com/google/go-cmp/cmp"
)

// ears are Notices that keep what they are told of notices.
type ears struct {
	silence
	mu   sync.Mutex
	told []string
}

func (e *ears) note(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.told = append(e.told, what)
}
func (e *ears) Received(n model.Received) { e.note("received " + n.ID) }
func (e *ears) Seen()                     { e.note("seen") }

func TestNoticesReachTheWindowAndStay(t *testing.T) {
	t.Parallel()
	folder, heard := t.TempDir(), &ears{}
	h := moveIn(t, folder, Config{Notices: heard})
	sent := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, id := range []string{"1", "2", "1"} { // by two tunnels, or twice by a queue
		h.OnEvent(engine.NoticeReceived{ID: id, At: sent, Title: "Order\u202e " + id, Text: "a\nb", Data: json.RawMessage(`{"n":1}`)})
	}
	want := []model.Received{
		{ID: "2", At: sent, Title: "Order 2", Text: "a\nb", Data: json.RawMessage(`{"n":1}`)},
		{ID: "1", At: sent, Title: "Order 1", Text: "a\nb", Data: json.RawMessage(`{"n":1}`)},
	}
	if diff := cmp.Diff(want, h.store.Received()); diff != "" {
		t.Errorf("the window's list (-want +got):\n%s", diff)
	}
	h.ReadNotice("1")
	want[1].Read = true
	if diff := cmp.Diff([]string{"received 1", "received 2", "seen"}, heard.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	h.moveOut(t)
	again := moveIn(t, folder, Config{Notices: heard})
	if diff := cmp.Diff(want, again.store.Received()); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	again.ReadNotice("")
	if n := model.Unread(again.store.Received()); n != 0 {
		t.Errorf("%d are unread", n)
	}
	again.ClearNotices()
	if n := len(again.store.Received()); n != 0 {
		t.Errorf("%d are left", n)
	}
}

func TestBrokenNoticesAreSaid(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, noticesFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := moveIn(t, folder, Config{})
	if text, _ := h.store.Notice(); !strings.Contains(text, noticesFile+".broken") {
		t.Errorf("the window says %q", text)
	}
}

// Events of several tunnels come at once: the window has all of them in the end.
func TestNoticesAtOnce(t *testing.T) {
	t.Parallel()
	h := moveIn(t, t.TempDir(), Config{})
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			h.OnEvent(engine.NoticeReceived{ID: string(rune('A' + i)), Text: "x"})
			h.ReadNotice(string(rune('A' + i)))
		})
	}
	wg.Wait()
	if list := h.store.Received(); len(list) != 100 || model.Unread(list) != 0 {
		t.Errorf("%d are there, %d unread", len(list), model.Unread(list))
	}
}

func TestUserOfABackend(t *testing.T) {
	t.Parallel()
	h := moveIn(t, t.TempDir(), Config{})
	key, err := h.dir.OwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]string{
		"":                              "key:" + key.Public(),
		"e30.eyJzdWIiOiJhbm4ifQ.c2ln":   "ann",
		"e30.e30.c2ln":                  "",
		"opaque":                        "",
		"e30.!!.c2ln":                   "",
		"e30.eyJzdWIiOlsiYW5uIl19.c2ln": "",
	} {
		if got := h.user(token); got != want {
			t.Errorf("with %q the user is %q, want %q", token, got, want)
		}
	}
	if way := h.NoticeWay(t.Context()); way != (model.NoticeWay{}) {
		t.Errorf("without a tunnel a notice can be sent by %+v", way)
	}
}
