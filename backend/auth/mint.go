package auth

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Grant is what a new token says: whose bearer it identifies, and for whom it is.
type Grant struct {
	Identity
	Audience, Issuer string
}

// Mint makes a token that is signed with the secret by HS256. It makes none that Verify
// would refuse for what it says.
func Mint(secret []byte, g Grant) (string, error) {
	if len(secret) < MinSecret {
		return "", ErrShortSecret
	}
	c := claims{Tunnels: g.Tunnels, Max: g.Max}
	c.Subject, c.ID = g.Subject, g.ID
	if _, err := c.identity(); err != nil {
		return "", err
	}
	said := jwt.MapClaims{"sub": g.Subject}
	for name, value := range map[string]string{"jti": g.ID, "aud": g.Audience, "iss": g.Issuer} {
		if value != "" {
			said[name] = value
		}
	}
	for name, at := range map[string]time.Time{"iat": g.IssuedAt, "exp": g.Expires} {
		if !at.IsZero() {
			said[name] = at.Unix()
		}
	}
	if len(g.Tunnels) > 0 {
		said["tunnels"] = g.Tunnels
	}
	if g.Max > 0 {
		said["max"] = g.Max
	}
	if g.Notify {
		said["notify"] = true
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, said).SignedString(secret)
	if err != nil {
		return "", fmt.Errorf("signing the token: %w", err)
	}
	if len(token) > maxToken {
		return "", fmt.Errorf("the token would be longer than %s, the most that backends take", kilobytes(maxToken))
	}
	return token, nil
}

// NewID is a name for a token that no other has.
func NewID() string { return rand.Text() }

// MakeSecret makes a new secret for tokens, in a file that nobody else can read. A file
// that is there is left alone: the error is then fs.ErrExist.
func MakeSecret(path string) error {
	var secret [48]byte
	rand.Read(secret[:]) // never fails
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("making the secret for tokens: %w", err)
	}
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(secret[:]) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		if gone := os.Remove(path); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone) // half a secret
		}
		return fmt.Errorf("making the secret for tokens: %w", err)
	}
	return nil
}
