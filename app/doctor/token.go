package doctor

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"culvert/app/link"
	"culvert/backend/wire"
)

// claims are what of a token is shown to its bearer.
type claims struct {
	Expires   *float64 `json:"exp"`
	NotBefore *float64 `json:"nbf"`
	Tunnels   []string `json:"tunnels"`
}

// claimsOf reads a JSON Web Token (RFC 7519) without verifying it, which only the
// backend can. ok is false for other tokens.
func claimsOf(token string) (c claims, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, false
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	return c, err == nil && json.Unmarshal(text, &c) == nil
}

const endOfTime = 253402300800 // the year 10,000, in seconds since 1970

// moment reads a date of a token; ok is false if it has none that makes sense.
func moment(seconds *float64) (t time.Time, ok bool) {
	if seconds == nil || *seconds < 0 || *seconds >= endOfTime {
		return t, false
	}
	return time.Unix(int64(*seconds), 0), true
}

// tokenEndsSoon is how long before its end a token is worth a word.
const tokenEndsSoon = 3 * 24 * time.Hour

// token tells what the token is good for, here and there.
func (e *examination) token(ctx context.Context) Check {
	accepted := e.met != nil && e.met.link != nil
	refused := e.met != nil && e.met.refusal != nil &&
		(e.met.refusal.Code == wire.CodeUnauthorized || e.met.refusal.Code == wire.CodeForbidden)
	if e.Backend.Token == "" {
		switch {
		case refused && !link.WantsToken(e.met.refusal):
			said, _, _ := strings.Cut(tidy(e.met.refusal.Message), ": ") // what follows is for who runs it
			return Check{State: Failed, Detail: said, Advice: "A token would not help: this is for who runs the backend to mend.", Refused: true}
		case refused:
			return Check{State: Failed, Detail: "the backend wants a token", Refused: true,
				Advice: "Enter the token that the backend's owner has given you.",
				Typed:  "Put the token that the backend's owner has given you into a file, and name that with --token-file."}
		case accepted:
			return Check{State: OK, Detail: "none is needed"}
		}
		return Check{State: Skipped, Detail: "none is given"}
	}
	c, readable := claimsOf(e.Backend.Token)
	if until, ok := moment(c.Expires); ok && e.now().After(until) && !accepted {
		return Check{State: Failed, Detail: fmt.Sprintf("it expired %s ago", rounded(e.now().Sub(until))), Advice: "Ask the backend's owner for a new one.", Refused: refused}
	}
	if from, ok := moment(c.NotBefore); ok && e.now().Before(from) && !accepted {
		return Check{State: Failed, Detail: "it is not valid before " + from.Local().Format(time.DateTime), Advice: "Check this computer's clock.", Refused: refused}
	}
	detail := "it does not say what it is good for"
	if readable {
		detail = goodFor(c)
	}
	switch {
	case refused:
		return Check{State: Failed, Detail: "the backend does not accept it: " + tidy(e.met.refusal.Message), Advice: "Ask the backend's owner for a new one.", Refused: true}
	case !accepted && !e.known():
		return Check{State: Skipped, Detail: "the backend has not looked at it; " + detail}
	}
	if e.takesNone(ctx) {
		return Check{State: Skipped, Detail: "this backend takes none, and has not looked at yours"}
	}
	result := Check{State: OK, Detail: "accepted; " + detail}
	if until, ok := moment(c.Expires); ok && until.Sub(e.now()) < tokenEndsSoon {
		result.State, result.Advice = Warn, "It ends soon: ask the backend's owner for a new one."
	}
	return result
}

// known reports whether a refusal was of somebody whose token had been accepted.
func (e *examination) known() bool {
	return e.met != nil && e.met.refusal != nil &&
		(e.met.refusal.Code == wire.CodeTooManyTunnels || e.met.refusal.Code == wire.CodeNameTaken)
}

// takesNone reports whether the backend lets in whoever comes, so that what was shown to
// it means nothing. One that answers actions says so when it is shown the token once
// more; any other is asked for a connection without.
func (e *examination) takesNone(ctx context.Context) bool {
	whom := e.asked(ctx)
	if whom == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, e.limits.round)
	defer cancel()
	_, err := whom.Ask(ctx, "authorize", map[string]string{"token": e.Backend.Token})
	var refused *wire.ActionError
	switch {
	case errors.As(err, &refused) && refused.Code == wire.CodeInvalidRequest:
		return true
	case errors.Is(err, errors.ErrUnsupported), errors.As(err, &refused) && refused.Code == wire.CodeNotImplemented:
		cfg := e.config()
		cfg.Token = ""
		return cfg.TryUpgrade(ctx) == nil
	}
	return false
}

// goodFor says for what and how long.
func goodFor(c claims) string {
	what := "for any tunnel name"
	if n := len(c.Tunnels); n > 0 {
		what = "for the tunnel names " + tidy(strings.Join(c.Tunnels[:min(n, 5)], ", "))
		if n > 5 {
			what += fmt.Sprintf(" and %d more", n-5)
		}
	}
	if until, ok := moment(c.Expires); ok {
		return what + ", until " + until.Local().Format(time.DateTime)
	}
	return what + ", without an end"
}
