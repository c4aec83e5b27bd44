package engine

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"culvert/app/session"
	"culvert/app/target"
	"culvert/backend/relay"
)

func TestUnderway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := underway{limit: drainTime}
		took := func(what string, ctx context.Context, want time.Duration) {
			t.Helper()
			start := time.Now()
			u.drain(ctx)
			if got := time.Since(start); got != want {
				t.Errorf("%s: drained for %v, want %v", what, got, want)
			}
		}
		took("idle", t.Context(), 0)
		if u.begin() {
			t.Error("began while stopping")
		}
		u.open()
		for range 2 {
			if !u.begin() {
				t.Fatal("does not begin")
			}
		}
		time.AfterFunc(time.Second/2, u.end)
		took("one ends", t.Context(), drainTime)
		time.AfterFunc(time.Second, u.end)
		took("both have ended", t.Context(), time.Second)
		u.open()
		if !u.begin() {
			t.Fatal("does not begin again")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		took("at once", ctx, time.Millisecond)
		u.end()
	})
}

// TestStopsFinishRequests stops a tunnel, and an engine, while a request is under
// way: its visitor gets the whole answer, the next one an error.
func TestStopsFinishRequests(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	stops := map[string]func(*testing.T, *Engine, *Tunnel){
		"tunnel": func(_ *testing.T, _ *Engine, tun *Tunnel) { tun.Stop() },
		"engine": func(t *testing.T, e *Engine, _ *Tunnel) { closeNow(t, e) },
	}
	for name, stop := range stops {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun, finish := make(chan bool), make(chan bool)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				begun <- true
				<-finish
				io.WriteString(w, strings.Repeat("x", size))
			}))
			t.Cleanup(s.Close)
			local, err := target.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			e, l := start(t, Config{Dir: folder(t)})
			tun := open(t, e, Spec{Target: local, Backend: startRelay(t, relay.Config{})})
			tun.underway.mu.Lock()
			tun.underway.limit = patience
			tun.underway.mu.Unlock()
			url := state(t, l, session.Online).Established.PublicURL
			got := make(chan int, 1)
			go func() {
				resp, err := http.Get(url + "/")
				if err != nil {
					got <- -1
					return
				}
				defer resp.Body.Close()
				n, _ := io.Copy(io.Discard, resp.Body)
				got <- int(n)
			}()
			<-begun
			stopped := make(chan bool)
			go func() {
				defer close(stopped)
				stop(t, e, tun)
			}()
			<-tun.stopsTaking()
			if code, body := get(t, url+"/"); code != http.StatusServiceUnavailable || !strings.Contains(body, "stopped") {
				t.Errorf("while it stops: %d %q", code, body)
			}
			close(finish)
			if n := <-got; n != size {
				t.Errorf("%d bytes of the answer", n)
			}
			state(t, l, session.Stopped)
			<-stopped
		})
	}
}

// TestStoppedAndStartedAgain takes requests again.
func TestStoppedAndStartedAgain(t *testing.T) {
	t.Parallel()
	e, l := start(t, Config{Dir: folder(t)})
	tun := open(t, e, Spec{Target: service(t)})
	for range 2 {
		wantHello(t, state(t, l, session.Online).Established.PublicURL)
		tun.Stop()
		state(t, l, session.Stopped)
		tun.Start()
	}
	wantHello(t, state(t, l, session.Online).Established.PublicURL)
}

// stopsTaking is closed when the tunnel takes no more requests.
func (t *Tunnel) stopsTaking() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			t.underway.mu.Lock()
			stopping := t.underway.stopping
			t.underway.mu.Unlock()
			if stopping || t.engine.ctx.Err() != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	return done
}
