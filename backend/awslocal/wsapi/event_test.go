package wsapi

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
)

// published is one of the test events in aws-lambda-go, from the module cache.
func published(t *testing.T, name string) []byte {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-lambda-go").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "events", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// shape maps the path of every member to its type; names of fields and of query
// parameters are data, not members.
func shape(t *testing.T, text []byte) map[string]string {
	t.Helper()
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	all := map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			all[path] = "object"
			for name, member := range v {
				switch path {
				case ".headers", ".multiValueHeaders", ".queryStringParameters", ".multiValueQueryStringParameters":
					name = "*"
				}
				walk(path+"."+name, member)
			}
		case []any:
			all[path] = "list"
			for _, element := range v {
				walk(path+"[]", element)
			}
		case string:
			all[path] = "string"
		case float64:
			all[path] = "number"
		case bool:
			all[path] = "boolean"
		case nil:
			all[path] = "null"
		}
	}
	walk("", value)
	return all
}

func TestEventsAreLikePublishedOnes(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	ws, _, err := x.tryDial("/live?name=me", http.Header{"User-Agent": {"test"}})
	if err != nil {
		t.Fatal(err)
	}
	connect := x.next("CONNECT")
	send(t, ws, `{"a":1}`)
	message := x.next("MESSAGE")
	ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1001, ""), time.Now().Add(time.Second))
	disconnect := x.next("DISCONNECT")

	if diff := cmp.Diff(shape(t, published(t, "apigw-websocket-request-send-message.json")), shape(t, message.raw)); diff != "" {
		t.Errorf("MESSAGE differs from the published event (-published +ours):\n%s", diff)
	}
	if diff := cmp.Diff(shape(t, published(t, "apigw-websocket-request-disconnect.json")), shape(t, disconnect.raw)); diff != "" {
		t.Errorf("DISCONNECT differs from the published event (-published +ours):\n%s", diff)
	}
	// The published CONNECT event is a mixture with events of REST APIs: ours must
	// be a part of it, and hold what a handshake has.
	reference, got := shape(t, published(t, "apigw-websocket-request.json")), shape(t, connect.raw)
	for path, kind := range got {
		if reference[path] != kind {
			t.Errorf("CONNECT has %s of type %s, published: %q", path, kind, reference[path])
		}
	}
	for _, path := range []string{
		".headers.*", ".multiValueHeaders.*", ".queryStringParameters.*", ".multiValueQueryStringParameters.*", ".isBase64Encoded",
		".requestContext.stage", ".requestContext.requestId", ".requestContext.apiId", ".requestContext.connectedAt",
		".requestContext.connectionId", ".requestContext.domainName", ".requestContext.eventType", ".requestContext.extendedRequestId",
		".requestContext.messageDirection", ".requestContext.requestTime", ".requestContext.requestTimeEpoch",
		".requestContext.routeKey", ".requestContext.identity.sourceIp", ".requestContext.identity.userAgent",
	} {
		if got[path] == "" {
			t.Errorf("CONNECT has no %s", path)
		}
	}
	if got[".body"] != "" || shape(t, message.raw)[".headers"] != "" {
		t.Error("$connect has no body, and messages have no fields")
	}
}

func TestEventValues(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	before := time.Now().UnixMilli()
	ws, _, err := x.tryDial("/live?a=1&a=2&b=%20x%2By&token=t", http.Header{
		"User-Agent": {"agent/1"}, "X-Forwarded-For": {"6.6.6.6"}, "X-Multi": {"one", "two"},
	})
	if err != nil {
		t.Fatal(err)
	}
	connect := x.next("CONNECT")
	c := connect.RequestContext
	if c.RouteKey != "$connect" || c.Stage != stage || c.APIID != apiID || c.MessageDirection != "IN" || c.DomainName != x.host ||
		c.Identity.SourceIP != "127.0.0.1" || c.Identity.UserAgent != "agent/1" || c.RequestID == "" || c.MessageID != nil {
		t.Errorf("context of $connect: %+v", c)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{15}=$`).MatchString(c.ConnectionID) {
		t.Errorf("connection ID %q", c.ConnectionID)
	}
	if c.ConnectedAt < before || c.RequestTimeEpoch < c.ConnectedAt || c.RequestTimeEpoch > time.Now().UnixMilli() {
		t.Errorf("connected at %d, event at %d, dialled at %d", c.ConnectedAt, c.RequestTimeEpoch, before)
	}
	if _, err := time.Parse("02/Jan/2006:15:04:05 +0000", c.RequestTime); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "2", "b": " x+y", "token": "t"}, connect.QueryStringParameters); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string][]string{"a": {"1", "2"}, "b": {" x+y"}, "token": {"t"}}, connect.MultiValueQueryStringParameters); diff != "" {
		t.Error(diff)
	}
	if got := header(connect, "X-Forwarded-For"); got != "6.6.6.6, 127.0.0.1" {
		t.Errorf("X-Forwarded-For %q: the forged value comes first", got)
	}
	if got := connect.MultiValueHeaders["X-Multi"]; !cmp.Equal(got, []string{"one", "two"}) || connect.Headers["X-Multi"] != "two" {
		t.Errorf("repeated field: %v, %q", got, connect.Headers["X-Multi"])
	}
	send(t, ws, "first")
	send(t, ws, "second")
	one, two := x.next("MESSAGE").RequestContext, x.next("MESSAGE").RequestContext
	if one.ConnectionID != c.ConnectionID || one.ConnectedAt != c.ConnectedAt || one.MessageID == "" || one.MessageID == two.MessageID || one.RequestID == two.RequestID {
		t.Errorf("contexts of messages: %+v and %+v", one, two)
	}
	ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4711, "enough"), time.Now().Add(time.Second))
	bye := x.next("DISCONNECT")
	if bye.RequestContext.DisconnectStatusCode != 4711 || *bye.RequestContext.DisconnectReason != "enough" || bye.RequestContext.RouteKey != "$disconnect" {
		t.Errorf("context of $disconnect: %+v", bye.RequestContext)
	}
}

// Names of fields come in one case or the other.
func TestHeaderCaseVaries(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	var names []string
	for range 2 {
		_, i := x.dial()
		for name := range i.Headers {
			if strings.EqualFold(name, "sec-websocket-key") {
				names = append(names, name)
			}
		}
		if header(i, "Host") != x.host {
			t.Errorf("Host %q", header(i, "Host"))
		}
	}
	sort.Strings(names)
	if diff := cmp.Diff([]string{"Sec-WebSocket-Key", "sec-websocket-key"}, names); diff != "" {
		t.Error(diff)
	}
}

// header is a field of an event whatever its case.
func header(i invocation, name string) string {
	for got, value := range i.Headers {
		if strings.EqualFold(got, name) {
			return value
		}
	}
	return ""
}
