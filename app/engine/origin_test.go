package engine

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"culvert/app/capture"
	"culvert/app/session"
	"culvert/app/target"
)

// TestRecordsSayWhoServed also when the tunnel has been made to lead elsewhere since, and
// replays do not go there.
func TestRecordsSayWhoServed(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan bool, 2), make(chan bool)
	one := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: x\n\n")
			w.(http.Flusher).Flush()
		}
		begun <- true
		<-finish
	}))
	defer one.Close()
	to, err := target.Parse(one.URL)
	if err != nil {
		t.Fatal(err)
	}
	two := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the other service gets %s %s", r.Method, r.URL)
	}))
	defer two.Close()
	other, err := target.Parse(two.URL)
	if err != nil {
		t.Fatal(err)
	}
	tun, l, done := kept(t, Spec{Target: to}, true)
	base := state(t, l, session.Online).Established.PublicURL
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	visitors := make(chan error, 2)
	visit := func(method, path string) {
		r, err := http.NewRequest(method, base+path, strings.NewReader("x"))
		if err == nil {
			var answer *http.Response
			if answer, err = client.Do(r); err == nil {
				_, err = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
		}
		visitors <- err
	}
	go visit("POST", "/delete-all")
	<-begun
	go visit("GET", "/events")
	<-begun
	open := wait(t, l, "stream", func(StreamOpened) bool { return true }).Stream
	edit(t, tun.engine, l, tun, func(s *Spec) { s.Target = other })

	want := capture.Origin{Tunnel: to.Short(), Target: to.String()}
	snapshot := open.Snapshot()
	if x := Exchange(tun, &snapshot); x.Target != want.Target || x.Tunnel != want.Tunnel {
		t.Errorf("while it lasts: %s at %s, want %+v", x.Tunnel, x.Target, want)
	}
	close(finish)
	for range 2 {
		if err := <-visitors; err != nil {
			t.Error(err)
		}
		x := <-done
		if x.Target != want.Target || x.Tunnel != want.Tunnel {
			t.Errorf("%s: %s at %s, want %+v", x.Path, x.Tunnel, x.Target, want)
		}
		request, err := ReplayOf(x)
		if err != nil {
			t.Fatal(err)
		}
		if err := tun.Replay(t.Context(), request); err == nil || !strings.Contains(err.Error(), to.String()) || !strings.Contains(err.Error(), other.String()) {
			t.Errorf("a replay at another service: %v", err)
		}
	}
}
