package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"culvert/backend/auth"
	"culvert/backend/lambda/host"
)

func getenv(variables []string) func(string) string {
	return func(name string) string {
		for _, v := range variables {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

// Every role is composed of what its variables name, and of nothing that needs more.
func TestCompose(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"agents", "public", "stream", "keys", "processor", "notices"} {
		if _, err := compose(getenv(variablesOf(role))); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
	broken := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(broken, []byte("hush"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := compose(getenv(append(variablesOf("agents"), "CULVERT_JWKS="+broken))); err == nil || !strings.Contains(err.Error(), "CULVERT_JWKS") {
		t.Errorf("broken keys: %v", err)
	}
}

// Tokens count by the secret, and by the keys of others, if they are for this backend.
func TestTokens(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	set := fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","x":%q}]}`, base64.RawURLEncoding.EncodeToString(public))
	if err := os.WriteFile(file, []byte(set), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := []byte(strings.Repeat("s", auth.MinSecret))
	sign := func(method jwt.SigningMethod, key any, audience string) string {
		token := jwt.NewWithClaims(method, jwt.MapClaims{"sub": "ann", "aud": audience, "iss": "https://login.example.com/", "exp": time.Now().Add(time.Hour).Unix()})
		token.Header["kid"] = "k1"
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, c := range []struct {
		jwks, token string
		good        bool
	}{
		{"", sign(jwt.SigningMethodHS256, secret, "culvert"), true},
		{"", sign(jwt.SigningMethodHS256, secret, "another"), false},
		{"", sign(jwt.SigningMethodEdDSA, private, "culvert"), false},
		{file, sign(jwt.SigningMethodHS256, secret, "culvert"), true},
		{file, sign(jwt.SigningMethodEdDSA, private, "culvert"), true},
		{file, sign(jwt.SigningMethodEdDSA, private, "another"), false},
	} {
		cfg, err := host.FromEnvironment(getenv(append(variablesOf("agents"),
			"CULVERT_JWKS="+c.jwks, "CULVERT_TOKEN_AUDIENCE=culvert", "CULVERT_TOKEN_ISSUER=https://login.example.com/")))
		if err != nil {
			t.Fatal(err)
		}
		p := parts{cfg: cfg, log: slog.New(slog.DiscardHandler), clients: host.NewClients(cfg)}
		verifier, err := p.tokens()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the secrets may be read again
			v, err := verifier(secret)
			if err != nil {
				t.Fatal(err)
			}
			identity, err := v.Verify(t.Context(), c.token)
			if (err == nil) != c.good || err == nil && identity.Subject != "ann" || err != nil && !errors.Is(err, auth.ErrInvalidToken) {
				t.Errorf("JWKS %q, %s: %+v, %v", c.jwks, c.token, identity, err)
			}
		}
	}
}
