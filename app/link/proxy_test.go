package link

import (
	"bufio"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// connectProxy is an HTTP proxy that knows CONNECT; every host is at addr.
type connectProxy struct {
	addr string
	auth string // wanted Proxy-Authorization
	fail int    // status instead of 200

	mu    sync.Mutex
	hosts []string
}

func (p *connectProxy) serve(conn net.Conn) {
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	p.mu.Lock()
	p.hosts = append(p.hosts, req.Method+" "+req.Host)
	p.mu.Unlock()
	if p.auth != "" && req.Header.Get("Proxy-Authorization") != p.auth {
		_, _ = io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
		return
	}
	if p.fail != 0 {
		_, _ = io.WriteString(conn, "HTTP/1.1 502 Whatever\r\nContent-Length: 0\r\n\r\n")
		return
	}
	up, err := net.Dial("tcp", p.addr)
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(up, conn)
		_ = up.Close()
	})
	_, _ = io.Copy(conn, up)
	_ = conn.Close()
	wg.Wait()
}

// These tests set environment variables, which excludes t.Parallel.
func TestProxyFromEnvironment(t *testing.T) {
	b := newTableBackend(t, "http")
	for _, tt := range []struct {
		name  string
		proxy *connectProxy
		user  string
		to    string
		want  string // "": it works
	}{
		{"plain", &connectProxy{}, "", "http://relay.test:8080", ""},
		{"default port", &connectProxy{}, "", "ws://api.test/prod", ""},
		{"with a password", &connectProxy{auth: "Basic bWU6cDpAdw=="}, "me:p%3A%40w@", "http://relay.test:8080", ""},
		{"password missing", &connectProxy{auth: "Basic x"}, "", "http://relay.test:8080",
			"cannot connect through the proxy HOST: it wants a user and password (407): put them into HTTPS_PROXY, as http://USER:PASSWORD@HOST:PORT"},
		{"password wrong", &connectProxy{auth: "Basic x"}, "me:hunter2@", "http://relay.test:8080", "cannot connect through the proxy HOST: it wants a user"},
		{"no way", &connectProxy{fail: 502}, "me:hunter2@", "http://relay.test:8080", "cannot connect through the proxy HOST: it answered 502 Bad Gateway to CONNECT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.proxy.addr = b.url.Host
			at := rawServer(t, tt.proxy.serve)
			t.Setenv("HTTP_PROXY", "http://"+tt.user+at)
			t.Setenv("NO_PROXY", "")
			_, err := dialTo(t, &Config{}, tt.to)
			if tt.want != "" {
				want := strings.Replace(tt.want, "HOST", at, 1)
				if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("error %q, want %q", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"http://relay.test:8080": "CONNECT relay.test:8080", "ws://api.test/prod": "CONNECT api.test:80"}[tt.to]
			tt.proxy.mu.Lock()
			defer tt.proxy.mu.Unlock()
			if len(tt.proxy.hosts) != 1 || tt.proxy.hosts[0] != want {
				t.Errorf("the proxy saw %q, want %q", tt.proxy.hosts, want)
			}
		})
	}
	t.Run("NO_PROXY", func(t *testing.T) {
		t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
		t.Setenv("NO_PROXY", "127.0.0.1")
		if _, err := dialTo(t, &Config{}, b.url.String()); err != nil {
			t.Error(err)
		}
	})
	t.Run("proxy down", func(t *testing.T) {
		t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
		_, err := dialTo(t, &Config{}, "http://relay.test")
		if err == nil || !strings.HasPrefix(err.Error(), "cannot connect through the proxy 127.0.0.1:1: ") {
			t.Errorf("error %q", err)
		}
	})
	t.Run("unknown kind", func(t *testing.T) {
		t.Setenv("HTTP_PROXY", "gopher://me:hunter2@127.0.0.1:1")
		_, err := dialTo(t, &Config{}, "http://relay.test")
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "proxy") {
			t.Errorf("error %q", err)
		}
	})
}

// socksProxy is a SOCKS 5 proxy without authentication (RFC 1928) for one
// connection to a host name; every host is at addr.
func socksProxy(addr string, names chan<- string) func(net.Conn) {
	return func(conn net.Conn) {
		var greeting [2]byte
		if _, err := io.ReadFull(conn, greeting[:]); err != nil {
			return
		}
		_, _ = io.CopyN(io.Discard, conn, int64(greeting[1]))
		_, _ = conn.Write([]byte{5, 0})
		var head [5]byte // version, command, reserved, kind of address, its length
		if _, err := io.ReadFull(conn, head[:]); err != nil || head[1] != 1 || head[3] != 3 {
			return
		}
		name := make([]byte, int(head[4])+2)
		if _, err := io.ReadFull(conn, name); err != nil {
			return
		}
		names <- string(name[:head[4]])
		up, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = io.Copy(up, conn)
			_ = up.Close()
		})
		_, _ = io.Copy(conn, up)
		_ = conn.Close()
		wg.Wait()
	}
}

func TestSOCKSProxy(t *testing.T) {
	b := newTableBackend(t, "http")
	names := make(chan string, 1)
	t.Setenv("HTTP_PROXY", "socks5://"+rawServer(t, socksProxy(b.url.Host, names)))
	if _, err := dialTo(t, &Config{}, "http://relay.test:8080"); err != nil {
		t.Fatal(err)
	}
	if got := <-names; got != "relay.test" {
		t.Errorf("the proxy was asked for %q", got)
	}
	t.Setenv("HTTP_PROXY", "socks5://"+rawServer(t, func(net.Conn) {}))
	if _, err := dialTo(t, &Config{}, "http://relay.test:8080"); err == nil || !strings.HasPrefix(err.Error(), "cannot connect through the proxy ") {
		t.Errorf("error %q", err)
	}
}
