package engine

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"culvert/app/config"
	"culvert/app/session"
	"culvert/app/target"
	"culvert/backend/auth"
	"culvert/backend/relay"
	"culvert/backend/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits for what ought to happen soon; a passing test never uses it up.
const patience = 30 * time.Second

// log is what an engine has told, and a way to wait for more.
type log struct {
	mu     sync.Mutex
	events []Event
	more   chan struct{} // closed and replaced at every event
	hook   func(Event)   // called with every event
}

func (l *log) add(e Event) {
	if l.hook != nil {
		l.hook(e)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	close(l.more)
	l.more = make(chan struct{})
}

// wait gives the first event that fits, and forgets it and those before it.
func wait[E Event](t *testing.T, l *log, what string, fits func(E) bool) E {
	t.Helper()
	timeout := time.After(patience)
	for {
		l.mu.Lock()
		for i, event := range l.events {
			if e, ok := event.(E); ok && fits(e) {
				l.events = l.events[i+1:]
				l.mu.Unlock()
				return e
			}
		}
		more := l.more
		l.mu.Unlock()
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("no %s; got %v", what, l.events)
		}
	}
}

func state(t *testing.T, l *log, want session.State) session.Status {
	t.Helper()
	return wait(t, l, want.String(), func(e StatusChanged) bool { return e.Status.State == want }).Status
}

func folder(t *testing.T) *config.Dir {
	t.Helper()
	dir, err := config.Open(filepath.Join(t.TempDir(), "culvert"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// start makes an engine that the test closes.
func start(t *testing.T, cfg Config, hook ...func(Event)) (*Engine, *log) {
	t.Helper()
	l := &log{more: make(chan struct{})}
	if len(hook) > 0 {
		l.hook = hook[0]
	}
	return startWith(t, cfg, l, lanAddress), l
}

func startWith(t *testing.T, cfg Config, l *log, lanAddress func() (netip.Addr, error)) *Engine {
	t.Helper()
	cfg.OnEvent = l.add
	e, err := newEngine(cfg, lanAddress)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNow(t, e) })
	return e
}

func closeNow(t *testing.T, e *Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := e.Close(ctx); err != nil {
		t.Error(err)
	}
}

// service is a local service that says hello to paths.
func service(t *testing.T) target.Target {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello "+r.URL.Path)
	}))
	t.Cleanup(s.Close)
	parsed, err := target.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func open(t *testing.T, e *Engine, spec Spec) *Tunnel {
	t.Helper()
	tun, err := e.Open(spec)
	if err != nil {
		t.Fatal(err)
	}
	return tun
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func wantHello(t *testing.T, base string) {
	t.Helper()
	if code, body := get(t, base+"/you"); code != http.StatusOK || body != "hello /you" {
		t.Errorf("%s: %d %q", base, code, body)
	}
}

// startRelay is a relay of its own, as another machine would have it.
func startRelay(t *testing.T, cfg relay.Config) *url.URL {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.PublicURL = &url.URL{Scheme: "http", Host: ln.Addr().String()}
	server, err := relay.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // no grace
		server.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return cfg.PublicURL
}

func TestLifeOfATunnel(t *testing.T) {
	t.Parallel()
	e, l := start(t, Config{Dir: folder(t)})
	tun := open(t, e, Spec{Target: service(t)})
	if got := e.Tunnels(); !slices.Equal(got, []*Tunnel{tun}) || e.Tunnel(tun.Key()) != tun || e.Tunnel("none") != nil {
		t.Errorf("tunnels %v", got)
	}
	state(t, l, session.Connecting)
	online := state(t, l, session.Online).Established
	if online.Resume != "" || tun.Status().Established.Resume != "" {
		t.Error("the resume secret leaves the engine")
	}
	wantHello(t, online.PublicURL)
	x := wait(t, l, "request", func(e RequestDone) bool { return e.Tunnel == tun }).Exchange
	if x.Method != "GET" || x.Path != "/you" || x.Status != 200 || x.BytesOut != int64(len("hello /you")) || x.RemoteAddr != "127.0.0.1" {
		t.Errorf("record %+v", x)
	}
	if got := tun.Counters(); got != (Counters{Requests: 1}) {
		t.Errorf("counters %+v", got)
	}

	tun.Stop()
	tun.Stop()
	state(t, l, session.Stopped)
	if code, _ := get(t, online.PublicURL+"/"); code != http.StatusBadGateway {
		t.Errorf("stopped tunnel answers %d", code)
	}
	tun.Start()
	tun.Start()
	if again := state(t, l, session.Online).Established; again.PublicURL != online.PublicURL {
		t.Errorf("URL %s after a stop, was %s", again.PublicURL, online.PublicURL)
	}
	tun.RetryNow()
	wantHello(t, online.PublicURL)

	tun.Remove()
	tun.Remove()
	if len(e.Tunnels()) != 0 {
		t.Error("a removed tunnel is listed")
	}
	wait(t, l, "removal", func(e Removed) bool { return e.Tunnel == tun })
	tun.Start() // too late, and harmless
	if b := e.BuiltIn(); !b.Running || b.LAN || !strings.HasPrefix(online.PublicURL, b.URL.String()+"/") {
		t.Errorf("built-in relay %+v", b)
	}
	closeNow(t, e)
	if b := e.BuiltIn(); b.Running {
		t.Error("the built-in relay survives the engine")
	}
	if _, err := e.Open(Spec{Target: service(t)}); !errors.Is(err, ErrClosed) {
		t.Errorf("open after close: %v", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, event := range l.events {
		if e, ok := event.(StatusChanged); ok && e.Tunnel == tun {
			t.Errorf("event %+v after Removed", e)
		}
	}
}

func TestBadSpecs(t *testing.T) {
	t.Parallel()
	e, _ := start(t, Config{Dir: folder(t)})
	good := service(t)
	for name, c := range map[string]struct {
		spec Spec
		says string
	}{
		"no target":       {Spec{}, "3000"},
		"relative folder": {Spec{Target: target.Target{Scheme: "http", Folder: "site"}}, "whole path"},
		"capitals":        {Spec{Target: good, Name: "Shop"}, "Shop"},
		"host header":     {Spec{Target: good, HostHeader: "a b"}, "a b"},
		"timeout":         {Spec{Target: good, Timeout: -time.Second}, "-1s"},
		"backend scheme":  {Spec{Target: good, Backend: &url.URL{Scheme: "ftp", Host: "a"}}, "ftp"},
		"backend no host": {Spec{Target: good, Backend: &url.URL{Scheme: "http"}}, "host"},
		"token":           {Spec{Target: good, Backend: &url.URL{Scheme: "http", Host: "a"}, Token: "a\nb"}, "token"},
	} {
		if _, err := e.Open(c.spec); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v does not mention %q", name, err, c.says)
		}
	}
	if len(e.Tunnels()) != 0 {
		t.Error("a bad wish left a tunnel behind")
	}
}

// TestBuiltInURLsSurvive restarts the program.
func TestBuiltInURLsSurvive(t *testing.T) {
	t.Parallel()
	dir, local := folder(t), service(t)
	var urls []string
	for range 2 {
		e, l := start(t, Config{Dir: dir})
		open(t, e, Spec{Target: local, Name: "my-shop"})
		urls = append(urls, state(t, l, session.Online).Established.PublicURL)
		wantHello(t, urls[0])
		closeNow(t, e)
	}
	if urls[0] != urls[1] || !strings.HasSuffix(urls[0], "/my-shop") {
		t.Errorf("URLs %q", urls)
	}
}

// TestBuiltInBesideAnother runs two programs in one folder: each has a port, and
// gets one of these two again.
func TestBuiltInBesideAnother(t *testing.T) {
	t.Parallel()
	dir, local := folder(t), service(t)
	round := func() []string {
		var ports []string
		var engines []*Engine
		for range 2 {
			e, l := start(t, Config{Dir: dir})
			open(t, e, Spec{Target: local})
			wantHello(t, state(t, l, session.Online).Established.PublicURL)
			ports = append(ports, e.BuiltIn().URL.Port())
			engines = append(engines, e)
		}
		for _, e := range engines {
			closeNow(t, e)
		}
		return ports
	}
	first, second := round(), round()
	if first[0] == first[1] || !slices.Equal(first, second) {
		t.Errorf("ports %q, then %q", first, second)
	}
}

func TestBuiltInServesNobodyElse(t *testing.T) {
	t.Parallel()
	e, l := start(t, Config{Dir: folder(t)})
	open(t, e, Spec{Target: service(t)})
	state(t, l, session.Online)
	stranger, sl := start(t, Config{Dir: folder(t)})
	for _, token := range []string{"", "guess"} {
		open(t, stranger, Spec{Target: service(t), Backend: e.BuiltIn().URL, Token: token})
		var refusal *wire.Error
		if s := state(t, sl, session.Refused); !errors.As(s.Cause, &refusal) || refusal.Code != wire.CodeUnauthorized {
			t.Errorf("token %q: %v", token, s.Cause)
		}
	}
}

func TestAllowLAN(t *testing.T) {
	t.Parallel()
	// Addresses of this machine that are sure to be there: the relay must hand
	// out what it is told, and listen on it.
	lan := netip.MustParseAddr("127.0.0.2")
	if ln, err := net.Listen("tcp4", "127.0.0.2:0"); err != nil {
		lan = netip.MustParseAddr("127.0.0.1") // systems with a single loopback address
	} else {
		ln.Close()
	}
	var mu sync.Mutex
	lanErr := errNoLAN
	l := &log{more: make(chan struct{})}
	e := startWith(t, Config{Dir: folder(t), RememberLAN: true}, l, func() (netip.Addr, error) {
		mu.Lock()
		defer mu.Unlock()
		return lan, lanErr
	})
	tun := open(t, e, Spec{Target: service(t)})
	loopback := state(t, l, session.Online).Established
	if err := e.AllowLAN(t.Context(), true); !errors.Is(err, errNoLAN) || e.BuiltIn().LAN {
		t.Errorf("without a network: %v, %+v", err, e.BuiltIn())
	}
	wantHello(t, loopback.PublicURL)

	mu.Lock()
	lanErr = nil
	mu.Unlock()
	if err := e.AllowLAN(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	onLAN := state(t, l, session.Online).Established
	want := strings.Replace(loopback.PublicURL, "127.0.0.1", lan.String(), 1)
	if onLAN.PublicURL != want || onLAN.TunnelID != loopback.TunnelID || !e.BuiltIn().LAN {
		t.Errorf("URL %s, want %s; %+v", onLAN.PublicURL, want, e.BuiltIn())
	}
	wantHello(t, onLAN.PublicURL)
	if s, err := e.cfg.Dir.State(); err != nil || !s.AllowLAN {
		t.Errorf("remembered %+v, %v", s, err)
	}

	// The machine leaves the network, and comes back.
	mu.Lock()
	lanErr = errNoLAN
	mu.Unlock()
	e.builtIn.onNetworkChange(t.Context())
	wait(t, l, "notice", func(n Notice) bool { return strings.Contains(n.Message, errNoLAN.Error()) })
	if off := state(t, l, session.Online).Established; off.PublicURL != loopback.PublicURL {
		t.Errorf("URL %s without a network", off.PublicURL)
	}
	mu.Lock()
	lanErr = nil
	mu.Unlock()
	e.builtIn.onNetworkChange(t.Context())
	if on := state(t, l, session.Online).Established; on.PublicURL != onLAN.PublicURL {
		t.Errorf("URL %s back on the network", on.PublicURL)
	}
	e.builtIn.onNetworkChange(t.Context()) // nothing has changed

	if err := e.AllowLAN(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if back := state(t, l, session.Online).Established; back.PublicURL != loopback.PublicURL || e.BuiltIn().LAN {
		t.Errorf("URL %s afterwards, %+v", back.PublicURL, e.BuiltIn())
	}
	wantHello(t, loopback.PublicURL)
	if got := tun.Status().State; got != session.Online {
		t.Errorf("state %v", got)
	}
}

// TestLANIsRemembered only for those who ask for that.
func TestLANIsRemembered(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if _, err := dir.UpdateState(func(s *config.State) { s.AllowLAN = true }); err != nil {
		t.Fatal(err)
	}
	for _, remember := range []bool{true, false} {
		l := &log{more: make(chan struct{})}
		e := startWith(t, Config{Dir: dir, RememberLAN: remember}, l, func() (netip.Addr, error) {
			return netip.MustParseAddr("127.0.0.1"), nil
		})
		open(t, e, Spec{Target: service(t)})
		wantHello(t, state(t, l, session.Online).Established.PublicURL)
		if got := e.BuiltIn().LAN; got != remember {
			t.Errorf("remember %v: LAN is %v", remember, got)
		}
		closeNow(t, e)
	}
}

func TestRefusedAndStartedAgain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	admit := false
	backend := startRelay(t, relay.Config{Authenticate: func(context.Context, string) (auth.Identity, error) {
		mu.Lock()
		defer mu.Unlock()
		if !admit {
			return auth.Identity{}, errors.New("the token has expired")
		}
		return auth.Identity{Subject: "ann"}, nil
	}})
	// The first refusal is answered at once, from within the event: the tunnel is
	// still about to stop by then.
	times := 0
	e, l := start(t, Config{Dir: folder(t)}, func(event Event) {
		if e, ok := event.(StatusChanged); ok && e.Status.State == session.Refused {
			if times++; times == 1 {
				e.Tunnel.Start()
			}
		}
	})
	tun := open(t, e, Spec{Target: service(t), Backend: backend, Token: "t"})
	for range 2 {
		var refusal *wire.Error
		if s := state(t, l, session.Refused); !errors.As(s.Cause, &refusal) || !refusal.Code.Permanent() {
			t.Errorf("cause %v", s.Cause)
		}
	}
	mu.Lock()
	admit = true
	mu.Unlock()
	tun.Start()
	wantHello(t, state(t, l, session.Online).Established.PublicURL)
}

// TestSecondForTheName leaves the first in peace.
func TestSecondForTheName(t *testing.T) {
	t.Parallel()
	backend := startRelay(t, relay.Config{})
	dir, local := folder(t), service(t)
	first, fl := start(t, Config{Dir: dir})
	open(t, first, Spec{Target: local, Backend: backend, Name: "shop"})
	public := state(t, fl, session.Online).Established.PublicURL
	for name, other := range map[string]*config.Dir{"same owner": dir, "another owner": folder(t)} {
		second, sl := start(t, Config{Dir: other})
		open(t, second, Spec{Target: local, Backend: backend, Name: "shop"})
		var refusal *wire.Error
		if s := state(t, sl, session.Refused); !errors.As(s.Cause, &refusal) || refusal.Code != wire.CodeNameTaken {
			t.Errorf("%s: %v", name, s.Cause)
		}
	}
	wantHello(t, public)
}

// TestManyAtOnce calls everything from everywhere; the race detector and the leak
// check are the judges.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	e, _ := start(t, Config{Dir: folder(t)})
	local := service(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			tun, err := e.Open(Spec{Target: local})
			if err != nil {
				t.Error(err)
				return
			}
			for range 3 {
				wg.Go(func() {
					for range 20 {
						tun.Stop()
						tun.Start()
						tun.RetryNow()
						tun.Status()
						tun.Counters()
						e.Tunnels()
						e.BuiltIn()
					}
				})
			}
			wg.Go(tun.Remove)
		})
	}
	wg.Wait()
	if left := e.Tunnels(); len(left) != 0 {
		t.Errorf("%d tunnels are left", len(left))
	}
	closeNow(t, e)
}

// TestBrokenState loses what was remembered, says so, and works.
func TestBrokenState(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if err := os.WriteFile(filepath.Join(dir.Path(), "state.toml"), []byte("builtin_ports = ["), 0o600); err != nil {
		t.Fatal(err)
	}
	e, l := start(t, Config{Dir: dir})
	wait(t, l, "notice", func(n Notice) bool { return strings.Contains(n.Message, "state.toml.broken-") })
	open(t, e, Spec{Target: service(t)})
	wantHello(t, state(t, l, session.Online).Established.PublicURL)
}

// TestLANAddress is only ever an address that the machine has.
func TestLANAddress(t *testing.T) {
	t.Parallel()
	addr, err := lanAddress()
	if errors.Is(err, errNoLAN) {
		return // as on a machine without a network
	}
	list, listErr := net.InterfaceAddrs()
	if err != nil || listErr != nil {
		t.Fatal(err, listErr)
	}
	has := slices.ContainsFunc(list, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr() == addr
	})
	if !has || !addr.IsPrivate() {
		t.Errorf("%v is not private, or not one of %v", addr, list)
	}
}

func TestTooMany(t *testing.T) {
	t.Parallel()
	e, _ := start(t, Config{Dir: folder(t)})
	e.tunnels = make([]*Tunnel, MaxTunnels)
	if _, err := e.Open(Spec{Target: service(t)}); !errors.Is(err, ErrTooManyTunnels) {
		t.Errorf("error %v", err)
	}
	e.tunnels = nil
}
