package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Every kind of key, by a file.
func TestVerifyByKeySet(t *testing.T) {
	t.Parallel()
	all := []testKey{key("rsa"), key("p256"), key("p384"), key("p521"), key("ed")}
	v := fileVerifier(t, Config{}, all...)
	for _, k := range all {
		algs := []string{k.alg}
		if k.alg == "RS256" {
			algs = append(algs, "RS384", "RS512", "PS256", "PS384", "PS512")
		}
		for _, alg := range algs {
			token := k.tokenBy(t, alg, map[string]any{"kid": k.kid}, ann)
			if got, err := v.Verify(t.Context(), token); err != nil || got.Subject != "ann" {
				t.Errorf("%s by %s: %+v, %v", alg, k.kid, got, err)
			}
			parts := strings.Split(token, ".")
			forged := parts[0] + "." + b64([]byte(`{"sub":"bob"}`)) + "." + parts[2]
			if _, err := v.Verify(t.Context(), forged); !errors.Is(err, ErrInvalidToken) {
				t.Errorf("%s by %s, with another's claims: %v", alg, k.kid, err)
			}
		}
	}
}

// What a token says about how it is to be checked is its bearer's word.
func TestAlgorithmConfusion(t *testing.T) {
	t.Parallel()
	rsaKey, p256, ed := key("rsa"), key("p256"), key("ed")
	bound := key("rsa2").with(map[string]any{"alg": "RS256"})
	keys := fileVerifier(t, Config{}, rsaKey, p256, ed, bound)
	both := fileVerifier(t, Config{Secrets: [][]byte{secret}}, rsaKey, p256, ed, bound)

	der, err := x509.MarshalPKIXPublicKey(rsaKey.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	asJWK, err := json.Marshal(rsaKey.jwk())
	if err != nil {
		t.Fatal(err)
	}
	hs := func(secret []byte, header map[string]any) string {
		token := jwt.NewWithClaims(jwt.SigningMethodHS256, ann)
		for name, value := range header {
			token.Header[name] = value
		}
		signed, err := token.SignedString(secret)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	// By a hash, and with a length, that are not this curve's.
	es384 := b64([]byte(`{"alg":"ES384","kid":"p256"}`)) + "." + b64([]byte(`{"sub":"ann"}`))
	sum := sha512.Sum384([]byte(es384))
	r, s, err := ecdsa.Sign(rand.Reader, p256.private.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		t.Fatal(err)
	}
	es384 += "." + b64(append(r.FillBytes(make([]byte, 48)), s.FillBytes(make([]byte, 48))...))
	asn1 := b64([]byte(`{"alg":"ES256","kid":"p256"}`)) + "." + b64([]byte(`{"sub":"ann"}`))
	sum256 := crypto.SHA256.New()
	sum256.Write([]byte(asn1))
	inDER, err := p256.private.Sign(rand.Reader, sum256.Sum(nil), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	asn1 += "." + b64(inDER)

	stranger := key("p256b")
	good := ed.token(t, ann)
	for name, token := range map[string]string{
		"HS256 by the public key, PEM":    hs(asPEM, map[string]any{"kid": "rsa"}),
		"HS256 by the public key, DER":    hs(der, map[string]any{"kid": "rsa"}),
		"HS256 by the public key, JWK":    hs(asJWK, map[string]any{"kid": "rsa"}),
		"HS256 by the modulus":            hs(rsaKey.private.Public().(*rsa.PublicKey).N.Bytes(), nil),
		"HS256 by nothing":                hs([]byte{}, nil),
		"HS256 by an Ed25519 key":         hs(ed.private.Public().(ed25519.PublicKey), map[string]any{"kid": "ed"}),
		"RS256 with an EC key's name":     rsaKey.tokenBy(t, "RS256", map[string]any{"kid": "p256"}, ann),
		"ES256 with an RSA key's name":    p256.tokenBy(t, "ES256", map[string]any{"kid": "rsa"}, ann),
		"PS256 by a key for RS256":        bound.tokenBy(t, "PS256", map[string]any{"kid": "rsa2"}, ann),
		"ES384 by a P-256 key":            es384,
		"an ECDSA signature in DER":       asn1,
		"an ECDSA signature of zeros":     raw(`{"alg":"ES256","kid":"p256"}`, `{"sub":"ann"}`, make([]byte, 64)),
		"another's key under a known kid": stranger.tokenBy(t, "ES256", map[string]any{"kid": "p256"}, ann),
		"an unknown kid":                  stranger.token(t, ann),
		"a key within the token":          stranger.tokenBy(t, "ES256", map[string]any{"kid": "p256", "jwk": stranger.jwk()}, ann),
		"a key's URL within the token":    stranger.tokenBy(t, "ES256", map[string]any{"jku": "https://evil.example.com/keys", "x5u": "https://evil.example.com/cert"}, ann),
		"a kid that is no text":           ed.tokenBy(t, "EdDSA", map[string]any{"kid": 1}, ann),
		"a kid that is a path":            hs([]byte{}, map[string]any{"kid": "../../../../dev/null"}),
		"crit":                            ed.tokenBy(t, "EdDSA", map[string]any{"kid": "ed", "crit": []string{"exp"}}, ann),
		"an unencoded payload":            ed.tokenBy(t, "EdDSA", map[string]any{"kid": "ed", "b64": false, "crit": []string{"b64"}}, ann),
		"no alg":                          raw(`{"kid":"ed"}`, `{"sub":"ann"}`, nil),
		"alg none":                        raw(`{"alg":"none"}`, `{"sub":"ann"}`, nil),
		"alg nOnE":                        raw(`{"alg":"nOnE"}`, `{"sub":"ann"}`, nil),
		"alg HS384":                       sign(t, jwt.SigningMethodHS384, secret, ann),
		"alg that is no text":             raw(`{"alg":["EdDSA"]}`, `{"sub":"ann"}`, nil),
		"no signature":                    good[:strings.LastIndexByte(good, '.')+1],
		"half a signature":                good[:len(good)-10],
		"a signature written otherwise":   good[:len(good)-1] + otherwise(good[len(good)-1]),
		"padding":                         good + "==",
		"a line break":                    good + "\n",
		"four parts":                      good + ".e30",
	} {
		for which, v := range map[string]*Verifier{"keys": keys, "both": both} {
			if got, err := v.Verify(t.Context(), token); !errors.Is(err, ErrInvalidToken) {
				t.Errorf("%s (%s): %+v, %v", name, which, got, err)
			}
		}
	}
	if _, err := keys.Verify(t.Context(), hs(secret, nil)); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("HS256 where there is no secret: %v", err)
	}
	for name, token := range map[string]string{"HS256": hs(secret, map[string]any{"kid": "rsa"}), "EdDSA": good} {
		if got, err := both.Verify(t.Context(), token); err != nil || got.Subject != "ann" {
			t.Errorf("%s where both count: %+v, %v", name, got, err)
		}
	}
}

// otherwise is the base64 digit that means the same at the end of 64 bytes, whose last
// four bits are not used.
func otherwise(c byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(digits[strings.IndexByte(digits, c)^1])
}

func TestTokensWithoutKid(t *testing.T) {
	t.Parallel()
	anonymous := key("p256").with(map[string]any{"kid": nil})
	for name, c := range map[string]struct {
		keys []testKey
		ok   bool
	}{
		"one key":                        {[]testKey{key("p256")}, true},
		"one key without a name":         {[]testKey{anonymous}, true},
		"one of its kind":                {[]testKey{key("p256"), key("rsa"), key("p384")}, true},
		"two of its kind":                {[]testKey{key("p256"), key("p256b")}, false},
		"none of its kind":               {[]testKey{key("rsa")}, false},
		"two without names, of its kind": {[]testKey{anonymous, key("p256b").with(map[string]any{"kid": nil})}, false},
	} {
		v := fileVerifier(t, Config{}, c.keys...)
		_, err := v.Verify(t.Context(), key("p256").tokenBy(t, "ES256", nil, ann))
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Two keys of one name are both good: a provider that replaces a key under its name
// publishes the two for a while.
func TestKeysOfOneName(t *testing.T) {
	t.Parallel()
	second := key("p256b").with(map[string]any{"kid": "p256"})
	v := fileVerifier(t, Config{}, key("p256"), second, key("rsa").with(map[string]any{"kid": "p256"}))
	for name, token := range map[string]string{
		"first":  key("p256").token(t, ann),
		"second": second.tokenBy(t, "ES256", map[string]any{"kid": "p256"}, ann),
		"third":  key("rsa").tokenBy(t, "RS256", map[string]any{"kid": "p256"}, ann),
	} {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAudienceAndIssuer(t *testing.T) {
	t.Parallel()
	v := fileVerifier(t, Config{Audience: "culvert", Issuer: "https://id.example.com"}, key("ed"))
	const iss = "https://id.example.com"
	for name, c := range map[string]struct {
		claims jwt.MapClaims
		says   string // "": it counts
	}{
		"both":             {jwt.MapClaims{"aud": "culvert", "iss": iss}, ""},
		"several":          {jwt.MapClaims{"aud": []string{"files", "culvert"}, "iss": iss}, ""},
		"no audience":      {jwt.MapClaims{"iss": iss}, `wants tokens for "culvert"`},
		"empty audience":   {jwt.MapClaims{"aud": []string{}, "iss": iss}, `wants tokens for "culvert"`},
		"another audience": {jwt.MapClaims{"aud": "files", "iss": iss}, `it is for "files", and this backend wants tokens for "culvert"`},
		"many audiences":   {jwt.MapClaims{"aud": strings.Split("abcdefgh", ""), "iss": iss}, `and 5 more`},
		"no issuer":        {jwt.MapClaims{"aud": "culvert"}, `wants tokens of "https://id.example.com"`},
		"another issuer":   {jwt.MapClaims{"aud": "culvert", "iss": iss + "/"}, `it was issued by "https://id.example.com/"`},
		"audience no text": {jwt.MapClaims{"aud": 7, "iss": iss}, "its aud is not of the kind"},
		"issuer no text":   {jwt.MapClaims{"aud": "culvert", "iss": []string{iss}}, "its iss is not of the kind"},
	} {
		c.claims["sub"] = "ann"
		_, err := v.Verify(t.Context(), key("ed").token(t, c.claims))
		if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, ErrInvalidToken) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		// Who has no key learns nothing of what is wanted.
		forged := key("p256b").tokenBy(t, "ES256", map[string]any{"kid": "ed"}, c.claims)
		if _, err := v.Verify(t.Context(), forged); err == nil || strings.Contains(err.Error(), "culvert\"") || strings.Contains(err.Error(), "id.example.com") {
			t.Errorf("%s, forged: %v", name, err)
		}
	}
	if got := v.Warnings(); len(got) != 0 {
		t.Errorf("warnings %q where all is named", got)
	}
	if got := fileVerifier(t, Config{}, key("ed")).Warnings(); len(got) != 1 || !strings.Contains(got[0], "audience") {
		t.Errorf("warnings %q where no audience is named", got)
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, err := NewSecretVerifier(secret)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().Unix()
		for name, c := range map[string]struct {
			claims jwt.MapClaims
			says   string
		}{
			"just expired":            {jwt.MapClaims{"exp": now - 29}, ""},
			"expired":                 {jwt.MapClaims{"exp": now - 30}, "it has expired, at 1999-12-31T23:59:30Z"},
			"soon valid":              {jwt.MapClaims{"nbf": now + 30}, ""},
			"not yet valid":           {jwt.MapClaims{"nbf": now + 31}, "it is not valid before 2000-01-01T00:00:31Z, and here it is 2000-01-01T00:00:00Z"},
			"issued just now":         {jwt.MapClaims{"iat": now + 30}, ""},
			"issued in the future":    {jwt.MapClaims{"iat": now + 31}, "is a clock wrong?"},
			"fractions":               {jwt.MapClaims{"exp": float64(now) + 0.5, "iat": float64(now) - 0.5}, ""},
			"no number":               {jwt.MapClaims{"exp": "tomorrow"}, "its exp is no time"},
			"far too far":             {jwt.MapClaims{"exp": 1e300}, "its exp is no time"},
			"farther than arithmetic": {jwt.MapClaims{"exp": 9.3e18}, "its exp is no time"},
			"before time":             {jwt.MapClaims{"nbf": -9.3e18}, "its nbf is no time"},
			"year 10000":              {jwt.MapClaims{"exp": 253402300800}, "its exp is no time"},
			"the beginning":           {jwt.MapClaims{"exp": 0}, "it has expired, at 1970"},
			"before 1970":             {jwt.MapClaims{"exp": -1}, "its exp is no time"},
			"null is not there":       {jwt.MapClaims{"exp": nil}, ""},
		} {
			c.claims["sub"] = "ann"
			_, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodHS256, secret, c.claims))
			if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, ErrInvalidToken) || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%s: %v, want %q", name, err, c.says)
			}
			if timed := strings.Contains(c.says, "it ") || strings.Contains(c.says, "clock"); timed != errors.Is(err, ErrExpired) {
				t.Errorf("%s: %v, ErrExpired: %v", name, err, !timed)
			}
		}
	})
}

// Claims count by their exact names, and names are what they look like.
func TestClaimsAreExact(t *testing.T) {
	t.Parallel()
	v, err := NewSecretVerifier(secret)
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodHS256, secret, jwt.MapClaims{"sub": "ann", "Sub": "bob", "NOTIFY": true, "Max": 9, "Tunnels": []string{"shop"}}))
	if err != nil || got.Subject != "ann" || got.Notify || got.Max != 0 || got.Tunnels != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodHS256, secret, jwt.MapClaims{"sub": "ann", "more": strings.Repeat("x", maxToken)})); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("a long token: %v", err)
	}
	for name, payload := range map[string]string{
		"no UTF-8":             "{\"sub\":\"a\xff\"}",
		"half a surrogate":     `{"sub":"a\ud800"}`,
		"a line break":         `{"sub":"a\nb"}`,
		"an escape":            `{"sub":"a\u001b[31m"}`,
		"a jti of lines":       `{"sub":"ann","jti":"a\nid b"}`,
		"a long jti":           `{"sub":"ann","jti":"` + strings.Repeat("j", 257) + `"}`,
		"no object":            `["ann"]`,
		"null":                 `null`,
		"two objects":          `{"sub":"ann"}{}`,
		"tunnels that are one": `{"sub":"ann","tunnels":"shop"}`,
		"notify as text":       `{"sub":"ann","notify":"true"}`,
		"half a tunnel":        `{"sub":"ann","max":0.5}`,
	} {
		header := b64([]byte(`{"alg":"HS256"}`))
		signature, err := jwt.SigningMethodHS256.Sign(header+"."+b64([]byte(payload)), secret)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := v.Verify(t.Context(), raw(`{"alg":"HS256"}`, payload, signature)); !errors.Is(err, ErrInvalidToken) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestWithSecrets(t *testing.T) {
	t.Parallel()
	provider := &idp{}
	provider.publish(key("ed"))
	v := provider.verifier(t, quiet())
	token := key("ed").token(t, ann)
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	w, err := v.WithSecrets(secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{"the key": token, "the secret": sign(t, jwt.SigningMethodHS256, secret, ann)} {
		if _, err := w.Verify(t.Context(), token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := provider.count(); n != 1 {
		t.Errorf("%d fetches: the keys are the same", n)
	}
	if _, err := v.WithSecrets([]byte("short")); !errors.Is(err, ErrShortSecret) {
		t.Errorf("a short secret: %v", err)
	}
	if err := (&Verifier{}).Refresh(t.Context()); err != nil {
		t.Errorf("refreshing without a JWKS: %v", err)
	}
}
