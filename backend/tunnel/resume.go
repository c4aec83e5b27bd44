package tunnel

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// Resumer makes and checks resume secrets: what an agent shows to get its tunnel
// back. A secret follows from the key alone, so a backend that has lost
// everything but its key still honours those it gave out.
type Resumer struct {
	key []byte
}

// ResumeKeySize is the right size of a Resumer's key, in bytes.
const ResumeKeySize = 32

// NewResumer makes a Resumer from a secret key, of ResumeKeySize random bytes.
func NewResumer(key []byte) Resumer { return Resumer{key: key} }

// Secret is the resume secret for the tunnel id of owner.
func (r Resumer) Secret(id, owner string) string {
	return base64.RawURLEncoding.EncodeToString(r.mac(id, owner))
}

// Verify reports, in constant time, whether secret is that of the tunnel id of owner.
func (r Resumer) Verify(id, owner, secret string) bool {
	if len(secret) != base64.RawURLEncoding.EncodedLen(sha256.Size) {
		return false
	}
	shown, err := base64.RawURLEncoding.Strict().DecodeString(secret)
	return err == nil && hmac.Equal(shown, r.mac(id, owner))
}

func (r Resumer) mac(id, owner string) []byte {
	h := hmac.New(sha256.New, r.key)
	// An ID has no NUL in it: no other pair gives the same text.
	h.Write([]byte("resume v1\x00" + id + "\x00" + owner))
	return h.Sum(nil)
}

// String keeps the key out of logs.
func (Resumer) String() string { return "tunnel.Resumer" }

// GoString keeps the key out of logs.
func (Resumer) GoString() string { return "tunnel.Resumer" }

// Resumers are Resumers of several keys, the newest first, while a key is replaced.
type Resumers []Resumer

// Secret is the resume secret by the newest key. There must be one.
func (rs Resumers) Secret(id, owner string) string { return rs[0].Secret(id, owner) }

// Verify reports whether secret is by any of the keys.
func (rs Resumers) Verify(id, owner, secret string) bool {
	for _, r := range rs {
		if r.Verify(id, owner, secret) {
			return true
		}
	}
	return false
}
