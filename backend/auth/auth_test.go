package auth

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

var secret = []byte(strings.Repeat("s", MinSecret))

func sign(t *testing.T, method jwt.SigningMethod, key any, c jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, c).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestVerify(t *testing.T) {
	t.Parallel()
	v, err := NewSecretVerifier(secret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	hour := func(n int) int64 { return now.Add(time.Duration(n) * time.Hour).Unix() }
	hs := jwt.SigningMethodHS256
	good := sign(t, hs, secret, jwt.MapClaims{"sub": "ann"})
	parts := strings.Split(good, ".")
	for name, c := range map[string]struct {
		token string
		want  Identity
		err   error
	}{
		"plain":           {good, Identity{Subject: "ann"}, nil},
		"with all":        {sign(t, hs, secret, jwt.MapClaims{"sub": "ann", "tunnels": []string{"shop"}, "max": 3, "notify": true, "jti": "t1", "iat": hour(-1), "exp": hour(1)}), Identity{Subject: "ann", Tunnels: []string{"shop"}, Max: 3, Notify: true, ID: "t1", IssuedAt: time.Unix(hour(-1), 0), Expires: time.Unix(hour(1), 0)}, nil},
		"no token":        {"", Identity{}, ErrNoToken},
		"no JWT":          {"hello", Identity{}, ErrInvalidToken},
		"expired":         {sign(t, hs, secret, jwt.MapClaims{"sub": "ann", "exp": hour(-1)}), Identity{}, ErrExpired},
		"not yet":         {sign(t, hs, secret, jwt.MapClaims{"sub": "ann", "nbf": hour(1)}), Identity{}, ErrExpired},
		"other secret":    {sign(t, hs, []byte(strings.Repeat("x", 32)), jwt.MapClaims{"sub": "ann"}), Identity{}, ErrInvalidToken},
		"HS512":           {sign(t, jwt.SigningMethodHS512, secret, jwt.MapClaims{"sub": "ann"}), Identity{}, ErrInvalidToken},
		"alg none":        {sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, jwt.MapClaims{"sub": "ann"}), Identity{}, ErrInvalidToken},
		"no signature":    {parts[0] + "." + parts[1] + ".", Identity{}, ErrInvalidToken},
		"other payload":   {parts[0] + "." + strings.Split(sign(t, hs, []byte("x"), jwt.MapClaims{"sub": "bob"}), ".")[1] + "." + parts[2], Identity{}, ErrInvalidToken},
		"no user":         {sign(t, hs, secret, jwt.MapClaims{"max": 3}), Identity{}, ErrInvalidToken},
		"user like a key": {sign(t, hs, secret, jwt.MapClaims{"sub": "key:abc"}), Identity{}, ErrInvalidToken},
		"long user":       {sign(t, hs, secret, jwt.MapClaims{"sub": strings.Repeat("a", 257)}), Identity{}, ErrInvalidToken},
		"too long":        {good + strings.Repeat("a", maxToken), Identity{}, ErrInvalidToken},
		"bad name":        {sign(t, hs, secret, jwt.MapClaims{"sub": "ann", "tunnels": []string{"Shop"}}), Identity{}, ErrInvalidToken},
		"negative max":    {sign(t, hs, secret, jwt.MapClaims{"sub": "ann", "max": -1}), Identity{}, ErrInvalidToken},
		"wrong types":     {sign(t, hs, secret, jwt.MapClaims{"sub": "ann", "max": "many"}), Identity{}, ErrInvalidToken},
	} {
		got, err := v.Verify(t.Context(), c.token)
		if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: error %v, want %v", name, err, c.err)
		}
		if err != nil && !errors.Is(err, ErrInvalidToken) {
			t.Errorf("%s: %v does not wrap ErrInvalidToken", name, err)
		}
		if name == "no token" && !strings.Contains(err.Error(), "--token-file") {
			t.Errorf("%v does not say what to do", err)
		}
		if err != nil && c.token != "" && strings.Contains(err.Error(), c.token) {
			t.Errorf("%s: the error shows the token", name)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAllows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tunnels []string
		id      string
		want    bool
	}{{nil, "shop", true}, {[]string{"shop", "blog"}, "blog", true}, {[]string{"shop"}, "blog", false}} {
		if got := (Identity{Tunnels: c.tunnels}).Allows(c.id); got != c.want {
			t.Errorf("%v allows %q: %v, want %v", c.tunnels, c.id, got, c.want)
		}
	}
}

func TestLoadSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	if got, err := LoadSecret(path("good", string(secret)+"\r\n")); err != nil || string(got) != string(secret) {
		t.Errorf("got %q, %v; want the secret without the line break", got, err)
	}
	if _, err := LoadSecret(path("short", "hello\n")); !errors.Is(err, ErrShortSecret) || strings.Contains(err.Error(), "hello") {
		t.Errorf("a short secret: %v", err)
	}
	if _, err := LoadSecret(path("long", strings.Repeat("a", maxSecret+1))); err == nil {
		t.Error("a secret of any length is read")
	}
	if _, err := LoadSecret(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := NewSecretVerifier(secret[:MinSecret-1]); !errors.Is(err, ErrShortSecret) {
		t.Errorf("a verifier with a short secret: %v", err)
	}
}
