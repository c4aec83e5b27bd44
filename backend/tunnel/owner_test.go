package tunnel

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func newKey(t *testing.T) OwnerKey {
	t.Helper()
	k, err := NewOwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestOwnerKeyRoundTrip(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	text, err := k.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseOwnerKey(text)
	if err != nil {
		t.Fatal(err)
	}
	if back.Public() != k.Public() || k.Public() == "" || back.IsZero() {
		t.Errorf("read back %q, wrote %q", back.Public(), k.Public())
	}
	if err := VerifyOwner(k.Public(), back.Sign("relay.test", "c"), "c", "relay.test"); err != nil {
		t.Error(err)
	}
}

func TestParseOwnerKeyRefuses(t *testing.T) {
	t.Parallel()
	good, _ := newKey(t).MarshalText()
	for name, text := range map[string]string{
		"nothing":     "",
		"no PEM":      "hello",
		"cut short":   string(good[:len(good)/2]),
		"two keys":    string(good) + string(good),
		"other type":  strings.ReplaceAll(string(good), "PRIVATE", "PUBLIC"),
		"no PKCS #8":  "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n",
		"other curve": "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIHAHbQ1ZTq7K1oPzFnxWQ7mRrXbFKqcq6hM1Zq3N5wVf\n-----END PRIVATE KEY-----\n",
	} {
		if k, err := ParseOwnerKey([]byte(text)); !errors.Is(err, ErrBadOwnerKey) || !k.IsZero() {
			t.Errorf("%s: got %v, %v; want ErrBadOwnerKey", name, k, err)
		}
	}
}

func TestOwnerKeyStaysOutOfLogs(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	seed := k.private.Seed()
	secrets := []string{fmt.Sprintf("%v", seed)[1:40], base64.StdEncoding.EncodeToString(seed), fmt.Sprintf("%x", seed)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, shown := range []string{fmt.Sprintf(verb, k), fmt.Sprintf(verb, &k), fmt.Sprintf(verb, struct{ K OwnerKey }{k})} {
			for _, secret := range secrets {
				if strings.Contains(shown, secret) {
					t.Errorf("%s shows the key", verb)
				}
			}
		}
	}
}

func TestVerifyOwner(t *testing.T) {
	t.Parallel()
	k, other := newKey(t), newKey(t)
	proof := k.Sign("Relay.Test:8080", "c1")
	for name, c := range map[string]struct {
		public, proof string
		hosts         []string
		ok            bool
	}{
		"right":               {k.Public(), proof, []string{"relay.test:8080"}, true},
		"case of the host":    {k.Public(), proof, []string{"RELAY.test:8080"}, true},
		"second host":         {k.Public(), proof, []string{"a.test", "relay.test:8080"}, true},
		"other host":          {k.Public(), proof, []string{"evil.test"}, false},
		"no host":             {k.Public(), proof, nil, false},
		"other port":          {k.Public(), proof, []string{"relay.test"}, false},
		"other key":           {other.Public(), proof, []string{"relay.test:8080"}, false},
		"other's proof":       {k.Public(), other.Sign("relay.test:8080", "c1"), []string{"relay.test:8080"}, false},
		"other challenge":     {k.Public(), k.Sign("relay.test:8080", "c2"), []string{"relay.test:8080"}, false},
		"no challenge":        {k.Public(), k.Sign("relay.test:8080", ""), []string{"relay.test:8080"}, false},
		"challenge in host":   {k.Public(), k.Sign("relay.test:8080\nc1", ""), []string{"relay.test:8080"}, false},
		"no proof":            {k.Public(), "", []string{"relay.test:8080"}, false},
		"no key":              {"", proof, []string{"relay.test:8080"}, false},
		"padded":              {k.Public() + "=", proof, []string{"relay.test:8080"}, false},
		"with a line break":   {k.Public()[:42] + "\n", proof, []string{"relay.test:8080"}, false},
		"proof for both lies": {"a", "b", []string{"relay.test:8080"}, false},
	} {
		if err := VerifyOwner(c.public, c.proof, "c1", c.hosts...); (err == nil) != c.ok {
			t.Errorf("%s: %v, want ok: %v", name, err, c.ok)
		}
	}
}

// A public key has one spelling only: another one would be another owner.
func TestVerifyOwnerIsNotMalleable(t *testing.T) {
	t.Parallel()
	k := newKey(t)
	proof, public := k.Sign("a.test", ""), k.Public()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for _, c := range alphabet {
		changed := public[:len(public)-1] + string(c)
		if changed != public && VerifyOwner(changed, proof, "", "a.test") == nil {
			t.Errorf("%q passes for %q", changed, public)
		}
	}
}

func TestZeroOwnerKey(t *testing.T) {
	t.Parallel()
	var k OwnerKey
	if _, err := k.MarshalText(); err == nil || k.Public() != "" || k.Sign("a", "") != "" || !k.IsZero() {
		t.Error("the zero key is taken for a key")
	}
}

func TestResumer(t *testing.T) {
	t.Parallel()
	r, other := NewResumer([]byte(strings.Repeat("k", 32))), NewResumer([]byte(strings.Repeat("x", 32)))
	secret := r.Secret("shop", "key:a")
	if secret != NewResumer([]byte(strings.Repeat("k", 32))).Secret("shop", "key:a") {
		t.Error("the secret depends on more than key, tunnel and owner")
	}
	if !r.Verify("shop", "key:a", secret) {
		t.Error("the right secret is refused")
	}
	for name, ok := range map[string]bool{
		"other tunnel": r.Verify("shop2", "key:a", secret),
		"other owner":  r.Verify("shop", "key:b", secret),
		"shifted":      r.Verify("shopk", "ey:a", secret),
		"other key":    other.Verify("shop", "key:a", secret),
		"empty":        r.Verify("shop", "key:a", ""),
		"cut":          r.Verify("shop", "key:a", secret[:42]),
		"line break":   r.Verify("shop", "key:a", secret[:42]+"\n"),
	} {
		if ok {
			t.Errorf("%s: accepted", name)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", r, r, r); strings.Contains(s, "kkk") || strings.Contains(s, "107 107") {
		t.Errorf("a log would show the key: %s", s)
	}
}
