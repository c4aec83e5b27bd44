package wsapi

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"golang.org/x/time/rate"
)

func TestGetConnection(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	before := time.Now().Truncate(time.Second)
	ws, _, err := x.tryDial("/live", http.Header{"User-Agent": {"agent/1"}})
	if err != nil {
		t.Fatal(err)
	}
	id := x.next("CONNECT").id()
	send(t, ws, "active")
	x.next("MESSAGE")
	got, err := x.sdk().GetConnection(t.Context(), &apigatewaymanagementapi.GetConnectionInput{ConnectionId: &id})
	if err != nil {
		t.Fatal(err)
	}
	if *got.Identity.SourceIp != "127.0.0.1" || *got.Identity.UserAgent != "agent/1" || got.ConnectedAt.Before(before) || got.LastActiveAt.Before(*got.ConnectedAt) {
		t.Errorf("got %+v, %+v", got, got.Identity)
	}
	unknown := newID()
	_, err = x.sdk().GetConnection(t.Context(), &apigatewaymanagementapi.GetConnectionInput{ConnectionId: &unknown})
	wantKind(t, err, "GoneException", 410)
}

func TestDeleteConnection(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	ws, i := x.dial()
	id := i.id()
	x.mustPost(id, "last words")
	if _, err := x.sdk().DeleteConnection(t.Context(), &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: &id}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, ws); got != "last words" {
		t.Errorf("got %q", got)
	}
	if code, _ := closed(t, ws); code != 1000 {
		t.Errorf("closed with %d, want 1000", code)
	}
	ws.Close()
	x.next("DISCONNECT")
	_, err := x.sdk().DeleteConnection(t.Context(), &apigatewaymanagementapi.DeleteConnectionInput{ConnectionId: &id})
	wantKind(t, err, "GoneException", 410)
}

func TestPostSizes(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	ws, i := x.dial()
	largest := strings.Repeat("x", 128<<10)
	x.mustPost(i.id(), largest)
	if got := read(t, ws); got != largest {
		t.Errorf("got %d bytes", len(got))
	}
	wantKind(t, x.post(i.id(), largest+"x"), "PayloadTooLargeException", 413)
	wantKind(t, x.post(i.id(), strings.Repeat("x", 1<<20)), "PayloadTooLargeException", 413)
}

func TestRawCalls(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	ws, i := x.dial()
	id := i.id() // ends in "="
	for _, path := range []string{
		"/live/@connections/" + escapedID(id), "/@connections/" + escapedID(id), "/live/@connections/" + id,
		"/live/%40connections/" + strings.ReplaceAll(id, "=", "%3D"),
	} {
		if got := x.call("POST", path, path, lookingSigned); got.StatusCode != 200 {
			t.Errorf("%s answered %s", path, got.Status)
		} else if got := read(t, ws); got != path {
			t.Errorf("the client got %q", got)
		}
	}
	for _, test := range []struct {
		method, path string
		header       http.Header
		status       int
		kind         string
	}{
		{"POST", "/live/@connections/" + escapedID(id), http.Header{}, 403, "MissingAuthenticationTokenException"},
		{"POST", "/live/@connections/" + escapedID(id), http.Header{"Authorization": {"Bearer x"}}, 403, "MissingAuthenticationTokenException"},
		{"POST", "/live/@connections/" + escapedID(id), http.Header{"Authorization": {"AWS4-HMAC-SHA256 x"}}, 403, "IncompleteSignatureException"},
		{"PUT", "/live/@connections/" + escapedID(id), lookingSigned, 403, "MissingAuthenticationTokenException"},
		{"POST", "/live/@connections/unknown", lookingSigned, 410, "GoneException"},
		{"POST", "/live/@connections/%zz", lookingSigned, 400, ""}, // refused by net/http
		{"POST", "/live/@connections/", lookingSigned, 410, "GoneException"},
		{"POST", "/live/@connections", lookingSigned, 403, "ForbiddenException"},
		{"POST", "/other/@connections/" + escapedID(id), lookingSigned, 403, "ForbiddenException"},
	} {
		resp := x.call(test.method, test.path, "x", test.header)
		if resp.StatusCode != test.status || resp.Header.Get("X-Amzn-Errortype") != test.kind {
			t.Errorf("%s %s answered %s %q, want %d %q", test.method, test.path, resp.Status, resp.Header.Get("X-Amzn-Errortype"), test.status, test.kind)
		}
		body, _ := io.ReadAll(resp.Body)
		if test.kind != "" && !json.Valid(body) {
			t.Errorf("%s %s answered %s", test.method, test.path, body)
		}
	}
}

func TestPostsAreThrottledByTheAccount(t *testing.T) {
	t.Parallel()
	x := start(t, func(c *Config) { c.AccountThrottle = rate.NewLimiter(0, 2) })
	_, i := x.dial()
	x.mustPost(i.id(), "x")
	wantKind(t, x.post(i.id(), "x"), "LimitExceededException", 429)
}

// Half-open: the client is silent, nobody has noticed, and posts are accepted until its buffer is full.
func TestHungPeer(t *testing.T) {
	t.Parallel()
	x, c, ws, id := idleFixture(t)
	if !x.Hang(id) || x.Hang("unknown") {
		t.Error("Hang tells wrongly whether there was something to hang")
	}
	text := strings.Repeat("x", 128<<10)
	for range 8 { // 1 MB
		x.mustPost(id, text)
	}
	wantKind(t, x.post(id, text), "LimitExceededException", 429)
	x.mustBeOpen(id)

	// Nothing that the client does is noticed, not even that it goes.
	send(t, ws, "anybody there?")
	ws.Close()
	x.mustBeOpen(id)
	x.noInvocation()

	c.Advance(10 * time.Minute)
	if got := x.next("DISCONNECT"); got.id() != id || got.RequestContext.DisconnectStatusCode != 1001 {
		t.Errorf("$disconnect %+v", got.RequestContext)
	}
	wantKind(t, x.post(id, "x"), "GoneException", 410)
}

func TestHungPeerHearsNothing(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	ws, i := x.dial()
	x.Hang(i.id())
	x.mustPost(i.id(), "lost")
	send(t, ws, "lost too")
	x.Close()
	if code, _ := closed(t, ws); code != -1 {
		t.Errorf("closed with %d, want no close frame", code)
	}
	x.noInvocation()
}
