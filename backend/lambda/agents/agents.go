// Package agents is the agents' side of the serverless backend: it serves the events
// of the WebSocket API that agents connect to.
//
// Every event is an invocation of its own, in any order, perhaps twice, perhaps never.
// $connect says who the agent is, and does nothing else: nothing can be posted to a
// connection before it has returned, and what it returns reaches nobody. The agent's
// ready makes it the holder of a tunnel, which is told by a post. Its answers name the
// request by an ID that authenticates itself (package ticket); they are handed to
// whoever waits, as they came, without looking anything up.
//
// Messages without a type are actions, which anybody may ask for who connects, agent or
// not. Where a connection may open without a token, it can do nothing until the action
// authorize has shown whose it is. After an error a handler does nothing more than to
// take back what it has granted, and to tell or let go whoever waits for an answer.
package agents

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"culvert/backend/auth"
	"culvert/backend/lambda/event"
	"culvert/backend/lambda/keys"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// Store is what is needed of a *store.Store.
type Store interface {
	PutConnection(ctx context.Context, c store.Connection) error
	Connection(ctx context.Context, id string) (*store.Connection, error)
	Authorize(ctx context.Context, id string, who auth.Identity, owner string) error
	AuthorizeFailed(ctx context.Context, id string) (times int, err error)
	Revoked(ctx context.Context, token auth.Identity) (bool, error)
	PutUserConnection(ctx context.Context, owner string, c store.UserConnection) error
	UserConnections(ctx context.Context, owner string) ([]store.UserConnection, error)
	ForgetUserConnection(ctx context.Context, owner, connection string) error
	ForgetOf(ctx context.Context, owner, connection string) error
	Attach(ctx context.Context, tunnel string, h store.Holder, a store.Agent) error
	Ponged(ctx context.Context, id string) error
	Prolong(ctx context.Context, tunnel string, h store.Holder) error
	Lookup(ctx context.Context, id string, consistent bool) (*store.Tunnel, error)
	Claim(ctx context.Context, c tunnel.Claim, h store.Holder, max int, dead string) (*store.Claimed, error)
	GiveBack(ctx context.Context, got *store.Claimed) error
	Release(ctx context.Context, id, connection string) (bool, error)
	Uncount(ctx context.Context, quota, connection string) error
	HeldBy(ctx context.Context, quota string) ([]store.Held, error)
	PutAnswer(ctx context.Context, id string, part int, message []byte, expires time.Time) (bool, error)
}

// Poster is what is needed of a *post.Poster for agents' connections.
type Poster interface {
	Waiters
	Info(ctx context.Context, connection string) (post.Info, error)
	Delete(ctx context.Context, connection string) error
}

// Waiters is what is needed of a *post.Poster for waiters' connections.
type Waiters interface {
	Post(ctx context.Context, connection string, text []byte, opts ...post.Option) error
}

// Keys is what is needed of a *keys.Source.
type Keys interface {
	Get(ctx context.Context) (*keys.Set, error)
	Reread(ctx context.Context, have *keys.Set) (set *keys.Set, changed bool, err error)
}

// Counter takes metrics.
type Counter interface {
	Count(name string, n float64)
}

// Names of metrics.
const (
	countPosts   = "Posts"   // messages posted to agents
	countGone    = "Gone"    // of which to nobody
	countPushed  = "Pushed"  // messages handed to one who waits
	countStored  = "Stored"  // messages stored for one who waits
	countRefused = "Refused" // agents and messages that were refused
)

// Auth says how agents show who they are.
type Auth string

const (
	// AuthJWT: by a token (JWT).
	AuthJWT Auth = "jwt"
	// AuthNone: by an owner key, or not at all. For a backend that only this machine
	// can reach.
	AuthNone Auth = "none"
)

// Config is what an Agents needs.
type Config struct {
	Store  Store
	Poster Poster
	// Waiters may be nil: then all answers go by the store.
	Waiters Waiters
	Keys    Keys
	Auth    Auth
	// ConnectAuth says when tokens are shown; ConnectRequired by default.
	ConnectAuth ConnectAuth
	// Processor does the actions that are not the host's own; nil: there are none.
	Processor Processor
	// PublicURL is the base of the URLs in path form. SubdomainURL is where each
	// tunnel has a host of its own, or "". StreamURL is the base of URLs for answers
	// that are streamed, or "".
	PublicURL, SubdomainURL, StreamURL string
	// Hosts are further names that agents may dial this backend by.
	Hosts []string
	// Blob says that bodies may go by an object store.
	Blob bool
	// MaxTunnels is how many tunnels an owner may hold at once, if a token does not
	// say otherwise.
	MaxTunnels int
	Version    string
	Logger     *slog.Logger
	Count      Counter
	// Now is the time; time.Now by default.
	Now func() time.Time
}

// Validate says what is wrong with the configuration.
func (c *Config) Validate() error {
	switch {
	case c.Store == nil, c.Poster == nil, c.Keys == nil:
		return errors.New("agents: Store, Poster and Keys are needed")
	case c.Auth != AuthJWT && c.Auth != AuthNone:
		return fmt.Errorf("agents may show who they are by %q or %q, not by %q", AuthJWT, AuthNone, c.Auth)
	case c.ConnectAuth != ConnectRequired && c.ConnectAuth != ConnectDeferred && c.ConnectAuth != "":
		return fmt.Errorf("a token may be %q at connect, or %q, not %q", ConnectRequired, ConnectDeferred, c.ConnectAuth)
	case c.MaxTunnels < 1:
		return fmt.Errorf("an owner must be allowed at least one tunnel, not %d", c.MaxTunnels)
	case c.PublicURL == "":
		return errors.New("the base of the public URLs is missing")
	}
	for _, base := range []string{c.PublicURL, c.SubdomainURL, c.StreamURL} {
		u, err := url.Parse(base)
		if base != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			return fmt.Errorf("%q is no base of public URLs: it must be like https://tunnel.example.com", base)
		}
	}
	return nil
}

// Agents serves agents. It is safe for use by many goroutines.
type Agents struct {
	cfg      Config
	log      *slog.Logger
	now      func() time.Time
	count    func(name string)
	urls     urls
	patience patience
	admitted admitted

	presences presences
}

// patience is how long is waited where nothing says when it is enough. Tests have less.
type patience struct {
	probe    time.Duration // for the answer to a ping
	look     time.Duration // between looks whether it came
	tell     time.Duration // before an agent is told once more that it has its tunnel
	farewell time.Duration // for an agent to read the last message, before it is cut off
	list     time.Duration // for all answers about a user's connections, and as long for removing those that have gone
}

// New makes an Agents. It asks for nothing yet.
func New(cfg Config) (*Agents, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &Agents{cfg: cfg, log: cfg.Logger, now: cfg.Now, count: func(string) {}, urls: newURLs(&cfg),
		patience: patience{probe: 2 * time.Second, look: 200 * time.Millisecond, tell: 200 * time.Millisecond, farewell: 500 * time.Millisecond, list: 5 * time.Second}}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.now == nil {
		a.now = time.Now
	}
	if cfg.Count != nil {
		a.count = func(name string) { cfg.Count.Count(name, 1) }
	}
	return a, nil
}

// Outcome is what the function returns for an event. An error that the client was told is
// an answer like any other, by whatever way: the status is 200.
type Outcome struct {
	// Status, on $connect, refuses the connection if it is not 200.
	Status int
	// Body reaches the client, on routes that have a RouteResponse.
	Body []byte
}

// Handle serves one event. The error is for the log: what the client is to know of it is
// told, by the body, or by a post to its connection.
func (a *Agents) Handle(ctx context.Context, m *event.Message) (Outcome, error) {
	var err error
	switch {
	case m.ConnectionID == "":
		return Outcome{Status: http.StatusBadRequest}, event.ErrNoConnection
	case m.EventType == event.Connect:
		status, err := a.connect(ctx, m)
		return Outcome{Status: status}, err
	case m.EventType == event.Disconnect:
		err = a.disconnect(ctx, m)
	case m.EventType == event.Text:
		return a.message(ctx, m)
	default:
		return Outcome{Status: http.StatusBadRequest}, fmt.Errorf("%w: type %.40q", event.ErrMalformed, m.EventType)
	}
	return over(err)
}

// over is the outcome of what is answered by posts, if at all.
func over(err error) (Outcome, error) {
	if err != nil {
		return Outcome{Status: http.StatusInternalServerError}, err
	}
	return Outcome{Status: http.StatusOK}, nil
}

// message serves one message of a client: of an agent, if it has a type.
func (a *Agents) message(ctx context.Context, m *event.Message) (Outcome, error) {
	e, typed, err := readEnvelope(m.Body)
	if !typed {
		return a.act(ctx, m)
	}
	if err == nil && e.Type == wire.TypeReady {
		return over(a.ready(ctx, m))
	}
	if ok, err := a.admit(ctx, m); !ok || err != nil {
		return over(err)
	}
	if err != nil {
		a.refuse(m, "message that cannot be read", err)
		return over(nil)
	}
	return over(a.ofTunnel(ctx, m, e))
}

// ofTunnel serves a message of an agent that may have a tunnel.
func (a *Agents) ofTunnel(ctx context.Context, m *event.Message, e *envelope) error {
	switch e.Type {
	case wire.TypePing:
		return a.ping(ctx, m, e)
	case wire.TypePong:
		return a.cfg.Store.Ponged(ctx, m.ConnectionID)
	case wire.TypeHTTPResponse, wire.TypeChunk, wire.TypeResend:
		return a.answer(ctx, m, e)
	case wire.TypeError:
		if e.RequestID != "" {
			return a.answer(ctx, m, e)
		}
		a.reported(m)
	default:
		a.log.Info("message ignored", "connection", m.ConnectionID, "type", printable(string(e.Type)))
	}
	return nil
}

// reported logs what an agent says about its connection.
func (a *Agents) reported(m *event.Message) {
	message, err := wire.Decode(m.Body, wire.MaxGatewayMessage)
	if e, ok := message.(*wire.ErrorMessage); ok && err == nil {
		a.log.Info("agent reports an error", "connection", m.ConnectionID, "code", printable(string(e.Code)), "text", printable(e.Message))
	}
}

// refuse logs and counts what was not accepted. Nothing that the agent sent is in
// the log: it may hold a token.
func (a *Agents) refuse(m *event.Message, what string, why error) {
	a.count(countRefused)
	a.log.Warn("refused: "+what, "connection", m.ConnectionID, "from", m.SourceIP, "cause", why)
}

// postWithin bounds a post to an agent, so that there is time left to try again.
const postWithin = 3 * time.Second

// postTo posts to an agent and counts it.
func (a *Agents) postTo(ctx context.Context, connection string, text []byte, opts ...post.Option) error {
	a.count(countPosts)
	err := a.cfg.Poster.Post(ctx, connection, text, append(opts, post.Within(postWithin))...)
	if errors.Is(err, post.ErrGone) {
		a.count(countGone)
	}
	return err
}

// printable bounds and cleans what an agent may put into the log.
func printable(s string) string {
	const most = 100
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.ToValidUTF8(s, "")
}
