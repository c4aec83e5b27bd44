package link

import (
	"errors"
	"sync"

	"golang.org/x/net/http/httpguts"

	"culvert/backend/wire"
)

// Tokens of identity providers last an hour or less, and whoever renews them writes a
// file. A tunnel lives longer: each connection shows what is in the file by then.

// tokens are what a session knows of its token. The zero value is ready.
type tokens struct {
	mu sync.Mutex
	// last is the latest that was read; "" before.
	last string
	// judged is the latest that the backend has accepted or refused.
	judged string
}

// errNoToken repeats nothing of what was read.
var errNoToken = errors.New("the token is no token: it is too long, or has control characters or line breaks in it")

func validToken(token string) bool {
	return len(token) <= maxTokenLen && httpguts.ValidHeaderFieldValue(token)
}

// readToken gives the token to show now: the one from before if it cannot be read at the
// moment, and then also why.
func (c *Config) readToken() (string, error) {
	if c.TokenSource == nil {
		return c.Token, nil
	}
	c.tokens.mu.Lock()
	defer c.tokens.mu.Unlock()
	if c.tokens.last == "" {
		c.tokens.last = c.Token
	}
	token, err := c.TokenSource()
	if err == nil && !validToken(token) {
		err = errNoToken
	}
	if err == nil && token != "" {
		c.tokens.last = token
	}
	return c.tokens.last, err
}

func (c *Config) freshToken() string {
	token, err := c.readToken()
	if err != nil {
		c.logger().Warn("the token cannot be read again: the one from before is shown", "error", err)
	}
	return token
}

// withToken connects by the token that is there now. If it is refused, and by then there
// is another one, that has its turn as well.
func (c *Config) withToken(connect func(token string) error) error {
	token := c.freshToken()
	err := connect(token)
	if unauthorized(err) {
		if next := c.freshToken(); next != token {
			token = next
			err = connect(token)
		}
	}
	if err == nil || unauthorized(err) {
		c.tokens.mu.Lock()
		c.tokens.judged = token
		c.tokens.mu.Unlock()
	}
	return err
}

// renewed reports whether there is a token that the backend has not judged yet. err says
// that this cannot be known at the moment.
func (c *Config) renewed() (bool, error) {
	if c.TokenSource == nil {
		return false, nil
	}
	token, err := c.readToken()
	c.tokens.mu.Lock()
	defer c.tokens.mu.Unlock()
	return token != c.tokens.judged, err
}

// Renewed reports whether a new connection would show a token that the backend has not
// judged yet.
func (l *Link) Renewed() bool {
	renewed, err := l.cfg.renewed()
	return renewed && err == nil
}

// ended is what a refusal of the connection means. Where the token's time is over and
// there is another one, it is not for good, nor while a new one is just being written.
func (l *Link) ended(refusal *wire.Error) error {
	if refusal.Code != wire.CodeUnauthorized {
		return refusal
	}
	if renewed, err := l.cfg.renewed(); !renewed && err == nil {
		return refusal
	}
	return &dialError{"connecting anew with the token that is there now, since the backend said: " + refusal.Message, errOldToken}
}

var errOldToken = errors.New("the token of the connection counts no more")

func unauthorized(err error) bool {
	var refusal *wire.Error
	return errors.As(err, &refusal) && refusal.Code == wire.CodeUnauthorized
}
