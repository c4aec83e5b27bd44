package relay

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"culvert/backend/auth"
	"culvert/backend/wire"
)

func TestTrustedLoopback(t *testing.T) {
	t.Parallel()
	const public = "http://127.0.0.1:8080"
	for _, c := range []struct {
		name, peer, host, public string
		header                   []string
		want                     bool
	}{
		{"all loopback", "127.0.0.1", "127.0.0.1:8080", public, nil, true},
		{"by name", "127.0.0.1", "LocalHost:8080", "http://localhost:8080", nil, true},
		{"IPv6", "::1", "[::1]:8080", "http://[::1]:8080", nil, true},
		{"all of 127/8", "127.1.2.3", "127.9.9.9", public, nil, true},
		{"peer elsewhere", "192.168.1.5", "127.0.0.1:8080", public, nil, false},
		{"any address is none", "0.0.0.0", "127.0.0.1:8080", public, nil, false},
		{"rebound host", "127.0.0.1", "evil.test:8080", public, nil, false},
		{"a host that looks like one", "127.0.0.1", "127.0.0.1.evil.test", public, nil, false},
		{"a host below localhost", "127.0.0.1", "evil.localhost", public, nil, false},
		{"no host", "127.0.0.1", "", public, nil, false},
		{"public relay", "127.0.0.1", "127.0.0.1:8080", "https://tunnel.example.com", nil, false},
		{"a web page", "127.0.0.1", "127.0.0.1:8080", public, []string{"Origin", "http://127.0.0.1:8080"}, false},
		{"an opaque web page", "127.0.0.1", "127.0.0.1:8080", public, []string{"Origin", "null"}, false},
		{"an empty origin", "127.0.0.1", "127.0.0.1:8080", public, []string{"Origin", ""}, false},
		{"behind a proxy", "127.0.0.1", "127.0.0.1:8080", public, []string{"X-Forwarded-For", "1.2.3.4"}, false},
		{"behind a proxy, proto only", "127.0.0.1", "127.0.0.1:8080", public, []string{"X-Forwarded-Proto", "https"}, false},
		{"behind a proxy, port only", "127.0.0.1", "127.0.0.1:8080", public, []string{"X-Forwarded-Port", "1"}, false},
		{"behind a newer proxy", "127.0.0.1", "127.0.0.1:8080", public, []string{"Forwarded", "for=1.2.3.4"}, false},
		{"behind nginx", "127.0.0.1", "127.0.0.1:8080", public, []string{"X-Real-Ip", "1.2.3.4"}, false},
		{"behind Squid", "127.0.0.1", "127.0.0.1:8080", public, []string{"Via", "1.1 squid"}, false},
		{"behind a CDN", "127.0.0.1", "127.0.0.1:8080", public, []string{"Cdn-Loop", "cdn.test"}, false},
		{"behind Cloudflare", "127.0.0.1", "127.0.0.1:8080", public, []string{"Cf-Connecting-Ip", "1.2.3.4"}, false},
		{"behind Cloudflare, IPv6", "127.0.0.1", "127.0.0.1:8080", public, []string{"Cf-Connecting-IPv6", "::2"}, false},
		{"behind Akamai", "127.0.0.1", "127.0.0.1:8080", public, []string{"True-Client-Ip", "1.2.3.4"}, false},
		{"behind a balancer", "127.0.0.1", "127.0.0.1:8080", public, []string{"X_cluster_client_IP", "1.2.3.4"}, false},
		{"behind ingress", "127.0.0.1", "127.0.0.1:8080", public, []string{"X-Original-Forwarded-For", "1.2.3.4"}, false},
		{"what programs send", "127.0.0.1", "127.0.0.1:8080", public, []string{"User-Agent", "x", "Accept", "*/*", "Authorization", "Bearer x", "X-Request-Id", "1"}, true},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = c.host
		for i := 0; i < len(c.header); i += 2 {
			r.Header.Add(c.header[i], c.header[i+1])
		}
		if got := trustedLoopback(r, netip.MustParseAddr(c.peer), mustURL(c.public)); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// admitToken accepts one token.
func admitToken(token string, identity auth.Identity) func(context.Context, string) (auth.Identity, error) {
	return func(_ context.Context, shown string) (auth.Identity, error) {
		if shown != token {
			return auth.Identity{}, auth.ErrInvalidToken
		}
		return identity, nil
	}
}

// The same over a socket: what the handshake answers.
func TestAgentsAreAdmittedOrRefused(t *testing.T) {
	t.Parallel()
	loopback := startRelay(t, nil)
	public := startRelay(t, func(c *Config) { c.PublicURL = mustURL("https://tunnel.example.com") })
	open := startRelay(t, func(c *Config) { c.PublicURL, c.Open = mustURL("https://tunnel.example.com"), true })
	tokens := startRelay(t, func(c *Config) { c.Authenticate = admitToken("right", auth.Identity{Subject: "ann"}) })
	for _, c := range []struct {
		name   string
		relay  *testRelay
		path   string
		header http.Header
		status int
		code   wire.ErrorCode
	}{
		{"loopback", loopback, "", nil, 101, ""},
		{"loopback with a query", loopback, "?token=whatever", nil, 101, ""},
		{"loopback from a page", loopback, "", http.Header{"Origin": {"http://127.0.0.1"}}, 403, wire.CodeForbidden},
		{"loopback, another host", loopback, "", http.Header{"Host": {"evil.test"}}, 401, wire.CodeUnauthorized},
		{"loopback, forwarded", loopback, "", http.Header{"X-Forwarded-For": {"1.2.3.4"}}, 401, wire.CodeUnauthorized},
		{"public", public, "", nil, 401, wire.CodeUnauthorized},
		{"open", open, "", http.Header{"Host": {"tunnel.example.com"}, "X-Forwarded-For": {"1.2.3.4"}}, 101, ""},
		{"open, from a page", open, "", http.Header{"Origin": {"https://tunnel.example.com"}}, 403, wire.CodeForbidden},
		{"token", tokens, "", http.Header{"Authorization": {"Bearer right"}}, 101, ""},
		{"token, scheme in lower case", tokens, "", http.Header{"Authorization": {"bearer right"}}, 101, ""},
		{"token in the URL", tokens, "?token=right", nil, 101, ""},
		{"token from a page", tokens, "?token=right", http.Header{"Origin": {"https://elsewhere.test"}}, 101, ""},
		{"no token from loopback", tokens, "", nil, 401, wire.CodeUnauthorized},
		{"wrong token", tokens, "", http.Header{"Authorization": {"Bearer wrong"}}, 401, wire.CodeUnauthorized},
		{"wrong scheme", tokens, "", http.Header{"Authorization": {"Basic right"}}, 401, wire.CodeUnauthorized},
		{"a wrong one beside a right one", tokens, "?token=right", http.Header{"Authorization": {"Bearer wrong"}}, 401, wire.CodeUnauthorized},
	} {
		ws, res, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+c.relay.addr+"/"+c.path, c.header)
		if err == nil {
			ws.Close()
		}
		if res == nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if res.StatusCode != c.status {
			t.Errorf("%s: status %d, want %d", c.name, res.StatusCode, c.status)
		}
		if c.code == "" {
			continue
		}
		text, _ := io.ReadAll(res.Body)
		var body struct {
			Status string
			Error  struct{ Code, Message string }
		}
		if err := json.Unmarshal(text, &body); err != nil || body.Status != "error" || body.Error.Code != string(c.code) || body.Error.Message == "" {
			t.Errorf("%s: body %s (%v)", c.name, text, err)
		}
	}
	for _, r := range []*testRelay{tokens, loopback} {
		if log := r.log.String(); strings.Contains(log, "right") || strings.Contains(log, "whatever") {
			t.Errorf("a token stands in the log:\n%s", log)
		}
	}
}

// An agent's place is the path / of the base host, and no other.
func TestOnlyTheBaseHostTakesAgents(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) {
		c.PublicURL, c.Subdomains = mustURL("http://localhost:80"), true
	})
	for _, c := range []struct {
		host, path string
		status     int
	}{
		{"localhost", "/", 101}, {"localhost", "/?x", 101}, {"127.0.0.1", "/", 101},
		{"shop.localhost", "/", 404}, {"SHOP.localhost:99", "/", 404}, {"_.localhost", "/", 404},
		{"localhost", "/shop", 404}, {"localhost", "//", 404}, {"localhost", "/_culvert/agent", 404},
	} {
		ws, res, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+r.addr+c.path, http.Header{"Host": {c.host}})
		if err == nil {
			ws.Close()
		}
		if res == nil {
			t.Fatal(err)
		}
		if res.StatusCode != c.status {
			t.Errorf("%s%s: %d, want %d", c.host, c.path, res.StatusCode, c.status)
		}
	}
}

func TestOwnHosts(t *testing.T) {
	t.Parallel()
	owner := newOwner(t)
	anybody := startRelay(t, func(c *Config) { c.PublicURL, c.Open = mustURL("https://tunnel.example.com"), true })
	tokens := startRelay(t, func(c *Config) {
		c.PublicURL = mustURL("https://tunnel.example.com")
		c.Authenticate = admitToken("t", auth.Identity{}) // admits, but names nobody
	})
	for _, c := range []struct {
		name        string
		relay       *testRelay
		host, proof string
		ok          bool
	}{
		{"the public host", anybody, "", "tunnel.example.com", true},
		{"the public host, called by another name", anybody, "elsewhere.test", "Tunnel.Example.com", true},
		{"the address", anybody, "", anybody.addr, true},
		{"another relay's proof", anybody, "evil.test", "evil.test", false},
		{"a proof for nowhere", anybody, "", "evil.test", false},
		{"behind a token", tokens, "relay.lan", "relay.lan", true},
		{"behind a token, for another host", tokens, "relay.lan", "evil.test", false},
	} {
		header := http.Header{"Authorization": {"Bearer t"}}
		if c.host != "" {
			header.Set("Host", c.host)
		}
		ws := c.relay.mustDialAgent(header)
		writeObject(t, ws, object{"type": "ready", "protocol": 2, "owner": owner.Public(), "proof": c.relay.prove(ws, owner, c.proof)})
		got := readObject(t, ws)
		if c.ok != (got["type"] == "connection_established") || !c.ok && got["code"] != "unauthorized" {
			t.Errorf("%s: %v", c.name, got)
		}
		ws.Close()
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"no URL":               func(c *Config) { c.PublicURL = nil },
		"no host":              func(c *Config) { c.PublicURL = mustURL("http:///x") },
		"a path":               func(c *Config) { c.PublicURL = mustURL("http://a.test/path") },
		"a query":              func(c *Config) { c.PublicURL = mustURL("http://a.test/?q") },
		"letters beyond ASCII": func(c *Config) { c.PublicURL = mustURL("http://tünnel.example") },
		"another scheme":       func(c *Config) { c.PublicURL = mustURL("ftp://a.test") },
		"subdomains of an IP":  func(c *Config) { c.PublicURL, c.Subdomains = mustURL("http://127.0.0.1:8080"), true },
		"an invalid proxy":     func(c *Config) { c.TrustedProxies = []netip.Prefix{{}} },
		"a negative age":       func(c *Config) { c.MaxAgentAge = -1 },
		"a negative timeout":   func(c *Config) { c.Limits.HandshakeTimeout = -1 },
		"bodies over the wire": func(c *Config) { c.Limits.BodyBytes = wire.MaxRelayBody + 1 },
	} {
		cfg := Config{PublicURL: mustURL("http://a.test")}
		change(&cfg)
		if s, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
			s.Shutdown(t.Context())
		}
	}
}
