// Package relay is the backend as one process on any machine: agents hold a
// WebSocket to it, visitors send it HTTP requests, and it carries each request to
// the agent that holds the tunnel.
//
// Roles of the files: server.go (life of the process), trust.go (who may connect),
// connect.go, connection.go and connections.go (a connection, and all of them),
// authorize.go and actions.go (what it may ask for), handshake.go and agents.go (how it
// becomes an agent's), watch.go (when its time is over), registry.go (who holds what),
// reservations.go and key.go (what outlives the process), notify.go (notices),
// visitors.go (where a request goes), form2.go, proxy.go and upgrade.go (a connection in
// form 2, and one exchange with it), form1.go, outbox.go, pending1.go and exchange1.go
// (the same in form 1), patience.go, limits.go and quota.go (what visitors and agents
// may use up), status.go.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"

	"culvert/backend/auth"
	"culvert/backend/visitor"
	"culvert/backend/wire"
)

// Config is what a relay is made from.
type Config struct {
	// PublicURL is the base of the URLs handed out: scheme and host, no path.
	PublicURL *url.URL
	// Subdomains hands out scheme://ID.host as public URLs; the path form works, too.
	// Where PublicURL is of this machine, http://ID.localhost always works beside it,
	// because every browser takes such names for this machine without any DNS.
	Subdomains bool
	// Open lets anybody be an agent when there is no Authenticate.
	Open bool
	// Authenticate verifies an agent's bearer token. Its error is shown to the
	// agent. An Identity without a subject admits the agent, whose owner key then
	// says who it is. If Authenticate is nil, agents are accepted from loopback
	// only, unless Open.
	Authenticate func(ctx context.Context, token string) (auth.Identity, error)
	// ConnectAuth says when the token is due, if there is Authenticate.
	ConnectAuth ConnectAuth
	// Revoked reports whether a token was taken back. It is asked often, also while its
	// bearer is connected, and must not block; nil: none ever is.
	Revoked func(auth.Identity) bool
	// TrustedProxies are believed about where a visitor comes from.
	TrustedProxies []netip.Prefix
	// StateDir keeps the signing key and the reservations; "" keeps them in memory.
	StateDir string
	// MaxAgentAge is how long an agent's connection may live; 0 is for ever.
	MaxAgentAge time.Duration
	Limits      Limits
	Logger      *slog.Logger // nil: silent
	Version     string       // for agents' logs
}

// ConnectAuth says when who connects must show a token.
type ConnectAuth string

const (
	// AuthRequired, the default: when connecting.
	AuthRequired ConnectAuth = "required"
	// AuthDeferred: also later, by the action authorize, before everything else. A wrong
	// token is refused when connecting, too.
	AuthDeferred ConnectAuth = "deferred"
)

// Limits bound what others can use up. Zero fields become defaults.
type Limits struct {
	HeaderBytes   int           // a visitor's request head: 64 KB
	HeaderTimeout time.Duration // and the time it may take: 10 s
	IdleTimeout   time.Duration // a visitor's connection between requests: 2 min
	StallTimeout  time.Duration // a visitor who neither takes nor sends a byte that is due: 5 min
	UploadTimeout time.Duration // the same, for a request's body before its answer has begun: 1 min

	AnswerTimeout    time.Duration // form 1: an agent's answer: 60 s
	BodyBytes        int64         // form 1: one body: 8 MB, at most wire.MaxRelayBody
	PendingBodyBytes int64         // form 1: all bodies in memory: 256 MB, at least 4 bodies
	BodyStallTimeout time.Duration // form 1: StallTimeout while a body is held in memory: 30 s

	StreamsPerTunnel  int // exchanges at once: 2048
	StreamsPerVisitor int // those of one address at one tunnel: half of that
	TunnelsPerOwner   int // 100
	Tunnels           int // all together: 10,000

	HandshakesPerSecond       float64       // of agents, all together: 100, in bursts of 5 times as many
	HandshakesPerSecondFromIP float64       // the same from one address: 10
	HandshakeTimeout          time.Duration // 10 s; who has not said ready by then is a client
	AuthorizeTimeout          time.Duration // for a token that is shown later: 1 min

	Clients           int           // connections without a tunnel: 1,000; so many may wait for their token, too
	ClientsPerUser    int           // those of one user or address: 20
	ClientIdleTimeout time.Duration // a client that asks for nothing: 10 min, as on API Gateway
	ActionTimeout     time.Duration // 5 s
	CheckInterval     time.Duration // at which revocations and the like are looked at: 2 s

	NoticesPerSecond       float64 // of all senders together: 100, in bursts of 5 times as many
	NoticesPerSecondFromIP float64 // the same from one address: 50

	PingInterval time.Duration // on an idle agent connection: 15 s
	PingTimeout  time.Duration // silence after which an agent is dead: 25 s
	ProbeTimeout time.Duration // an agent's sign of life when its name is claimed: 3 s
	DrainTimeout time.Duration // a replaced connection finishes its exchanges: 30 s
	Grace        time.Duration // visitors finish when the relay stops: 10 s
}

func orDefault[T int | int64 | float64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

func (l *Limits) setDefaults() {
	orDefault(&l.HeaderBytes, 64<<10)
	orDefault(&l.HeaderTimeout, 10*time.Second)
	orDefault(&l.IdleTimeout, 2*time.Minute)
	orDefault(&l.StallTimeout, 5*time.Minute)
	orDefault(&l.UploadTimeout, min(time.Minute, l.StallTimeout))
	orDefault(&l.AnswerTimeout, time.Minute)
	orDefault(&l.BodyBytes, wire.MaxRelayBody)
	orDefault(&l.PendingBodyBytes, 256<<20)
	orDefault(&l.BodyStallTimeout, min(30*time.Second, l.StallTimeout))
	orDefault(&l.StreamsPerTunnel, 2048)
	orDefault(&l.StreamsPerVisitor, max(1, l.StreamsPerTunnel/2))
	orDefault(&l.TunnelsPerOwner, 100)
	orDefault(&l.Tunnels, 10_000)
	orDefault(&l.HandshakesPerSecond, 100)
	orDefault(&l.HandshakesPerSecondFromIP, 10)
	orDefault(&l.HandshakeTimeout, 10*time.Second)
	orDefault(&l.AuthorizeTimeout, time.Minute)
	orDefault(&l.Clients, 1000)
	orDefault(&l.ClientsPerUser, 20)
	orDefault(&l.ClientIdleTimeout, 10*time.Minute)
	orDefault(&l.ActionTimeout, 5*time.Second)
	orDefault(&l.CheckInterval, 2*time.Second)
	orDefault(&l.NoticesPerSecond, 100)
	orDefault(&l.NoticesPerSecondFromIP, 50)
	orDefault(&l.PingInterval, 15*time.Second)
	orDefault(&l.PingTimeout, 25*time.Second)
	orDefault(&l.ProbeTimeout, 3*time.Second)
	orDefault(&l.DrainTimeout, 30*time.Second)
	orDefault(&l.Grace, 10*time.Second)
}

func (l *Limits) validate() error {
	for name, bad := range map[string]bool{
		"HeaderBytes":  l.HeaderBytes < 4<<10,
		"timeouts":     min(l.HeaderTimeout, l.IdleTimeout, l.StallTimeout, l.UploadTimeout, l.BodyStallTimeout, l.AnswerTimeout, l.HandshakeTimeout, l.AuthorizeTimeout, l.ClientIdleTimeout, l.ActionTimeout, l.CheckInterval, l.PingInterval, l.ProbeTimeout, l.DrainTimeout, l.Grace) < 0,
		"PingTimeout":  l.PingTimeout <= l.PingInterval,
		"BodyBytes":    l.BodyBytes < 1 || l.BodyBytes > wire.MaxRelayBody || l.PendingBodyBytes < 4*l.BodyBytes,
		"tunnels":      l.StreamsPerTunnel < 1 || l.StreamsPerVisitor < 1 || l.TunnelsPerOwner < 1 || l.Tunnels < 1,
		"handshakes/s": l.HandshakesPerSecond < 0 || l.HandshakesPerSecondFromIP < 0,
		"notices/s":    l.NoticesPerSecond < 0 || l.NoticesPerSecondFromIP < 0,
		"clients":      l.Clients < 1 || l.ClientsPerUser < 1,
	} {
		if bad {
			return fmt.Errorf("the limit %s is out of range", name)
		}
	}
	return nil
}

// prepare checks the configuration and fills in defaults.
func (c *Config) prepare() error {
	switch u := c.PublicURL; {
	case u == nil:
		return errors.New("a relay needs its public URL")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.User != nil, u.RawQuery != "", u.Fragment != "":
		return fmt.Errorf("the public URL %q must look like https://tunnel.example.com", u.Redacted())
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r > unicode.MaxASCII }):
		return fmt.Errorf("the public URL %q must have its host in ASCII, as browsers send it: write its xn-- form", u.Redacted())
	case u.Path != "" && u.Path != "/":
		return fmt.Errorf("the public URL %q must not have a path: tunnels live at its root", u.Redacted())
	case c.Subdomains && net.ParseIP(u.Hostname()) != nil:
		return fmt.Errorf("the public URL %q is an IP address, which has no subdomains: use a host name (localhost works in browsers)", u.Redacted())
	}
	public := *c.PublicURL
	public.Path, public.RawPath = "", ""
	public.Host = strings.ToLower(public.Host)
	c.PublicURL = &public
	for i, prefix := range c.TrustedProxies {
		if !prefix.IsValid() {
			return fmt.Errorf("trusted proxy %d is no address range", i+1)
		}
	}
	switch {
	case c.ConnectAuth == "":
		c.ConnectAuth = AuthRequired
	case c.ConnectAuth != AuthRequired && c.ConnectAuth != AuthDeferred:
		return fmt.Errorf("tokens are %q or %q when connecting, not %q", AuthRequired, AuthDeferred, c.ConnectAuth)
	case c.ConnectAuth == AuthDeferred && c.Authenticate == nil:
		return errors.New("tokens cannot be shown later where none are taken")
	}
	if c.MaxAgentAge < 0 {
		return errors.New("an agent's connection cannot have a negative age")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Limits.setDefaults()
	return c.Limits.validate()
}

// publicURLs are the addresses of the tunnel id; subdomain is "" if it has none.
func (c *Config) publicURLs(id string) (public, path, subdomain string) {
	path = c.PublicURL.String() + "/" + id
	if host := c.hostForm(); host != "" {
		subdomain = c.PublicURL.Scheme + "://" + id + "." + host
	}
	if c.Subdomains {
		return subdomain, path, subdomain
	}
	return path, path, subdomain
}

// hostForm is the host[:port] below which each tunnel has a host name of its own,
// or "". RFC 6761, section 6.3, makes names below localhost mean this machine; not
// all resolvers do, so that they are handed out beside the path form only. Nobody
// has a certificate for them.
func (c *Config) hostForm() string {
	switch {
	case c.Subdomains:
		return c.PublicURL.Host
	case c.PublicURL.Scheme != "http" || !loopbackHost(c.PublicURL.Host):
		return ""
	}
	host := "localhost"
	if port := c.PublicURL.Port(); port != "" {
		host += ":" + port
	}
	return host
}

func (c *Config) proxies() visitor.Proxies { return visitor.Proxies(c.TrustedProxies) }
