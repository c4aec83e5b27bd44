package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/app/session"
	"culvert/app/target"
	"culvert/backend/auth"
	"culvert/backend/relay"
)

// saying is a local service that says one word.
func saying(t *testing.T, word string) target.Target {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, word) }))
	t.Cleanup(s.Close)
	parsed, err := target.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func edit(t *testing.T, e *Engine, l *log, tun *Tunnel, change func(*Spec)) {
	t.Helper()
	spec := tun.Spec()
	change(&spec)
	if err := e.Edit(tun.Key(), spec); err != nil {
		t.Fatal(err)
	}
	wait(t, l, "edit", func(e Edited) bool { return e.Tunnel == tun })
}

func wantWord(t *testing.T, base, word string) {
	t.Helper()
	if code, body := get(t, base+"/"); code != http.StatusOK || body != word {
		t.Errorf("%s: %d %q, want %q", base, code, body, word)
	}
}

// TestEditTheService leaves the link alone.
func TestEditTheService(t *testing.T) {
	t.Parallel()
	e, l := start(t, Config{Dir: folder(t)})
	tun := open(t, e, Spec{Target: saying(t, "one")})
	url := state(t, l, session.Online).Established.PublicURL
	wantWord(t, url, "one")
	two := saying(t, "two")
	edit(t, e, l, tun, func(s *Spec) { s.Target, s.Profile = two, "home" })
	wantWord(t, url, "two")
	if spec := tun.Spec(); spec.Target != two || spec.Profile != "home" || tun.Title() != two.Short() || e.Tunnel(tun.Key()) != tun {
		t.Errorf("spec %+v", spec)
	}
	// The name that the backend has chosen may be made the tunnel's own.
	edit(t, e, l, tun, func(s *Spec) { s.Name = tun.Status().Established.TunnelID })
	wantWord(t, url, "two")
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, event := range l.events {
		if s, ok := event.(StatusChanged); ok {
			t.Errorf("the session is disturbed: %v", s.Status.State)
		}
	}
}

// TestEditTheLink makes another one, with the same URL if that can be.
func TestEditTheLink(t *testing.T) {
	t.Parallel()
	local := saying(t, "hi")
	backend := startRelay(t, relay.Config{Authenticate: func(_ context.Context, token string) (auth.Identity, error) {
		if token == "bad" {
			return auth.Identity{}, errors.New("the token has expired")
		}
		return auth.Identity{}, nil
	}})
	other := startRelay(t, relay.Config{})
	e, l := start(t, Config{Dir: folder(t)})
	tun := open(t, e, Spec{Target: local, Backend: backend, Token: "a"})
	first := state(t, l, session.Online).Established

	edit(t, e, l, tun, func(s *Spec) { s.Token = "b" })
	state(t, l, session.Connecting)
	if again := state(t, l, session.Online).Established; again.PublicURL != first.PublicURL {
		t.Errorf("another token gives %s, was %s", again.PublicURL, first.PublicURL)
	}
	wantWord(t, first.PublicURL, "hi")

	edit(t, e, l, tun, func(s *Spec) { s.Name = "my-shop" })
	named := state(t, l, session.Online).Established
	if named.TunnelID != "my-shop" || !strings.HasSuffix(named.PublicURL, "/my-shop") {
		t.Errorf("named %+v", named)
	}
	wantWord(t, named.PublicURL, "hi")

	edit(t, e, l, tun, func(s *Spec) { s.Backend, s.Name = other, "" })
	moved := state(t, l, session.Online).Established
	if !strings.HasPrefix(moved.PublicURL, other.String()) || moved.TunnelID == first.TunnelID || moved.TunnelID == "my-shop" {
		t.Errorf("moved to %+v", moved)
	}
	wantWord(t, moved.PublicURL, "hi")

	// What was refused tries again with another token, and not with another service.
	edit(t, e, l, tun, func(s *Spec) { s.Backend, s.Token = backend, "bad" })
	state(t, l, session.Refused)
	edit(t, e, l, tun, func(s *Spec) { s.Timeout = time.Second })
	edit(t, e, l, tun, func(s *Spec) { s.Token = "c" })
	state(t, l, session.Online)
	edit(t, e, l, tun, func(s *Spec) { s.Backend = nil })
	wantWord(t, state(t, l, session.Online).Established.PublicURL, "hi")
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, event := range l.events {
		if s, ok := event.(StatusChanged); ok && s.Status.State == session.Stopped {
			t.Error("an edit looks like a stop")
		}
	}
}

// TestEditDoesNotLookLikeAStop between the one link and the next.
func TestEditDoesNotLookLikeAStop(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var states []session.State
	e, l := start(t, Config{Dir: folder(t)}, func(event Event) {
		if s, ok := event.(StatusChanged); ok {
			mu.Lock()
			defer mu.Unlock()
			states = append(states, s.Status.State)
		}
	})
	tun := open(t, e, Spec{Target: saying(t, "hi"), Name: "first-name"})
	state(t, l, session.Online)
	edit(t, e, l, tun, func(s *Spec) { s.Name = "second-name" })
	if s := tun.Status().State; s != session.Connecting && s != session.Online {
		t.Errorf("state %v", s)
	}
	state(t, l, session.Online)
	tun.Stop()
	state(t, l, session.Stopped)
	mu.Lock()
	defer mu.Unlock()
	if want := []session.State{session.Connecting, session.Online, session.Connecting, session.Online, session.Stopped}; !slices.Equal(states, want) {
		t.Errorf("states %v", states)
	}
}

// TestEditIsToldFirst, whoever is the first to tell anything.
func TestEditIsToldFirst(t *testing.T) {
	t.Parallel()
	e, l := start(t, Config{Dir: folder(t)})
	tun, err := e.OpenStopped(Spec{Target: saying(t, "hi")})
	if err != nil {
		t.Fatal(err)
	}
	state(t, l, session.Stopped)
	tun.edited.Store(true) // and the prober has not woken up yet
	tun.emit(Notice{tun, "news"})
	tun.emit(Notice{tun, "more"})
	l.mu.Lock()
	defer l.mu.Unlock()
	if want := []Event{Edited{tun}, Notice{tun, "news"}, Notice{tun, "more"}}; !slices.Equal(l.events, want) {
		t.Errorf("events %v, want %v", l.events, want)
	}
}

// TestEditUnderway: who is being served is served to the end, by the old service.
func TestEditUnderway(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan bool), make(chan bool)
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun <- true
		<-finish
		io.WriteString(w, "slow")
	}))
	defer slow.Close()
	to, err := target.Parse(slow.URL)
	if err != nil {
		t.Fatal(err)
	}
	e, l := start(t, Config{Dir: folder(t)})
	tun := open(t, e, Spec{Target: to})
	url := state(t, l, session.Online).Established.PublicURL
	got := make(chan string, 1)
	go func() {
		answer, err := http.Get(url)
		if err != nil {
			got <- err.Error()
			return
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		got <- fmt.Sprint(string(body), err)
	}()
	<-begun
	old := tun.wired.Load()
	fast := saying(t, "fast")
	edit(t, e, l, tun, func(s *Spec) { s.Target = fast })
	wantWord(t, url, "fast")
	if old.users.Load() != 1 {
		t.Errorf("%d users of the old service", old.users.Load())
	}
	finish <- true
	if s := <-got; s != "slow<nil>" {
		t.Errorf("the request under way: %q", s)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestEditUnderwayFolder is the same for files, whose server is this process's.
func TestEditUnderwayFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	big := strings.Repeat("0123456789", 2_000_000) // more than all buffers on the way hold
	if err := os.WriteFile(filepath.Join(dir, "big.bin"), []byte(big), 0o644); err != nil {
		t.Fatal(err)
	}
	e, l := start(t, Config{Dir: folder(t)})
	tun := open(t, e, Spec{Target: target.Target{Scheme: "http", Folder: dir}})
	url := state(t, l, session.Online).Established.PublicURL
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url + "/big.bin")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	edit(t, e, l, tun, func(s *Spec) { s.Target = saying(t, "other") })
	wantWord(t, url, "other")
	if body, err := io.ReadAll(answer.Body); len(body) != len(big) || err != nil {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

// TestEditStopped changes a tunnel that does not run, and leaves it so.
func TestEditStopped(t *testing.T) {
	t.Parallel()
	e, l := start(t, Config{Dir: folder(t)})
	tun, err := e.OpenStopped(Spec{Target: saying(t, "one"), Name: "first-name"})
	if err != nil {
		t.Fatal(err)
	}
	state(t, l, session.Stopped)
	two := saying(t, "two")
	edit(t, e, l, tun, func(s *Spec) { s.Target, s.Name = two, "second-name" })
	if s := tun.Status(); s.State != session.Stopped {
		t.Errorf("state %v", s.State)
	}
	tun.Start()
	online := state(t, l, session.Online).Established
	if online.TunnelID != "second-name" {
		t.Errorf("name %s", online.TunnelID)
	}
	wantWord(t, online.PublicURL, "two")
}

func TestEditRefusesWhatOpenWould(t *testing.T) {
	t.Parallel()
	e, l := start(t, Config{Dir: folder(t)})
	good := saying(t, "hi")
	tun := open(t, e, Spec{Target: good})
	state(t, l, session.Online)
	for _, spec := range []Spec{{}, {Target: good, Name: "A"}, {Target: good, Timeout: -1}, {Target: good, HostHeader: "a b"}} {
		if err := e.Edit(tun.Key(), spec); err == nil {
			t.Errorf("%+v is accepted", spec)
		}
	}
	if err := e.Edit("none", Spec{Target: good}); !errors.Is(err, ErrNoTunnel) {
		t.Errorf("no tunnel: %v", err)
	}
	tun.Remove()
	wait(t, l, "removal", func(r Removed) bool { return r.Tunnel == tun })
	if err := tun.edit(Spec{Target: good}); !errors.Is(err, ErrNoTunnel) {
		t.Errorf("a removed tunnel: %v", err)
	}
}

// TestEditFromAllSides: the race detector and the leak check are the judges.
func TestEditFromAllSides(t *testing.T) {
	t.Parallel()
	e, l := start(t, Config{Dir: folder(t), Lights: true, Bodies: true})
	targets := []target.Target{saying(t, "one"), saying(t, "two"), {Scheme: "http", Folder: t.TempDir()}}
	tun := open(t, e, Spec{Target: targets[0]})
	state(t, l, session.Online)
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := range 15 {
				spec := Spec{Target: targets[(n+i)%3]}
				if n == 0 {
					spec.Name = fmt.Sprintf("name-%d", i%2)
				}
				if err := e.Edit(tun.Key(), spec); err != nil {
					t.Error(err)
				}
				if err := tun.Replay(t.Context(), ReplayRequest{Method: "GET", Path: "/"}); err != nil {
					t.Error(err)
				}
				tun.Probe()
				tun.Status()
				tun.Lights()
				_ = tun.String()
				if i%5 == n {
					tun.Stop()
					tun.Start()
				}
				e.Move(tun.Key(), i)
			}
		})
	}
	wg.Wait()
	tun.Start()
	spec := tun.Spec()
	spec.Target, spec.Name = targets[1], "the-last"
	if err := e.Edit(tun.Key(), spec); err != nil {
		t.Fatal(err)
	}
	online := wait(t, l, "the last name", func(e StatusChanged) bool {
		return e.Status.State == session.Online && e.Status.Established.TunnelID == "the-last"
	}).Status.Established
	wantWord(t, online.PublicURL, "two")
}

func TestMove(t *testing.T) {
	t.Parallel()
	e, _ := start(t, Config{Dir: folder(t)})
	to := saying(t, "hi")
	for range 4 {
		if _, err := e.OpenStopped(Spec{Target: to}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		key   string
		index int
		want  string
	}{{"1", 2, "2314"}, {"4", 0, "4231"}, {"4", 99, "2314"}, {"3", -1, "3214"}, {"9", 0, "3214"}, {"2", 1, "3214"}} {
		e.Move(tt.key, tt.index)
		var got strings.Builder
		for _, tun := range e.Tunnels() {
			got.WriteString(tun.Key())
		}
		if got.String() != tt.want {
			t.Errorf("%s to %d: %s, want %s", tt.key, tt.index, got.String(), tt.want)
		}
	}
}
