package waiter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var identity = aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "a secret of the test", SessionToken: "a session of the test"}

// fakeAPI is a WebSocket API like the waiters': IAM at the handshake, whoami.
type fakeAPI struct {
	t      *testing.T
	listen chan net.Conn
	closed chan struct{}
	server *http.Server
	done   sync.WaitGroup

	mu     sync.Mutex
	conns  []*fakeConn
	dials  int
	asked  int
	refuse int                      // status for handshakes, 0 to accept
	answer func(c *fakeConn) string // to whoami; "" for none
	hang   bool                     // handshakes are not answered
}

type fakeConn struct {
	id   string
	ws   *websocket.Conn
	gone chan struct{}
}

func newFakeAPI(t *testing.T) *fakeAPI {
	a := &fakeAPI{t: t, listen: make(chan net.Conn), closed: make(chan struct{})}
	a.answer = func(c *fakeConn) string { return `{"connectionId":"` + c.id + `"}` }
	a.server = &http.Server{Handler: http.HandlerFunc(a.connect)}
	a.done.Go(func() { a.server.Serve(a) })
	return a
}

func (a *fakeAPI) Accept() (net.Conn, error) {
	select {
	case c := <-a.listen:
		return c, nil
	case <-a.closed:
		return nil, net.ErrClosed
	}
}
func (a *fakeAPI) Close() error   { return nil }
func (a *fakeAPI) Addr() net.Addr { return &net.TCPAddr{} }

func (a *fakeAPI) stop() {
	close(a.closed)
	a.server.Close()
	a.mu.Lock()
	for _, c := range a.conns {
		c.ws.Close()
	}
	a.mu.Unlock()
	a.done.Wait()
}

func (a *fakeAPI) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	a.mu.Lock()
	a.dials++
	hang := a.hang
	a.mu.Unlock()
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	here, there := net.Pipe()
	select {
	case a.listen <- there:
		return here, nil
	case <-a.closed:
		return nil, errors.New("connection refused")
	}
}

func (a *fakeAPI) connect(w http.ResponseWriter, r *http.Request) {
	if err := checkSignature(r); err != nil {
		a.t.Errorf("handshake: %v", err)
		w.WriteHeader(http.StatusForbidden)
		return
	}
	a.mu.Lock()
	refuse := a.refuse
	a.mu.Unlock()
	if refuse != 0 {
		w.WriteHeader(refuse)
		return
	}
	ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	a.mu.Lock()
	c := &fakeConn{id: fmt.Sprintf("conn%d=", len(a.conns)), ws: ws, gone: make(chan struct{})}
	a.conns = append(a.conns, c)
	a.mu.Unlock()
	a.done.Add(1)
	defer a.done.Done()
	defer close(c.gone)
	for {
		_, text, err := ws.ReadMessage()
		if err != nil {
			return
		}
		if string(text) != whoami {
			a.t.Errorf("got %q", text)
		}
		a.mu.Lock()
		a.asked++
		answer := a.answer(c)
		a.mu.Unlock()
		if answer != "" {
			ws.WriteMessage(websocket.TextMessage, []byte(answer))
		}
	}
}

// checkSignature signs the request again.
func checkSignature(r *http.Request) error {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return err
	}
	again, _ := http.NewRequest(http.MethodGet, "https://"+r.Host+r.URL.Path, nil)
	sum := sha256.Sum256(nil)
	if err := v4.NewSigner().SignHTTP(context.Background(), identity, again, hex.EncodeToString(sum[:]), "execute-api", "eu-west-1", at); err != nil {
		return err
	}
	if got, want := r.Header.Get("Authorization"), again.Header.Get("Authorization"); got != want {
		return fmt.Errorf("Authorization %q, want %q", got, want)
	}
	if r.Header.Get("X-Amz-Security-Token") != identity.SessionToken {
		return errors.New("no session token")
	}
	return nil
}

func (a *fakeAPI) conn(i int) *fakeConn {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i >= len(a.conns) {
		a.t.Fatalf("there is no connection %d", i)
	}
	return a.conns[i]
}

func (a *fakeAPI) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

// push posts a text to a connection, and lets it arrive.
func (a *fakeAPI) push(i int, text string) {
	a.conn(i).ws.WriteMessage(websocket.TextMessage, []byte(text))
	synctest.Wait()
}

func (a *fakeAPI) counts() (dials, asked int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dials, a.asked
}

// counter counts.
type counter struct {
	mu sync.Mutex
	of map[string]float64
}

func (c *counter) Count(name string, n float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = make(map[string]float64)
	}
	c.of[name] += n
}

func (c *counter) get(name string) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[name]
}

// env is an environment under test: a waiter, its API, and the wall clock.
type env struct {
	*Waiter
	t       *testing.T
	api     *fakeAPI
	counter *counter
	log     *strings.Builder
	jump    atomic.Int64
}

func newEnv(t *testing.T) *env {
	e := &env{t: t, api: newFakeAPI(t), counter: &counter{}, log: &strings.Builder{}}
	w, err := New(Config{
		URL: "ws://waiters.example.test/live", Region: "eu-west-1",
		Credentials: credentials.StaticCredentialsProvider{Value: identity},
		Counter:     e.counter, Log: slog.New(slog.NewTextHandler(e.log, nil)),
		NetDial: e.api.dial,
		Now:     func() time.Time { return time.Now().Round(0).Add(time.Duration(e.jump.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	e.Waiter = w
	t.Cleanup(func() {
		w.Close()
		e.api.stop()
	})
	return e
}

// freeze lets wall-clock time pass of which timers know nothing.
func (e *env) freeze(d time.Duration) { e.jump.Add(int64(d)) }

// request is one that nothing is pushed for; it gives what it would have named.
func (e *env) request() string {
	e.t.Helper()
	t := e.Begin()
	defer t.End()
	named := t.Connection()
	t.Expect("r")
	t.Sustain()
	synctest.Wait()
	return named
}

// expect checks how often was dialled and asked so far.
func (e *env) expect(dials, asked int) {
	e.t.Helper()
	if d, a := e.api.counts(); d != dials || a != asked {
		e.t.Errorf("%d dials and %d whoami, want %d and %d", d, a, dials, asked)
	}
}

// proven makes the environment have a connection that works.
func (e *env) proven() {
	e.t.Helper()
	e.request()
	time.Sleep(time.Second)
	e.request()
	if got := e.request(); got != "conn0=" {
		e.t.Fatalf("the third request names %q", got)
	}
	e.expect(1, 1)
}

func newDiscard() *slog.Logger { return slog.New(slog.DiscardHandler) }
