package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"culvert/app/session"
	"culvert/backend/auth"
	"culvert/backend/relay"
)

// TestTokenFileIsReadAgain by every connection; what it had in it when the tunnel was
// opened, or is edited, does not matter.
func TestTokenFileIsReadAgain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	good := "one"
	backend := startRelay(t, relay.Config{
		Authenticate: func(_ context.Context, token string) (auth.Identity, error) {
			mu.Lock()
			defer mu.Unlock()
			if token != good {
				return auth.Identity{}, errors.New("the token has expired")
			}
			return auth.Identity{Subject: "ann", ID: token}, nil
		},
		Revoked: func(i auth.Identity) bool {
			mu.Lock()
			defer mu.Unlock()
			return i.ID != good
		},
		Limits: relay.Limits{CheckInterval: 10 * time.Millisecond},
	})
	file := filepath.Join(t.TempDir(), "token")
	renew := func(token string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	accept := func(token string) {
		mu.Lock()
		defer mu.Unlock()
		good = token
	}
	renew("one")
	e, l := start(t, Config{Dir: folder(t)})
	tun := open(t, e, Spec{Target: saying(t, "hi"), Backend: backend, Token: "one", TokenFile: file})
	first := state(t, l, session.Online).Established

	renew("two")
	accept("two") // and the first one counts no more
	state(t, l, session.Reconnecting)
	if again := state(t, l, session.Online).Established; again.PublicURL != first.PublicURL {
		t.Errorf("the URL is %s, was %s", again.PublicURL, first.PublicURL)
	}
	wantWord(t, first.PublicURL, "hi")

	// A window reads the file again with every edit.
	edit(t, e, l, tun, func(s *Spec) { s.Token, s.Timeout = "two", time.Minute })
	if s := tun.Status().State; s != session.Online {
		t.Errorf("another service makes the tunnel %v", s)
	}

	accept("three")
	state(t, l, session.Refused)
	renew("three")
	tun.Start()
	state(t, l, session.Online)

	accept("four")
	state(t, l, session.Refused)
	renew("four")
	edit(t, e, l, tun, func(s *Spec) { s.Token = "four" }) // try again: it may be accepted now
	state(t, l, session.Online)
}
