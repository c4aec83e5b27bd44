package link

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"

	"culvert/backend/auth"
	"culvert/backend/relay"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// startRelay serves a real relay.
func startRelay(t testing.TB, cfg relay.Config) (*relay.Server, *url.URL) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.PublicURL = &url.URL{Scheme: "http", Host: ln.Addr().String()}
	srv, err := relay.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = srv.Serve(ln)
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // as short as can be
		_ = srv.Shutdown(ctx)
		<-ended
	})
	return srv, cfg.PublicURL
}

func TestRelayWithTokens(t *testing.T) {
	t.Parallel()
	_, at := startRelay(t, relay.Config{Authenticate: func(_ context.Context, token string) (auth.Identity, error) {
		if token != secret {
			return auth.Identity{}, errors.New("the token is not known here")
		}
		return auth.Identity{Subject: "me", Tunnels: []string{"shop"}}, nil
	}})
	l, err := dialTo(t, &Config{}, at.String())
	if err != nil {
		t.Fatal(err)
	}
	if est := l.Established(); est.TunnelID != "shop" || est.Resume == "" || !l.form2() {
		t.Errorf("established = %+v, form 2 %v", est, l.form2())
	}
	for _, token := range []string{"", "wrong"} {
		cfg := &Config{Backend: at, Token: token, Handler: echo}
		var refusal *wire.Error
		if _, err := cfg.Dial(t.Context(), Hello{}); !errors.As(err, &refusal) || refusal.Code != wire.CodeUnauthorized {
			t.Errorf("token %q: %v, want unauthorized", token, err)
		}
	}
	cfg := &Config{Backend: at, Token: secret, Handler: echo}
	var refusal *wire.Error
	if _, err := cfg.Dial(t.Context(), Hello{TunnelID: "other"}); !errors.As(err, &refusal) || refusal.Code != wire.CodeForbidden {
		t.Errorf("a name that the token does not allow: %v, want forbidden", err)
	}
}

// A relay that stops says so, and what is under way ends in good order.
func TestRelayGoesAway(t *testing.T) {
	t.Parallel()
	srv, at := startRelay(t, relay.Config{})
	owner, err := tunnel.NewOwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	begun, release := make(chan struct{}), make(chan struct{})
	cfg := &Config{Backend: at, Owner: owner, Handler: func(x wire.Exchange) {
		close(begun)
		<-release
		hello(x)
	}}
	l, err := cfg.Dial(t.Context(), Hello{TunnelID: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.Run(context.Background()) }()

	answer := make(chan string, 1)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		resp, err := client.Get(at.String() + "/shop/x")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- srv.Shutdown(context.Background()) }()
	<-l.GoingAway()
	close(release)
	if got := <-answer; got != "hello from /x" {
		t.Errorf("the request under way got %q", got)
	}
	if err := wait(t, stopped); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if err := wait(t, done); err == nil {
		t.Error("Run = nil")
	}
}
