package agents

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"culvert/backend/awslocal/chaos"
	"culvert/backend/awslocal/runtime"
	"culvert/backend/awslocal/wsapi"
	"culvert/backend/lambda/event"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/store/storetest"
)

// socketWorld is an Agents behind a WebSocket API that keeps API Gateway's rules, with
// real sockets, posts and a real DynamoDB.
type socketWorld struct {
	t     *testing.T
	api   *wsapi.API
	chaos *chaos.Source
	host  string
	store *store.Store
	keys  *ring
}

// function is Agents as the gateway invokes it.
type function struct{ agents *Agents }

func (f *function) Invoke(ctx context.Context, payload []byte) (runtime.Result, error) {
	m, err := event.ParseMessage(payload)
	if err != nil {
		return runtime.Result{FunctionError: "Unhandled"}, nil
	}
	out, _ := f.agents.Handle(ctx, m)
	return runtime.Result{Payload: event.EncodeMessageAnswer(out.Status, string(out.Body))}, nil
}

func newSocketWorld(t *testing.T, changes ...func(*Config)) *socketWorld {
	t.Helper()
	w := &socketWorld{t: t, chaos: chaos.New(1, nil), store: storetest.New(t), keys: newRing(t, 'a')}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.host = l.Addr().String()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	poster, err := post.New(post.Config{
		Endpoint: "http://" + w.host + "/live", Region: "us-east-1", HTTP: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("agents", "secret", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Store: w.store, Poster: poster, Keys: w.keys, Auth: AuthJWT, PublicURL: "https://tunnel.example.com", MaxTunnels: 20, Processor: &processor{}}
	for _, change := range changes {
		change(&cfg)
	}
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.patience.probe = 500 * time.Millisecond
	lambda := &wsapi.Lambda{Function: &function{a}, Permissions: []wsapi.Permission{{
		Action: "lambda:InvokeFunction", Principal: "apigateway.amazonaws.com", SourceArn: wsapi.ExecuteARN("us-east-1", "123456789012", "agentsapi1", "*/*"),
	}}}
	w.api, err = wsapi.New(wsapi.Config{
		ID: "agentsapi1", Stage: "live", RouteSelection: "$request.body.action", Chaos: w.chaos,
		Routes: map[string]wsapi.Route{"$connect": {Lambda: lambda}, "$default": {Lambda: lambda}, "$disconnect": {Lambda: lambda},
			"ping": {Lambda: lambda, RouteResponse: true}, "authorize": {Lambda: lambda, RouteResponse: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.api.Start(l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.api.Close)
	return w
}

// agent is one agent's WebSocket.
type agent struct {
	t    *testing.T
	ws   *websocket.Conn
	mute bool // it answers no ping
}

func (w *socketWorld) dial() *agent {
	w.t.Helper()
	header := http.Header{"Authorization": {"Bearer " + w.keys.token(w.t, jwt.MapClaims{"sub": "ann"})}}
	ws, _, err := websocket.DefaultDialer.DialContext(w.t.Context(), "ws://"+w.host+"/live", header)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { ws.Close() })
	return &agent{t: w.t, ws: ws}
}

func (a *agent) send(m object) {
	a.t.Helper()
	if err := a.ws.WriteJSON(m); err != nil {
		a.t.Fatal(err)
	}
}

// next is the next message, nil at the end of the connection.
func (a *agent) next() object {
	for {
		_ = a.ws.SetReadDeadline(time.Now().Add(time.Minute))
		_, text, err := a.ws.ReadMessage()
		if err != nil {
			return nil
		}
		var m object
		if err := json.Unmarshal(text, &m); err != nil {
			a.t.Errorf("%s: %v", text, err)
		}
		if m["type"] != "ping" {
			return m
		}
		if !a.mute {
			a.send(object{"type": "pong"})
		}
	}
}

// opened gives a new agent the tunnel shop.
func (w *socketWorld) opened(hello object) (*agent, object) {
	w.t.Helper()
	a := w.dial()
	m := object{"type": "ready", "protocol": 2, "capabilities": offered, "tunnel_id": "shop"}
	for k, v := range hello {
		m[k] = v
	}
	a.send(m)
	return a, a.next()
}

func (w *socketWorld) holder() *store.Tunnel {
	w.t.Helper()
	t, err := w.store.Lookup(w.t.Context(), "shop", true)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

func TestHandshakeOverSockets(t *testing.T) {
	t.Parallel()
	w := newSocketWorld(t)
	for name, address := range map[string]string{"no token": "", "a wrong one": "?token=wrong"} {
		_, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+w.host+"/live"+address, nil)
		if err == nil || resp == nil || resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %v, %+v", name, err, resp)
		}
	}
	// An agent that offers a subprotocol gets in, and gets none.
	d := websocket.Dialer{Subprotocols: []string{"culvert.v2"}}
	ws, _, err := d.DialContext(t.Context(), "ws://"+w.host+"/live?token="+w.keys.token(t, jwt.MapClaims{"sub": "ann"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if chosen := ws.Subprotocol(); chosen != "" {
		t.Errorf("subprotocol %q", chosen)
	}
	a := &agent{t: t, ws: ws}
	a.send(object{"type": "ready"})
	if m := a.next(); m["type"] != "connection_established" || len(m) != 5 {
		t.Errorf("greeted by %v", m)
	}
	ws.Close()
}

// The first posts to a connection are told that it has gone, though it is there.
func TestGoneAtFirst(t *testing.T) {
	t.Parallel()
	w := newSocketWorld(t)
	w.chaos.Force(chaos.GoneAtFirst, 1)
	_, m := w.opened(nil)
	if m["tunnel_id"] != "shop" || w.chaos.Struck()[chaos.GoneAtFirst] == 0 {
		t.Errorf("greeted by %v; struck %v", m, w.chaos.Struck())
	}
}

func TestTakeoverOverSockets(t *testing.T) {
	t.Parallel()
	w := newSocketWorld(t)
	first, est := w.opened(object{"instance": "one"})
	second, again := w.opened(object{"instance": "two", "resume": est["resume"], "epoch": est["epoch"]})
	if again["public_url"] != est["public_url"] || again["epoch"] != 2.0 {
		t.Errorf("resumed as %v", again)
	}
	wantError(t, first.next(), "replaced")
	if m := first.next(); m != nil {
		t.Errorf("then %v; want the end", m)
	}
	// The answer of a request goes by whichever connection the agent has.
	req := request("shop", "")
	id := w.keys.tickets(t).Issue(req, "")
	second.send(response(id, est["session"]))
	second.send(object{"type": "ping", "session": again["session"]})
	if m := second.next(); m["type"] != "pong" {
		t.Errorf("got %v for a ping", m)
	}
	eventually(t, "the answer", func() bool {
		got, err := w.store.GetAnswers(t.Context(), req.Key(), store.From(0), true)
		return err == nil && len(got) == 1 && strings.Contains(string(got[0].Message), `"status_code":200`)
	})
	if now := w.holder(); !now.Live || now.Connection != again["connection_id"] {
		t.Errorf("held by %+v", now)
	}
}

// The line to the holder is cut, and the gateway does not know; another process of
// the same owner wants the name. It gets it, unless the holder lives.
func TestHalfOpenHolder(t *testing.T) {
	t.Parallel()
	w := newSocketWorld(t)
	holder, est := w.opened(object{"instance": "one"})
	answering := make(chan object, 1)
	go func() { answering <- holder.next() }()
	_, refused := w.opened(object{"instance": "two"})
	wantError(t, refused, "name_taken")
	if !w.api.Hang(est["connection_id"].(string)) {
		t.Fatal("no such connection")
	}
	w.chaos.Force(chaos.DisconnectLate, 1)
	_, got := w.opened(object{"instance": "three"})
	if got["tunnel_id"] != "shop" {
		t.Errorf("got %v", got)
	}
	if now := w.holder(); !now.Live || now.Connection != got["connection_id"] {
		t.Errorf("held by %+v", now)
	}
	holder.ws.Close()
	<-answering
}

// An agent that leaves is known to have left; what comes after belongs to the next.
func TestLeaving(t *testing.T) {
	t.Parallel()
	w := newSocketWorld(t)
	w.chaos.Force(chaos.DisconnectRepeated, 1)
	a, _ := w.opened(nil)
	a.ws.Close()
	eventually(t, "the end", func() bool { return !w.holder().Live })
	_, m := w.opened(nil)
	if m["type"] != "connection_established" || m["epoch"] != 2.0 {
		t.Errorf("greeted by %v", m)
	}
}

// eventually waits for what another goroutine brings about.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); {
		if time.Now().After(end) {
			t.Fatalf("%s does not come", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
