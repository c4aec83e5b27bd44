package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"culvert/app/exchange"
	"culvert/app/forwarder"
	"culvert/app/session"
	"culvert/app/target"
)

// echo is a local service that tells what it was asked.
func echo(t *testing.T) target.Target {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", strings.Join([]string{r.Method, r.RequestURI, r.Host, r.Header.Get("Content-Encoding"), r.Header.Get("X-Forwarded-For")}, " "))
		w.Write(body)
	}))
	t.Cleanup(s.Close)
	parsed, err := target.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// kept opens a tunnel whose exchanges come as plain data.
func kept(t *testing.T, spec Spec, started bool) (*Tunnel, *log, chan *exchange.Exchange) {
	t.Helper()
	done := make(chan *exchange.Exchange, 100)
	e, l := start(t, Config{Dir: folder(t), Bodies: true}, func(event Event) {
		if r, ok := event.(RequestDone); ok {
			done <- Exchange(r.Tunnel, r.Exchange)
		}
	})
	tun, err := e.open(spec, started)
	if err != nil {
		t.Fatal(err)
	}
	return tun, l, done
}

func TestReplay(t *testing.T) {
	t.Parallel()
	to := echo(t)
	tun, l, done := kept(t, Spec{Target: to, HostHeader: forwarder.HostPublic}, true)
	url := state(t, l, session.Online).Established.PublicURL
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	r, err := http.NewRequest("POST", url+"/a%2Fb?c=%20", strings.NewReader("not really gzip"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Encoding", "gzip")
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	first := <-done
	tun.Stop() // a replay needs no link
	state(t, l, session.Stopped)
	request, err := ReplayOf(first)
	if err != nil {
		t.Fatal(err)
	}
	if want := "/" + tun.Status().Established.TunnelID; request.Prefix != want {
		t.Errorf("prefix %q, want %q", request.Prefix, want)
	}
	if err := tun.Replay(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	again := <-done
	if again.Response.Header.Get("X-Seen") != first.Response.Header.Get("X-Seen") || !strings.Contains(again.Response.Header.Get("X-Seen"), "POST /a%2Fb?c=%20 127.0.0.1") {
		t.Errorf("the service saw %q, and then %q", first.Response.Header.Get("X-Seen"), again.Response.Header.Get("X-Seen"))
	}
	if again.ReplayOf != first.ID || again.ID == first.ID || again.Status != 200 || string(again.Response.Body) != "not really gzip" ||
		string(again.Request.Body) != "not really gzip" || again.URL != "" || again.RemoteAddr != "" || again.Open || again.Err != "" {
		t.Errorf("recorded %+v", again)
	}

	// Edited: other words, a typed Host, a body too long to travel with the head.
	big := bytes.Repeat([]byte("big"), 1<<17)
	err = tun.Replay(t.Context(), ReplayRequest{
		Method: "PUT", Path: "/new", Body: big, Of: "x",
		Header: http.Header{"Host": {"typed.example"}, "Content-Length": {"3"}, "Transfer-Encoding": {"chunked"}, "Expect": {"100-continue"}, "Connection": {"close"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if x := <-done; !bytes.Equal(x.Response.Body, big) || x.Status != 200 || !strings.HasPrefix(x.Response.Header.Get("X-Seen"), "PUT /new typed.example") {
		t.Errorf("edited: %d, %d bytes, %q", x.Status, len(x.Response.Body), x.Response.Header.Get("X-Seen"))
	}
	tun.Remove()
	wait(t, l, "removal", func(r Removed) bool { return r.Tunnel == tun })
	if err := tun.Replay(t.Context(), request); !errors.Is(err, ErrNoTunnel) {
		t.Errorf("a removed tunnel: %v", err)
	}
}

// TestReplayFails in the record, where the service does.
func TestReplayFails(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(nil)
	to, err := target.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	tun, _, done := kept(t, Spec{Target: to}, false)
	if err := tun.Replay(t.Context(), ReplayRequest{Method: "GET", Path: "/", Of: "x"}); err != nil {
		t.Fatal(err)
	}
	if x := <-done; x.Status != http.StatusServiceUnavailable || !x.NoTarget || !strings.HasPrefix(x.Err, "nothing is listening") || !strings.Contains(x.Detail, "refused") || x.ReplayOf != "x" {
		t.Errorf("recorded %+v", x)
	}
}

// TestReplayEnds with its context, with the tunnel, and not before there is room.
func TestReplayEnds(t *testing.T) {
	t.Parallel()
	begun := make(chan bool, 2*maxReplays)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		begun <- true
		<-r.Context().Done()
	}))
	defer s.Close()
	to, err := target.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	tun, l, _ := kept(t, Spec{Target: to}, false)
	request := ReplayRequest{Method: "GET", Path: "/"}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, maxReplays)
	for range maxReplays {
		go func() { ended <- tun.Replay(ctx, request) }()
	}
	for range maxReplays {
		<-begun
	}
	if err := tun.Replay(ctx, request); !errors.Is(err, errReplayBusy) {
		t.Errorf("one too many: %v", err)
	}
	cancel()
	for range maxReplays {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	go func() { ended <- tun.Replay(t.Context(), request) }()
	<-begun
	tun.Remove()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	wait(t, l, "removal", func(r Removed) bool { return r.Tunnel == tun })
}

func TestReplayRefuses(t *testing.T) {
	t.Parallel()
	tun, _, _ := kept(t, Spec{Target: echo(t)}, false)
	for says, change := range map[string]func(*ReplayRequest){
		"write one such as GET":  func(r *ReplayRequest) { r.Method = "GET IT" },
		"CONNECT is for proxies": func(r *ReplayRequest) { r.Method = "CONNECT" },
		"no slash in front":      func(r *ReplayRequest) { r.Path = "http://a/" },
		"write %20 for a space":  func(r *ReplayRequest) { r.Path = "/a b" },
		"control character":      func(r *ReplayRequest) { r.Header = http.Header{"A": {"a\r\nb"}} },
		"no name of a header":    func(r *ReplayRequest) { r.Header = http.Header{"A B": {"a"}} },
		"cannot be replayed":     func(r *ReplayRequest) { r.Header = http.Header{"Sec-WebSocket-Key": {"a"}} },
		"longer than 64 MB":      func(r *ReplayRequest) { r.Body = make([]byte, MaxReplayBody+1) },
	} {
		r := ReplayRequest{Method: "GET", Path: "/"}
		change(&r)
		if err := tun.Replay(t.Context(), r); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v does not say %q", err, says)
		}
	}
}

func TestReplayOf(t *testing.T) {
	t.Parallel()
	whole := exchange.Exchange{ID: "7", Method: "POST", Path: "/a?b", Host: "h", URL: "https://h/shop/a?b",
		Request: exchange.Message{Header: http.Header{"A": {"b"}}, Body: []byte("abc"), Size: 3}}
	r, err := ReplayOf(&whole)
	if err != nil || r.Prefix != "/shop" || r.Of != "7" || r.Host != "h" || r.Header.Get("A") != "b" || string(r.Body) != "abc" {
		t.Errorf("request %+v, %v", r, err)
	}
	r.Header.Set("A", "changed")
	if whole.Request.Header.Get("A") != "b" {
		t.Error("the exchange has changed")
	}
	for want, change := range map[error]func(*exchange.Exchange){
		errReplayUpgrade:   func(x *exchange.Exchange) { x.Upgrade = "websocket" },
		errReplayRedacted:  func(x *exchange.Exchange) { x.Redacted = true },
		errReplayTruncated: func(x *exchange.Exchange) { x.Request.Size = 4 },
	} {
		x := whole
		change(&x)
		if r, err := ReplayOf(&x); !errors.Is(err, want) || (r.Method == "") != (want == errReplayUpgrade) {
			t.Errorf("%+v, %v, want %v", r, err, want)
		}
	}
}

// TestFolderTunnel serves files by a public URL, in the path form, and keeps them inside.
func TestFolderTunnel(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	dir := filepath.Join(base, "site")
	for path, text := range map[string]string{"site/docs/a.html": "<h1>a</h1>", "site/.env": "secret", "secret.txt": "secret"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(base, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(base, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	to, err := target.Parse(dir)
	if err != nil {
		t.Fatal(err)
	}
	tun, l, done := kept(t, Spec{Target: to}, true)
	url := state(t, l, session.Online).Established.PublicURL
	if code, body := get(t, url+"/docs/a.html"); code != 200 || body != "<h1>a</h1>" {
		t.Errorf("a file: %d %q", code, body)
	}
	if x := <-done; x.Status != 200 || string(x.Response.Body) != "<h1>a</h1>" || x.Target != dir || x.Tunnel != to.Short() || x.URL != url+"/docs/a.html" || x.Waited <= 0 {
		t.Errorf("recorded %+v", x)
	}
	if code, body := get(t, url+"/docs"); code != 200 || !strings.Contains(body, "a.html") { // by way of a redirect
		t.Errorf("a list: %d %q", code, body)
	}
	for _, path := range []string{"/.env", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/docs/..%2f..%2fsecret.txt"} {
		if code, body := get(t, url+path); code != http.StatusNotFound || strings.Contains(body, "secret") {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}
	for range 6 {
		<-done
	}
	if err := tun.Replay(t.Context(), ReplayRequest{Method: "GET", Path: "/docs/a.html"}); err != nil {
		t.Fatal(err)
	}
	if x := <-done; string(x.Response.Body) != "<h1>a</h1>" {
		t.Errorf("a replay: %+v", x)
	}
}
