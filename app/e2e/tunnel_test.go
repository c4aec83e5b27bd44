package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// ports hands out each port once, so that parallel tests never share one.
var ports struct {
	sync.Mutex
	used map[int]bool
}

// freePort gives a port that nobody listens on. It lies below the ranges from
// which systems take the ports of outgoing connections, so that none of those
// can take it before the program that it is for listens.
func freePort(t testing.TB) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.used == nil {
		ports.used = map[int]bool{}
	}
	for range 1000 {
		port := 10240 + rand.IntN(32000-10240)
		if ports.used[port] {
			continue
		}
		// All addresses, as some programs listen on ::1 or everywhere.
		ln, err := net.Listen("tcp", ":"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		ln.Close()
		ports.used[port] = true
		return port
	}
	t.Fatal("no free port found")
	return 0
}

// relay is a running `culvert relay`.
type relay struct {
	*process
	port   int
	config string
	args   []string
}

func (r *relay) addr() string { return "127.0.0.1:" + strconv.Itoa(r.port) }
func (r *relay) url() string  { return "http://" + r.addr() }

// startRelay starts a relay on a free port with a fresh config folder, and
// waits until it serves.
func startRelay(t testing.TB, args ...string) *relay {
	t.Helper()
	r := &relay{port: freePort(t), config: t.TempDir(), args: args}
	r.start(t)
	return r
}

// start starts the relay, again if it ran before: same port, same config folder.
func (r *relay) start(t testing.TB) {
	t.Helper()
	args := append([]string{"relay", "--listen", r.addr(), "--config", r.config}, r.args...)
	r.process = startProcess(t, "culvert", nil, args...)
	r.awaitHealthy(t)
}

func (r *relay) awaitHealthy(t testing.TB) {
	t.Helper()
	scheme := "http"
	for _, arg := range r.args {
		if arg == "--tls-cert" {
			scheme = "https"
		}
	}
	client := newClient(t)
	eventually(t, func() error {
		select {
		case <-r.done:
			t.Fatalf("the relay ended with exit code %d instead of serving", r.code)
		default:
		}
		resp, err := client.Get(scheme + "://" + r.addr() + "/_culvert/healthz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("healthz: %s", resp.Status)
		}
		return nil
	})
}

// agentSpec says how to start `culvert http`.
type agentSpec struct {
	target  string
	backend string // "" for none
	config  string // "" for a fresh folder
	args    []string
	env     []string
}

// agent is a running `culvert http --json`.
type agent struct {
	*process
	online event // the first one
}

// startAgent starts an agent and waits until it is online.
func startAgent(t testing.TB, spec agentSpec) *agent {
	t.Helper()
	a := &agent{process: spec.start(t)}
	a.online = a.awaitEvent(t, "online")
	return a
}

// start starts an agent without waiting for anything.
func (s agentSpec) start(t testing.TB) *process {
	t.Helper()
	if s.config == "" {
		s.config = t.TempDir()
	}
	args := []string{"http", s.target, "--json", "--config", s.config}
	if s.backend != "" {
		args = append(args, "--backend", s.backend)
	}
	return startProcess(t, "culvert", s.env, append(args, s.args...)...)
}

// id is the tunnel's ID.
func (a *agent) id() string { return a.online.str("tunnel_id") }

// path gives the path form's URL of a path and query of the local service.
func (a *agent) path(target string) string { return a.online.str("path_based_url") + target }

// subdomain gives the subdomain form's URL of a path and query of the local service.
func (a *agent) subdomain(target string) string { return a.online.str("subdomain_url") + target }

// tunnel starts a relay and an agent for a local service.
func tunnel(t testing.TB, local http.Handler, agentArgs ...string) (*relay, *agent) {
	t.Helper()
	service := serve(t, local)
	r := startRelay(t, "--subdomains")
	return r, startAgent(t, agentSpec{target: service.URL, backend: r.url(), args: agentArgs})
}

// serve runs a local service in this process. At the test's end its handlers'
// contexts end, whatever they wait for.
func serve(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := httptest.NewUnstartedServer(h)
	s.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	s.Start()
	// Connections that the tunnel keeps open must not hold up the end.
	t.Cleanup(func() { cancel(); s.CloseClientConnections(); s.Close() })
	return s
}

// newClient gives a visitor that follows no redirect, unpacks nothing, uses no
// proxy, trusts any certificate and finds every name under localhost.
func newClient(t testing.TB) *http.Client {
	t.Helper()
	transport := &http.Transport{
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		DialContext:        dialLocalhost,
		// Whoever says Expect: 100-continue waits for it.
		ExpectContinueTimeout: patience,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dialLocalhost dials NAME.localhost as browsers do (RFC 6761, section 6.3):
// resolvers do not have to know these names.
func dialLocalhost(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(host, ".localhost") {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

// answer is a visitor's whole answer.
type answer struct {
	status int
	header http.Header
	body   string
}

// get makes a GET with a fresh connection and reads the answer to its end.
func get(t testing.TB, url string, header ...string) (answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return do(t, req)
}

func do(t testing.TB, req *http.Request) (answer, error) {
	t.Helper()
	client := newClient(t)
	defer client.CloseIdleConnections()
	// The client must not send anything twice by itself: a request without
	// GetBody on a connection of its own is not repeated.
	req.Close = true
	req.GetBody = nil
	ctx, cancel := context.WithTimeout(req.Context(), patience)
	defer cancel()
	req = req.WithContext(ctx)
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

// mustGet is get for an answer that has to come, with this status.
func mustGet(t testing.TB, status int, url string, header ...string) answer {
	t.Helper()
	a, err := get(t, url, header...)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	if a.status != status {
		t.Fatalf("GET %s: status %d, want %d; body: %.300s", url, a.status, status, a.body)
	}
	return a
}

// eventuallyStatus polls until a GET gives this status.
func eventuallyStatus(t testing.TB, status int, url string, header ...string) answer {
	t.Helper()
	var last answer
	eventually(t, func() error {
		var err error
		last, err = get(t, url, header...)
		if err == nil && last.status != status {
			err = fmt.Errorf("GET %s: status %d, want %d; body: %.300s", url, last.status, status, last.body)
		}
		return err
	})
	return last
}

// hostOf gives the host:port of a URL.
func hostOf(t testing.TB, rawURL string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// isReset reports whether a connection ended the hard way.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
