// Package auth verifies the bearer tokens with which agents may connect: JSON Web
// Tokens (RFC 7519) that the owner of the backend signs.
package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"culvert/backend/tunnel"
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
	// leeway forgives clocks that differ.
	leeway = 30 * time.Second
)

// Errors of Verify and the constructors. ErrInvalidToken is wrapped by all of Verify's.
var (
	ErrInvalidToken = errors.New("the token is not valid here")
	ErrNoToken      = error(noToken{})
	ErrExpired      = fmt.Errorf("%w: it has expired, or is not valid yet", ErrInvalidToken)
	ErrShortSecret  = fmt.Errorf("the secret for tokens needs at least %d bytes: make one with `openssl rand -base64 48`", MinSecret)
)

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

// Verifier verifies tokens. It is safe for use by many goroutines.
type Verifier struct {
	keys   jwt.VerificationKeySet
	parser *jwt.Parser
}

// NewSecretVerifier makes a Verifier of tokens signed by HS256 with one of the
// secrets, and by nothing else. Several are for the time in which one replaces another.
func NewSecretVerifier(secrets ...[]byte) (*Verifier, error) {
	var keys jwt.VerificationKeySet
	for _, secret := range secrets {
		if len(secret) < MinSecret {
			return nil, ErrShortSecret
		}
		keys.Keys = append(keys.Keys, bytes.Clone(secret))
	}
	if len(keys.Keys) == 0 {
		return nil, ErrShortSecret
	}
	return &Verifier{
		keys: keys,
		// The methods are fixed here: what the token names is its bearer's word (RFC 8725, section 3.1).
		parser: jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithLeeway(leeway)),
	}, nil
}

type claims struct {
	jwt.RegisteredClaims
	Tunnels []string `json:"tunnels,omitempty"`
	Max     int      `json:"max,omitempty"`
	Notify  bool     `json:"notify,omitempty"`
}

// Verify says who bears the token, or why it is not accepted.
func (v *Verifier) Verify(_ context.Context, token string) (Identity, error) {
	if token == "" {
		return Identity{}, ErrNoToken
	}
	if len(token) > maxToken {
		return Identity{}, fmt.Errorf("%w: too long", ErrInvalidToken)
	}
	var c claims
	_, err := v.parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return v.keys, nil })
	switch {
	case errors.Is(err, jwt.ErrTokenExpired), errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return Identity{}, ErrExpired
	case errors.Is(err, jwt.ErrTokenMalformed):
		return Identity{}, fmt.Errorf("%w: it is no JSON Web Token", ErrInvalidToken)
	case err != nil: // no details for those who try signatures
		return Identity{}, fmt.Errorf("%w: it was not signed with this backend's secret (HS256)", ErrInvalidToken)
	case c.Subject == "":
		return Identity{}, fmt.Errorf("%w: it names no user (sub)", ErrInvalidToken)
	case strings.HasPrefix(c.Subject, keyPrefix):
		return Identity{}, fmt.Errorf("%w: its user name (sub) begins like an owner key", ErrInvalidToken)
	case len(c.Subject) > maxSubject:
		return Identity{}, fmt.Errorf("%w: its user name (sub) is too long", ErrInvalidToken)
	case c.Max < 0:
		return Identity{}, fmt.Errorf("%w: its max is negative", ErrInvalidToken)
	}
	for _, id := range c.Tunnels {
		if err := tunnel.ValidID(id); err != nil {
			return Identity{}, fmt.Errorf("%w: its tunnel name %q: %w", ErrInvalidToken, id, err)
		}
	}
	i := Identity{Subject: c.Subject, Tunnels: c.Tunnels, Max: c.Max, Notify: c.Notify, ID: c.ID}
	if c.IssuedAt != nil {
		i.IssuedAt = c.IssuedAt.Time
	}
	if c.ExpiresAt != nil {
		i.Expires = c.ExpiresAt.Time
	}
	return i, nil
}
