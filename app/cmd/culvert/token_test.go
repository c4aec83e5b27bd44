package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"culvert/backend/auth"
)

// call runs the command within this process.
func call(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(args, &out, &err)
	return code, out.String(), err.String()
}

// A token of an identity provider, by the URL of its keys.
func TestTokenVerifyByURL(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	set := fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":%q}]}`, base64.RawURLEncoding.EncodeToString(public))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/keys" {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, set)
	}))
	defer server.Close()
	sign := func(c jwt.MapClaims) string {
		token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c)
		token.Header["kid"] = "a"
		text, err := token.SignedString(private)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := sign(jwt.MapClaims{"sub": "ann", "aud": "culvert", "exp": time.Now().Add(time.Hour).Unix()})
	old := sign(jwt.MapClaims{"sub": "ann", "aud": "culvert", "exp": time.Now().Add(-time.Hour).Unix()})
	for name, c := range map[string]struct {
		token, path    string
		code           int
		stdout, stderr string
	}{
		"good":       {good, "/keys", exitOK, "ann", ""},
		"expired":    {old, "/keys", exitFailed, "", "it has expired, at"},
		"not to get": {good, "/none", exitFailed, "", "/none: the answer is 404"},
	} {
		code, stdout, stderr := call("token", "verify", "--token-file", c.token, "--jwks", server.URL+c.path, "--aud", "culvert")
		if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) || (c.stdout == "") != (stdout == "") || (c.stderr == "") != (stderr == "") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", name, code, stdout, stderr)
		}
		code, stdout, _ = call("token", "verify", "--token-file", c.token, "--jwks", server.URL+c.path, "--aud", "culvert", "--json")
		var answer struct {
			Valid bool
			Error string
		}
		if err := json.Unmarshal([]byte(stdout), &answer); err != nil || code != c.code || answer.Valid != (c.code == exitOK) || !strings.Contains(answer.Error, c.stderr) {
			t.Errorf("%s, JSON: exit %d, %q, %v", name, code, stdout, err)
		}
	}
}

// What a token says may be anybody's invention: nothing of it controls the terminal.
func TestTokenInspectIsPlain(t *testing.T) {
	t.Parallel()
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	path := filepath.Join(t.TempDir(), "token")
	claims := fmt.Sprintf(`{"sub":"a\u001b[2J\u202eb","evil\u001b[1m":["\u001b]0;x\u0007"],"long":%q,"iat":%d}`, strings.Repeat("x", 3000), time.Now().Add(-50*time.Hour).Unix())
	if err := os.WriteFile(path, []byte(part(`{"alg":"H\u001b[31mS","kid":"k\nk"}`)+"."+part(claims)+"."), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := call("token", "inspect", "--token-file", path)
	if code != exitOK || stderr != "" {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	if strings.ContainsAny(stdout, "\x1b\x07\u202e") || strings.Contains(stdout, "k\nk") || len(stdout) > 3000 {
		t.Errorf("it prints %q", stdout)
	}
	if !strings.Contains(stdout, "(2 days ago)") || !strings.Contains(stdout, "NOT CHECKED") {
		t.Errorf("it prints %q", stdout)
	}
}

// Who sends a token into a file that others can read is told; a pipe is nobody's to read.
func TestTokenMintIntoFile(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there are no modes on Windows")
	}
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := auth.MakeSecret(secret); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o644: true, 0o640: true} {
		f, err := os.OpenFile(filepath.Join(dir, mode.String()), os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Chmod(mode); err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		if code := run([]string{"token", "mint", "--secret-file", secret, "--sub", "ann"}, f, &stderr); code != exitOK {
			t.Fatal(stderr.String())
		}
		if got := strings.Contains(stderr.String(), fmt.Sprintf("mode %04o", mode)); got != want {
			t.Errorf("mode %04o: %q", mode, stderr.String())
		}
	}
}

func TestTTL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"12h": 12 * time.Hour, "90d": 90 * day, "0": 0, "0d": 0, "1s": time.Second, "1h30m": 90 * time.Minute,
		"-1h": -1, "-1d": -1, "1": -1, "d": -1, "1.5d": -1, "10ms": -1, "70000d": -1, "": -1,
	} {
		var got ttl
		if err := got.UnmarshalText([]byte(text)); (err == nil) != (want >= 0) || err == nil && time.Duration(got) != want {
			t.Errorf("%q: %v, %v", text, time.Duration(got), err)
		}
	}
}

func TestRelative(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                          "just now",
		time.Second / 2:            "just now",
		-time.Second / 2:           "just now",
		-time.Second:               "1 second ago",
		3 * time.Second / 2:        "in 1 second",
		-2 * time.Second:           "2 seconds ago",
		119 * time.Second:          "in 119 seconds",
		-2 * time.Minute:           "2 minutes ago",
		90 * time.Minute:           "in 90 minutes",
		47*time.Hour + time.Hour/2: "in 48 hours",
		90*day - time.Second:       "in 90 days",
		-800 * day:                 "2 years ago",
	} {
		if got := relative(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// TestForgiven: verify does not contradict itself about a token that has just expired,
// and says of backends what they do.
func TestForgiven(t *testing.T) {
	t.Parallel()
	secret := []byte("0123456789abcdef0123456789abcdef")
	v, err := auth.NewSecretVerifier(secret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for ago, want := range map[time.Duration]bool{-time.Minute: true, leeway - 5*time.Second: true, leeway + 2*time.Second: false} {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ann", "exp": now.Add(-ago).Unix()}).SignedString(secret)
		if err != nil {
			t.Fatal(err)
		}
		i, err := v.Verify(t.Context(), token)
		if (err == nil) != want || forgiven(now.Add(-ago), now) != (want && ago > 0) {
			t.Errorf("expired %v ago: %v, forgiven %v", ago, err, forgiven(now.Add(-ago), now))
		}
		if err != nil {
			continue
		}
		var b strings.Builder
		if err := showIdentity(&b, i, now); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		if late := ago > 0; late != strings.Contains(text, "seconds ago, within the 30 seconds that backends allow for clocks that differ)") || late == strings.Contains(text, "and so is what it says") {
			t.Errorf("expired %v ago: %s", ago, text)
		}
	}
}
