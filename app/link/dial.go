package link

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/net/http/httpproxy"
	"golang.org/x/net/proxy"

	"culvert/backend/wire"
)

// gatewayFrame is the largest frame sent to a WebSocket API: gorilla cuts
// messages at its write buffer. A frame's head of up to 14 bytes comes on top.
const gatewayFrame = 16 << 10

// Dial connects to the backend and shakes hands. Refusals are, or wrap, a
// *wire.Error; every other error is worth trying again. All of them can be read
// by people, and none holds a secret.
func (c *Config) Dial(ctx context.Context, h Hello) (*Link, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	var l *Link
	err := c.withToken(func(token string) error {
		_, err := c.open(ctx, token, c.subprotocols(), func(ws *websocket.Conn, challenge string) error {
			l = newLink(c, ws)
			return l.greet(h, challenge)
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// TryUpgrade opens a WebSocket and closes it again, which shows whether the way to the
// backend lets WebSockets pass. Errors are those of Dial: a refusal has come from the
// backend, so that the way is open.
func (c *Config) TryUpgrade(ctx context.Context) error {
	if err := ValidateBackend(c.Backend, c.Token); err != nil {
		return err
	}
	ws, err := c.open(ctx, c.freshToken(), c.subprotocols(), func(*websocket.Conn, string) error { return nil })
	if err == nil {
		goodbye(ws)
	}
	return err
}

// subprotocols are what an agent offers.
func (c *Config) subprotocols() []string {
	if c.gateway() {
		return nil
	}
	return []string{wire.Subprotocol}
}

// open gets a WebSocket that offers subprotocols, and greets on it; challenge is what
// the backend wants an owner to sign.
func (c *Config) open(ctx context.Context, token string, subprotocols []string, greet func(ws *websocket.Conn, challenge string) error) (*websocket.Conn, error) {
	to := c.address()
	d := &dialer{config: c, target: to, token: token}
	// gorilla keeps to deadlines, but does not notice a context that ends early.
	stop := context.AfterFunc(ctx, d.close)
	defer stop()
	ws, err := d.upgrade(ctx, subprotocols)
	if err != nil {
		return nil, c.dialFailed(ctx, err, to)
	}
	if err := greet(ws, d.challenge); err != nil {
		_ = ws.Close()
		return nil, c.dialFailed(ctx, err, to)
	}
	if !stop() {
		_ = ws.Close()
		return nil, ctx.Err()
	}
	return ws, nil
}

func (c *Config) dialFailed(ctx context.Context, err error, to *url.URL) error {
	switch ctx.Err() {
	case context.Canceled:
		return ctx.Err()
	case context.DeadlineExceeded: // err is how the closing of the connection looked
		err = ctx.Err()
	}
	return explain(err, to, orDefault(c.DialTimeout, defaultDialTimeout))
}

const (
	defaultDialTimeout  = 15 * time.Second
	defaultHelloTimeout = 15 * time.Second
)

// readBuffer is how much is read at once of a WebSocket that gorilla reads.
const readBuffer = 32 << 10

// dialer is one attempt to get a WebSocket.
type dialer struct {
	config *Config
	target *url.URL
	token  string
	conn   closer
	// challenge is what the backend wants an owner to sign, once it has answered.
	challenge string
}

func (d *dialer) close() { d.conn.close() }

// upgrade opens the WebSocket.
func (d *dialer) upgrade(ctx context.Context, subprotocols []string) (*websocket.Conn, error) {
	c := d.config
	wd := websocket.Dialer{
		NetDialContext:   d.connect,
		HandshakeTimeout: orDefault(c.DialTimeout, defaultDialTimeout),
		ReadBufferSize:   readBuffer,
		WriteBufferSize:  gatewayFrame,
		Subprotocols:     subprotocols,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12,
			RootCAs:    c.RootCAs,
			NextProtos: []string{"http/1.1"}, // a WebSocket needs it; servers may prefer h2
		},
	}
	if !c.gateway() {
		d.prepareFrames(&wd)
	}
	header := http.Header{}
	if d.token != "" {
		header.Set("Authorization", "Bearer "+d.token)
	}
	if c.Agent != "" {
		header.Set("User-Agent", c.Agent)
	}
	ws, resp, err := wd.DialContext(ctx, d.target.String(), header)
	if errors.Is(err, websocket.ErrBadHandshake) && resp != nil {
		return nil, refusedUpgrade(resp, d.target)
	}
	if err == nil {
		d.challenge = resp.Header.Get(wire.ChallengeHeader)
	}
	return ws, err
}

// connect makes the TCP connection, through the environment's proxy if it names one.
func (d *dialer) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	seen := *d.target
	seen.Scheme = map[string]string{"ws": "http", "wss": "https"}[seen.Scheme]
	via, err := httpproxy.FromEnvironment().ProxyFunc()(&seen)
	if err != nil {
		return nil, &dialError{"the proxy named in the environment is no valid URL: check HTTPS_PROXY", err}
	}
	direct := &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
		ControlContext:  controlSocket,
	}
	if d.config.gateway() {
		direct.ControlContext = controlGatewaySocket
	}
	var conn net.Conn
	switch {
	case d.config.dial != nil:
		conn, err = d.config.dial(ctx, network, addr)
	case via == nil:
		conn, err = connectDirect(ctx, direct, addr)
	case via.Scheme == "http" || via.Scheme == "https":
		conn, err = d.connectVia(ctx, direct, via, addr)
	default:
		conn, err = connectSOCKS(ctx, direct, via, addr)
	}
	if err != nil {
		return nil, err
	}
	d.conn.set(conn)
	d.config.connected.Store(nil)
	if at, ok := conn.RemoteAddr().(*net.TCPAddr); ok && via == nil {
		ip := at.AddrPort().Addr()
		d.config.connected.Store(&ip)
	}
	return conn, nil
}

// connectDirect tries all of a name's addresses (RFC 8305). Those of localhost
// are ::1 and 127.0.0.1, even where the system names only one of them.
func connectDirect(ctx context.Context, direct *net.Dialer, addr string) (net.Conn, error) {
	conn, err := direct.DialContext(ctx, "tcp", addr)
	host, port, _ := net.SplitHostPort(addr)
	if err == nil || host != "localhost" || ctx.Err() != nil {
		return conn, err
	}
	for _, ip := range []string{"::1", "127.0.0.1"} {
		if conn, err := direct.DialContext(ctx, "tcp", net.JoinHostPort(ip, port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// connectSOCKS goes through a SOCKS 5 proxy (RFC 1928).
func connectSOCKS(ctx context.Context, direct *net.Dialer, via *url.URL, addr string) (net.Conn, error) {
	failed := func(err error) error { return proxyFailed(via.Host, 0, err) }
	d, err := proxy.FromURL(via, direct)
	if err != nil {
		return nil, failed(err)
	}
	socks, ok := d.(proxy.ContextDialer)
	if !ok {
		return nil, failed(fmt.Errorf("%s proxies are not supported", via.Scheme))
	}
	conn, err := socks.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, failed(err)
	}
	return conn, nil
}

// connectVia asks an HTTP proxy for a tunnel (RFC 9110, section 9.3.6).
func (d *dialer) connectVia(ctx context.Context, direct *net.Dialer, via *url.URL, addr string) (net.Conn, error) {
	at := via.Host
	if via.Port() == "" {
		at = net.JoinHostPort(via.Hostname(), map[string]string{"http": "80", "https": "443"}[via.Scheme])
	}
	status := 0
	failed := func(err error) error { return proxyFailed(at, status, err) }
	conn, err := direct.DialContext(ctx, "tcp", at)
	if err != nil {
		return nil, failed(err)
	}
	d.conn.set(conn)
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if via.Scheme == "https" {
		secure := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: d.config.RootCAs, ServerName: via.Hostname()})
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, failed(err)
		}
		conn = secure
	}
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{}}
	if via.User != nil {
		password, _ := via.User.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+
			base64.StdEncoding.EncodeToString([]byte(via.User.Username()+":"+password)))
	}
	if err := req.Write(conn); err != nil {
		_ = conn.Close()
		return nil, failed(err)
	}
	// A server speaks second in TLS and HTTP: the reader cannot take anything
	// that belongs to the tunnel. Its size bounds the proxy's head.
	resp, err := http.ReadResponse(bufio.NewReaderSize(&headReader{conn: conn, left: 64 << 10}, 4<<10), req)
	if err != nil {
		_ = conn.Close()
		return nil, failed(err)
	}
	// Its body is left alone: after 200 it would be the tunnel itself.
	switch status = resp.StatusCode; status {
	case http.StatusOK:
		return conn, nil
	case http.StatusProxyAuthRequired:
		err = errors.New("it wants a user and password (407): put them into HTTPS_PROXY, as http://USER:PASSWORD@HOST:PORT")
	default:
		err = fmt.Errorf("it answered %d %s to CONNECT", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	_ = conn.Close()
	return nil, failed(err)
}

func proxyFailed(at string, status int, err error) error {
	return &dialError{fmt.Sprintf("cannot connect through the proxy %s: %v", at, err), &ProxyError{at, status, err}}
}

// headReader stops after so many bytes.
type headReader struct {
	conn net.Conn
	left int
}

func (r *headReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errors.New("its answer does not end")
	}
	n, err := r.conn.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}
