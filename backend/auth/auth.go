// Package auth says who somebody is, by bearer tokens: JSON Web Tokens (RFC 7519) that
// are signed with a secret of the backend's owner (HS256), or by an identity provider
// whose public keys are a JSON Web Key Set (RFC 7517), a file or a URL.
//
// Key sets are parsed by jwkset, and fetched here. The usual companion, keyfunc, keeps
// them fresh in a goroutine of its own: a Lambda function is frozen between two
// invocations, and so would be that. Here whoever verifies a token fetches what is
// missing, within bounds, and nothing runs or stays open afterwards.
//
// A revocation list takes tokens back before they expire.
package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// Identity is what a token says about its bearer.
type Identity struct {
	// Subject is the user whose tunnels they are.
	Subject string
	// Tunnels are the only IDs that the bearer may ask for; empty: any.
	Tunnels []string
	// Max is how many tunnels the bearer may hold at once; 0: the backend's default.
	Max int
	// Notify says that the bearer may send notices to every user, and not only to
	// itself.
	Notify bool

	// ID names the token, to revoke it by; "" if it has no name (jti).
	ID string
	// IssuedAt and Expires are the token's; zero if it does not say.
	IssuedAt, Expires time.Time
}

// Allows reports whether the bearer may hold the tunnel id.
func (i Identity) Allows(id string) bool {
	return len(i.Tunnels) == 0 || slices.Contains(i.Tunnels, id)
}

// Bounds of what is looked at.
const (
	// MinSecret is the least size of an HS256 secret in bytes (RFC 7518, section 3.2).
	MinSecret  = 32
	maxSecret  = 64 << 10
	maxToken   = 8 << 10
	maxSubject = 256
	maxID      = 256
	// leeway forgives clocks that differ.
	leeway = 30 * time.Second
)

// Errors of Verify and the constructors. ErrInvalidToken is wrapped by all that are the
// token's fault. ErrRevoked is for those who ask Revocations.
var (
	ErrInvalidToken = errors.New("the token is not valid here")
	ErrNoToken      = error(noToken{})
	ErrExpired      = fmt.Errorf("%w: it has expired, or is not valid yet", ErrInvalidToken)
	ErrRevoked      = fmt.Errorf("%w: it was revoked", ErrInvalidToken)
	ErrShortSecret  = fmt.Errorf("the secret for tokens needs at least %d bytes: make one with `culvert token secret FILE`", MinSecret)
)

// ErrNoKeys is not the token's fault: whether it is valid cannot be said, as the key set
// was not to be had. The reason is logged: it is the operator's, not the bearer's.
var ErrNoKeys = errors.New("the keys that tokens are checked with cannot be had at the moment: try again later")

// noToken is told to people who may not know that there are tokens.
type noToken struct{}

func (noToken) Error() string {
	return "this backend wants a token: name a file that holds one with --token-file"
}
func (noToken) Unwrap() error { return ErrInvalidToken }

// LoadSecret reads the secret for tokens from a file. Line breaks at its end do not count.
func LoadSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the secret for tokens: %w", err)
	}
	defer f.Close()
	secret, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return nil, fmt.Errorf("reading the secret for tokens: %w", err)
	}
	secret = bytes.TrimRight(secret, "\r\n")
	switch {
	case len(secret) > maxSecret:
		return nil, fmt.Errorf("%s: too long for a secret for tokens", path)
	case len(secret) < MinSecret:
		return nil, fmt.Errorf("%s: %w", path, ErrShortSecret)
	}
	return secret, nil
}
