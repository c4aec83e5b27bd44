package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"culvert/backend/tunnel"
)

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

// UnmarshalJSON reads the claims of a token.
func (c *claims) UnmarshalJSON(text []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	if wrong := c.read(all); len(wrong) > 0 {
		return wrong[0]
	}
	return nil
}

// read takes claims by their exact names: encoding/json would take "Notify" for
// "notify", and an identity provider may let people choose names like that. Claims that
// are wrong stay empty.
func (c *claims) read(all map[string]json.RawMessage) (wrong []claimError) {
	for _, known := range []struct {
		name string
		to   any
	}{
		{"iss", &c.Issuer}, {"sub", &c.Subject}, {"aud", &c.Audience}, {"jti", &c.ID},
		{"tunnels", &c.Tunnels}, {"max", &c.Max}, {"notify", &c.Notify},
	} {
		if value, ok := all[known.name]; ok && json.Unmarshal(value, known.to) != nil {
			wrong = append(wrong, claimError{known.name, "is not of the kind that it should be"})
		}
	}
	for _, known := range []struct {
		name string
		to   **jwt.NumericDate
	}{{"exp", &c.ExpiresAt}, {"nbf", &c.NotBefore}, {"iat", &c.IssuedAt}} {
		value, ok := all[known.name]
		if !ok {
			continue
		}
		// Beyond these years arithmetic with times goes round, to the bearer's advantage.
		if json.Unmarshal(value, known.to) != nil || *known.to != nil && ((*known.to).Unix() < 0 || (*known.to).Year() > 9999) {
			*known.to = nil
			wrong = append(wrong, claimError{known.name, "is no time of this age"})
		}
	}
	return wrong
}

// identity is who the bearer is, once the signature and the times are known to be good.
func (c *claims) identity() (Identity, error) {
	const user, name = "user name (sub)", "name (jti)"
	switch {
	case c.Subject == "":
		return Identity{}, errors.New("it names no user (sub)")
	case strings.HasPrefix(c.Subject, keyPrefix):
		return Identity{}, claimError{user, "begins like an owner key"}
	case len(c.Subject) > maxSubject:
		return Identity{}, claimError{user, "is too long"}
	case !clean(c.Subject):
		return Identity{}, claimError{user, "has characters that cannot be shown"}
	case len(c.ID) > maxID:
		return Identity{}, claimError{name, "is too long"}
	case !clean(c.ID):
		return Identity{}, claimError{name, "has characters that cannot be shown"}
	case c.Max < 0:
		return Identity{}, claimError{"max", "is negative"}
	}
	for _, id := range c.Tunnels {
		if err := tunnel.ValidID(id); err != nil {
			return Identity{}, fmt.Errorf("its tunnel name %.200q: %w", id, err)
		}
	}
	return Identity{
		Subject: c.Subject, Tunnels: c.Tunnels, Max: c.Max, Notify: c.Notify,
		ID: c.ID, IssuedAt: date(c.IssuedAt), Expires: date(c.ExpiresAt),
	}, nil
}

// date is the zero time for a claim that is not there.
func date(t *jwt.NumericDate) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

// clean reports whether a name is what it looks like. JSON's decoder makes one and the
// same character of all that is no UTF-8, and two users must not become one.
func clean(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError })
}
