// Package keys holds the backend's secrets: those that request IDs, session tokens
// and resume secrets are made with, and those that agents' tokens (JWT) are signed
// with.
//
// They live in one parameter of the Systems Manager (SecureString, standard tier),
// which costs nothing to keep. Of each sort there may be two: the first is used,
// both are accepted, so that a rotation breaks nothing under way. The parameter is
// made, rotated and deleted by a custom resource of the stack; its text is
//
//	{"generation":2,"tickets":["BASE64","BASE64"],"tokens":["TEXT","TEXT"]}
//
// newest first. A token's secret is the text itself, byte for byte. Nothing of it is
// ever logged, nor is it in an error.
package keys

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"culvert/backend/auth"
	"culvert/backend/lambda/ticket"
	"culvert/backend/tunnel"
)

// Set is the keys at one moment, ready for use.
type Set struct {
	Tickets *ticket.Keyring
	Resume  tunnel.Resumers
	Tokens  *auth.Verifier
}

// String keeps the keys out of logs.
func (*Set) String() string { return "keys.Set" }

// GoString keeps the keys out of logs.
func (*Set) GoString() string { return "keys.Set" }

// value is the parameter's text.
type value struct {
	Generation int64    `json:"generation"`
	Tickets    []string `json:"tickets"`
	Tokens     []string `json:"tokens"`
}

const (
	accepted   = 2       // of each sort
	maxValue   = 4 << 10 // bytes that a standard parameter holds
	ticketSize = ticket.MinKey
	tokenSize  = 48 // random bytes, before base64
)

// errMalformed is about a parameter that holds something else. It must not quote it.
var errMalformed = errors.New("it holds no keys in the form that the stack writes")

// parse reads the parameter's text.
func parse(text string) (value, error) {
	var v value
	if len(text) > maxValue {
		return value{}, fmt.Errorf("%w: it is too long", errMalformed)
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return value{}, fmt.Errorf("%w: it is not the JSON expected", errMalformed)
	}
	switch {
	case v.Generation < 1:
		return value{}, fmt.Errorf("%w: it has no generation", errMalformed)
	case len(v.Tickets) < 1 || len(v.Tickets) > accepted:
		return value{}, fmt.Errorf("%w: it has %d ticket keys, of 1 or 2", errMalformed, len(v.Tickets))
	case len(v.Tokens) < 1 || len(v.Tokens) > accepted:
		return value{}, fmt.Errorf("%w: it has %d token secrets, of 1 or 2", errMalformed, len(v.Tokens))
	}
	return v, nil
}

// set makes the keys usable. verifier makes that of tokens.
func (v value) set(verifier func(secrets ...[]byte) (*auth.Verifier, error)) (*Set, error) {
	var s Set
	var tickets, tokens [][]byte
	for _, text := range v.Tickets {
		key, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || len(key) < ticketSize {
			return nil, fmt.Errorf("%w: a ticket key is no base64 of at least %d bytes", errMalformed, ticketSize)
		}
		tickets = append(tickets, key)
		s.Resume = append(s.Resume, tunnel.NewResumer(key))
	}
	for _, text := range v.Tokens {
		tokens = append(tokens, []byte(text))
	}
	var err error
	if s.Tickets, err = ticket.New(tickets...); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if s.Tokens, err = verifier(tokens...); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return &s, nil
}

// fresh makes the first keys, or with old ones the next: the newest of the old
// stays accepted.
func fresh(old *value, generation int64) value {
	next := value{Generation: generation, Tickets: []string{randomText(base64.StdEncoding, ticketSize)}, Tokens: []string{randomText(base64.RawURLEncoding, tokenSize)}}
	if old != nil {
		next.Tickets = append(next.Tickets, old.Tickets[0])
		next.Tokens = append(next.Tokens, old.Tokens[0])
	}
	return next
}

func randomText(form *base64.Encoding, size int) string {
	b := make([]byte, size)
	rand.Read(b) // never fails since Go 1.24
	return form.EncodeToString(b)
}

func (v value) text() string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and a number
	}
	return string(b)
}
