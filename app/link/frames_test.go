package link

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
	"culvert/backend/wsframe"
)

// scripted is a backend in memory that sends answer and frames in one piece, once it
// has a handshake, whatever the agent says; its connections give so many bytes for a
// read, if pieces is not 0.
type scripted struct {
	t      *testing.T
	pieces int
	secure *tls.Config // of the server
	// reads gets each message and each pong that comes from the agent; nil hangs up at
	// the first message.
	reads func(op wsframe.Opcode, p []byte)
	// frames are written behind the answer's head, by a server.
	frames func(c *wsframe.Conn)
	// head makes the answer's head from a proper one, or is nil.
	head func(proper string) string

	serving sync.WaitGroup
}

func (b *scripted) config(host string) *Config {
	b.t.Cleanup(b.serving.Wait)
	scheme := "http"
	if b.secure != nil {
		scheme = "https"
	}
	return &Config{
		Backend: &url.URL{Scheme: scheme, Host: host}, Handler: hello,
		dial: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			b.serving.Go(func() {
				defer there.Close()
				b.serve(there)
			})
			return piecemeal{here, b.pieces}, nil
		},
	}
}

// piecemeal gives at most so many bytes for a read.
type piecemeal struct {
	net.Conn
	n int
}

func (c piecemeal) Read(p []byte) (int, error) {
	if c.n > 0 {
		p = p[:min(c.n, len(p))]
	}
	return c.Conn.Read(p)
}

func (b *scripted) serve(conn net.Conn) {
	if b.secure != nil {
		conn = tls.Server(conn, b.secure)
	}
	in := bufio.NewReader(conn)
	r, err := http.ReadRequest(in)
	if err != nil {
		return // a client that does not like the certificate
	}
	// RFC 6455, section 4.2.2
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	if offered := r.Header.Get("Sec-WebSocket-Protocol"); offered != "" {
		head += "Sec-WebSocket-Protocol: " + offered + "\r\n"
	}
	if head += "\r\n"; b.head != nil {
		head = b.head(head)
	}
	all := &gathered{Conn: conn, b: []byte(head)}
	if b.frames != nil {
		b.frames(wsframe.New(all, nil, false, 0))
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _, _ = conn.Write(all.b) }) // both ends may be writing
	c := wsframe.New(conn, in, false, wire.MaxMessage)
	c.OnPong = func(p []byte) { b.reads(wsframe.Pong, p) }
	for {
		op, err := c.Next()
		if err != nil {
			return
		}
		p, err := io.ReadAll(c)
		if err != nil {
			return
		}
		if b.reads == nil {
			return
		}
		b.reads(op, p)
	}
}

// gathered keeps what is written.
type gathered struct {
	net.Conn
	b []byte
}

func (g *gathered) Write(p []byte) (int, error) { g.b = append(g.b, p...); return len(p), nil }

// What comes with the answer to the handshake is not lost, however the network cuts it,
// and whether gorilla reads it or package wsframe.
func TestFirstFramesComeWithTheAnswer(t *testing.T) {
	t.Parallel()
	head, err := wire.AppendRequestHead(nil, get1("/early"))
	if err != nil {
		t.Fatal(err)
	}
	request := append(wire.AppendFrameHeader(nil, wire.FrameHeader{Stream: 1, Type: wire.FrameRequest, End: true, Length: len(head)}), head...)
	text := func(s string) []byte { return append(make([]byte, wsframe.Headroom), s...) }
	greet := func(c *wsframe.Conn) {
		_ = c.WriteSmall(wsframe.Ping, []byte("early"), patience)
		_ = c.Write(wsframe.Text, text(greetDeclared), patience)
	}
	noProtocol := func(proper string) string {
		return strings.Replace(proper, "Sec-WebSocket-Protocol", "X-Protocol", 1)
	}
	bare := func(proper string) string { return strings.ReplaceAll(proper, "\r\n", "\n") }
	certificate, roots := certificateFor(t)
	for name, tt := range map[string]struct {
		frames func(c *wsframe.Conn)
		head   func(string) string
		secure *tls.Config
		client bool
		want   []string // what the agent says, in parts
	}{
		"form 2": {frames: func(c *wsframe.Conn) {
			greet(c)
			_ = c.Write(wsframe.Binary, text(string(request)), patience)
		}, want: []string{"pong early", "hello from /early"}},
		"form 2, bare line feeds": {frames: func(c *wsframe.Conn) {
			greet(c)
			_ = c.WriteSmall(wsframe.Ping, []byte("\r\n\r\n"), patience) // what ends a proper head
			_ = c.Write(wsframe.Binary, text(string(request)), patience)
		}, head: bare, want: []string{"pong early", "hello from /early", "pong \r\n\r\n"}},
		"form 2, TLS": {frames: func(c *wsframe.Conn) {
			greet(c)
			_ = c.Write(wsframe.Binary, text(string(request)), patience)
		}, secure: certificate, want: []string{"pong early", "hello from /early"}},
		"form 1": {frames: func(c *wsframe.Conn) {
			greet(c)
			_ = c.Write(wsframe.Text, text(`{"type":"http_request","request_id":"early","method":"GET","uri":"/early","headers":{},"body":"","timestamp":1}`), patience)
		}, head: noProtocol, want: []string{"pong early", base64.StdEncoding.EncodeToString([]byte("hello from /early"))}},
		"a client": {frames: greet, client: true, want: []string{"pong early"}},
	} {
		for _, pieces := range []int{0, 1, 7} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				said := make(chan string, 64)
				b := &scripted{t: t, pieces: pieces, frames: tt.frames, head: tt.head, secure: tt.secure, reads: func(op wsframe.Opcode, p []byte) {
					if op == wsframe.Pong {
						p = append([]byte("pong "), p...)
					}
					select {
					case said <- string(p):
					case <-t.Context().Done():
					}
				}}
				cfg := b.config("example.com")
				cfg.RootCAs = roots
				if tt.client {
					c, err := cfg.DialClient(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
				} else {
					l, err := cfg.Dial(t.Context(), Hello{})
					if err != nil {
						t.Fatal(err)
					}
					ended := make(chan struct{})
					go func() {
						defer close(ended)
						_ = l.Run(context.Background())
					}()
					defer func() { l.Close(); <-ended }()
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				for missing := tt.want; len(missing) > 0; {
					select {
					case got := <-said:
						var rest []string
						for _, want := range missing {
							if !strings.Contains(got, want) {
								rest = append(rest, want)
							}
						}
						missing = rest
					case <-ctx.Done():
						t.Fatalf("the agent never said %q", missing)
					}
				}
			})
		}
	}
}

func get1(target string) *wire.RequestHead {
	return &wire.RequestHead{Method: "GET", Target: target, Host: "x", Header: http.Header{}}
}

// certificateFor is a certificate for example.com, and who trusts it.
func certificateFor(t *testing.T) (server *tls.Config, roots *x509.CertPool) {
	t.Helper()
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	roots = x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return &tls.Config{Certificates: srv.TLS.Certificates}, roots
}

func TestAnswersThatOpenNoWebSocket(t *testing.T) {
	t.Parallel()
	always := func(answer string) func(string) string { return func(string) string { return answer } }
	for name, tt := range map[string]struct {
		head func(string) string
		want string
		code wire.ErrorCode
	}{
		"refused": {always("HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 80\r\n\r\n" +
			`{"status":"error","error":{"code":"name_taken","message":"choose another"}}     `), "choose another", wire.CodeNameTaken},
		"refused, in chunks": {always("HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n"),
			"example.com:80 wants to know who you are: give it a valid token with --token or --token-file", wire.CodeUnauthorized},
		"another key": {func(proper string) string { return strings.Replace(proper, "Accept: ", "Accept: x", 1) },
			"example.com:80 is no tunnel backend: it answered 101 to a WebSocket handshake: check --backend", ""},
		"no end": {always("HTTP/1.1 101 Switching Protocols\r\n" + strings.Repeat("X-A: 1\r\n", 10000)),
			"cannot connect to example.com:80: the answer to the handshake does not end", ""},
		"nothing in front of the end": {always("\r\n\r\n"), "example.com:80 does not speak HTTP: check --backend (is it https?)", ""},
	} {
		for _, pieces := range []int{0, 1} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := &scripted{t: t, pieces: pieces, head: tt.head, reads: func(wsframe.Opcode, []byte) {}}
				_, err := b.config("example.com").Dial(t.Context(), Hello{})
				if err == nil || err.Error() != tt.want {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				var refusal *wire.Error
				if errors.As(err, &refusal) != (tt.code != "") || refusal != nil && refusal.Code != tt.code {
					t.Errorf("refusal %+v, want %q", refusal, tt.code)
				}
			})
		}
	}
}

// What ends a greeting in form 2 is told in the words of form 1.
func TestGreetingsThatEnd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		frames func(c *wsframe.Conn) // nil: the backend hangs up
		want   string
	}{
		"cut":       {nil, "the connection to the backend broke off"},
		"close":     {func(c *wsframe.Conn) { _ = c.WriteSmall(wsframe.Close, wsframe.FormatClose(1001, ""), patience) }, "the backend closed the connection: it stops or restarts"},
		"violation": {func(c *wsframe.Conn) { _ = c.WriteSmall(wsframe.Continuation, nil, patience) }, "cannot connect to example.com:80: websocket: protocol error: continuation of nothing"},
		"too large": {func(c *wsframe.Conn) {
			_ = c.Write(wsframe.Text, make([]byte, wsframe.Headroom+wire.MaxControlMessage+1), patience)
		}, "cannot connect to example.com:80: " + wire.ErrTooLarge.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &scripted{t: t, frames: tt.frames}
			if tt.frames != nil {
				b.reads = func(wsframe.Opcode, []byte) {}
			}
			if _, err := b.config("example.com").Dial(t.Context(), Hello{}); err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// A WebSocket that is not gorilla's on a connection of ours is not taken over: what it
// has read would be missing.
func TestOnlyUnreadWebSocketsAreTakenOver(t *testing.T) {
	t.Parallel()
	b := &scripted{t: t, reads: func(wsframe.Opcode, []byte) {}}
	cfg := b.config("example.com")
	wd := websocket.Dialer{NetDialContext: cfg.dial}
	ws, _, err := wd.DialContext(t.Context(), "ws://example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if frames, err := takeFrames(ws, 1); frames != nil || err == nil {
		t.Error("it was taken over")
	}
}

// The certificate must be for the backend's name, which the server is asked for.
func TestFramesOverTLSCheckTheName(t *testing.T) {
	t.Parallel()
	certificate, roots := certificateFor(t)
	for host, want := range map[string]string{
		"example.com":      "",
		"EXAMPLE.com:8443": "",
		"wrong.test":       "the certificate of wrong.test:443 is for another name: x509: certificate is valid for ",
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			asked := make(chan string, 1)
			secure := certificate.Clone()
			secure.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				asked <- h.ServerName
				return nil, nil
			}
			b := &scripted{t: t, secure: secure, reads: func(wsframe.Opcode, []byte) {}, frames: func(c *wsframe.Conn) {
				_ = c.Write(wsframe.Text, append(make([]byte, wsframe.Headroom), greetDeclared...), patience)
			}}
			cfg := b.config(host)
			cfg.RootCAs = roots
			l, err := cfg.Dial(t.Context(), Hello{})
			if err == nil {
				defer l.Close()
				if !l.form2() {
					t.Error("it is not form 2")
				}
			}
			if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
			if got := <-asked; got != strings.ToLower(cfg.Backend.Hostname()) {
				t.Errorf("the server was asked for %q", got)
			}
		})
	}
}

// Dialling ends with its context, wherever it has come to, and leaves nothing open.
func TestDialIsCancelled(t *testing.T) {
	t.Parallel()
	certificate, roots := certificateFor(t)
	read := func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }
	upgrade := func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
		}
	}
	for name, tt := range map[string]struct {
		scheme string
		until  func(net.Conn) // returns where the context ends
	}{
		"connected":             {"http", func(net.Conn) {}},
		"handshake sent":        {"http", read},
		"half an answer":        {"http", upgrade},
		"TLS, connected":        {"https", func(net.Conn) {}},
		"TLS, hello sent":       {"https", read},
		"TLS, handshake sent":   {"https", func(c net.Conn) { read(tls.Server(c, certificate)) }},
		"TLS, half an answer":   {"https", func(c net.Conn) { upgrade(tls.Server(c, certificate)) }},
		"greeting":              {"http", nil},
		"no connection, ever":   {"http", nil},
		"TLS, never connected":  {"https", nil},
		"a client, handshake":   {"http", read},
		"a client, half answer": {"http", upgrade},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cfg := &Config{Backend: &url.URL{Scheme: tt.scheme, Host: "example.com"}, Handler: hello, RootCAs: roots}
			gone := make(chan error, 1)
			switch {
			case name == "greeting":
				b := &scripted{t: t, reads: func(wsframe.Opcode, []byte) { cancel() }}
				cfg = b.config("example.com")
				gone <- io.EOF // b waits for it
			case tt.until == nil:
				cfg.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
					cancel()
					<-ctx.Done()
					gone <- io.EOF
					return nil, ctx.Err()
				}
			default:
				cfg.dial = func(context.Context, string, string) (net.Conn, error) {
					here, there := net.Pipe()
					go func() {
						tt.until(there)
						cancel()
						_, err := io.Copy(io.Discard, there)
						_ = there.Close()
						gone <- err
					}()
					return here, nil
				}
			}
			var err error
			if strings.HasPrefix(name, "a client") {
				_, err = cfg.DialClient(ctx)
			} else {
				_, err = cfg.Dial(ctx, Hello{})
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			if err := wait(t, gone); err != nil && err != io.EOF {
				t.Errorf("the connection ended with %v", err)
			}
		})
	}
}
