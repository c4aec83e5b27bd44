package link_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/app/config"
	"culvert/app/link"
	"culvert/app/session"
	"culvert/backend/auth"
	"culvert/backend/relay"
)

// guarded is a session with a relay that wants tokens, within a synctest bubble. The
// session's token is in a file.
type guarded struct {
	t        *testing.T
	file     string
	log      bytes.Buffer // of the session; read it after stop
	connects atomic.Int64
	start    time.Time
	stop     func() error

	mu     sync.Mutex
	states []session.Status
}

const tokenSecret = "a secret of at least thirty-two bytes"

// mint gives a token of Ann's.
func mint(t *testing.T, ttl time.Duration) string {
	t.Helper()
	now := time.Now()
	token, err := auth.Mint([]byte(tokenSecret), auth.Grant{Identity: auth.Identity{
		Subject: "ann", ID: auth.NewID(), IssuedAt: now, Expires: now.Add(ttl),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// startGuarded connects with the token; source says whether the file is looked at again.
func startGuarded(t *testing.T, token string, source bool) *guarded {
	t.Helper()
	g := &guarded{t: t, file: filepath.Join(t.TempDir(), "token"), start: time.Now()}
	g.write(token)
	verifier, err := auth.New(auth.Config{Secrets: [][]byte{[]byte(tokenSecret)}})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := relay.New(relay.Config{
		PublicURL: &url.URL{Scheme: "http", Host: "backend.test"},
		Authenticate: func(ctx context.Context, token string) (auth.Identity, error) {
			g.connects.Add(1)
			return verifier.Verify(ctx, token)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := link.InMemory(t, func(ln net.Listener) { _ = srv.Serve(ln) })
	t.Cleanup(func() { // before the listener's
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = srv.Shutdown(ctx)
	})
	cfg.Token = token
	cfg.Logger = slog.New(slog.NewTextHandler(&g.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if source {
		cfg.TokenSource = func() (string, error) { return config.ReadTokenAgain(g.file) }
	}
	s := session.New(session.Config{
		Dial: session.DialWith(cfg), Logger: cfg.Logger, TunnelID: "shop",
		OnStatus: func(st session.Status) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.states = append(g.states, st)
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var result error
	var running sync.WaitGroup
	running.Go(func() { result = s.Run(ctx) })
	g.stop = func() error {
		cancel()
		running.Wait()
		return result
	}
	t.Cleanup(func() { _ = g.stop() })
	return g
}

func (g *guarded) write(text string) {
	g.t.Helper()
	if err := os.WriteFile(g.file, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// at lets time pass until the session is as old as that.
func (g *guarded) at(age time.Duration) {
	time.Sleep(time.Until(g.start.Add(age)))
	synctest.Wait()
}

// was counts how often the session came into a state, and says why last.
func (g *guarded) was(state session.State) (n int, cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, st := range g.states {
		if st.State == state {
			n, cause = n+1, st.Cause
		}
	}
	return n, cause
}

func (g *guarded) wantConnects(most int64) {
	g.t.Helper()
	if n := g.connects.Load(); n > most {
		g.t.Errorf("%v after the start: %d tokens were shown, want at most %d", time.Since(g.start), n, most)
	}
}

// TestTunnelOutlivesItsTokens, whenever the file with them is renewed.
func TestTunnelOutlivesItsTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := startGuarded(t, mint(t, time.Hour), true)
		g.at(50 * time.Minute) // before the connection is replaced early
		second := mint(t, time.Hour)
		g.write(second)
		g.at(58 * time.Minute)
		g.wantConnects(2)
		// The second ends at 1:50. Its connection is replaced before, in vain, and then again
		// when there is another.
		g.at(100 * time.Minute)
		g.at(108 * time.Minute)
		g.wantConnects(3)
		third := mint(t, time.Hour) // until 2:48
		g.write("")                 // as a shell begins
		g.at(108*time.Minute + 20*time.Second)
		g.wantConnects(3)
		g.write(third)
		g.at(108*time.Minute + 40*time.Second)
		g.wantConnects(4)
		if n := g.connects.Load(); n < 4 {
			t.Errorf("%d tokens were shown: the new one is not looked for", n)
		}
		if n, cause := g.was(session.Reconnecting); n > 0 {
			t.Errorf("the tunnel was interrupted: %v", cause)
		}
		// The file is renewed a moment before the relay ends the connection.
		g.at(168*time.Minute + 29*time.Second)
		fourth := mint(t, time.Hour)
		g.write(fourth)
		g.at(170 * time.Minute)
		g.wantConnects(6)
		g.at(4 * time.Hour)
		if n, cause := g.was(session.Refused); n != 1 || !strings.Contains(cause.Error(), "has expired") {
			t.Errorf("refused %d times: %v", n, cause)
		}
		_ = g.stop()
		for _, token := range []string{second, third, fourth} {
			if strings.Contains(g.log.String(), token) || strings.Contains(g.log.String(), token[len(token)-20:]) {
				t.Error("a token is in the log")
			}
		}
	})
}

// TestTokenThatIsNotRenewed keeps the tunnel until its end, is shown for one successor
// and no more, and is told as what it is.
func TestTokenThatIsNotRenewed(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]bool{"from a file": true, "given once": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := startGuarded(t, mint(t, time.Hour), source)
				g.at(time.Hour + 29*time.Second)
				g.wantConnects(2)
				if n, _ := g.was(session.Refused); n > 0 {
					t.Fatal("refused before the end")
				}
				g.at(time.Hour + 40*time.Second)
				if n, cause := g.was(session.Refused); n != 1 || !strings.Contains(cause.Error(), "has expired") {
					t.Errorf("refused %d times: %v", n, cause)
				}
				if n, cause := g.was(session.Reconnecting); n > 0 {
					t.Errorf("reconnecting: %v", cause)
				}
				g.wantConnects(2)
			})
		})
	}
}
