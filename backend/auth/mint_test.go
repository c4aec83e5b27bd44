package auth

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// What is minted is accepted, and says the same.
func TestMint(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	for name, g := range map[string]Grant{
		"little": {Identity: Identity{Subject: "ann"}},
		"all":    {Identity: Identity{Subject: "Ann Lee", Tunnels: []string{"shop", "blog"}, Max: 2, Notify: true, ID: "first", IssuedAt: now, Expires: now.Add(time.Hour)}, Audience: "culvert", Issuer: "me"},
	} {
		token, err := Mint(secret, g)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		v, err := New(Config{Secrets: [][]byte{secret}, Audience: g.Audience, Issuer: g.Issuer})
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Verify(t.Context(), token)
		if diff := cmp.Diff(g.Identity, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
		i, err := Inspect(token, now)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(g.Identity, i.Identity); diff != "" || i.Issuer != g.Issuer || strings.Join(i.Audience, ",") != g.Audience {
			t.Errorf("%s, inspected: %q, %q (-want +got):\n%s", name, i.Issuer, i.Audience, diff)
		}
		if name == "all" && i.Problems != nil {
			t.Errorf("problems %q", i.Problems)
		}
	}
	for name, c := range map[string]struct {
		secret []byte
		grant  Grant
		says   string
	}{
		"a short secret":      {secret[1:], Grant{Identity: Identity{Subject: "ann"}}, "at least 32 bytes"},
		"nobody":              {secret, Grant{}, "it names no user"},
		"a key":               {secret, Grant{Identity: Identity{Subject: "key:a"}}, "begins like an owner key"},
		"a bad name":          {secret, Grant{Identity: Identity{Subject: "ann", Tunnels: []string{"-"}}}, "its tunnel name"},
		"a long one":          {secret, Grant{Identity: Identity{Subject: "ann"}, Audience: strings.Repeat("a", maxToken)}, "longer than 8 KB"},
		"a control character": {secret, Grant{Identity: Identity{Subject: "ann\n"}}, "cannot be shown"},
	} {
		if token, err := Mint(c.secret, c.grant); token != "" || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if a, b := NewID(), NewID(); a == b || len(a) < 20 {
		t.Errorf("names %q and %q", a, b)
	}
}

func TestMakeSecret(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	if err := MakeSecret(path); err != nil {
		t.Fatal(err)
	}
	first, err := LoadSecret(path)
	if err != nil || len(first) != 64 {
		t.Errorf("%d bytes, %v", len(first), err)
	}
	if info, err := os.Stat(path); runtime.GOOS != "windows" && (err != nil || info.Mode().Perm() != 0o600) {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := MakeSecret(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another: %v", err)
	}
	if again, err := LoadSecret(path); err != nil || !slices.Equal(again, first) {
		t.Error("the secret was changed")
	}
	if err := MakeSecret(path + "2"); err != nil {
		t.Fatal(err)
	}
	if second, err := LoadSecret(path + "2"); err != nil || slices.Equal(second, first) {
		t.Error("two secrets are the same")
	}
	if err := MakeSecret(filepath.Join(path, "below")); err == nil {
		t.Error("a secret within a file")
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	now := time.Now()
	in := func(d time.Duration) int64 { return now.Add(d).Unix() }
	fine := jwt.MapClaims{"sub": "ann", "exp": in(time.Hour)}
	with := func(name string, value any) string {
		c := jwt.MapClaims{"sub": "ann", "exp": in(time.Hour)}
		c[name] = value
		return sign(t, jwt.SigningMethodHS256, secret, c)
	}
	signed := sign(t, jwt.SigningMethodHS256, secret, fine)
	for name, c := range map[string]struct {
		token string
		says  string // "": nothing
	}{
		"fine":             {signed, ""},
		"fine, by a key":   {key("ed").token(t, fine), ""},
		"by nobody's":      {sign(t, jwt.SigningMethodHS512, secret, fine), `signed by "HS512", which no backend takes`},
		"not signed":       {sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, fine), "alg none"},
		"cut":              {signed[:strings.LastIndexByte(signed, '.')+1], "its signature is missing"},
		"no algorithm":     {raw(`{}`, `{"sub":"ann","exp":99999999999}`, nil), "names no algorithm"},
		"an odd algorithm": {raw(`{"alg":1}`, `{"sub":"ann","exp":99999999999}`, nil), "names no algorithm"},
		"extensions":       {raw(`{"alg":"HS256","crit":["b64"]}`, `{"sub":"ann","exp":99999999999}`, []byte("x")), "extensions"},
		"expired":          {with("exp", in(-time.Hour)), "it has expired"},
		"not yet":          {with("nbf", in(time.Hour)), "it is not valid yet"},
		"from the future":  {with("iat", in(time.Hour)), "issued in the future"},
		"for ever":         {sign(t, jwt.SigningMethodHS256, secret, ann), "it never expires"},
		"nobody's":         {with("sub", nil), "names no user"},
		"two wrong":        {with("max", "many"), "its max is not of the kind"},
		"a key's":          {with("sub", "key:a"), "begins like an owner key"},
		"a tunnel":         {with("tunnels", []string{"Shop"}), `its tunnel name "Shop"`},
	} {
		i, err := Inspect(c.token, now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if said := strings.Join(i.Problems, "; "); !strings.Contains(said, c.says) || (said == "") != (c.says == "") {
			t.Errorf("%s: %q, want %q", name, said, c.says)
		}
	}
	// One claim that is wrong hides no other.
	i, err := Inspect(raw(`{"alg":"HS256","kid":"k"}`, `{"sub":"ann","max":"x","jti":7,"exp":99999999999,"aud":["a","b"],"extra":{"a":1}}`, []byte("x")), now)
	if err != nil || i.Subject != "ann" || len(i.Problems) != 2 || !slices.Equal(i.Audience, []string{"a", "b"}) || string(i.Claims["extra"]) != `{"a":1}` || string(i.Header["kid"]) != `"k"` {
		t.Errorf("%+v, %v", i, err)
	}
	for name, token := range map[string]string{
		"nothing":      "",
		"text":         "hello",
		"two parts":    "e30.e30",
		"four parts":   "e30.e30.e30.e30",
		"five parts":   "e30.e30.e30.e30.e30",
		"no base64":    "e30.{}.e30",
		"padded":       "e30=.e30.e30",
		"no JSON":      b64([]byte("x")) + ".e30.",
		"a list":       "e30." + b64([]byte("[]")) + ".",
		"null":         "e30." + b64([]byte("null")) + ".",
		"too long":     strings.Repeat("a", maxToken+1),
		"a line break": "e30.e\n30.",
	} {
		if i, err := Inspect(token, now); i != nil || err == nil {
			t.Errorf("%s: %+v, %v", name, i, err)
		}
	}
}

// Whatever is sent as a token: no panic, no identity without a signature, and the same
// errors as ever. What Verify accepts, Inspect shows.
func FuzzVerify(f *testing.F) {
	v, err := New(Config{Secrets: [][]byte{secret}, JWKS: write(f, filepath.Join(f.TempDir(), "jwks"), jwks(key("rsa"), key("p256"), key("ed"))), Logger: quiet()})
	if err != nil {
		f.Fatal(err)
	}
	good := map[string]bool{}
	for _, kid := range []string{"rsa", "p256", "ed"} {
		token := key(kid).token(f, ann)
		good[token] = true
		f.Add(token)
	}
	token, err := Mint(secret, Grant{Identity: Identity{Subject: "ann", ID: "a"}})
	if err != nil {
		f.Fatal(err)
	}
	good[token] = true
	f.Add(token)
	f.Add("..")
	f.Add(raw(`{"alg":"none"}`, `{"sub":"ann"}`, nil))
	f.Add(raw(`{"alg":"ES256","kid":"p256"}`, `null`, make([]byte, 64)))
	f.Fuzz(func(t *testing.T, token string) {
		now := time.Now()
		inspected, inspectErr := Inspect(token, now)
		got, err := v.Verify(t.Context(), token)
		if err == nil {
			if !good[token] || got.Subject != "ann" {
				t.Fatalf("%q: %+v", token, got)
			}
			if inspectErr != nil || inspected.Subject != got.Subject {
				t.Fatalf("%q: inspected %+v, %v", token, inspected, inspectErr)
			}
			return
		}
		if !errors.Is(err, ErrInvalidToken) || cmp.Diff(got, Identity{}) != "" {
			t.Fatalf("%q: %+v, %v", token, got, err)
		}
		if inspected != nil {
			if _, err := json.Marshal(inspected.Claims); err != nil {
				t.Fatal(err)
			}
		}
	})
}
