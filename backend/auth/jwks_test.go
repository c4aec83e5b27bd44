package auth

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// Which keys count, and what is said of the others.
func TestParseKeySet(t *testing.T) {
	t.Parallel()
	with := func(kid string, extra map[string]any) string { return jwks(key(kid).with(extra)) }
	for name, c := range map[string]struct {
		text string
		algs string // of the keys that count
		says string // of the others, or of the set
	}{
		"RSA":                      {with("rsa", nil), "RS256 RS384 RS512 PS256 PS384 PS512", ""},
		"RSA for one algorithm":    {with("rsa", map[string]any{"alg": "PS384"}), "PS384", ""},
		"Ed25519":                  {with("ed", nil), "EdDSA", ""},
		"Ed25519 by its new name":  {with("ed", map[string]any{"alg": "Ed25519"}), "EdDSA", ""},
		"without use":              {with("p256", map[string]any{"use": nil}), "ES256", ""},
		"key_ops":                  {with("p256", map[string]any{"key_ops": []string{"verify"}}), "ES256", ""},
		"one for encryption":       {jwks(key("rsa").with(map[string]any{"use": "enc"}), key("ed")), "EdDSA", ""},
		"several":                  {jwks(key("p384"), key("p521"), key("weak")), "ES384 ES512", "it has 1024 bits"},
		"a key alone":              {strings.TrimSuffix(strings.TrimPrefix(jwks(key("ed")), `{"keys":[`), "]}"), "EdDSA", ""},
		"an unknown kind":          {`{"keys":[{"kty":"LWE","x":"a"},` + strings.TrimPrefix(jwks(key("ed")), `{"keys":[`), "EdDSA", "key 1"},
		"for encryption":           {with("rsa", map[string]any{"use": "enc"}), "", `it is not for checking signatures (use "enc")`},
		"for signing only":         {with("rsa", map[string]any{"key_ops": []string{"sign"}}), "", "key_ops"},
		"for another algorithm":    {with("p256", map[string]any{"alg": "RS256"}), "", `"RS256" (alg) does not fit`},
		"of another curve's":       {with("p256", map[string]any{"alg": "ES384"}), "", `"ES384" (alg) does not fit`},
		"for HS256":                {with("rsa", map[string]any{"alg": "HS256"}), "", `"HS256" (alg) does not fit`},
		"for none":                 {with("rsa", map[string]any{"alg": "none"}), "", `"none" (alg) does not fit`},
		"weak RSA":                 {with("weak", nil), "", "it has 1024 bits: RSA keys count from 2048"},
		"huge RSA":                 {with("rsa", map[string]any{"n": b64(append([]byte{0xff}, make([]byte, 1100)...))}), "", "RSA keys count from 2048 to 8192"},
		"even RSA":                 {with("rsa", map[string]any{"n": b64(append([]byte{0xff}, make([]byte, 255)...))}), "", "no sound RSA key"},
		"RSA with exponent 1":      {with("rsa", map[string]any{"e": "AQ"}), "", "kid"},
		"RSA with a long exponent": {with("rsa", map[string]any{"e": b64(append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0}, 3))}), "", "kid"},
		"RSA without exponent":     {with("rsa", map[string]any{"e": nil}), "", `"e"`},
		"P-224":                    {with("p224", nil), "", "kid"},
		"a point off the curve":    {with("p256", map[string]any{"x": b64(make([]byte, 32))}), "", "kid"},
		"half an Ed25519 key":      {with("ed", map[string]any{"x": b64(make([]byte, 31))}), "", "kid"},
		"X25519":                   {with("ed", map[string]any{"crv": "X25519"}), "", "keys of its kind sign no tokens"},
		"a secret":                 {`{"keys":[{"kty":"oct","k":"` + b64(secret) + `","alg":"HS256","kid":"s"}]}`, "", "it is a secret"},
		"a secret in an RSA key":   {with("rsa", map[string]any{"k": b64(secret)}), "", "it is a secret"},
		"a private key":            {with("p256", map[string]any{"d": b64(make([]byte, 32))}), "", "it is a private key"},
		"no base64":                {with("p256", map[string]any{"x": "!!"}), "", "kid"},
		"a kid that is no text":    {with("p256", map[string]any{"kid": 3}), "", "it is no JSON Web Key"},
		"keys that are none":       {`{"keys":["a",1,null,[]]}`, "", "key 1"},
		"no keys":                  {`{"keys":[]}`, "", "0 keys in all"},
		"an empty object":          {`{}`, "", "0 keys in all"},
		"a page":                   {`<!doctype html>`, "", "no JSON Web Key Set"},
		"nothing":                  {``, "", "no JSON Web Key Set"},
		"a list":                   {`[]`, "", "no JSON Web Key Set"},
		"too many":                 {`{"keys":[` + strings.TrimSuffix(strings.Repeat(`{},`, maxKeys+1), ",") + `]}`, "", "101 keys in one set"},
		"too long":                 {`{"keys":[]}` + strings.Repeat(" ", maxJWKS), "", "longer than 512 KB"},
	} {
		set, skipped, err := parseKeySet([]byte(c.text))
		var algs []string
		for _, k := range set {
			algs = append(algs, k.algs...)
		}
		said := strings.Join(skipped, "; ")
		if err != nil {
			said += err.Error()
		}
		if strings.Join(algs, " ") != c.algs || (err == nil) != (c.algs != "") || !strings.Contains(said, c.says) || c.says == "" && said != "" {
			t.Errorf("%s: keys for %v, says %q, want %q and %q", name, algs, said, c.algs, c.says)
		}
		if strings.Contains(said, b64(secret)) {
			t.Errorf("%s: the secret is told", name)
		}
	}
}

// Many keys of one name are not all tried: that would be work for nothing.
func TestKeysOfOneNameAreBounded(t *testing.T) {
	t.Parallel()
	set, _, err := parseKeySet([]byte(jwks(slices.Repeat([]testKey{key("ed")}, 50)...)))
	if err != nil {
		t.Fatal(err)
	}
	if got := set.find("ed", "EdDSA"); len(got) != maxSameKid {
		t.Errorf("%d keys are tried", len(got))
	}
}

// Examples of RFC 7515, 7517, 7520 and 8037, made by others.
func TestKnownSignatures(t *testing.T) {
	t.Parallel()
	const (
		bilbo  = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4"
		rsa    = `{"kty":"RSA","kid":"bilbo.baggins@hobbiton.example","use":"sig","n":"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw","e":"AQAB"}`
		p521   = `{"kty":"EC","kid":"bilbo.baggins@hobbiton.example","use":"sig","crv":"P-521","x":"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt","y":"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1"}`
		ed     = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
		hobbit = "bilbo.baggins@hobbiton.example"
	)
	for name, c := range map[string]struct{ jwk, kid, alg, signed, signature string }{
		"RFC 7520, 4.1": {rsa, hobbit, "RS256", "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." + bilbo, "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg"},
		"RFC 7520, 4.2": {rsa, hobbit, "PS384", "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." + bilbo, "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw"},
		"RFC 7520, 4.3": {p521, hobbit, "ES512", "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." + bilbo, "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2"},
		"RFC 8037, A.4": {ed, "", "EdDSA", "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc", "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
	} {
		set, skipped, err := parseKeySet([]byte(c.jwk))
		if err != nil || len(skipped) > 0 {
			t.Errorf("%s: %v, %q", name, err, skipped)
			continue
		}
		keys := set.find(c.kid, c.alg)
		if len(keys) != 1 {
			t.Errorf("%s: %d keys", name, len(keys))
			continue
		}
		signature, err := jwt.NewParser().DecodeSegment(c.signature)
		if err != nil {
			t.Fatal(err)
		}
		method := jwt.GetSigningMethod(c.alg)
		if err := method.Verify(c.signed, signature, keys[0]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if method.Verify(c.signed+"A", signature, keys[0]) == nil {
			t.Errorf("%s: another text has the same signature", name)
		}
	}
}

// The sets of RFC 7517, appendix A: public keys, of which one is for encryption,
// private keys, and symmetric ones.
func TestKnownSets(t *testing.T) {
	t.Parallel()
	const (
		n  = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
		ec = `"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"enc","kid":"1"`
	)
	for name, c := range map[string]struct {
		text   string
		counts []string
		says   []string
	}{
		"A.1": {`{"keys":[{` + ec + `},{"kty":"RSA","n":"` + n + `","e":"AQAB","alg":"RS256","kid":"2011-04-29"}]}`, []string{"2011-04-29"}, nil},
		"A.2": {`{"keys":[{` + ec + `,"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"},{"kty":"RSA","n":"` + n + `","e":"AQAB","d":"X4cTteJY_gn4FYPsXB8rdXix5vwsg1FLN5E3EaG6RJoVH-HLLKD9M7dx5oo7GURknchnrRweUkC7hT5fJLM0WbFAKNLWY2vv7B6NqXSzUvxT0_YSfqijwp3RTzlBaCxWp4doFk5N2o8Gy_nHNKroADIkJ46pRUohsXywbReAdYaMwFs9tv8d_cPVY3i07a3t8MN6TNwm0dSawm9v47UiCl3Sk5ZiG7xojPLu4sbg1U2jx4IBTNBznbJSzFHK66jT8bgkuqsk0GjskDJk19Z4qwjwbsnn4j2WBii3RL-Us2lGVkY8fkFzme1z0HbIkfz0Y6mqnOYtqc0X4jfcKoAC8Q","alg":"RS256","kid":"2011-04-29"}]}`, nil, []string{"it is a private key"}},
		"A.3": {`{"keys":[{"kty":"oct","alg":"A128KW","k":"GawgguFyGrWKav7AX4VKUg"},{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow","kid":"HMAC key used in JWS spec Appendix A.1 example"}]}`, nil, []string{"key 1", "key 2", "it is a secret"}},
	} {
		set, skipped, err := parseKeySet([]byte(c.text))
		var kids []string
		for _, k := range set {
			kids = append(kids, k.kid)
		}
		if !slices.Equal(kids, c.counts) || (err == nil) != (c.counts != nil) {
			t.Errorf("%s: keys %q, %v, want %q", name, kids, err, c.counts)
		}
		for _, says := range c.says {
			if !strings.Contains(fmt.Sprint(skipped, err), says) {
				t.Errorf("%s: %q, %v, want %q", name, skipped, err, says)
			}
		}
	}
}

// No text makes a set with a key that could be taken for a secret.
func FuzzParseKeySet(f *testing.F) {
	for _, kid := range []string{"rsa", "p256", "ed", "weak"} {
		f.Add([]byte(jwks(key(kid))))
	}
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, _, err := parseKeySet(text)
		if (err == nil) != (len(set) > 0) {
			t.Fatalf("%d keys, %v", len(set), err)
		}
		for _, k := range set {
			if _, secret := k.key.([]byte); secret || len(k.algs) == 0 {
				t.Fatalf("a key %T for %q", k.key, k.algs)
			}
			for _, alg := range k.algs {
				if !slices.Contains(publicMethods(), alg) {
					t.Fatalf("a key for %q", alg)
				}
				_ = jwt.GetSigningMethod(alg).Verify("text", make([]byte, 64), k.key) // must not panic
			}
		}
	})
}
