package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// Bounds of a key set.
const (
	maxJWKS    = 512 << 10
	maxKeys    = 100
	maxSameKid = 4
	minRSA     = 2048 // bits: RFC 7518, section 3.3
	maxRSA     = 8192 // more costs more time than any token is worth
)

// publicMethods are the algorithms by which tokens may be signed with a private key.
func publicMethods() []string {
	return []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
		"ES256", "ES384", "ES512", "EdDSA",
	}
}

// publicKey is a key of the set, with the algorithms that it is for: what a token says
// of its algorithm must be one of them (RFC 8725, section 3.1).
type publicKey struct {
	kid  string
	algs []string
	key  jwt.VerificationKey
}

// keySet is never changed once it is made.
type keySet []publicKey

// find gives the keys for a token's signature. A token that names none may have been
// signed with the only one that there is.
func (s keySet) find(kid, alg string) (found []jwt.VerificationKey) {
	for _, k := range s {
		if slices.Contains(k.algs, alg) && (kid == "" || k.kid == kid) && len(found) < maxSameKid {
			found = append(found, k.key)
		}
	}
	if kid == "" && len(found) != 1 {
		return nil
	}
	return found
}

// errOtherUse is about keys that are in their place in a set, and not of use here.
var errOtherUse = errors.New("it is not for checking signatures")

// parseKeySet reads a JSON Web Key Set (RFC 7517, section 5), or a single key. Keys
// that it does not know, or that are unsafe, it leaves out, as the RFC wants, and says
// why; those for encryption it leaves out. A set without any key of use is an error.
func parseKeySet(text []byte) (set keySet, skipped []string, err error) {
	if len(text) > maxJWKS {
		return nil, nil, fmt.Errorf("longer than %d KB", maxJWKS>>10)
	}
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
		KTY  string            `json:"kty"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, nil, errors.New("no JSON Web Key Set: it is not the JSON object {\"keys\":[…]}")
	}
	if doc.Keys == nil && doc.KTY != "" {
		doc.Keys = []json.RawMessage{text}
	}
	if len(doc.Keys) > maxKeys {
		return nil, nil, fmt.Errorf("%d keys in one set: %d are the most", len(doc.Keys), maxKeys)
	}
	why := []string{fmt.Sprintf("%d keys in all", len(doc.Keys))}
	for n, raw := range doc.Keys {
		k, err := parseKey(raw)
		if err == nil {
			set = append(set, k)
			continue
		}
		text := fmt.Sprintf("key %d (kid %.80q) is not used: %v", n+1, k.kid, err)
		why = append(why, text)
		if !errors.Is(err, errOtherUse) {
			skipped = append(skipped, text)
		}
	}
	if len(set) == 0 {
		return nil, nil, fmt.Errorf("no key that tokens could be checked with (%.2000s)", strings.Join(why, "; "))
	}
	return set, skipped, nil
}

// parseKey reads one key, and refuses what would let others sign than the holder of a
// private key.
func parseKey(raw json.RawMessage) (publicKey, error) {
	var m jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &m); err != nil {
		return publicKey{}, errors.New("it is no JSON Web Key")
	}
	k := publicKey{kid: m.KID}
	switch {
	case m.KTY == jwkset.KtyOct || m.K != "":
		return k, errors.New("it is a secret, and whoever can read it could sign tokens: a set for checking them holds public keys only")
	case m.D != "" || m.P != "" || m.Q != "":
		return k, errors.New("it is a private key, and whoever can read it can sign tokens: make a new pair, and publish the public one only")
	case m.USE != "" && m.USE != jwkset.UseSig:
		return k, fmt.Errorf("%w (use %.80q)", errOtherUse, m.USE)
	case len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify):
		return k, fmt.Errorf("%w (key_ops)", errOtherUse)
	}
	// Only what makes the key: certificates, and above all URLs of certificates, add no trust here.
	parsed, err := jwkset.NewJWKFromMarshal(jwkset.JWKMarshal{KTY: m.KTY, CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E}, jwkset.JWKMarshalOptions{},
		jwkset.JWKValidateOptions{SkipMetadata: true})
	if err != nil {
		return k, fmt.Errorf("%.300s", err)
	}
	if k.algs, err = algorithms(parsed.Key()); err != nil {
		return k, err
	}
	k.key = parsed.Key()
	alg := string(m.ALG)
	if alg == "Ed25519" { // RFC 9864's name for it
		alg = jwt.SigningMethodEdDSA.Alg()
	}
	if alg != "" {
		if !slices.Contains(k.algs, alg) {
			return k, fmt.Errorf("its algorithm %.80q (alg) does not fit it, or is not for signatures", alg)
		}
		k.algs = []string{alg}
	}
	return k, nil
}

// algorithms are those that a key can be for.
func algorithms(key any) ([]string, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSA || bits > maxRSA {
			return nil, fmt.Errorf("it has %d bits: RSA keys count from %d to %d", bits, minRSA, maxRSA)
		}
		if key.E < 3 || key.E > 1<<31-1 || key.E%2 == 0 || key.N.Bit(0) == 0 {
			return nil, errors.New("it is no sound RSA key")
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return []string{"ES256"}, nil
		case elliptic.P384():
			return []string{"ES384"}, nil
		case elliptic.P521():
			return []string{"ES512"}, nil
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}, nil
	}
	return nil, errors.New("keys of its kind sign no tokens")
}
