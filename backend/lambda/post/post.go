// Package post sends messages to WebSockets that API Gateway holds
// (https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html).
//
// That a message was accepted does not mean that it arrives. A message is sent
// once: when it is not known whether API Gateway got it, it is not sent again, since
// a request must not reach the local service twice.
package post

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"culvert/backend/lambda/signed"
	"culvert/backend/lambda/timer"
	"culvert/backend/wire"
)

// Errors of a Poster.
var (
	// ErrGone: API Gateway does not know the connection (410).
	ErrGone = errors.New("the connection has gone")
	// ErrBusy: there were too many calls, or the connection's buffer is full (429).
	ErrBusy = errors.New("the connection, or the account, takes no more messages now")
	// ErrForbidden: the function's role lacks execute-api:ManageConnections here (403).
	ErrForbidden = errors.New("posting to the connection is not allowed")
	// ErrTooLarge: the message is over API Gateway's limit.
	ErrTooLarge = fmt.Errorf("the message is over API Gateway's limit of %d bytes", wire.MaxGatewayMessage)
	// ErrUnavailable: no answer in time, or one that says nothing.
	ErrUnavailable = errors.New("API Gateway could not be reached")
)

// Config is how to reach the connections of one WebSocket API.
type Config struct {
	// Endpoint is the management endpoint with the stage, as in
	// https://abc123.execute-api.eu-west-1.amazonaws.com/live. It is not that of a
	// custom domain.
	Endpoint    string
	Region      string
	Credentials aws.CredentialsProvider
	// HTTP is the client to use; http.DefaultClient by default.
	HTTP aws.HTTPClient
	// Now is the time; time.Now by default.
	Now func() time.Time
}

// Validate says what is wrong, and what to do about it.
func (c *Config) Validate() error {
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("the management endpoint %q is no URL: give the one of the API's stage, https://…/STAGE", c.Endpoint)
	case u.Scheme == "wss" || u.Scheme == "ws":
		return fmt.Errorf("the management endpoint %q has the address that agents dial: write https:// instead of %s://", c.Endpoint, u.Scheme)
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("the management endpoint %q must begin with https://", c.Endpoint)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return errors.New("the management endpoint must be host and stage only, as in https://…/STAGE")
	case c.Credentials == nil || c.Region == "":
		return errors.New("posting needs a region and credentials")
	}
	return nil
}

// Poster posts to the connections of one WebSocket API. It is safe for use by many
// goroutines.
type Poster struct {
	client *signed.Client
	base   string // of the URLs of connections
	now    func() time.Time
}

// New makes a Poster. It opens no connection yet.
func New(cfg Config) (*Poster, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	client, err := signed.New(signed.Config{Service: "execute-api", Region: cfg.Region, Credentials: cfg.Credentials, HTTP: cfg.HTTP, Now: cfg.Now})
	if err != nil {
		return nil, err
	}
	p := &Poster{client: client, base: strings.TrimSuffix(cfg.Endpoint, "/") + "/@connections/", now: cfg.Now}
	if p.now == nil {
		p.now = time.Now
	}
	return p, nil
}

// maxAnswer bounds what API Gateway answers, which is short.
const maxAnswer = 64 << 10

// call makes one call about a connection. The error is one of this package's.
func (p *Poster) call(ctx context.Context, method, connection string, body []byte) (*signed.Answer, error) {
	var header http.Header
	if method == http.MethodPost {
		header = http.Header{"Content-Type": {"application/octet-stream"}}
	}
	a, err := p.client.Do(ctx, method, p.base+escape(connection), header, body, maxAnswer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return a, refusal(a)
}

// escape makes one segment of a path of a connection's ID, as the signature wants it:
// everything but what is unreserved is escaped (RFC 3986, section 2.3).
func escape(id string) string {
	return strings.ReplaceAll(url.QueryEscape(id), "+", "%20")
}

// Option is how one message is to be posted.
type Option func(*options)

type options struct {
	young  time.Time
	within time.Duration
}

// Young says when the connection came to be: for its first two seconds, API Gateway
// may say that it has gone though it has only just come, so that it is asked again
// after 100, 200 and 400 ms.
func Young(connectedAt time.Time) Option { return func(o *options) { o.young = connectedAt } }

// Within bounds how long the call may take.
func Within(d time.Duration) Option { return func(o *options) { o.within = d } }

// childhood is how long 410 may mean "not yet".
const childhood = 2 * time.Second

// maxCall bounds a call where nobody else has.
const maxCall = 10 * time.Second

// Post sends a text message to a connection: nil says that it was accepted, no more.
func (p *Poster) Post(ctx context.Context, connection string, text []byte, opts ...Option) error {
	if connection == "" {
		return ErrGone
	}
	if len(text) > wire.MaxGatewayMessage {
		return ErrTooLarge
	}
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if o.within <= 0 {
		o.within = maxCall
	}
	ctx, cancel := context.WithTimeout(ctx, o.within)
	defer cancel()
	for _, wait := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 0} {
		_, err := p.call(ctx, http.MethodPost, connection, text)
		if !errors.Is(err, ErrGone) || wait == 0 || !p.isYoung(o.young) || timer.Wait(ctx, wait) != nil {
			return err
		}
	}
	panic("unreachable")
}

func (p *Poster) isYoung(connectedAt time.Time) bool {
	// API Gateway's clock may be ahead of this one.
	return !connectedAt.IsZero() && p.now().Sub(connectedAt) < childhood
}

// Info is what API Gateway knows of a connection.
type Info struct {
	ConnectedAt, LastActiveAt time.Time
	SourceIP                  string
}

// Info asks for a connection: ErrGone if it has gone.
func (p *Poster) Info(ctx context.Context, connection string) (Info, error) {
	if connection == "" {
		return Info{}, ErrGone
	}
	ctx, cancel := context.WithTimeout(ctx, maxCall)
	defer cancel()
	a, err := p.call(ctx, http.MethodGet, connection, nil)
	if err != nil {
		return Info{}, err
	}
	var known struct {
		ConnectedAt  time.Time `json:"connectedAt"`
		LastActiveAt time.Time `json:"lastActiveAt"`
		Identity     struct {
			SourceIP string `json:"sourceIp"`
		} `json:"identity"`
	}
	if err := json.Unmarshal(a.Body, &known); err != nil {
		return Info{}, fmt.Errorf("%w: what it knows of a connection cannot be read: %w", ErrUnavailable, err)
	}
	return Info{ConnectedAt: known.ConnectedAt, LastActiveAt: known.LastActiveAt, SourceIP: known.Identity.SourceIP}, nil
}

// Delete closes a connection. One that has gone is no error.
func (p *Poster) Delete(ctx context.Context, connection string) error {
	if connection == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxCall)
	defer cancel()
	if _, err := p.call(ctx, http.MethodDelete, connection, nil); !errors.Is(err, ErrGone) {
		return err
	}
	return nil
}

// refusal makes one of this package's errors of an answer; nil if it is none. The status
// decides, which says more than the text: API Gateway itself answers some calls, without
// a type.
func refusal(a *signed.Answer) error {
	switch kind := a.Kind(""); {
	case a.Status/100 == 2:
		return nil
	case a.Status == http.StatusGone, kind == "GoneException":
		return ErrGone
	case a.Status == http.StatusTooManyRequests, kind == "LimitExceededException":
		return ErrBusy
	case a.Status == http.StatusRequestEntityTooLarge, kind == "PayloadTooLargeException":
		return ErrTooLarge
	case a.Status == http.StatusForbidden, kind == "ForbiddenException":
		return fmt.Errorf("%w: status %d %s", ErrForbidden, a.Status, kind)
	default:
		return fmt.Errorf("%w: it answers with status %d %s", ErrUnavailable, a.Status, kind)
	}
}
