package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Inspection is what a token says of itself. Nothing of it was checked: anybody can
// write a token that says the same.
type Inspection struct {
	Header, Claims map[string]json.RawMessage
	// Problems are why backends would refuse it, or what may surprise.
	Problems []string
	// The claims that could be read; zero where they say nothing.
	Identity
	Issuer    string
	Audience  []string
	NotBefore time.Time
}

// Inspect reads a token without checking its signature.
func Inspect(token string, now time.Time) (*Inspection, error) {
	if len(token) > maxToken {
		return nil, fmt.Errorf("longer than %s, which no backend takes", kilobytes(maxToken))
	}
	parts, err := segments(token)
	if err != nil {
		return nil, err
	}
	i := &Inspection{}
	if json.Unmarshal(parts[0], &i.Header) != nil || i.Header == nil {
		return nil, errors.New("no JSON Web Token: its first part is no JSON object")
	}
	if json.Unmarshal(parts[1], &i.Claims) != nil || i.Claims == nil {
		return nil, errors.New("no JSON Web Token: its second part is no JSON object")
	}
	problem := func(format string, values ...any) { i.Problems = append(i.Problems, fmt.Sprintf(format, values...)) }
	i.checkHeader(problem, len(parts[2]) > 0)

	var c claims
	for _, bad := range c.read(i.Claims) { // the others are shown all the same
		problem("%v", bad)
	}
	i.Subject, i.ID, i.Issuer, i.Audience = c.Subject, c.ID, c.Issuer, c.Audience
	i.Tunnels, i.Max, i.Notify = c.Tunnels, c.Max, c.Notify
	i.IssuedAt, i.NotBefore, i.Expires = date(c.IssuedAt), date(c.NotBefore), date(c.ExpiresAt)
	i.checkClaims(problem, &c, now)
	return i, nil
}

// segments decodes the three parts (RFC 7515, section 3.1).
func segments(token string) (parts [3][]byte, err error) {
	texts := strings.SplitN(token, ".", len(parts)+1)
	if len(texts) != len(parts) || strings.ContainsAny(token, "\r\n") {
		return parts, errors.New("no JSON Web Token: it does not consist of three parts with dots between them")
	}
	for n, text := range texts {
		if parts[n], err = base64.RawURLEncoding.Strict().DecodeString(text); err != nil {
			return parts, fmt.Errorf("no JSON Web Token: its part %d is not base64url without padding", n+1)
		}
	}
	return parts, nil
}

func (i *Inspection) checkHeader(problem func(string, ...any), signed bool) {
	var alg string
	switch err := json.Unmarshal(i.Header["alg"], &alg); {
	case err != nil:
		problem("it names no algorithm (alg): no backend takes it")
	case alg == "none":
		problem("it is not signed (alg none): no backend takes it")
	case alg != jwt.SigningMethodHS256.Alg() && !slices.Contains(publicMethods(), alg):
		problem("it is signed by %.80q, which no backend takes", alg)
	case !signed:
		problem("its signature is missing")
	}
	if _, ok := i.Header["crit"]; ok {
		problem("%v", errCritical)
	}
}

func (i *Inspection) checkClaims(problem func(string, ...any), c *claims, now time.Time) {
	if _, err := c.identity(); err != nil {
		problem("%v", err)
	}
	switch {
	case i.Expires.IsZero():
		problem("it never expires: whoever gets hold of it can use it until the key is replaced, or the token is revoked")
	case !now.Before(i.Expires.Add(leeway)):
		problem("it has expired")
	}
	if !i.NotBefore.IsZero() && now.Before(i.NotBefore.Add(-leeway)) {
		problem("it is not valid yet")
	}
	if now.Before(i.IssuedAt.Add(-leeway)) {
		problem("it was issued in the future: is a clock wrong?")
	}
}
