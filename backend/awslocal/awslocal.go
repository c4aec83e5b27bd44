// Package awslocal is the backend's AWS account on one machine: the real functions
// behind stand-ins of API Gateway, Lambda's front, the Parameter Store and, if there
// are any, S3 and SQS, on the real DynamoDB Local. It composes what the packages below it are,
// in the way that the stack's template does, counts what all of it would cost, and
// starts and stops it as one thing.
//
// A visitor's request takes this way through the packages below it: httpapi makes an
// event of it, and runtime hands that to a function, which is the real program in a
// process of its own. What this one asks AWS for goes by meter, which counts it, to
// dynamolocal, ssm, S3 and SQS; wsapi holds the agents' and the waiters' WebSockets. An
// action goes on from the agents' function to the Processor through Lambda's own API, and
// a notice by sqssource from a queue to a function. clock and chaos are what tests turn:
// time, and AWS's bad days.
package awslocal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"culvert/backend/auth"
	"culvert/backend/awslocal/chaos"
	"culvert/backend/awslocal/clock"
	"culvert/backend/awslocal/httpapi"
	"culvert/backend/awslocal/meter"
	"culvert/backend/awslocal/runtime"
	"culvert/backend/awslocal/wsapi"
)

// Config describes the account. Bootstrap or InProcess is needed, the rest has
// defaults.
type Config struct {
	// Name is that of the stack: tables and the parameter begin with it. Default "culvert".
	Name string
	// HTTP and WS are the addresses of the visitors' and the agents' API, FunctionURL
	// that of the streaming function; empty: a free port of loopback, and no Function
	// URL. Port 0 is a free one.
	HTTP, WS, FunctionURL string
	// Subdomains hands out http://ID.localhost:PORT beside http://HOST:PORT/ID.
	Subdomains bool

	// Bootstrap is the functions' program.
	Bootstrap string
	// InProcess replaces functions, by role, by Go code in this process.
	InProcess map[Role]runtime.Factory

	// DynamoDB is a DynamoDB Local that runs already; nil: one is started.
	DynamoDB *url.URL
	// Tables to make besides the backend's own.
	Tables []*dynamodb.CreateTableInput
	// S3 is a server that takes path-style requests and checks no signatures; nil:
	// the backend has no bucket.
	S3 *url.URL

	// SQS is a server that speaks SQS's JSON protocol and checks no signatures; nil:
	// there are no notices, unless LocalSQS says that one is to be started (sqslocal).
	SQS      *url.URL
	LocalSQS bool
	// Visibility is how long a message that failed stays away. Default 3 min, as in the
	// template. It counts for queues that are not there yet.
	Visibility time.Duration

	// TokenSecret is what agents' tokens are signed with, and JWKS the file or URL of the
	// keys of those who sign tokens elsewhere. Neither: agents need no token.
	TokenSecret []byte
	JWKS        string
	// Audience and Issuer are what tokens must say (aud, iss); "": anything.
	Audience, Issuer string
	// ConnectAuth says when agents have to show their tokens. Default AuthRequired.
	ConnectAuth ConnectAuth

	// Format is the payload format of the HTTP API. Default 2.0.
	Format httpapi.Format
	// AccountConcurrency is the account's; 0: 1000, and the functions do not know.
	AccountConcurrency int
	// PublicConcurrency and StreamConcurrency are reserved for these functions; 0: none.
	PublicConcurrency, StreamConcurrency int
	// NoWaiters leaves out the waiters' API: all answers go by the store.
	NoWaiters bool
	// KeepRunning leaves environments running between invocations, unlike AWS.
	KeepRunning bool
	// Env are further variables for the functions, such as CULVERT_MAX_WAIT.
	Env map[string]string

	Clock clock.Clock   // of idle times and lifetimes; default the wall clock
	Chaos *chaos.Source // nil: nothing goes wrong by itself
	// WaitersChaos is that of the waiters' API. Default Chaos.
	WaitersChaos *chaos.Source
	// Delay, if any, is how much longer the functions' calls take than here: of
	// DynamoDB's operations ("GetItem"), S3's ("PutObject") and of @connections
	// ("PostToConnection").
	Delay func(operation string) time.Duration
	// Wrap, if any, stands between a gateway and a function.
	Wrap func(Role, runtime.Function) runtime.Function

	Output io.Writer          // told the progress, a line at a time; nil: nobody is
	Lines  func(runtime.Line) // told what the functions write; nil: nobody is
	Log    *slog.Logger       // nil: silent
}

// ConnectAuth is when agents have to say who they are.
type ConnectAuth string

// AuthRequired is when they connect, AuthDeferred by the action authorize at the latest.
const (
	AuthRequired ConnectAuth = "required"
	AuthDeferred ConnectAuth = "deferred"
)

// tokens reports whether agents need tokens.
func (c *Config) tokens() bool { return len(c.TokenSecret) > 0 || c.JWKS != "" }

// Local is the running account.
type Local struct {
	cfg   Config
	meter *meter.Meter

	urls      urls
	queues    Queues
	functions map[Role]*runtime.Lambda

	agents, waiters *wsapi.API

	killDatabase, killQueues func() // for tests; nil if the server is another's

	mu    sync.Mutex
	undo  []func() // how to stop what runs, the latest last
	done  chan struct{}
	err   error // why it ended by itself; valid once done is closed
	ended sync.Once
}

// urls are what functions and people are told.
type urls struct {
	public, subdomain, stream          string
	agents, agentsAPI                  string
	waiters, waitersAPI                string
	dynamodb, parameters, s3, tableKey string
	sqs, lambda                        string
}

const (
	region  = "us-east-1"
	account = "123456789012"
	stage   = "live"

	agentsAPIID  = "agentsapi1"
	waitersAPIID = "waitersap1"
	publicAPIID  = "publicapi1"
	streamURLID  = "abcdefghijklmnopqrstuvwxyz012345"

	accountRate, accountBurst = 10_000, 5_000
	connectRate, connectBurst = 20, 100 // of agents, the template's defaults

	// routeSelection is that of both WebSocket APIs, as in the template: no message of a
	// tunnel's has the member, so that these take the route $default.
	routeSelection = "$request.body.action"
)

var validName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,100}$`)

// New checks the config. Nothing is started yet.
func New(cfg Config) (*Local, error) {
	if cfg.Name == "" {
		cfg.Name = "culvert"
	}
	if !validName.MatchString(cfg.Name) {
		return nil, fmt.Errorf("the stack's name %q: a letter, then letters, digits and -", cfg.Name)
	}
	const free = "127.0.0.1:0"
	for _, a := range []struct {
		what  string
		value *string
	}{{"the visitors' API", &cfg.HTTP}, {"the agents' API", &cfg.WS}, {"the Function URL", &cfg.FunctionURL}} {
		if *a.value == "" && a.value != &cfg.FunctionURL {
			*a.value = free
		}
		if *a.value == "" {
			continue
		}
		if err := CheckAddress(*a.value); err != nil {
			return nil, fmt.Errorf("%s: %w", a.what, err)
		}
	}
	if !cfg.tokens() && !loopback(cfg.WS) {
		return nil, fmt.Errorf("%w: %s", ErrOpen, cfg.WS)
	}
	if err := cfg.checkAuth(); err != nil {
		return nil, err
	}
	if cfg.SQS != nil && cfg.LocalSQS {
		return nil, errors.New("an SQS server is there already, so none is to be started: leave one of both out")
	}
	if cfg.Visibility == 0 {
		cfg.Visibility = visibility
	}
	if cfg.Visibility < time.Second || cfg.Visibility > maxVisibility {
		return nil, fmt.Errorf("a message cannot stay away for %v: from 1s to %v", cfg.Visibility, maxVisibility)
	}
	for _, u := range []*url.URL{cfg.DynamoDB, cfg.S3, cfg.SQS} {
		if u != nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			return nil, fmt.Errorf("%q is no URL of a service such as http://127.0.0.1:8000", u.Redacted())
		}
	}
	if cfg.Bootstrap == "" && len(cfg.InProcess) == 0 {
		return nil, errors.New("no bootstrap program was given")
	}
	if cfg.Bootstrap != "" {
		if err := CheckBootstrap(cfg.Bootstrap); err != nil {
			return nil, err
		}
	}
	if cfg.Format == "" {
		cfg.Format = httpapi.V2
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.Real()
	}
	if cfg.WaitersChaos == nil {
		cfg.WaitersChaos = cfg.Chaos
	}
	if cfg.Output == nil {
		cfg.Output = io.Discard
	}
	if cfg.Lines == nil {
		cfg.Lines = func(runtime.Line) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Local{cfg: cfg, meter: meter.New(), functions: map[Role]*runtime.Lambda{}, done: make(chan struct{})}, nil
}

// checkAuth checks who may be an agent, and makes the name of a key file one that
// functions understand, who run elsewhere.
func (c *Config) checkAuth() error {
	if c.ConnectAuth == "" {
		c.ConnectAuth = AuthRequired
	}
	switch {
	case c.ConnectAuth != AuthRequired && c.ConnectAuth != AuthDeferred:
		return fmt.Errorf("%q is no time to ask for tokens: %s or %s", c.ConnectAuth, AuthRequired, AuthDeferred)
	case !c.tokens() && (c.Audience != "" || c.Issuer != "" || c.ConnectAuth == AuthDeferred):
		return ErrNoTokens
	case c.JWKS == "":
		return nil
	}
	if !strings.HasPrefix(c.JWKS, "http://") && !strings.HasPrefix(c.JWKS, "https://") {
		path, err := filepath.Abs(c.JWKS)
		if err != nil {
			return fmt.Errorf("JWKS: %w", err)
		}
		c.JWKS = path
	}
	// It is the functions that use it; a mistake in it is better told now.
	_, err := auth.New(auth.Config{JWKS: c.JWKS, Audience: c.Audience, Issuer: c.Issuer, Logger: slog.New(slog.DiscardHandler)})
	return err
}

// ErrNoTokens: something was said about tokens, and none are needed.
var ErrNoTokens = errors.New("audience, issuer and deferred authorization are about tokens: give a secret or a JWKS that these are signed with")

// ErrOpen says that everybody who reaches the address could be an agent.
var ErrOpen = errors.New("agents need no token here, so their API must be of this machine alone: give it a loopback address, or a secret for tokens")

// CheckBootstrap wants a program.
func CheckBootstrap(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("bootstrap: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("bootstrap: %s is no program", path)
	}
	return nil
}

// CheckAddress wants HOST:PORT.
func CheckAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q: want host and port, such as 127.0.0.1:8081", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q: %q is no port from 1 to 65535", address, port)
	}
	return nil
}

// PublicURL is the base of the visitors' URLs: /ID follows.
func (l *Local) PublicURL() string { return l.urls.public }

// SubdomainURL is the base of the visitors' URLs with IDs as labels, "" without.
func (l *Local) SubdomainURL() string { return l.urls.subdomain }

// StreamURL is the Function URL, "" without.
func (l *Local) StreamURL() string { return l.urls.stream }

// AgentsURL is what agents dial.
func (l *Local) AgentsURL() string { return l.urls.agents }

// Queues are those for notices; zero without SQS.
func (l *Local) Queues() Queues { return l.queues }

// Meter has counted everything since the start.
func (l *Local) Meter() *meter.Meter { return l.meter }

// Function is the one of a role; nil for stream without a Function URL, and for notices
// without SQS.
func (l *Local) Function(r Role) *runtime.Lambda { return l.functions[r] }

// AgentsAPI is the agents' WebSocket API, whose connections can be cut and hung.
func (l *Local) AgentsAPI() *wsapi.API { return l.agents }

// WaitersAPI is the WebSocket API of the functions that wait; nil without one.
func (l *Local) WaitersAPI() *wsapi.API { return l.waiters }

// Done is closed when the account has ended by itself, because a part of it did.
func (l *Local) Done() <-chan struct{} { return l.done }

// Err says why, after Done.
func (l *Local) Err() error {
	select {
	case <-l.done:
		return l.err
	default:
		return nil
	}
}

func (l *Local) end(err error) {
	l.ended.Do(func() {
		l.err = err
		close(l.done)
	})
}

// Run starts everything, calls ready, waits until ctx ends, and stops everything.
func (l *Local) Run(ctx context.Context, ready func()) error {
	if err := l.Start(ctx); err != nil {
		return err
	}
	defer l.Close()
	ready()
	select {
	case <-ctx.Done():
		return nil
	case <-l.done:
		return l.err
	}
}

// Close stops everything and waits for it, the way in first. It is called once
// Start has returned, and may be called again.
func (l *Local) Close() {
	l.mu.Lock()
	undo := l.undo
	l.undo = nil
	l.mu.Unlock()
	for i := len(undo) - 1; i >= 0; i-- {
		undo[i]()
	}
}

// onClose remembers how to stop what has just been started.
func (l *Local) onClose(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.undo = append(l.undo, f)
}

func (l *Local) say(format string, args ...any) { fmt.Fprintf(l.cfg.Output, format+"\n", args...) }
