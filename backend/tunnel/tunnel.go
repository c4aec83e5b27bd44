// Package tunnel is the core that every backend shares: what a tunnel ID looks
// like, who owns one, how an agent proves that it comes back, and who wins when
// two agents want the same one.
//
// Nothing here does input or output, so that the relay (which keeps its records
// in memory) and a serverless backend (which keeps them behind conditional
// writes) decide alike.
package tunnel

import (
	"crypto/rand"
	"errors"
)

// Bounds of a tunnel ID in bytes. The upper one is that of a DNS label (RFC 1035,
// section 2.3.4), since the ID is one in the subdomain form of public URLs.
const (
	MinIDLen = 3
	MaxIDLen = 63
)

// idAlphabet leaves out i, l, o and u: the ID is read aloud and typed on phones.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// randomIDLen gives 60 bits: nobody finds a tunnel by trying.
const randomIDLen = 12

// NewID makes a random tunnel ID that cannot be guessed.
func NewID() string {
	id := make([]byte, randomIDLen)
	rand.Read(id) // never fails since Go 1.24
	for i, b := range id {
		id[i] = idAlphabet[b%byte(len(idAlphabet))] // 32 divides 256: no bias
	}
	return string(id)
}

// ErrInvalidID is what ValidID returns for anything that is no tunnel ID.
var ErrInvalidID = errors.New("a tunnel name is 3 to 63 lower-case letters, digits and inner hyphens, like my-shop-2")

// ValidID reports whether id is a well-formed tunnel ID:
// [a-z0-9]([a-z0-9-]{1,61}[a-z0-9]).
func ValidID(id string) error {
	if len(id) < MinIDLen || len(id) > MaxIDLen {
		return ErrInvalidID
	}
	for i := range len(id) {
		c := id[i]
		alnum := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		inner := i > 0 && i < len(id)-1
		if !alnum && (c != '-' || !inner) {
			return ErrInvalidID
		}
	}
	return nil
}
