package ticket

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// MinKey is the least size of a key in bytes: as much as the hash gives (RFC 2104, section 3).
const MinKey = 32

// Keyring holds the keys that tickets and session tokens are made and checked
// with. It is safe for use by many goroutines.
type Keyring struct {
	keys [][]byte
}

// New makes a Keyring. The first key makes IDs, all of them are accepted: that is
// how keys are replaced while requests are under way.
func New(keys ...[]byte) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("a key of at least %d bytes is needed", MinKey)
	}
	k := &Keyring{}
	for _, key := range keys {
		if len(key) < MinKey {
			return nil, fmt.Errorf("a key has %d bytes: at least %d are needed", len(key), MinKey)
		}
		k.keys = append(k.keys, bytes.Clone(key))
	}
	return k, nil
}

// String keeps the keys out of logs.
func (*Keyring) String() string { return "ticket.Keyring" }

// GoString keeps the keys out of logs.
func (*Keyring) GoString() string { return "ticket.Keyring" }

func (k *Keyring) seal(b []byte, domain, sender string) []byte {
	return append(b, mac(k.keys[0], domain, b, sender)...)
}

// unseal checks and takes off the MAC. b is long enough for one.
func (k *Keyring) unseal(b []byte, domain, sender string) ([]byte, error) {
	text, shown := b[:len(b)-macSize], b[len(b)-macSize:]
	for _, key := range k.keys {
		if hmac.Equal(shown, mac(key, domain, text, sender)) {
			return text, nil
		}
	}
	return nil, ErrForged
}

// mac is over parts that cannot shift into one another: the domain ends with its
// only NUL, the text has its own lengths in it, and the sender is the rest. Half of
// the hash is kept (RFC 2104, section 5), since an ID has to be short.
func mac(key []byte, domain string, text []byte, sender string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(domain))
	h.Write(text)
	h.Write([]byte(sender))
	return h.Sum(nil)[:macSize]
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// decode takes exactly what encode gives: one ID has one text.
func decode(text string) ([]byte, error) {
	// The decoder skips line breaks.
	if len(text) > MaxText || strings.ContainsAny(text, "\r\n") {
		return nil, ErrForged
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, ErrForged
	}
	return b, nil
}
