package auth

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"culvert/backend/tunnel"
)

// maxID bounds the name of a token, in bytes.
const maxID = 256

// claims are what tokens may say.
type claims struct {
	jwt.RegisteredClaims
	Tunnels []string
	Max     int
	Notify  bool
}

// claimError is about a claim that cannot be read, or that makes no sense.
type claimError struct{ claim, why string }

func (e claimError) Error() string { return fmt.Sprintf("its %s %s", e.claim, e.why) }

// UnmarshalJSON reads claims by their exact names: encoding/json would take "Notify"
// for "notify", and an identity provider may let people choose names like that.
func (c *claims) UnmarshalJSON(text []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for name, to := range map[string]any{
		"iss": &c.Issuer, "sub": &c.Subject, "aud": &c.Audience, "jti": &c.ID,
		"exp": &c.ExpiresAt, "nbf": &c.NotBefore, "iat": &c.IssuedAt,
		"tunnels": &c.Tunnels, "max": &c.Max, "notify": &c.Notify,
	} {
		if value, ok := all[name]; ok && json.Unmarshal(value, to) != nil {
			return claimError{name, "is not of the kind that it should be"}
		}
	}
	for name, t := range map[string]*jwt.NumericDate{"exp": c.ExpiresAt, "nbf": c.NotBefore, "iat": c.IssuedAt} {
		// Beyond these years arithmetic with times goes round, to the bearer's advantage.
		if t != nil && (t.Year() < 1970 || t.Year() > 9999) {
			return claimError{name, "is no time of this age"}
		}
	}
	return nil
}

// identity is who the bearer is, once the signature and the times are known to be good.
func (c *claims) identity() (Identity, error) {
	refuse := func(claim, why string) (Identity, error) {
		return Identity{}, fmt.Errorf("%w: %w", ErrInvalidToken, claimError{claim, why})
	}
	const user = "user name (sub)"
	switch {
	case c.Subject == "":
		return Identity{}, fmt.Errorf("%w: it names no user (sub)", ErrInvalidToken)
	case strings.HasPrefix(c.Subject, keyPrefix):
		return refuse(user, "begins like an owner key")
	case len(c.Subject) > maxSubject:
		return refuse(user, "is too long")
	case !clean(c.Subject):
		return refuse(user, "has characters that cannot be shown")
	case len(c.ID) > maxID:
		return refuse("name (jti)", "is too long")
	case !clean(c.ID):
		return refuse("name (jti)", "has characters that cannot be shown")
	case c.Max < 0:
		return refuse("max", "is negative")
	}
	for _, id := range c.Tunnels {
		if err := tunnel.ValidID(id); err != nil {
			return Identity{}, fmt.Errorf("%w: its tunnel name %.200q: %w", ErrInvalidToken, id, err)
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

// clean reports whether a name is what it looks like. JSON's decoder makes one and the
// same character of all that is no UTF-8, and two users must not become one.
func clean(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError })
}
