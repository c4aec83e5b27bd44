package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
)

// TestLoopbackTrust knocks as agents would, with all that tells a program of
// this machine's user from a web page or from somebody behind a proxy.
func TestLoopbackTrust(t *testing.T) {
	t.Parallel()
	plain := startRelay(t)
	subdomains := startRelay(t, "--subdomains")
	public := startRelay(t, "--public-url", "https://tunnel.example.com")
	open := startRelay(t, "--open")
	secret := writeSecret(t, testSecret)
	token := startRelay(t, "--jwt-secret-file", secret)
	good := "Bearer " + mint(t, jwt.SigningMethodHS256, []byte(testSecret), jwt.MapClaims{"sub": "me", "exp": time.Now().Add(time.Hour).Unix()})

	h := func(pairs ...string) http.Header {
		header := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			header.Add(pairs[i], pairs[i+1])
		}
		return header
	}
	const in, out = true, false
	for name, c := range map[string]struct {
		relay  *relay
		host   string // "" for the address
		header http.Header
		want   bool
	}{
		"plain":                     {plain, "", nil, in},
		"localhost":                 {plain, "localhost", nil, in},
		"localhost with port":       {plain, fmt.Sprintf("localhost:%d", plain.port), nil, in},
		"IPv6 host":                 {plain, "[::1]:1", nil, in},
		"other loopback address":    {plain, "127.9.9.9", nil, in},
		"public host":               {plain, "tunnel.example.com", nil, out},
		"rebound host":              {plain, fmt.Sprintf("attacker.example:%d", plain.port), nil, out},
		"host like loopback":        {plain, "127.0.0.1.example.com", nil, out},
		"host like localhost":       {plain, "localhost.example.com", nil, out},
		"LAN host":                  {plain, "192.168.1.2", nil, out},
		"page of another site":      {plain, "", h("Origin", "https://example.com"), out},
		"page on localhost":         {plain, "", h("Origin", "http://localhost:3000"), out},
		"page of the relay itself":  {plain, "", h("Origin", plain.url()), out},
		"sandboxed page":            {plain, "", h("Origin", "null"), out},
		"behind a proxy (For)":      {plain, "", h("X-Forwarded-For", "203.0.113.9"), out},
		"behind a proxy (loopback)": {plain, "", h("X-Forwarded-For", "127.0.0.1"), out},
		"behind a proxy (Proto)":    {plain, "", h("X-Forwarded-Proto", "https"), out},
		"behind a proxy (Host)":     {plain, "", h("X-Forwarded-Host", "localhost"), out},
		"behind a proxy (other)":    {plain, "", h("X-Forwarded-Anything", "x"), out},
		"behind a proxy (RFC 7239)": {plain, "", h("Forwarded", "for=127.0.0.1"), out},
		"subdomains":                {subdomains, "", nil, in},
		"public URL is not here":    {public, "", nil, out},
		"public URL as host":        {public, "tunnel.example.com", nil, out},
		"open":                      {open, "", nil, in},
		"open, any host":            {open, "tunnel.example.com", nil, in},
		"open, proxied":             {open, "", h("X-Forwarded-For", "203.0.113.9"), in},
		"open, page":                {open, "", h("Origin", "https://example.com"), out},
		"token missing":             {token, "", nil, out},
		"token":                     {token, "", h("Authorization", good), in},
		"token, any host":           {token, "tunnel.example.com", h("Authorization", good), in},
		"token, page":               {token, "", h("Authorization", good, "Origin", "https://example.com"), in},
		"token, garbage":            {token, "", h("Authorization", "Bearer x.y.z"), out},
		"token, no bearer":          {token, "", h("Authorization", "Basic dXNlcjpwYXNz"), out},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := c.header.Clone()
			if header == nil {
				header = http.Header{}
			}
			if c.host != "" {
				header.Set("Host", c.host)
			}
			status, body := wsDial(t, "ws://"+c.relay.addr()+"/", header, nil)
			switch {
			case c.want == in && status != http.StatusSwitchingProtocols:
				t.Errorf("refused with %d: %s", status, body)
			case c.want == out && status != http.StatusUnauthorized && status != http.StatusForbidden:
				t.Errorf("status %d, want 401 or 403: %s", status, body)
			case c.want == out && (!strings.Contains(body, `"status":"error"`) || !strings.Contains(body, `"code":`) || !strings.Contains(body, `"message":`)):
				t.Errorf("the refusal is %q, want the documented shape", body)
			}
		})
	}
	t.Run("peer", func(t *testing.T) {
		t.Parallel()
		addr := outsideAddr(t)
		everywhere := &relay{port: freePort(t), config: t.TempDir()}
		everywhere.process = startProcess(t, "culvert", nil, "relay", "--listen", fmt.Sprintf("0.0.0.0:%d", everywhere.port),
			"--public-url", fmt.Sprintf("http://localhost:%d", everywhere.port), "--config", everywhere.config)
		everywhere.awaitHealthy(t)
		header := http.Header{"Host": {fmt.Sprintf("localhost:%d", everywhere.port)}}
		if status, _ := wsDial(t, "ws://"+everywhere.addr()+"/", header, nil); status != http.StatusSwitchingProtocols {
			t.Errorf("from loopback: status %d", status)
		}
		status, _ := wsDial(t, fmt.Sprintf("ws://%s/", net.JoinHostPort(addr, fmt.Sprint(everywhere.port))), header, nil)
		if status != http.StatusUnauthorized && status != http.StatusForbidden {
			t.Errorf("from %s, claiming to be local: status %d", addr, status)
		}
	})
}

// outsideAddr is an IPv4 address of this machine other than loopback.
func outsideAddr(t *testing.T) string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if ipnet, ok := a.(*net.IPNet); ok && ipnet.IP.To4() != nil && !ipnet.IP.IsLoopback() && !ipnet.IP.IsLinkLocalUnicast() {
			return ipnet.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback")
	return ""
}

// wsDial dials a URL as a WebSocket client and gives the refusal's status, or 101.
func wsDial(t testing.TB, target string, header http.Header, dial func(network, addr string) (net.Conn, error)) (int, string) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	d := websocket.Dialer{HandshakeTimeout: patience, NetDial: dial}
	ws, resp, err := d.Dial(u.String(), header)
	if err == nil {
		ws.Close()
		return http.StatusSwitchingProtocols, ""
	}
	if resp == nil {
		t.Fatalf("dialling %s: %v", target, err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}
