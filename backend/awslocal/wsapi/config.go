package wsapi

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"culvert/backend/awslocal/chaos"
	"culvert/backend/awslocal/clock"
)

// Config is one WebSocket API with one stage.
type Config struct {
	ID    string // of the API, in events and ARNs
	Stage string
	// Region and Account are parts of ARNs; by default us-east-1 and 123456789012.
	Region, Account string

	// RouteSelection says which part of a message names its route:
	// $request.body.action. Messages that name none that exists go to $default.
	RouteSelection string
	// Routes by key: $connect, $disconnect, $default and keys of messages.
	Routes map[string]Route
	// Authorizer, if any, is asked before $connect.
	Authorizer *Authorizer

	// RequireStage refuses paths without the stage, as the address that AWS gives an API does.
	// A custom domain may leave it out.
	RequireStage bool
	// Principals verifies signatures. Without it, calls of @connections need a
	// signature that nobody checks, and no route can have IAM authorization.
	Principals Principals
	// Throttle of the stage (messages and handshakes), and of the account, which
	// @connections and other APIs share. Nil: none.
	StageThrottle, AccountThrottle Limiter

	Limits   Limits
	Clock    clock.Clock   // of Limits.Idle and Limits.Lifetime; default the wall clock
	Chaos    *chaos.Source // nil: nothing goes wrong
	Observer Observer      // nil: nobody counts
	Log      *slog.Logger  // nil: silent
}

// Limiter is a token bucket (x/time/rate has one).
type Limiter interface{ Allow() bool }

// Limits are the quotas of WebSocket APIs. Zero values are AWS's.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
type Limits struct {
	Frame    int           // bytes of a frame: 32 KB
	Message  int           // bytes of a message, either way: 128 KB
	Idle     time.Duration // 10 min without a message
	Lifetime time.Duration // 2 h

	// Integration is how long an answer is waited for: 29 s, by the wall clock, as functions run by it.
	Integration time.Duration
	// Header bounds the bytes of a handshake's request line and fields: 10,240.
	Header int
	// Connects are the new connections per second: 500.
	Connects int

	// ClientBuffer is how many bytes wait for a client that does not read, before posts are
	// refused. AWS does not document it: 1 MB.
	ClientBuffer int
	// InFlight bounds the messages that are being delivered, as the account's
	// throttles do at AWS: 2000.
	InFlight int
	// Connections bounds the connections: 5000.
	Connections int
}

// withDefaults fills in AWS's limits.
func (l Limits) withDefaults() Limits {
	orInt := func(v *int, fallback int) {
		if *v == 0 {
			*v = fallback
		}
	}
	orTime := func(v *time.Duration, fallback time.Duration) {
		if *v == 0 {
			*v = fallback
		}
	}
	orInt(&l.Frame, 32<<10)
	orInt(&l.Message, 128<<10)
	orTime(&l.Idle, 10*time.Minute)
	orTime(&l.Lifetime, 2*time.Hour)
	orTime(&l.Integration, 29*time.Second)
	orInt(&l.Header, 10240)
	orInt(&l.Connects, 500)
	orInt(&l.ClientBuffer, 1<<20)
	orInt(&l.InFlight, 2000)
	orInt(&l.Connections, 5000)
	return l
}

func (c *Config) validate() error {
	name := regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	if !name.MatchString(c.ID) {
		return fmt.Errorf("the API's ID %q must be letters, digits, _ or -", c.ID)
	}
	// A WebSocket API cannot have the stage $default, unlike an HTTP API.
	if !name.MatchString(c.Stage) {
		return fmt.Errorf("the stage %q must be letters, digits, _ or - (a WebSocket API has no $default stage)", c.Stage)
	}
	if _, err := parseSelection(c.RouteSelection); err != nil {
		return err
	}
	l := c.Limits
	if min(l.Frame, l.Message, l.Header, l.Connects, l.ClientBuffer, l.InFlight, l.Connections) < 0 ||
		min(l.Idle, l.Lifetime, l.Integration) < 0 {
		return errors.New("limits must not be negative")
	}
	for key, route := range c.Routes {
		if err := c.validateRoute(key, route); err != nil {
			return fmt.Errorf("route %s: %w", key, err)
		}
	}
	if c.Authorizer != nil {
		if err := c.Authorizer.validate(); err != nil {
			return fmt.Errorf("authorizer: %w", err)
		}
		if r, ok := c.Routes[routeConnect]; !ok || r.IAM {
			return errors.New("an authorizer needs a $connect route that has no other authorization")
		}
	}
	return nil
}

func (c *Config) validateRoute(key string, r Route) error {
	if (r.Lambda == nil) == (r.Mock == nil) {
		return errors.New("a route has one integration: Lambda or Mock")
	}
	if r.Lambda != nil && r.Lambda.Function == nil {
		return errors.New("the integration has no function")
	}
	if r.IAM && key != routeConnect {
		return errors.New("only $connect can have authorization")
	}
	if r.IAM && c.Principals == nil {
		return errors.New("IAM authorization needs Principals to verify signatures with")
	}
	if r.RouteResponse && key == routeDisconnect {
		return errors.New("there is nobody to answer on $disconnect")
	}
	if r.Mock != nil {
		return r.Mock.validate()
	}
	return nil
}
