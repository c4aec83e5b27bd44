package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"culvert/app/capture"
	"culvert/app/config"
	"culvert/app/engine"
	"culvert/app/session"
	"culvert/app/target"
	"culvert/app/ui/model"
	"culvert/backend/wire"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newControl is a Control over the real engine.
func newControl(t *testing.T, b Backend) (*Control, *model.Store) {
	t.Helper()
	dir, err := config.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	store := model.NewStore()
	c := New(store, b, false)
	e, err := engine.New(engine.Config{Dir: dir, OnEvent: c.OnEvent})
	if err != nil {
		t.Fatal(err)
	}
	c.Attach(e)
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c, store
}

// await waits until the only tunnel satisfies a condition.
func await(t *testing.T, s *model.Store, what string, fits func(model.Tunnel) bool) model.Tunnel {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		if tunnels := s.Tunnels(); len(tunnels) == 1 && fits(tunnels[0]) {
			return tunnels[0]
		}
		select {
		case <-s.Changed():
		case <-deadline:
			t.Fatalf("not %s: %+v", what, s.Tunnels())
		}
	}
}

func is(s model.State) func(model.Tunnel) bool {
	return func(t model.Tunnel) bool { return t.State == s }
}

func TestTunnelFromOpenToRemove(t *testing.T) {
	t.Parallel()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, "short and stout")
	}))
	defer service.Close()
	c, store := newControl(t, Backend{})
	key, err := c.Open(t.Context(), service.URL)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(store.Tunnels()); n != 1 {
		t.Fatalf("right after opening there are %d cards, want 1", n)
	}
	online := await(t, store, "online", is(model.Online))
	if want := strings.TrimPrefix(service.URL, "http://"); online.Name != want || online.Key != key {
		t.Errorf("the tunnel is %q with key %q, want %q and %q", online.Name, online.Key, want, key)
	}
	if online.Detail == "" || !strings.HasSuffix(online.URL, online.Detail) {
		t.Errorf("beside the name stands %q, want the ID at the end of %s", online.Detail, online.URL)
	}

	if want := "http://" + online.Detail + ".localhost:"; !strings.HasPrefix(online.Browse, want) {
		t.Errorf("the browser would open %q, want %s…", online.Browse, want)
	}

	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(online.URL + "/pot?x=1")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	var rows []*model.Request
	for deadline := time.Now().Add(30 * time.Second); len(rows) == 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		rows, _ = store.Since(0, 0, nil)
	}
	if len(rows) != 1 {
		t.Fatalf("%d rows in the log, want 1", len(rows))
	}
	r := rows[0]
	if r.Tunnel != key || r.Method != "GET" || r.Path != "/pot?x=1" || r.Status != http.StatusTeapot || r.Size != 15 || r.Visitor != "127.0.0.1" || r.Time.IsZero() {
		t.Errorf("the row is %+v", *r)
	}

	for _, step := range []struct {
		do   func(context.Context, string) error
		want model.State
	}{{c.Stop, model.Stopped}, {c.Start, model.Online}} {
		if err := step.do(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		await(t, store, step.want.String(), is(step.want))
	}
	if err := c.Remove(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(30 * time.Second); len(store.Tunnels()) > 0; {
		select {
		case <-store.Changed():
		case <-deadline:
			t.Fatal("the removed tunnel's card stays")
		}
	}
	if err := c.Start(t.Context(), key); !errors.Is(err, errGone) {
		t.Errorf("starting a removed tunnel: %v", err)
	}
}

func TestBackendThatIsNotThere(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := &url.URL{Scheme: "http", Host: ln.Addr().String()}
	ln.Close()
	c, store := newControl(t, Backend{URL: nobody})
	if b := store.Backend(); b.BuiltIn || b.Name != nobody.String() {
		t.Errorf("the backend is shown as %+v", b)
	}
	if _, err := c.Open(t.Context(), "3000"); err != nil {
		t.Fatal(err)
	}
	got := await(t, store, "reconnecting with a cause", func(m model.Tunnel) bool { return m.State == model.Reconnecting && m.Cause != "" })
	if got.Attempt < 1 || got.URL != "" {
		t.Errorf("reconnecting shows %+v", got)
	}
}

func TestBadTargetsAreSaid(t *testing.T) {
	t.Parallel()
	c, store := newControl(t, Backend{})
	for _, text := range []string{"", "99999", "ftp://x", "no such thing"} {
		if _, err := c.Open(t.Context(), text); !errors.Is(err, target.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if n := len(store.Tunnels()); n != 0 {
		t.Errorf("%d cards for what could not be opened", n)
	}
}

func TestStatesKeepTheirWords(t *testing.T) {
	t.Parallel()
	for _, s := range []session.State{session.Stopped, session.Connecting, session.Online, session.Reconnecting, session.Refused} {
		if got := state(s).String(); got != s.String() {
			t.Errorf("%v is shown as %s", s, got)
		}
	}
}

// fixed is an engine whose built-in relay is where a test wants it.
type fixed struct {
	Engine
	builtIn engine.BuiltIn
	err     error
}

func (f *fixed) BuiltIn() engine.BuiltIn { return f.builtIn }
func (f *fixed) AllowLAN(_ context.Context, allow bool) error {
	if f.err == nil && f.builtIn.Running {
		f.builtIn.LAN = allow
	}
	return f.err
}

func TestLANShowsWhatIsInForce(t *testing.T) {
	t.Parallel()
	store := model.NewStore()
	c := New(store, Backend{}, false)
	f := &fixed{}
	c.Attach(f)
	step := func(name string, want bool) {
		t.Helper()
		if b := store.Backend(); !b.BuiltIn || b.LAN != want {
			t.Errorf("%s: %+v, want LAN %v", name, b, want)
		}
	}
	step("at first", false)
	f.err = errors.New("no network")
	if err := c.AllowLAN(t.Context(), true); err == nil {
		t.Error("the failure is not passed on")
	}
	step("after a failure", false)
	f.err = nil
	if err := c.AllowLAN(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	step("wished before the relay runs", true)
	lan := &url.URL{Scheme: "http", Host: "192.168.1.2:4000"}
	c.OnEvent(engine.BuiltInChanged{BuiltIn: engine.BuiltIn{Running: true, URL: lan, LAN: true}})
	step("while it runs", true)
	// The network went away: the relay says that it is on this machine only.
	c.OnEvent(engine.BuiltInChanged{BuiltIn: engine.BuiltIn{Running: true, URL: &url.URL{Scheme: "http", Host: "127.0.0.1:4000"}}})
	step("without a network", false)
	c.SetBackend(Backend{URL: &url.URL{Scheme: "https", User: url.UserPassword("me", "secret"), Host: "relay.example"}})
	if b := store.Backend(); b.BuiltIn || strings.Contains(b.Name, "secret") {
		t.Errorf("another backend is shown as %+v", b)
	}
}

func TestNoticesReachTheWindow(t *testing.T) {
	t.Parallel()
	store := model.NewStore()
	c := New(store, Backend{}, false)
	c.OnEvent(engine.Notice{Message: "the state file was broken"})
	if text, _ := store.Notice(); text != "The state file was broken." {
		t.Errorf("the notice reads %q", text)
	}
}

// What the forwarder says about a service that is not there, in words for people
// first, and the tunnel's card warns.
func TestClosedPort(t *testing.T) {
	t.Parallel()
	service := httptest.NewServer(http.NotFoundHandler())
	address := strings.TrimPrefix(service.URL, "http://")
	service.Close()
	c, store := newControl(t, Backend{})
	if _, err := c.Open(t.Context(), service.URL); err != nil {
		t.Fatal(err)
	}
	online := await(t, store, "online", is(model.Online))
	if online.Warning != "" {
		t.Errorf("before any request the warning is %q", online.Warning)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(online.URL + "/a")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	var rows []*model.Request
	for deadline := time.Now().Add(30 * time.Second); len(rows) == 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		rows, _ = store.Since(0, 0, nil)
	}
	if len(rows) != 1 {
		t.Fatalf("%d rows in the log, want 1", len(rows))
	}
	want := "nothing is listening on " + address + ": start the service, or open the tunnel to its port"
	if r := rows[0]; r.Status != http.StatusServiceUnavailable || r.Err != want || !r.NoTarget {
		t.Errorf("the row is %+v, want the cause %q", *r, want)
	}
	if d := rows[0].Detail; !strings.HasPrefix(d, "dial tcp "+address) || strings.HasSuffix(d, ")") {
		t.Errorf("in the system's words: %q", d)
	}
	if got := store.Tunnels()[0].Warning; got != want {
		t.Errorf("the warning is %q, want %q", got, want)
	}
}

func TestRow(t *testing.T) {
	t.Parallel()
	now := time.Unix(1, 0)
	got := row("7", "shop", &capture.Exchange{ID: "x", Start: now, Duration: time.Second, RemoteAddr: "192.0.2.1", Method: "POST", Path: "/a",
		Status: 503, BytesIn: 5, BytesOut: 9, Err: &wire.Error{Message: "nobody listens on port 3000"}})
	want := &model.Request{Tunnel: "7", Name: "shop", Time: now, Duration: time.Second, Visitor: "192.0.2.1", Method: "POST", Path: "/a", Status: 503, Size: 9,
		Err: "nobody listens on port 3000"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
}

// A backend is not to be trusted with what the browser opens or the clipboard holds.
func TestStrangeURLsAreNotShown(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://shop.tunnel.example.com": "https://shop.tunnel.example.com", "http://127.0.0.1:4000/a": "http://127.0.0.1:4000/a",
		"file:///etc/passwd": "", "smb://host/share": "", "http://x/\r\nrm -rf": "", "http://x/\x1b[31m": "", "http://x/\u202e": "", "https:///a": "", "": "",
	} {
		if got := webURL(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}
