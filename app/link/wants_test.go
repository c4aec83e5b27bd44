package link

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"culvert/backend/auth"
	"culvert/backend/relay"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

func TestWantsToken(t *testing.T) {
	t.Parallel()
	_, proof := auth.VerifyKey("x", "y", auth.Checks{Advice: "connect by its public address"})
	if proof == nil || !strings.Contains(proof.Error(), tunnel.ErrBadOwnerProof.Error()) {
		t.Fatalf("a wrong proof is told as %v", proof)
	}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"none was shown":  {&wire.Error{Code: wire.CodeUnauthorized, Message: auth.ErrNoToken.Error()}, true},
		"deferred":        {fmt.Errorf("ready: %w", &wire.Error{Code: wire.CodeUnauthorized, Message: "say first who you are"}), true},
		"another code":    {&wire.Error{Code: wire.CodeForbidden, Message: auth.ErrNoToken.Error()}, false},
		"a proof":         {proof, false},
		"no refusal":      {errors.New("unauthorized"), false},
		"nothing at all":  {nil, false},
		"what it becomes": {ErrWantsToken, true},
	} {
		if got := WantsToken(c.err); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestNoTokenWouldHelp: a relay that takes none lets nobody in from elsewhere.
func TestNoTokenWouldHelp(t *testing.T) {
	t.Parallel()
	srv, err := relay.New(relay.Config{PublicURL: &url.URL{Scheme: "https", Host: "tunnel.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv.Handler())
	t.Cleanup(func() {
		web.Close()
		_ = srv.Shutdown(context.Background())
	})
	at, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	err = (&Config{Backend: at}).TryUpgrade(t.Context())
	if err == nil || WantsToken(err) {
		t.Errorf("%v is taken for a wish for a token", err)
	}
}
