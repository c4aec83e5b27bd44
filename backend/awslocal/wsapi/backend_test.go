package wsapi

import (
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"culvert/backend/awslocal/chaos"
	lambda "culvert/backend/lambda/event"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/waiter"
)

// Here the backend's own code meets the stand-in, without a function around it.

type ignore struct{}

func (ignore) Count(string, float64) {}

// A waiting environment dials with its credentials, learns its connection's ID and
// is given what a function posts there.
func TestWaiterOfTheBackend(t *testing.T) {
	t.Parallel()
	x := waiters(t)
	c, _ := principals{}.Credentials("AKIDPUBLIC")
	provider := credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
	w, err := waiter.New(waiter.Config{
		URL: x.url("/live"), Region: region, Credentials: provider, Counter: ignore{}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	poster, err := post.New(post.Config{Endpoint: "http://" + x.host + "/live", Region: region, Credentials: provider, HTTP: x.client()})
	if err != nil {
		t.Fatal(err)
	}
	w.Begin().End() // a first request does not dial
	turn := w.Begin()
	defer turn.End()
	turn.Sustain()
	id := ""
	for deadline := time.Now().Add(20 * time.Second); id == ""; id = turn.Connection() {
		if time.Now().After(deadline) {
			t.Fatal("the waiter never named its connection")
		}
		time.Sleep(time.Millisecond) // polls; nothing depends on how long
	}
	if all := x.Connections(); len(all) != 1 || all[0].ID != id {
		t.Errorf("the waiter is named %s, connections are %+v", id, all)
	}
	turn.Expect("request 1")
	answer := `{"type":"http_response","request_id":"request 1"}`
	if err := poster.Post(t.Context(), id, []byte(answer)); err != nil {
		t.Fatal(err)
	}
	<-turn.Arrived()
	if got := string(turn.Next()); got != answer {
		t.Errorf("the turn was given %s", got)
	}
	x.Kill(id)
	<-turn.Gone()
	if err := poster.Post(t.Context(), id, []byte(answer)); !errors.Is(err, post.ErrGone) {
		t.Errorf("post to a killed waiter: %v, want gone", err)
	}
}

func TestPosterOfTheBackend(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	poster, err := post.New(post.Config{
		Endpoint: "http://" + x.host + "/live", Region: region, HTTP: x.client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDAGENTS", "secret", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	// The first posts find a young connection gone, and are repeated.
	x.chaos.Force(chaos.GoneAtFirst, 1)
	x.chaos.Set(chaos.GoneAtFirst, chaos.Setting{Delay: 50 * time.Millisecond})
	ws, _ := x.dial()
	send(t, ws, "ready")
	i := x.next("MESSAGE")
	if err := poster.Post(t.Context(), i.id(), []byte("hello"), post.Young(time.UnixMilli(i.RequestContext.ConnectedAt))); err != nil {
		t.Fatal(err)
	}
	if got := read(t, ws); got != "hello" {
		t.Errorf("got %q", got)
	}
	x.chaos.Force(chaos.PostLimited, 1)
	if err := poster.Post(t.Context(), i.id(), []byte("hello")); !errors.Is(err, post.ErrBusy) {
		t.Errorf("limited post: %v, want busy", err)
	}
	info, err := poster.Info(t.Context(), i.id())
	if err != nil || info.SourceIP != "127.0.0.1" || info.LastActiveAt.IsZero() {
		t.Errorf("info %+v, %v", info, err)
	}
	if err := poster.Delete(t.Context(), i.id()); err != nil {
		t.Error(err)
	}
	if err := poster.Post(t.Context(), i.id(), []byte("hello")); !errors.Is(err, post.ErrGone) {
		t.Errorf("post to a deleted connection: %v, want gone", err)
	}
}

// The backend understands every event, whatever the case of its fields' names.
func TestEventsAsTheBackendReadsThem(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	for range 2 {
		ws, _, err := x.tryDial("/live?token=a%20b", http.Header{"Authorization": {"Bearer x"}, "Sec-Websocket-Protocol": {"one, two"}})
		if err != nil {
			t.Fatal(err)
		}
		parse := func(kind string) *lambda.Message {
			m, err := lambda.ParseMessage(x.next(kind).raw)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		connect := parse("CONNECT")
		send(t, ws, "text")
		message := parse("MESSAGE")
		ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(time.Second))
		disconnect := parse("DISCONNECT")
		got := []any{
			connect.APIID, connect.Stage, connect.Route, connect.EventType, connect.SourceIP, connect.Header.Get("Authorization"),
			connect.Header.Get("Sec-WebSocket-Protocol"), connect.Header.Get("Host"), connect.Query.Get("token"),
			message.Route, message.EventType, string(message.Body), message.ConnectionID == connect.ConnectionID, message.ConnectedAt.Equal(connect.ConnectedAt),
			disconnect.EventType, disconnect.DisconnectCode, disconnect.ConnectionID == connect.ConnectionID,
		}
		want := []any{
			apiID, "live", "$connect", lambda.Connect, "127.0.0.1", "Bearer x", "one, two", x.host, "a b",
			"$default", lambda.Text, "text", true, true, lambda.Disconnect, 1000, true,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}
