package link

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"culvert/backend/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come, on a machine with other
// things to do.
const patience = time.Minute

// tableBackend is a backend written from the protocol's table of JSON messages
// alone: it shares no code with the product. Its listener reads along with what
// the agent sends, frame by frame.
type tableBackend struct {
	t         *testing.T
	url       *url.URL
	frames    *frameLog
	handshake chan *http.Request
	peers     chan *peer
	// greet answers ready; nil sends connection_established.
	greet func(p *peer)
	// subprotocols are accepted.
	subprotocols []string
}

// peer is one agent's connection, seen from the backend.
type peer struct {
	t        *testing.T
	ws       *websocket.Conn
	ready    map[string]any
	messages chan map[string]any // after ready; closed at the end
}

func newTableBackend(t *testing.T, scheme string) *tableBackend {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveTableBackend(t, scheme, ln)
}

func serveTableBackend(t *testing.T, scheme string, ln net.Listener) *tableBackend {
	t.Helper()
	b := &tableBackend{
		t: t, url: &url.URL{Scheme: scheme, Host: ln.Addr().String()}, frames: &frameLog{},
		handshake: make(chan *http.Request, 8), peers: make(chan *peer, 8),
	}
	srv := &http.Server{Handler: b}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(&teeListener{ln, b.frames})
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-served
	})
	return b
}

func (b *tableBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{Subprotocols: b.subprotocols}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		b.t.Errorf("upgrade: %v", err)
		return
	}
	defer ws.Close()
	b.handshake <- r
	p := &peer{t: b.t, ws: ws, messages: make(chan map[string]any, 1024)}
	defer close(p.messages)
	first := p.read()
	if first == nil {
		return
	}
	if first["type"] != "ready" {
		b.t.Errorf("first message is %v, want ready", first)
	}
	p.ready = first
	if b.greet != nil {
		b.greet(p)
	} else {
		p.send(established("t1"))
	}
	b.peers <- p
	for m := p.read(); m != nil; m = p.read() {
		p.messages <- m
	}
}

func established(id string) map[string]any {
	return map[string]any{
		"type": "connection_established", "connection_id": "c1", "tunnel_id": id,
		"public_url": "http://relay.test/" + id, "path_based_url": "http://relay.test/" + id,
		"subdomain_url": "http://" + id + ".relay.test",
	}
}

// declared adds what a backend of protocol 2 says.
func declared(m map[string]any) map[string]any {
	m["protocol"], m["capabilities"] = 2, []string{"resume"}
	m["resume"], m["epoch"] = "secret", 1
	return m
}

func (p *peer) read() map[string]any {
	kind, text, err := p.ws.ReadMessage()
	if err != nil {
		return nil
	}
	if kind != websocket.TextMessage {
		p.t.Errorf("message of kind %d, want text", kind)
	}
	var m map[string]any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&m); err != nil {
		p.t.Errorf("message %.100s: %v", text, err)
	}
	return m
}

func (p *peer) send(m map[string]any) {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	p.sendText(string(text))
}

func (p *peer) sendText(text string) {
	if err := p.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		p.t.Logf("backend sends: %v", err)
	}
}

// request is an http_request with the fields of the table.
func request(id, method, uri string, headers map[string][]string, body []byte) map[string]any {
	if headers == nil {
		headers = map[string][]string{}
	}
	return map[string]any{
		"type": "http_request", "request_id": id, "method": method, "uri": uri, "headers": headers,
		"body": base64.StdEncoding.EncodeToString(body), "timestamp": 1700000000000,
	}
}

// next is the agent's next message.
func (p *peer) next() map[string]any {
	p.t.Helper()
	select {
	case m, ok := <-p.messages:
		if !ok {
			p.t.Fatal("the agent has gone")
		}
		return m
	case <-time.After(patience):
		p.t.Fatal("no message from the agent")
	}
	return nil
}

// wantError checks that the next message is an error with one of the four codes.
func (p *peer) wantError(id, code string) string {
	p.t.Helper()
	m := p.next()
	if m["type"] != "error" || m["request_id"] != id || m["code"] != code {
		p.t.Fatalf("message %.200v, want error %s about %s", m, code, id)
	}
	text, _ := m["message"].(string)
	return text
}

// wantAnswer checks that the next message is an http_response, as in the table.
func (p *peer) wantAnswer(id string, status int) (headers map[string]any, body []byte) {
	p.t.Helper()
	m := p.next()
	if m["type"] != "http_response" || m["request_id"] != id || m["status_code"] != json.Number(fmt.Sprint(status)) {
		p.t.Fatalf("message %.200v, want http_response %d to %s", m, status, id)
	}
	if _, err := m["processing_time_ms"].(json.Number).Int64(); err != nil {
		p.t.Errorf("processing_time_ms = %v, want an integer", m["processing_time_ms"])
	}
	headers, ok := m["headers"].(map[string]any)
	if !ok {
		p.t.Errorf("headers = %v, want an object", m["headers"])
	}
	text, ok := m["body"].(string)
	body, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil {
		p.t.Errorf("body = %v: %v", m["body"], err)
	}
	return headers, body
}

// agent runs one link to b until the test ends.
func (b *tableBackend) agent(cfg *Config) (*Link, *peer, <-chan error) {
	b.t.Helper()
	if cfg.Backend == nil {
		cfg.Backend = b.url
	}
	if cfg.Handler == nil {
		cfg.Handler = echo
	}
	l, err := cfg.Dial(b.t.Context(), Hello{Instance: "i"})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		done <- l.Run(ctx)
	}()
	b.t.Cleanup(func() {
		cancel()
		<-ended
	})
	return l, <-b.peers, done
}

// echo answers with the request's body.
func echo(x wire.Exchange) {
	body, err := io.ReadAll(x)
	if err != nil {
		x.Reset(wire.ResetInternal, err.Error())
		return
	}
	if err := x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1, Header: http.Header{"X-Echo": {"1"}}}, false); err != nil {
		return
	}
	_, _ = x.WriteLast(body)
}

func wait(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("the link does not end")
	}
	return nil
}

// frameLog is what an agent sent, below the WebSocket library.
type frameLog struct {
	mu         sync.Mutex
	opcodes    map[byte]int
	maxFrame   int // with its head
	maxMessage int
}

func (f *frameLog) add(opcode byte, frame, message int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.opcodes == nil {
		f.opcodes = make(map[byte]int)
	}
	f.opcodes[opcode]++
	f.maxFrame, f.maxMessage = max(f.maxFrame, frame), max(f.maxMessage, message)
}

type teeListener struct {
	net.Listener
	log *frameLog
}

func (l *teeListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = readFrames(r, l.log)
		_, _ = io.Copy(io.Discard, r)
	}()
	return &teeConn{Conn: conn, copy: w, ended: ended}, nil
}

type teeConn struct {
	net.Conn
	copy  *io.PipeWriter
	ended chan struct{}
}

func (c *teeConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	_, _ = c.copy.Write(p[:n])
	return n, err
}

func (c *teeConn) Close() error {
	err := c.Conn.Close()
	_ = c.copy.Close()
	<-c.ended
	return err
}

// readFrames reads the handshake's head and then WebSocket frames (RFC 6455, section 5.2).
func readFrames(r io.Reader, log *frameLog) error {
	var head []byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		var b [1]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return err
		}
		head = append(head, b[0])
	}
	message := 0
	for {
		var b [8]byte
		if _, err := io.ReadFull(r, b[:2]); err != nil {
			return err
		}
		fin, opcode, masked, length := b[0]&0x80 != 0, b[0]&0x0f, b[1]&0x80 != 0, int(b[1]&0x7f)
		size := 2
		if !masked {
			return errors.New("a client's frame without a mask")
		}
		if n := map[int]int{126: 2, 127: 8}[length]; n > 0 {
			if _, err := io.ReadFull(r, b[:n]); err != nil {
				return err
			}
			length = 0
			for _, c := range b[:n] {
				length = length<<8 | int(c)
			}
			size += n
		}
		size += 4 + length
		if _, err := io.CopyN(io.Discard, r, int64(4+length)); err != nil {
			return err
		}
		if opcode < 8 {
			message += length
		}
		log.add(opcode, size, message)
		if fin && opcode < 8 {
			message = 0
		}
	}
}
