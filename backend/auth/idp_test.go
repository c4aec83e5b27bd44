package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// testKey is a key pair of an identity provider.
type testKey struct {
	kid     string
	alg     string
	private crypto.Signer
	// extra are fields of the public key; nil takes one away.
	extra map[string]any
}

// testKeys are made once: RSA keys take their time.
var testKeys = sync.OnceValue(func() map[string]testKey {
	keys := map[string]testKey{}
	add := func(kid, alg string, private crypto.Signer, err error) {
		if err != nil {
			panic(err)
		}
		keys[kid] = testKey{kid: kid, alg: alg, private: private}
	}
	for kid, bits := range map[string]int{"rsa": 2048, "rsa2": 2048, "weak": 1024} {
		private, err := rsa.GenerateKey(rand.Reader, bits)
		add(kid, "RS256", private, err)
	}
	for kid, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521(), "p256b": elliptic.P256(), "p224": elliptic.P224()} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		add(kid, map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[curve.Params().Name], private, err)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	add("ed", "EdDSA", private, err)
	return keys
})

func key(kid string) testKey { return testKeys()[kid] }

// with is the key with other fields.
func (k testKey) with(extra map[string]any) testKey {
	k.extra = extra
	return k
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwk is the public key as RFC 7517, 7518 and 8037 write it.
func (k testKey) jwk() map[string]any {
	m := map[string]any{"kid": k.kid, "use": "sig"}
	switch p := k.private.Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(p.N.Bytes()), b64(big.NewInt(int64(p.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := p.Bytes()
		if err != nil {
			panic(err)
		}
		half := len(point) / 2
		m["kty"], m["crv"], m["x"], m["y"] = "EC", p.Curve.Params().Name, b64(point[1:1+half]), b64(point[1+half:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(p)
	}
	maps.Copy(m, k.extra)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

// jwks is a set of public keys.
func jwks(keys ...testKey) string {
	set := []map[string]any{}
	for _, k := range keys {
		set = append(set, k.jwk())
	}
	text, err := json.Marshal(map[string]any{"keys": set})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// token is one that this key signs, by its usual algorithm.
func (k testKey) token(t testing.TB, c jwt.MapClaims) string {
	t.Helper()
	return k.tokenBy(t, k.alg, map[string]any{"kid": k.kid}, c)
}

func (k testKey) tokenBy(t testing.TB, alg string, header map[string]any, c jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(alg), c)
	maps.Copy(token.Header, header)
	signed, err := token.SignedString(k.private)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// raw makes a token of any header, payload and signature.
func raw(header, payload string, signature []byte) string {
	return b64([]byte(header)) + "." + b64([]byte(payload)) + "." + b64(signature)
}

var ann = jwt.MapClaims{"sub": "ann"}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// fileVerifier trusts the keys of a file.
func fileVerifier(t testing.TB, c Config, keys ...testKey) *Verifier {
	t.Helper()
	c.JWKS, c.Logger = write(t, filepath.Join(t.TempDir(), "jwks.json"), jwks(keys...)), quiet()
	v, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// idp is an identity provider within the process.
type idp struct {
	mu      sync.Mutex
	serve   http.HandlerFunc
	fetches int
}

// RoundTrip serves a request without a network.
func (p *idp) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.fetches++
	serve := p.serve
	p.mu.Unlock()
	if serve == nil {
		return nil, errDown
	}
	w := httptest.NewRecorder()
	serve(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

const errDown = downError("no route to host")

type downError string

func (e downError) Error() string { return string(e) }

// set changes what is served; nil: nothing is reached.
func (p *idp) set(serve http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve = serve
}

func (p *idp) publish(keys ...testKey) { p.set(text(jwks(keys...))) }

func (p *idp) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, s) }
}

// verifier trusts the keys that the identity provider publishes.
func (p *idp) verifier(t testing.TB, log *slog.Logger) *Verifier {
	t.Helper()
	v, err := New(Config{JWKS: "https://hobbes:hunter2@id.example.com/keys?key=hunter2", Transport: p, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// lines counts what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) count(word string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), word)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
