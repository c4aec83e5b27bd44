package wsapi

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"culvert/backend/awslocal/chaos"
	"culvert/backend/awslocal/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	apiID   = "abc123def4"
	stage   = "live"
	region  = "eu-central-1"
	account = "210987654321"
)

var anyStage = []Permission{{
	Action: "lambda:InvokeFunction", Principal: "apigateway.amazonaws.com",
	SourceArn: ExecuteARN(region, account, apiID, "*/*"),
}}

// invocation is what a function was invoked with.
type invocation struct {
	raw []byte
	events.APIGatewayWebsocketProxyRequest
}

func (i invocation) id() string { return i.RequestContext.ConnectionID }

// function is a fake that hands its invocations over and answers 200, or what the test says.
type function struct {
	invoked chan invocation

	mu     sync.Mutex
	answer func(ctx context.Context, i invocation) (string, error)
}

func (f *function) Invoke(ctx context.Context, payload []byte) (runtime.Result, error) {
	i := invocation{raw: payload}
	if err := json.Unmarshal(payload, &i.APIGatewayWebsocketProxyRequest); err != nil {
		return runtime.Result{}, err
	}
	f.mu.Lock()
	answer := f.answer
	f.mu.Unlock()
	f.invoked <- i
	if answer == nil {
		return runtime.Result{Payload: []byte(`{"statusCode":200,"body":"dropped"}`)}, nil
	}
	text, err := answer(ctx, i)
	if text == "unhandled" {
		return runtime.Result{Payload: []byte(`{"errorMessage":"boom"}`), FunctionError: "Unhandled"}, err
	}
	return runtime.Result{Payload: []byte(text)}, err
}

func (f *function) answers(answer func(ctx context.Context, i invocation) (string, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

// always lets the function give one answer.
func (f *function) always(text string, err error) {
	f.answers(func(context.Context, invocation) (string, error) { return text, err })
}

// usages is an observer that remembers.
type usages struct {
	mu  sync.Mutex
	all []Usage
}

func (u *usages) Observe(one Usage) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all = append(u.all, one)
}

func (u *usages) of(kind UsageKind) []Usage {
	u.mu.Lock()
	defer u.mu.Unlock()
	var some []Usage
	for _, one := range u.all {
		if one.Kind == kind {
			some = append(some, one)
		}
	}
	return some
}

type fixture struct {
	*API
	t     *testing.T
	host  string
	f     *function
	used  *usages
	chaos *chaos.Source
}

// start serves an API whose routes all go to one function.
func start(t *testing.T, change func(*Config)) *fixture {
	t.Helper()
	x := &fixture{t: t, f: &function{invoked: make(chan invocation, 1000)}, used: &usages{}, chaos: chaos.New(1, nil)}
	lambda := &Lambda{Function: x.f, Permissions: anyStage}
	cfg := Config{
		ID: apiID, Stage: stage, Region: region, Account: account,
		RouteSelection: "$request.body.action",
		Routes: map[string]Route{
			"$connect": {Lambda: lambda}, "$default": {Lambda: lambda}, "$disconnect": {Lambda: lambda},
		},
		Chaos: x.chaos, Observer: x.used,
	}
	if change != nil {
		change(&cfg)
	}
	api, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	x.API = api
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x.host = l.Addr().String()
	if err := api.Start(l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	return x
}

func (x *fixture) url(path string) string { return "ws://" + x.host + path }

// tryDial dials at the stage.
func (x *fixture) tryDial(path string, header http.Header) (*websocket.Conn, *http.Response, error) {
	d := websocket.Dialer{HandshakeTimeout: 20 * time.Second}
	ws, resp, err := d.Dial(x.url(path), header)
	if err == nil {
		x.t.Cleanup(func() { ws.Close() })
	}
	return ws, resp, err
}

// dial connects a client and gives $connect's invocation.
func (x *fixture) dial() (*websocket.Conn, invocation) {
	x.t.Helper()
	ws, _, err := x.tryDial("/"+stage, nil)
	if err != nil {
		x.t.Fatal(err)
	}
	return ws, x.next("CONNECT")
}

// next is the next invocation, which must be of this kind.
func (x *fixture) next(kind string) invocation {
	x.t.Helper()
	select {
	case i := <-x.f.invoked:
		if i.RequestContext.EventType != kind {
			x.t.Fatalf("invoked for %s, want %s", i.RequestContext.EventType, kind)
		}
		return i
	case <-time.After(20 * time.Second):
		x.t.Fatalf("not invoked for %s", kind)
		panic("unreachable")
	}
}

func (x *fixture) noInvocation() {
	x.t.Helper()
	select {
	case i := <-x.f.invoked:
		x.t.Errorf("invoked for %s: %s", i.RequestContext.EventType, i.raw)
	default:
	}
}

// sdk is a client of @connections as functions use it.
func (x *fixture) sdk() *apigatewaymanagementapi.Client {
	return apigatewaymanagementapi.New(apigatewaymanagementapi.Options{
		BaseEndpoint: aws.String("http://" + x.host + "/" + stage),
		Region:       region,
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDAGENTS", "secret of agents", ""),
		Retryer:      aws.NopRetryer{},
	})
}

func (x *fixture) post(id, text string) error {
	_, err := x.sdk().PostToConnection(x.t.Context(), &apigatewaymanagementapi.PostToConnectionInput{
		ConnectionId: &id, Data: []byte(text),
	})
	return err
}

func (x *fixture) mustPost(id, text string) {
	x.t.Helper()
	if err := x.post(id, text); err != nil {
		x.t.Fatalf("post: %v", err)
	}
}

// read is the next message to a client.
func read(t *testing.T, ws *websocket.Conn) string {
	t.Helper()
	ws.SetReadDeadline(time.Now().Add(20 * time.Second))
	kind, text, err := ws.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	if kind != websocket.TextMessage {
		t.Errorf("message of kind %d, want text", kind)
	}
	return string(text)
}

func send(t *testing.T, ws *websocket.Conn, text string) {
	t.Helper()
	if err := ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// closed waits for the connection's end and gives the close frame's code and reason; -1 without one.
func closed(t *testing.T, ws *websocket.Conn) (int, string) {
	t.Helper()
	ws.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		_, _, err := ws.ReadMessage()
		if e, ok := err.(*websocket.CloseError); ok && e.Code != websocket.CloseAbnormalClosure {
			return e.Code, e.Text
		} else if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Fatal("the connection stays open")
		} else if err != nil {
			return -1, ""
		}
	}
}

// rawPeer is a client that speaks frames.
type rawPeer struct {
	t *testing.T
	net.Conn
	*bufio.Reader
}

// handshakeFormat takes a path and a host. The key is an example of RFC 6455, section 1.3.
const handshakeFormat = "GET /%s HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

func (x *fixture) rawDial() *rawPeer {
	x.t.Helper()
	conn, err := net.Dial("tcp", x.host)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, handshakeFormat, stage, x.host)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		x.t.Fatal(err)
	}
	if resp.StatusCode != 101 || resp.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		x.t.Fatalf("handshake answered %s, %v", resp.Status, resp.Header)
	}
	return &rawPeer{x.t, conn, r}
}

func (p *rawPeer) frame(fin bool, op opcode, payload []byte) {
	p.t.Helper()
	if _, err := p.Write(masked(fin, op, payload)); err != nil {
		p.t.Fatal(err)
	}
}

func masked(fin bool, op opcode, payload []byte) []byte {
	b := appendFrame(nil, fin, op, payload)
	b[1] |= maskBit
	head := b[:len(b)-len(payload)]
	mask := []byte{1, 2, 3, 4}
	out := append(append([]byte{}, head...), mask...)
	for i, c := range payload {
		out = append(out, c^mask[i%4])
	}
	return out
}

// readServerFrame reads a frame to a client.
func (p *rawPeer) readServerFrame() frame {
	p.t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(p.Reader, head[:]); err != nil {
		p.t.Fatal(err)
	}
	if head[1]&maskBit != 0 {
		p.t.Error("a server's frame must not be masked")
	}
	n, err := readLength(p.Reader, head[1])
	if err != nil {
		p.t.Fatal(err)
	}
	f := frame{fin: head[0]&finBit != 0, op: opcode(head[0] & 0xF), payload: make([]byte, n)}
	if _, err := io.ReadFull(p.Reader, f.payload); err != nil {
		p.t.Fatal(err)
	}
	return f
}

// closeCode reads frames until a close frame.
func (p *rawPeer) closeCode() int {
	p.t.Helper()
	for {
		if f := p.readServerFrame(); f.op == opClose {
			if len(f.payload) == 0 {
				return closeNoStatus
			}
			return int(binary.BigEndian.Uint16(f.payload))
		}
	}
}

// call makes a signed-looking call of @connections by hand.
func (x *fixture) call(method, path, body string, header http.Header) *http.Response {
	x.t.Helper()
	r, err := http.NewRequestWithContext(x.t.Context(), method, "http://"+x.host, strings.NewReader(body))
	if err != nil {
		x.t.Fatal(err)
	}
	r.URL.Opaque = "//" + x.host + path
	r.Header = header.Clone()
	resp, err := x.client().Do(r)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func (x *fixture) client() *http.Client {
	transport := &http.Transport{DisableKeepAlives: true}
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

var lookingSigned = http.Header{
	"Authorization": {"AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-central-1/execute-api/aws4_request, SignedHeaders=host, Signature=00"},
	"X-Amz-Date":    {"20260101T000000Z"},
}

func escapedID(id string) string { return url.PathEscape(id) }

// wantKind checks an error of the management API.
func wantKind(t *testing.T, err error, kind string, status int) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != kind {
		t.Errorf("got %v, want %s", err, kind)
		return
	}
	var answer *smithyhttp.ResponseError
	if !errors.As(err, &answer) || answer.HTTPStatusCode() != status {
		t.Errorf("got %v, want status %d", err, status)
	}
}
