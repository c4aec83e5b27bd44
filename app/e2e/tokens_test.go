package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

const testSecret = "a secret of at least thirty-two bytes, for tests"

func writeSecret(t testing.TB, secret string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mint(t testing.TB, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokens(t *testing.T) {
	t.Parallel()
	service := serve(t, httpbin.New())
	r := startRelay(t, "--jwt-secret-file", writeSecret(t, testSecret))
	soon := time.Now().Add(time.Hour).Unix()
	good := mint(t, jwt.SigningMethodHS256, []byte(testSecret), jwt.MapClaims{"sub": "me", "exp": soon})
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(good+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args, env []string
		admitted  bool
	}{
		"flag":         {args: []string{"--token", good}, admitted: true},
		"file":         {args: []string{"--token-file", tokenFile}, admitted: true},
		"environment":  {env: []string{"CULVERT_TOKEN=" + good}, admitted: true},
		"none":         {},
		"garbage":      {args: []string{"--token", "garbage"}},
		"wrong secret": {args: []string{"--token", mint(t, jwt.SigningMethodHS256, []byte(strings.ToUpper(testSecret)), jwt.MapClaims{"sub": "me", "exp": soon})}},
		"expired":      {args: []string{"--token", mint(t, jwt.SigningMethodHS256, []byte(testSecret), jwt.MapClaims{"sub": "me", "exp": time.Now().Add(-time.Hour).Unix()})}},
		"not yet":      {args: []string{"--token", mint(t, jwt.SigningMethodHS256, []byte(testSecret), jwt.MapClaims{"sub": "me", "exp": soon, "nbf": soon})}},
		"unsigned":     {args: []string{"--token", mint(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, jwt.MapClaims{"sub": "me", "exp": soon})}},
		"other method": {args: []string{"--token", mint(t, jwt.SigningMethodES256, ecKey, jwt.MapClaims{"sub": "me", "exp": soon})}},
		"tampered":     {args: []string{"--token", good[:len(good)-8] + "AAAAAAAA"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := agentSpec{target: service.URL, backend: r.url(), args: c.args, env: c.env}.start(t)
			if c.admitted {
				p.awaitEvent(t, "online")
				p.stop(t)
				return
			}
			if code := p.exit(t); code != 3 {
				t.Errorf("exit code %d, want 3", code)
			}
			if len(p.seen("online")) > 0 {
				t.Error("the agent was online")
			}
			if p.errors() == "" {
				t.Error("nothing says why")
			}
			for _, arg := range c.args {
				if len(arg) > 40 && (strings.Contains(p.output(), arg) || strings.Contains(r.output(), arg)) {
					t.Error("the token stands in a log")
				}
			}
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	service := serve(t, httpbin.New())
	r := startRelay(t)
	mine := t.TempDir()
	first := startAgent(t, agentSpec{target: service.URL, backend: r.url(), config: mine, args: []string{"--name", "shop"}})
	if first.id() != "shop" || first.online.str("public_url") != r.url()+"/shop" {
		t.Errorf("asked for shop: %v", first.online)
	}
	for name, config := range map[string]string{"same owner": mine, "other owner": t.TempDir()} {
		second := agentSpec{target: service.URL, backend: r.url(), config: config, args: []string{"--name", "shop"}}.start(t)
		if code := second.exit(t); code != 3 {
			t.Errorf("%s: exit code %d, want 3", name, code)
		}
		if !strings.Contains(second.errors(), "shop") {
			t.Errorf("%s: nothing says why: %q", name, second.errors())
		}
	}
	mustGet(t, http.StatusOK, first.path("/get"))
	if n := len(first.seen("reconnecting")); n != 0 {
		t.Errorf("the holder of the name was disturbed %d times", n)
	}
	// Offline the name stays its owner's, also over the relay's restart.
	first.stop(t)
	r.stop(t)
	r.start(t)
	thief := agentSpec{target: service.URL, backend: r.url(), args: []string{"--name", "shop"}}.start(t)
	if code := thief.exit(t); code != 3 {
		t.Errorf("a thief: exit code %d, want 3", code)
	}
	back := startAgent(t, agentSpec{target: service.URL, backend: r.url(), config: mine, args: []string{"--name", "shop"}})
	mustGet(t, http.StatusOK, back.path("/get"))
	// Without a name every process has a tunnel of its own, same owner or not.
	one := startAgent(t, agentSpec{target: service.URL, backend: r.url(), config: mine})
	two := startAgent(t, agentSpec{target: service.URL, backend: r.url(), config: mine})
	if one.id() == two.id() || one.id() == "shop" {
		t.Errorf("two processes share the tunnel %s", one.id())
	}
	for _, a := range []*agent{back, one, two} {
		mustGet(t, http.StatusOK, a.path("/get"))
	}
}
