package tunnel

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// ownerContext keeps an owner proof from being of use anywhere else.
const ownerContext = "culvert owner v1\n"

// Errors about owner keys and proofs.
var (
	ErrBadOwnerKey   = errors.New("not an owner key")
	ErrBadOwnerProof = errors.New("the owner proof does not fit the owner key and this host")
)

// OwnerKey is the secret that tunnel names belong to when there is no token. An
// installation has one. The zero value is not usable.
type OwnerKey struct {
	private ed25519.PrivateKey
}

// NewOwnerKey makes a random owner key.
func NewOwnerKey() (OwnerKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return OwnerKey{}, fmt.Errorf("making an owner key: %w", err)
	}
	return OwnerKey{private}, nil
}

const pemType = "PRIVATE KEY"

// ParseOwnerKey reads what MarshalText wrote: one PEM block (RFC 7468) with a
// PKCS #8 Ed25519 key (RFC 8410), and nothing beside it.
func ParseOwnerKey(text []byte) (OwnerKey, error) {
	block, rest := pem.Decode(text)
	switch {
	case block == nil || block.Type != pemType:
		return OwnerKey{}, fmt.Errorf("%w: no PEM block named %q", ErrBadOwnerKey, pemType)
	case len(strings.TrimSpace(string(rest))) > 0:
		return OwnerKey{}, fmt.Errorf("%w: something follows the key", ErrBadOwnerKey)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		// The parser's text could quote the key; what it says helps nobody.
		return OwnerKey{}, fmt.Errorf("%w: not PKCS #8", ErrBadOwnerKey)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return OwnerKey{}, fmt.Errorf("%w: not of type Ed25519", ErrBadOwnerKey)
	}
	return OwnerKey{private}, nil
}

// MarshalText gives the key itself, in the form for its file.
func (k OwnerKey) MarshalText() ([]byte, error) {
	if k.private == nil {
		return nil, ErrBadOwnerKey
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, fmt.Errorf("encoding the owner key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// IsZero reports whether there is no key.
func (k OwnerKey) IsZero() bool { return k.private == nil }

// Public is the name of the owner: the public key in base64url. It is no secret.
func (k OwnerKey) Public() string {
	if k.private == nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(k.private.Public().(ed25519.PublicKey))
}

// String is Public, so that a key that is logged by mistake stays secret.
func (k OwnerKey) String() string { return k.Public() }

// GoString is for the same mistake with %#v.
func (k OwnerKey) GoString() string { return "tunnel.OwnerKey(" + k.Public() + ")" }

// Sign proves possession of the key to the backend at host, which is host[:port]
// as in the Host header field of the handshake, in answer to its challenge. The
// host is part of the proof, so that another backend cannot pass it on as its own.
// The challenge is what makes a proof that somebody has overheard worthless later;
// it is "" where the backend cannot give one.
func (k OwnerKey) Sign(host, challenge string) string {
	if k.private == nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(ed25519.Sign(k.private, ownerMessage(host, challenge)))
}

// VerifyOwner checks a proof by the owner of the key public, in answer to
// challenge, for any of the hosts that the backend goes by.
func VerifyOwner(public, proof, challenge string, hosts ...string) error {
	key, err := decodeExactly(public, ed25519.PublicKeySize)
	if err != nil {
		return fmt.Errorf("owner: %w", err)
	}
	signature, err := decodeExactly(proof, ed25519.SignatureSize)
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	for _, host := range hosts {
		if ed25519.Verify(key, ownerMessage(host, challenge), signature) {
			return nil
		}
	}
	return ErrBadOwnerProof
}

// ownerMessage is unambiguous: a host has no line feed in it.
func ownerMessage(host, challenge string) []byte {
	return []byte(ownerContext + strings.ToLower(host) + "\n" + challenge)
}

// decodeExactly decodes strict base64url of exactly size bytes, so that one key
// has one name.
func decodeExactly(text string, size int) ([]byte, error) {
	if len(text) != base64.RawURLEncoding.EncodedLen(size) {
		return nil, ErrBadOwnerProof
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != size { // the decoder skips line breaks
		return nil, ErrBadOwnerProof
	}
	return b, nil
}
