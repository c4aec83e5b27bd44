package relay

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/mux"
	"culvert/backend/wire"
)

func testCertificate(t testing.TB) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// startTLS serves a relay with TLS beside its plain listener, for visitors by
// HTTP/2, and gives its base URL and a client.
func (r *testRelay) startTLS() (base string, client *http.Client) {
	r.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	cert := testCertificate(r.t)
	served := make(chan error, 1)
	go func() {
		served <- r.ServeTLS(ln, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil })
	}()
	transport := &http.Transport{TLSClientConfig: insecureTLS(), ForceAttemptHTTP2: true, DisableCompression: true}
	r.t.Cleanup(func() {
		transport.CloseIdleConnections()
		r.stop()
		if err := <-served; err != nil {
			r.t.Errorf("ServeTLS: %v", err)
		}
	})
	return "https://" + ln.Addr().String(), &http.Client{Transport: transport}
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.StallTimeout = 500 * time.Millisecond })
	base, client := r.startTLS()
	ended := make(chan error, 1)
	next, cut := make(chan string), make(chan bool)
	serve := map[string]func(*mux.Stream){
		"/seen": func(st *mux.Stream) {
			body, err := io.ReadAll(st)
			h := st.Request()
			st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1, Header: http.Header{"X-A": {"1", "2"}}}, false)
			fmt.Fprint(st, h.Method, h.Target, h.Header["X-Forwarded-Proto"], h.Header["Cookie"], string(body), err, st.RequestTrailer())
			st.CloseWrite(http.Header{"X-Sum": {"7"}})
		},
		"/duplex": func(st *mux.Stream) {
			st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
			io.Copy(struct{ io.Writer }{st}, struct{ io.Reader }{st})
			st.CloseWrite(nil)
		},
		"/events": func(st *mux.Stream) {
			st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
			for event := range next {
				st.Write([]byte(event))
			}
			time.Sleep(1200 * time.Millisecond) // more than any limit, and nobody's fault
			st.WriteLast([]byte("end"))
		},
		"/cut": func(st *mux.Stream) {
			st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
			st.Write([]byte("hello"))
			<-cut
			st.Reset(wire.ResetInternal, "")
		},
		"/short": func(st *mux.Stream) {
			st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: 10}, false)
			st.WriteLast([]byte("hello"))
		},
		"/reader": func(st *mux.Stream) { _, err := io.ReadAll(st); ended <- err },
		"/early":  func(st *mux.Stream) { reply(st, 413, nil, "no") },
		"/down":   func(st *mux.Stream) { st.Reset(wire.ResetUnavailable, "") },
	}
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) { serve[st.Request().Target](st) })
	do := func(method, path string, body io.Reader, change ...func(*http.Request)) (*http.Response, error) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+"/"+a.TunnelID+path, body)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range change {
			f(req)
		}
		return client.Do(req)
	}
	must := func(res *http.Response, err error) *http.Response {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}

	res := must(do("PUT", "/seen", struct{ io.Reader }{strings.NewReader("body")}, func(q *http.Request) {
		q.Trailer = http.Header{"X-T": {"t"}}
		q.Header["Cookie"] = []string{"a=1; b=2"}
	}))
	body, err := io.ReadAll(res.Body)
	if want := "PUT/seen[https] [a=1; b=2]body<nil> map[X-T:[t]]"; res.ProtoMajor != 2 || err != nil || string(body) != want {
		t.Errorf("HTTP/%d, %q, %v; want %q", res.ProtoMajor, body, err, want)
	}
	if len(res.Header["X-A"]) != 2 || res.Header["Content-Type"] != nil || res.Header["Date"] != nil || res.Trailer.Get("X-Sum") != "7" {
		t.Errorf("header %v, trailer %v", res.Header, res.Trailer)
	}

	pr, pw := io.Pipe()
	res = must(do("POST", "/duplex", pr))
	buf := make([]byte, 100_000)
	for i := range 3 {
		part := bytes.Repeat([]byte{byte('a' + i)}, len(buf))
		go pw.Write(part)
		if _, err := io.ReadFull(res.Body, buf); err != nil || !bytes.Equal(buf, part) {
			t.Fatalf("round %d: %v", i, err)
		}
	}
	pw.Close()
	if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v after the end", rest, err)
	}

	res = must(do("GET", "/events", nil))
	for _, event := range []string{"one", "two"} {
		next <- event
		if _, err := io.ReadFull(res.Body, buf[:3]); err != nil || string(buf[:3]) != event {
			t.Fatalf("%q, %v; want %q", buf[:3], err, event)
		}
	}
	close(next)
	if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "end" {
		t.Errorf("after a pause: %q, %v", rest, err)
	}

	for _, path := range []string{"/cut", "/short"} {
		res, err := do("GET", path, nil)
		if err != nil {
			t.Errorf("%s: %v before the head", path, err)
			continue
		}
		if path == "/cut" {
			cut <- true
		}
		if body, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("%s: %q is presented as complete", path, body)
		}
		res.Body.Close()
	}

	if res := must(do("POST", "/early", io.MultiReader(strings.NewReader("x"), neverReader{t.Context()}))); res.StatusCode != 413 {
		t.Errorf("early answer: %d", res.StatusCode)
	}
	if res := must(do("GET", "/down", nil)); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("down: %d %v", res.StatusCode, res.Header)
	}

	// A visitor who sends nothing of a promised body.
	go func() {
		if res, err := do("POST", "/reader", io.MultiReader(strings.NewReader("x"), neverReader{t.Context()})); err == nil {
			res.Body.Close()
		}
	}()
	var reset *wire.ResetError
	if err := <-ended; !errors.As(err, &reset) {
		t.Errorf("the agent's read gave %v", err)
	}
	// One who leaves.
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan error, 1)
	go func() {
		_, err := do("POST", "/reader", neverReader{ctx}, func(q *http.Request) { *q = *q.WithContext(ctx) })
		cancelled <- err
	}()
	cancel()
	<-cancelled
	eventually(t, "no stream is left", func() bool { return a.Streams() == 0 })
}

// neverReader is a body that does not come.
type neverReader struct{ ctx context.Context }

func (r neverReader) Read([]byte) (int, error) {
	<-r.ctx.Done()
	return 0, r.ctx.Err()
}

// Agents and upgrades work over TLS, where HTTP/1.1 is chosen for them.
func TestTLSWebSockets(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	base, _ := r.startTLS()
	dialer := websocket.Dialer{TLSClientConfig: insecureTLS()}
	ws, _, err := dialer.Dial("wss"+strings.TrimPrefix(base, "https")+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	writeObject(t, ws, object{"type": "ready"})
	if got := readObject(t, ws); got["type"] != "connection_established" {
		t.Errorf("got %v", got)
	}
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		switchTo(st, "raw/1")
		body, _ := io.ReadAll(st)
		st.WriteLast(append([]byte("got "), body...))
	})
	conn, err := tls.Dial("tcp", strings.TrimPrefix(base, "https://"), insecureTLS())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patienceForTests))
	fmt.Fprintf(conn, "GET /%s/%s", a.TunnelID, upgradeHeader)
	c := &raw{t: t, Conn: conn}
	head := make([]byte, len("HTTP/1.1 101 "))
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 101 " {
		t.Fatalf("%q, %v", head, err)
	}
	c.send("hello")
	conn.CloseWrite()
	if rest, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(rest), "\r\n\r\ngot hello") {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestPlainListenersDoNotSpeakHTTP2(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	c := r.raw()
	c.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	answer, _ := io.ReadAll(c.r)
	if bytes.HasPrefix(answer, []byte("\x00\x00")) {
		t.Errorf("a settings frame came back: %q", answer)
	}
}
