package link

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"culvert/backend/mux"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// Config says how to reach a backend, and who serves what comes from it. It
// belongs to one session, whose connections all share it, and must not be copied.
type Config struct {
	// Backend is a relay (http, https) or a WebSocket API (ws, wss), whose path,
	// the stage, and query are kept.
	Backend *url.URL
	// Token is sent as bearer token when connecting; "" for none.
	Token string
	// TokenSource, if any, gives the token as it is now; "" if it is what it was. It is
	// asked before every connection, since tokens are renewed, and Token is what counts
	// until it has given one. If it fails, the latest one is shown again.
	TokenSource func() (string, error)
	// Owner is what tunnel names belong to without a token; may be zero.
	Owner tunnel.OwnerKey
	// RootCAs are the trusted roots; nil means the system's.
	RootCAs *x509.CertPool
	// Handler serves one request and returns when it is over; it is called in a
	// goroutine for each.
	Handler func(wire.Exchange)
	// OnNotice, if any, gets what somebody sends to the agent's user. It is called by
	// the goroutine that reads the connection, also while a connection that was
	// replaced finishes, and must not block. The same notice may come on several
	// connections, or twice.
	OnNotice func(*wire.Notice)
	// Buffers is what the connection shares with those of other tunnels, or nil.
	Buffers *mux.Buffers
	// Agent is this program's name and version, for the backend's log.
	Agent  string
	Logger *slog.Logger

	// DialTimeout bounds getting a WebSocket, and HelloTimeout the greeting
	// after it; 15 s each by default.
	DialTimeout  time.Duration
	HelloTimeout time.Duration
	// AnswerTimeout bounds a whole answer in form 1, where nothing reaches the
	// visitor before its end; 27 s by default on a WebSocket API, which gives up
	// after 29 s, and 5 min on a relay.
	AnswerTimeout time.Duration

	tokens     tokens
	board      board // what the session's connections have in common
	packer     wire.Packer
	blobOnce   sync.Once
	blobClient *blobs
	connected  atomic.Pointer[netip.Addr] // where the backend is, unless behind a proxy
	// dial stands in for the network; only tests have one.
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Limits of one session in form 1.
const (
	maxConcurrent  = 256      // requests served at the same time
	maxBuffered    = 64 << 20 // bytes of answers being gathered, and of requests over one message
	maxRelayAnswer = 5 * time.Minute
	maxGateAnswer  = 27 * time.Second
)

// maxTokenLen keeps the handshake's head within what servers take.
const maxTokenLen = 8 << 10

// Validate says what is wrong with the configuration, in words for its user.
func (c *Config) Validate() error {
	if c.Handler == nil {
		return errors.New("link: Config without Handler")
	}
	return ValidateBackend(c.Backend, c.Token)
}

// ValidateBackend checks a backend's address and token as a user gave them. Its
// errors repeat nothing in which a secret may be.
func ValidateBackend(backend *url.URL, token string) error {
	u := backend
	if u == nil {
		return errors.New("no backend is named: use --backend")
	}
	switch u.Scheme {
	case "http", "https":
		if u.Path != "" && u.Path != "/" || u.RawQuery != "" {
			return fmt.Errorf("backend %s: a relay's address has no path or query: leave it out", addressOf(u))
		}
	case "ws", "wss":
	default:
		return fmt.Errorf("backend %s: want http://, https:// (a relay), ws:// or wss:// (a WebSocket API)", addressOf(u))
	}
	switch {
	case u.Hostname() == "":
		return fmt.Errorf("backend %s: no host in it", addressOf(u))
	case !validPort(u):
		return fmt.Errorf("backend %s: a port is a number from 1 to 65535", addressOf(u))
	case u.User != nil:
		return fmt.Errorf("backend %s: no user or password belongs there: use --token", addressOf(u))
	case u.Fragment != "":
		return fmt.Errorf("backend %s: a fragment (# and what follows) means nothing there", addressOf(u))
	}
	if !validToken(token) {
		return errNoToken
	}
	return nil
}

// validPort: no port, or one that can be dialled. A URL takes any digits, and none.
func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0
}

// addressOf is what an error may show of a backend's URL: tokens stand in queries,
// in fragments and before an @.
func addressOf(u *url.URL) string {
	return (&url.URL{
		Scheme: u.Scheme, Opaque: u.Opaque[strings.LastIndexByte(u.Opaque, '@')+1:],
		Host: u.Host, Path: u.Path, RawPath: u.RawPath,
	}).String()
}

// gateway: the backend is behind API Gateway, or must be treated so.
func (c *Config) gateway() bool { return c.Backend.Scheme == "ws" || c.Backend.Scheme == "wss" }

// address is the WebSocket URL to dial.
func (c *Config) address() *url.URL {
	u := &url.URL{Scheme: c.Backend.Scheme, Host: strings.ToLower(c.Backend.Host), Path: "/"}
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	default:
		u.RawQuery = c.Backend.RawQuery
		if c.Backend.Path != "" {
			u.Path, u.RawPath = c.Backend.Path, c.Backend.RawPath
		}
	}
	return u
}

// hostPort is where to connect to.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "wss" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func (c *Config) logger() *slog.Logger {
	if c.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Logger
}

func (c *Config) answerTimeout() time.Duration {
	switch {
	case c.gateway():
		if c.AnswerTimeout > 0 {
			return min(c.AnswerTimeout, maxGateAnswer)
		}
		return maxGateAnswer
	case c.AnswerTimeout > 0:
		return c.AnswerTimeout
	default:
		return maxRelayAnswer
	}
}

func orDefault(d, def time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return def
}
