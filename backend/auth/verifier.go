package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Config says which tokens count. At least one of Secrets and JWKS is needed.
type Config struct {
	// Secrets are what tokens are signed with by HS256. Several are for the time in
	// which one replaces another.
	Secrets [][]byte
	// JWKS is a file, or an https URL (http on loopback), that holds public keys:
	// tokens signed with one of them count as well, by RS, PS, ES or EdDSA.
	JWKS string
	// Audience and Issuer are what tokens must say that they are for (aud), and by
	// whom (iss); "": anything goes.
	Audience, Issuer string

	// Transport fetches the JWKS. Default: one of its own, by the proxies of the
	// environment.
	Transport http.RoundTripper
	// Logger is told what is wrong with the JWKS. Default: slog's.
	Logger *slog.Logger
}

// Verifier verifies tokens. It is safe for use by many goroutines, and holds nothing
// that had to be closed.
type Verifier struct {
	config  Config
	secrets jwt.VerificationKeySet
	keys    keySource // nil: tokens by secrets only
	parser  *jwt.Parser
}

// keySource is where public keys come from.
type keySource interface {
	// find gives the keys that a token with this kid and alg may be signed with; none
	// if the token names a key that does not exist. ErrNoKeys: nobody knows.
	find(ctx context.Context, kid, alg string) ([]jwt.VerificationKey, error)
	// refresh reads the keys if that was not done, or is long ago, and says what is
	// wrong with them.
	refresh(ctx context.Context) error
}

// New makes a Verifier. A JWKS file is read at once; a URL when the first token needs
// it, or by Refresh.
func New(c Config) (*Verifier, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	v := &Verifier{config: c}
	if c.JWKS != "" {
		var err error
		if v.keys, err = openKeys(c); err != nil {
			return nil, err
		}
	}
	return v.WithSecrets(c.Secrets...)
}

// NewSecretVerifier makes a Verifier of tokens signed by HS256 with one of the
// secrets, and by nothing else.
func NewSecretVerifier(secrets ...[]byte) (*Verifier, error) {
	return New(Config{Secrets: secrets})
}

// WithSecrets is a Verifier with other secrets, and all else as it is, fetched keys
// included.
func (v *Verifier) WithSecrets(secrets ...[]byte) (*Verifier, error) {
	w := &Verifier{config: v.config, keys: v.keys}
	// The methods are fixed here: what the token names is its bearer's word (RFC 8725, section 3.1).
	var methods []string
	for _, secret := range secrets {
		if len(secret) < MinSecret {
			return nil, ErrShortSecret
		}
		w.secrets.Keys = append(w.secrets.Keys, bytes.Clone(secret))
	}
	if len(w.secrets.Keys) > 0 {
		methods = append(methods, jwt.SigningMethodHS256.Alg())
	}
	if w.keys != nil {
		methods = append(methods, publicMethods()...)
	}
	if len(methods) == 0 {
		return nil, ErrShortSecret
	}
	options := []jwt.ParserOption{jwt.WithValidMethods(methods), jwt.WithLeeway(leeway), jwt.WithIssuedAt(), jwt.WithStrictDecoding()}
	if v.config.Audience != "" {
		options = append(options, jwt.WithAudience(v.config.Audience))
	}
	if v.config.Issuer != "" {
		options = append(options, jwt.WithIssuer(v.config.Issuer))
	}
	w.parser = jwt.NewParser(options...)
	return w, nil
}

// Refresh fetches the keys of a URL unless that was done lately, and says why they
// cannot be had: for an operator to see at the start. It does nothing without a JWKS.
func (v *Verifier) Refresh(ctx context.Context) error {
	if v.keys == nil {
		return nil
	}
	return v.keys.refresh(ctx)
}

// Warnings say what an operator may not have thought of.
func (v *Verifier) Warnings() []string {
	if v.keys != nil && v.config.Audience == "" {
		return []string{"every token that is signed with a key of the JWKS counts, whatever it was made for: name the audience that tokens for this backend have"}
	}
	return nil
}

// Verify says who bears the token, or why it is not accepted: by an error that wraps
// ErrInvalidToken, or by ErrNoKeys, or the context's.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	if token == "" {
		return Identity{}, ErrNoToken
	}
	if len(token) > maxToken {
		return Identity{}, fmt.Errorf("%w: too long", ErrInvalidToken)
	}
	if strings.ContainsAny(token, "\r\n") { // which the decoder would skip
		return Identity{}, errMalformed
	}
	var c claims
	_, err := v.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) { return v.key(ctx, t) })
	var bad claimError
	switch {
	case errors.Is(err, ErrNoKeys):
		return Identity{}, ErrNoKeys
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return Identity{}, fmt.Errorf("checking the token: %w", ctx.Err())
	case errors.As(err, &bad):
		return Identity{}, fmt.Errorf("%w: %w", ErrInvalidToken, bad)
	case errors.Is(err, errCritical):
		return Identity{}, fmt.Errorf("%w: %w", ErrInvalidToken, errCritical)
	case errors.Is(err, jwt.ErrTokenMalformed):
		return Identity{}, errMalformed
	case errors.Is(err, jwt.ErrTokenInvalidClaims): // the signature is good: its bearer may know more
		return Identity{}, v.explain(&c, err)
	case err != nil: // no details for those who try signatures
		return Identity{}, fmt.Errorf("%w: %s", ErrInvalidToken, v.notSigned())
	}
	i, err := c.identity()
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	return i, nil
}

var errMalformed = fmt.Errorf("%w: it is no JSON Web Token", ErrInvalidToken)

// errCritical is about RFC 7515, section 4.1.11.
var errCritical = errors.New("it asks for extensions (crit) that are not known here")

// key gives what the token's signature is checked with: the algorithm decides whether
// that may be a secret, and which kinds of public keys.
func (v *Verifier) key(ctx context.Context, t *jwt.Token) (any, error) {
	if _, ok := t.Header["crit"]; ok {
		return nil, errCritical
	}
	alg := t.Method.Alg()
	if alg == jwt.SigningMethodHS256.Alg() {
		return v.secrets, nil
	}
	kid, ok := t.Header["kid"].(string)
	if _, named := t.Header["kid"]; named && !ok {
		return nil, errors.New("the key's name (kid) is no text")
	}
	keys, err := v.keys.find(ctx, kid, alg)
	if err != nil {
		return nil, err
	}
	return jwt.VerificationKeySet{Keys: keys}, nil
}

func (v *Verifier) notSigned() string {
	switch {
	case v.keys == nil:
		return "it was not signed with this backend's secret (HS256)"
	case len(v.secrets.Keys) == 0:
		return "it was not signed with one of the keys that this backend trusts (JWKS)"
	}
	return "it was signed neither with this backend's secret (HS256) nor with one of the keys that it trusts (JWKS)"
}

// explain says what is wrong with the claims of a token with a good signature, first
// what its bearer can mend least.
func (v *Verifier) explain(c *claims, err error) error {
	switch {
	case v.config.Issuer != "" && c.Issuer != v.config.Issuer:
		return fmt.Errorf("%w: it was issued by %s, and this backend wants tokens of %q (iss)", ErrInvalidToken, quoted(c.Issuer), v.config.Issuer)
	case errors.Is(err, jwt.ErrTokenInvalidAudience), errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return fmt.Errorf("%w: it is for %s, and this backend wants tokens for %q (aud)", ErrInvalidToken, quoted(c.Audience...), v.config.Audience)
	case errors.Is(err, jwt.ErrTokenExpired):
		return &timeError{fmt.Sprintf("it has expired, at %s: get a new one", stamp(c.ExpiresAt))}
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return &timeError{fmt.Sprintf("it is not valid before %s, and here it is %s", stamp(c.NotBefore), stamp(jwt.NewNumericDate(time.Now())))}
	case errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return &timeError{fmt.Sprintf("it was issued at %s, and here it is only %s: is a clock wrong?", stamp(c.IssuedAt), stamp(jwt.NewNumericDate(time.Now())))}
	}
	return fmt.Errorf("%w: its claims do not hold", ErrInvalidToken)
}

// timeError is ErrExpired with the times.
type timeError struct{ why string }

func (e *timeError) Error() string { return fmt.Sprintf("%v: %s", ErrInvalidToken, e.why) }
func (e *timeError) Unwrap() error { return ErrExpired }

func stamp(t *jwt.NumericDate) string { return t.UTC().Format(time.RFC3339) }

// quoted shows a claim's values, a few of them.
func quoted(values ...string) string {
	switch {
	case len(values) == 0 || values[0] == "":
		return "nobody that it names"
	case len(values) > 3:
		return fmt.Sprintf("%.200q and %d more", values[:3], len(values)-3)
	case len(values) == 1:
		return fmt.Sprintf("%.200q", values[0])
	}
	return fmt.Sprintf("%.200q", values)
}
