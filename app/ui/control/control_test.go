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
	"sync"
	"testing"
	"time"

	"culvert/app/config"
	"culvert/app/discover"
	"culvert/app/engine"
	"culvert/app/exchange"
	"culvert/app/secret"
	"culvert/app/session"
	"culvert/app/target"
	"culvert/app/ui/model"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keychain is one in memory.
type keychain struct {
	mu     sync.Mutex
	tokens map[string]string
	locked bool
}

func (k *keychain) Get(_ context.Context, profile string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.locked {
		return "", secret.ErrWaiting
	}
	if t, ok := k.tokens[profile]; ok {
		return t, nil
	}
	return "", secret.ErrNotFound
}

func (k *keychain) Set(_ context.Context, profile, token string) (secret.Place, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.locked {
		return secret.Place{}, secret.ErrWaiting
	}
	if k.tokens == nil {
		k.tokens = map[string]string{}
	}
	k.tokens[profile] = token
	return secret.Place{Keychain: true}, nil
}

func (k *keychain) Delete(_ context.Context, profile string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.tokens, profile)
	return nil
}

func (k *keychain) Place(context.Context) secret.Place {
	return secret.Place{Keychain: true, Text: "in the keychain"}
}

// silence is Notices for those who are not interested.
type silence struct{}

func (silence) Status(model.Tunnel)                    {}
func (silence) Removed(string)                         {}
func (silence) Request(string, string, *model.Request) {}
func (silence) Message(string, string)                 {}
func (silence) Received(model.Received)                {}
func (silence) Seen()                                  {}
func (silence) Set(config.Notices)                     {}

// house is a Control over the real engine, with a config folder that can be moved into
// again.
type house struct {
	*Control
	store  *model.Store
	dir    *config.Dir
	keys   *keychain
	engine *engine.Engine
}

// moveIn makes a house in a folder; the test's end, or moveOut, closes it.
func moveIn(t testing.TB, folder string, cfg Config) *house {
	t.Helper()
	dir, err := config.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{store: model.NewStore(), dir: dir, keys: &keychain{}}
	cfg.Store, cfg.Dir = h.store, dir
	if cfg.Notices == nil {
		cfg.Notices = silence{}
	}
	if cfg.Secrets == nil {
		cfg.Secrets = h.keys
	}
	h.Control = New(cfg)
	h.engine, err = engine.New(engine.Config{Dir: dir, OnEvent: h.OnEvent, Bodies: true})
	if err != nil {
		t.Fatal(err)
	}
	h.Attach(h.engine)
	h.Restore()
	h.Begin(t.Context())
	t.Cleanup(func() { h.moveOut(t) })
	return h
}

func (h *house) moveOut(t testing.TB) {
	t.Helper()
	if h.engine == nil {
		return
	}
	if err := errors.Join(h.engine.Close(context.Background()), h.Close(context.Background())); err != nil {
		t.Error(err)
	}
	h.engine = nil
}

// newControl is a house in a folder of its own.
func newControl(t *testing.T, backend *url.URL) (*Control, *model.Store) {
	t.Helper()
	h := moveIn(t, t.TempDir(), Config{Backend: backend})
	return h.Control, h.store
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
	c, store := newControl(t, nil)
	key, err := c.Open(t.Context(), service.URL, true)
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
	c, store := newControl(t, nobody)
	if b := store.Backend(); b.BuiltIn || b.Name != nobody.String() {
		t.Errorf("the backend is shown as %+v", b)
	}
	if _, err := c.Open(t.Context(), "3000", true); err != nil {
		t.Fatal(err)
	}
	got := await(t, store, "reconnecting with a cause", func(m model.Tunnel) bool { return m.State == model.Reconnecting && m.Cause != "" })
	if got.Attempt < 1 || got.URL != "" {
		t.Errorf("reconnecting shows %+v", got)
	}
}

func TestBadTargetsAreSaid(t *testing.T) {
	t.Parallel()
	c, store := newControl(t, nil)
	for _, text := range []string{"", "99999", "ftp://x", "no such thing"} {
		if _, err := c.Open(t.Context(), text, true); !errors.Is(err, target.ErrInvalid) {
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

// detached is a Control without an engine.
func detached(t *testing.T) (*Control, *model.Store) {
	t.Helper()
	dir, err := config.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	store := model.NewStore()
	c := New(Config{Store: store, Dir: dir, Notices: silence{}, Secrets: &keychain{}})
	t.Cleanup(func() { c.Close(context.Background()) })
	return c, store
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
	c, store := detached(t)
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
	c.SetBackend(&url.URL{Scheme: "https", User: url.UserPassword("me", "secret"), Host: "relay.example"})
	if b := store.Backend(); b.BuiltIn || strings.Contains(b.Name, "secret") {
		t.Errorf("another backend is shown as %+v", b)
	}
}

func TestNoticesReachTheWindow(t *testing.T) {
	t.Parallel()
	c, store := detached(t)
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
	c, store := newControl(t, nil)
	if _, err := c.Open(t.Context(), service.URL, true); err != nil {
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
	got := row("7", &exchange.Exchange{
		ID: "x", Tunnel: "shop", Start: now, Duration: time.Second, RemoteAddr: "192.0.2.1", Method: "POST", Path: "/a",
		Status: 503, Err: "nobody listens on port 3000", Detail: "refused", NoTarget: true, ReplayOf: "y",
		Response: exchange.Message{Size: 9},
	})
	want := &model.Request{
		Tunnel: "7", Name: "shop", Exchange: "x", ReplayOf: "y", Time: now, Duration: time.Second, Visitor: "192.0.2.1",
		Method: "POST", Path: "/a", Status: 503, Size: 9, Err: "nobody listens on port 3000", Detail: "refused", NoTarget: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
}

func TestStreamsAreKnownByTheirAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		kind   string
		want   model.StreamKind
	}{
		{101, "", model.WebSocketStream}, {200, "text/event-stream; charset=utf-8", model.EventStream},
		{200, "text/html", model.NoStream}, {200, "text/event-streams", model.NoStream}, {200, ";", model.NoStream},
	} {
		if got := streamKind(tt.status, tt.kind); got != tt.want {
			t.Errorf("%d %q is stream kind %d, want %d", tt.status, tt.kind, got, tt.want)
		}
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

// The folder with the owner key and the tokens is wherever --config says.
func TestOwnFolderIsAHazard(t *testing.T) {
	t.Parallel()
	h := moveIn(t, t.TempDir(), Config{})
	if hazard, err := h.Check(t.Context(), h.dir.Path()); err != nil || hazard.Kind != discover.PrivateFiles {
		t.Errorf("serving the config folder is the hazard %+v (%v)", hazard, err)
	}
	if hazard, err := h.Check(t.Context(), t.TempDir()); err != nil || hazard.Kind != discover.NoHazard {
		t.Errorf("serving any other one is the hazard %+v (%v)", hazard, err)
	}
}
