package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"culvert/app/config"
	"culvert/app/console"
	"culvert/app/version"
	"culvert/backend/auth"
	"culvert/backend/relay"
)

// drainTimeout is a bit more than the relay itself gives to visitors.
const drainTimeout = 15 * time.Second

type relayCmd struct {
	Listen        string   `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to listen on, for agents and visitors; 0.0.0.0:PORT for every network. Default: 127.0.0.1:8080."`
	PublicURL     string   `name:"public-url" placeholder:"URL" help:"Base of the URLs handed out, such as https://tunnel.example.com, where visitors reach this relay. Default: made from --listen."`
	Subdomains    bool     `help:"Hand out https://ID.tunnel.example.com; needs a wildcard DNS record. Without it, and beside it, https://tunnel.example.com/ID works."`
	JWTSecretFile filePath `name:"jwt-secret-file" placeholder:"FILE" help:"Agents need a JSON Web Token signed with the secret in this file (HS256; at least 32 bytes)."`
	JWKS          jwksName `name:"jwks" placeholder:"FILE|URL" help:"Agents need a token signed with one of these public keys (JSON Web Key Set; RS, PS, ES or EdDSA); beside --jwt-secret-file, either will do. Read again when it changes."`
	Audience      string   `placeholder:"AUD" help:"Accept only tokens made for this audience (aud)."`
	Issuer        string   `placeholder:"ISS" help:"Accept only tokens of this issuer (iss)."`
	ConnectAuth   string   `enum:"required,deferred" default:"required" placeholder:"WHEN" help:"When the token is due: required means when connecting; deferred, that it may also be shown within a minute by the action authorize. Default: required."`
	Revoked       filePath `placeholder:"FILE" help:"Refuse the tokens in this list, also of those who are connected. Written by culvert token revoke, and read again when it changes."`
	Open          bool     `help:"Let everybody be an agent. Whoever finds this relay can then publish whatever he likes under your name."`
	TrustedProxy  []string `placeholder:"CIDR" help:"Believe X-Forwarded headers from these addresses; repeatable."`
	TLSCert       filePath `name:"tls-cert" and:"tls" placeholder:"FILE" help:"Serve https with this certificate chain (PEM). It is read again when it changes."`
	TLSKey        filePath `name:"tls-key" and:"tls" placeholder:"FILE" help:"The certificate's private key (PEM)."`
}

// Help is shown below the summary.
func (*relayCmd) Help() string {
	return `Examples:

    culvert relay
    culvert relay --listen 0.0.0.0:443 --public-url https://tunnel.example.com \
        --tls-cert cert.pem --tls-key key.pem --jwt-secret-file secret

Without --jwt-secret-file and --jwks only agents on this machine are accepted, and only if --public-url is of this machine, too. Paths under /_culvert/ and /_status/ are the relay's own: /_culvert/healthz answers 200 while it runs.

Programs without a tunnel may connect, too, as wscat and browsers do, and ask for actions:

    {"action":"ping","data":"Ann"}

A notice to the connections of a user, or to one of them (/_culvert/notify/connection, "connectionId"):

    curl -H "Authorization: Bearer $(cat token)" -H 'Content-Type: application/json' \
        -d '{"userId":"ann","data":"hello"}' https://tunnel.example.com/_culvert/notify/user

A token may notify its own user, and with the claim "notify":true everybody.

SIGTERM or SIGINT: agents are sent away, visitors may finish for 10 seconds; a second signal ends that at once. Agents get the same URLs when the relay is back: its signing key and their reservations are kept in the config folder.`
}

// relayPlan is what the flags mean.
type relayPlan struct {
	host     string // to listen on
	port     int
	public   *url.URL // nil: made from the address
	config   relay.Config
	cert     *certificate   // nil: no TLS
	verifier *auth.Verifier // nil: no tokens
	warnings []string
}

// Run is a relay until a signal ends it.
func (c *relayCmd) Run(out *output) error {
	defer spareGarbage()()
	dir, err := config.Open(out.configDir)
	if err != nil {
		return err
	}
	if _, err := dir.Load(); err != nil { // nothing in it is for relays yet; but say that it is broken
		return usageError{err}
	}
	logLines := console.NewLines(out.stderr, nil, nil)
	defer flush(logLines)
	log := slog.New(slog.NewTextHandler(logLines, nil))
	plan, err := c.plan(log)
	if err != nil {
		return usageError{err}
	}
	signals, stop := listenForSignals()
	defer stop()
	ln, err := listen(plan.host, plan.port)
	if err != nil {
		return err
	}
	port := ln.Addr().(*net.TCPAddr).Port
	cfg := plan.config
	cfg.PublicURL, cfg.StateDir = plan.public, dir.RelayState()
	cfg.Logger, cfg.Version = log, version.Number
	if cfg.PublicURL == nil {
		cfg.PublicURL = c.defaultURL(plan.host, port)
	}
	server, err := relay.New(cfg)
	if err != nil {
		ln.Close()
		return err
	}
	for _, warning := range append(plan.warnings, c.unreachable(cfg.PublicURL, plan.host)...) {
		log.Warn(warning)
	}
	defer plan.fetchKeys()()
	fmt.Fprintf(out.stdout, "culvert relay listens on %s, public URL %s\n", ln.Addr(), cfg.PublicURL)

	served := make(chan error, 1)
	go func() {
		if plan.cert != nil {
			served <- server.ServeTLS(ln, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return plan.cert.get(), nil })
		} else {
			served <- server.Serve(ln)
		}
	}()
	select {
	case s := <-signals:
		log.Info("stopping: visitors may finish", "signal", signalName(s))
	case err = <-served:
		err = fmt.Errorf("the relay accepts nobody any more: %w", err)
	}
	ctx, cancel := untilSecond(signals, drainTimeout)
	defer cancel()
	return errors.Join(err, server.Shutdown(ctx))
}

// plan checks the flags and reads the files that they name. All its errors are
// the user's to mend.
func (c *relayCmd) plan(log *slog.Logger) (*relayPlan, error) {
	p := &relayPlan{config: relay.Config{Subdomains: c.Subdomains, Open: c.Open}}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, fmt.Errorf("--listen=%q: want host and port, such as 127.0.0.1:8080", c.Listen)
	}
	if p.port, err = strconv.Atoi(port); err != nil || p.port < 0 || p.port > 65535 {
		return nil, fmt.Errorf("--listen=%q: %q is no port from 1 to 65535", c.Listen, port)
	}
	p.host = host
	if c.PublicURL != "" {
		if p.public, err = parsePublicURL(c.PublicURL); err != nil {
			return nil, err
		}
	}
	if c.Subdomains {
		if name := c.publicName(p); net.ParseIP(name) != nil {
			return nil, fmt.Errorf("--subdomains: %s is an IP address, which has no subdomains: give a host name with --public-url", name)
		}
	}
	for _, s := range c.TrustedProxy {
		prefix, err := parsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("--trusted-proxy=%q: want an address range such as 10.0.0.0/8, or an address", s)
		}
		p.config.TrustedProxies = append(p.config.TrustedProxies, prefix)
	}
	if err := c.planTokens(p, log); err != nil {
		return nil, err
	}
	if c.TLSCert != "" {
		if p.cert, err = loadCertificate(string(c.TLSCert), string(c.TLSKey), log); err != nil {
			return nil, err
		}
		p.warn(config.LooseMode(string(c.TLSKey)))
	}
	if c.Open {
		p.warnings = append(p.warnings, "OPEN RELAY: everybody who reaches this address can open tunnels here, without a token; anything they publish is published under your name")
	}
	return p, nil
}

func (c *relayCmd) scheme() string {
	if c.TLSCert != "" {
		return "https"
	}
	return "http"
}

// publicName is the host of the URLs that will be handed out.
func (c *relayCmd) publicName(p *relayPlan) string {
	if p.public != nil {
		return p.public.Hostname()
	}
	return c.defaultURL(p.host, 1).Hostname()
}

// defaultURL is the public URL of a relay that was not told one. Nobody visits
// "every address", so that becomes this machine.
func (c *relayCmd) defaultURL(host string, port int) *url.URL {
	addr, err := netip.ParseAddr(host)
	local := host == "" || err == nil && (addr.IsUnspecified() || addr.IsLoopback())
	switch {
	case c.Subdomains && local:
		host = "localhost" // an IP address has no subdomains; browsers know those of localhost
	case host == "" || err == nil && addr.IsUnspecified():
		host = "127.0.0.1"
	}
	return &url.URL{Scheme: c.scheme(), Host: net.JoinHostPort(host, strconv.Itoa(port))}
}

// warn adds a warning unless there is none.
func (p *relayPlan) warn(warning string) {
	if warning != "" {
		p.warnings = append(p.warnings, warning)
	}
}

// unreachable warns of relays that nobody, or no agent, will ever reach.
func (c *relayCmd) unreachable(public *url.URL, host string) (warnings []string) {
	loopback := isLoopback(public.Hostname())
	if addr, err := netip.ParseAddr(host); c.PublicURL == "" && (host == "" || err == nil && addr.IsUnspecified()) {
		warnings = append(warnings, fmt.Sprintf("the URLs handed out begin with %s and work on this machine only: name the address that visitors use with --public-url", public))
	}
	if !loopback && !c.Open && !c.wantsTokens() {
		warnings = append(warnings, "no agent will be accepted: the public URL is not of this machine, so agents need a token; give --jwt-secret-file or --jwks")
	}
	return warnings
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func parsePublicURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return nil, fmt.Errorf("--public-url=%q: want a URL such as https://tunnel.example.com", s)
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "", u.User != nil:
		return nil, fmt.Errorf("--public-url=%q: want scheme and host only, no user, path or query: tunnels live at the root", u.Redacted())
	}
	return u, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	return prefix.Masked(), err
}

func listen(host string, port int) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("port %d is in use by another program: stop that, or choose another port with --listen (%w)", port, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("this user may not listen on port %d: choose one from 1024 up with --listen (%w)", port, err)
	case err != nil:
		return nil, fmt.Errorf("listening: %w", err)
	}
	return ln, nil
}
