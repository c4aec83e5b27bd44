package forwarder

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"culvert/app/folder"
	"culvert/app/target"
)

const (
	dialTimeout = 5 * time.Second
	tlsTimeout  = 10 * time.Second
)

// dialer opens connections to the target.
type dialer struct {
	addresses []string // host:port; more than one for localhost
	// last is the index of the address that answered last. A service that comes
	// back on the other one is found there.
	last    atomic.Int32
	tls     *tls.Config    // nil for http
	folder  *folder.Server // in place of all that; nil for services
	timeout time.Duration
}

func newDialer(cfg *Config) *dialer {
	t := cfg.Target
	if t.IsFolder() {
		return &dialer{folder: folder.NewServer(t.Folder, cfg.Logger), timeout: cfg.Timeout}
	}
	d := &dialer{addresses: []string{t.Address()}, timeout: cfg.Timeout}
	if t.IsLocalhost() {
		// Both, whatever the resolver says: programs that listen on "localhost"
		// choose either. IPv6 first, as browsers do (RFC 6724).
		port := strconv.Itoa(t.Port)
		d.addresses = []string{net.JoinHostPort("::1", port), net.JoinHostPort("127.0.0.1", port)}
	}
	if t.Scheme == "https" {
		d.tls = &tls.Config{
			ServerName: serverName(t),
			RootCAs:    cfg.RootCAs,
			// Nobody has a certificate for localhost that others trust, and
			// nobody else can answer there.
			InsecureSkipVerify: t.IsLoopback(),
			NextProtos:         []string{"http/1.1"},
		}
	}
	return d
}

func serverName(t target.Target) string {
	name, _, _ := strings.Cut(t.Host, "%")
	return strings.TrimSuffix(name, ".")
}

// errHandshake marks errors of TLS: something did answer.
type errHandshake struct{ error }

func (e errHandshake) Unwrap() error { return e.error }

// ready looks whether there is a folder to serve. It is asked before every request: the
// folder's server does not go when the folder does.
func (d *dialer) ready() error {
	if d.folder == nil {
		return nil
	}
	return d.folder.Check()
}

func (d *dialer) close() {
	if d.folder != nil {
		d.folder.Close()
	}
}

func (d *dialer) dial(ctx context.Context) (*conn, error) {
	if d.folder != nil {
		c, err := d.folder.Dial(ctx)
		if err != nil {
			return nil, err
		}
		return newConn(c, nil, d.timeout)
	}
	tcp, err := d.dialTCP(ctx)
	if err != nil {
		return nil, err
	}
	var c net.Conn = tcp
	if d.tls != nil {
		secure := tls.Client(tcp, d.tls)
		ctx, cancel := context.WithTimeout(ctx, tlsTimeout)
		defer cancel()
		if err := secure.HandshakeContext(ctx); err != nil {
			tcp.Close()
			return nil, errHandshake{err}
		}
		c = secure
	}
	lc, err := newConn(c, tcp, d.timeout)
	if err != nil {
		tcp.Close()
	}
	return lc, err
}

// dialTCP tries the addresses in turn, the last known one first. On one machine
// a refusal comes at once.
func (d *dialer) dialTCP(ctx context.Context) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var errs []error
	last := int(d.last.Load())
	for i := range d.addresses {
		i = (i + last) % len(d.addresses)
		var dialer net.Dialer
		c, err := dialer.DialContext(ctx, "tcp", d.addresses[i])
		if err == nil {
			if i != last {
				d.last.Store(int32(i))
			}
			return c.(*net.TCPConn), nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// authorities are the names by which the service may call itself in its answers.
func authorities(t target.Target, h HostHeader) []string {
	names := []string{t.HostHeader()}
	if t.IsLoopback() && !t.IsFolder() {
		for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
			alias := t
			alias.Host = host
			names = append(names, alias.HostHeader())
		}
	}
	if h != HostLocal && h != HostPublic {
		names = append(names, string(h))
	}
	slices.Sort(names)
	return slices.Compact(names)
}
