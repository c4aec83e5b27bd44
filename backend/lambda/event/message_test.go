package event

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func webSocket(eventType string, change object) []byte {
	return event(object{
		"requestContext": object{
			"apiId": "gy415nuibc", "connectedAt": 1705751697419, "connectionId": "R1kmxc2VNjMCFIA=", "domainName": "agents.example.com",
			"eventType": eventType, "messageDirection": "IN", "requestId": "R1knPH17NjMFftw=", "routeKey": "$default", "stage": "live",
			"identity": object{"sourceIp": "192.0.2.7"},
		},
		"isBase64Encoded": false,
	}, change)
}

func TestMessage(t *testing.T) {
	t.Parallel()
	want := func(change func(*Message)) *Message {
		m := &Message{
			ConnectionID: "R1kmxc2VNjMCFIA=", APIID: "gy415nuibc", Domain: "agents.example.com", Stage: "live", Route: "$default",
			EventType: Text, ConnectedAt: time.UnixMilli(1705751697419), RequestID: "R1knPH17NjMFftw=",
			Header: http.Header{}, Query: url.Values{}, SourceIP: "192.0.2.7", Body: []byte{},
		}
		change(m)
		return m
	}
	for name, c := range map[string]struct {
		text []byte
		want *Message
	}{
		"a message": {
			webSocket(Text, object{"body": `{"type":"ping"}`}),
			want(func(m *Message) { m.Body = []byte(`{"type":"ping"}`) }),
		},
		"a message in base64": {
			webSocket(Text, object{"body": "aGk=", "isBase64Encoded": true}),
			want(func(m *Message) { m.Body = []byte("hi") }),
		},
		// The names of fields come as the client spelled them.
		"a connection": {
			webSocket(Connect, object{
				"headers":                         object{"AUTHORIZATION": "Bearer x", "x-a": "1", "X-A": "2"},
				"multiValueHeaders":               object{"AUTHORIZATION": []string{"Bearer x"}, "Sec-WebSocket-Protocol": []string{"a, b"}},
				"queryStringParameters":           object{"token": "x", "b": "2"},
				"multiValueQueryStringParameters": object{"token": []string{"x"}, "b": []string{"1", "2"}},
			}),
			want(func(m *Message) {
				m.EventType = Connect
				m.Header = http.Header{"Authorization": {"Bearer x"}, "Sec-Websocket-Protocol": {"a, b"}, "X-A": {"2", "1"}} // in the order of the text
				m.Query = url.Values{"token": {"x"}, "b": {"1", "2"}}
			}),
		},
		"a disconnection": {
			webSocket(Disconnect, object{"requestContext.disconnectStatusCode": 1001, "requestContext.disconnectReason": "Going away"}),
			want(func(m *Message) { m.EventType, m.DisconnectCode = Disconnect, 1001 }),
		},
	} {
		got, err := ParseMessage(c.text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestMalformedMessages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text []byte
		want error
	}{
		"no connectionId":              {webSocket(Text, object{"requestContext.connectionId": nil}), ErrNoConnection},
		"an empty connectionId":        {webSocket(Connect, object{"requestContext.connectionId": ""}), ErrNoConnection},
		"no connectionId but an event": {webSocket(Text, object{"requestContext": object{"eventType": "MESSAGE"}}), ErrNoConnection},
		"a path for a connectionId":    {webSocket(Text, object{"requestContext.connectionId": "../x"}), ErrMalformed},
		"no eventType":                 {webSocket(Text, object{"requestContext.eventType": nil}), ErrMalformed},
		"an unknown eventType":         {webSocket("RECONNECT", nil), ErrMalformed},
		"a body that is not base64":    {webSocket(Text, object{"body": "?", "isBase64Encoded": true}), ErrMalformed},
	} {
		e, err := Parse(c.text)
		if !errors.Is(err, c.want) || e.Kind != WebSocket || e.Message != nil {
			t.Errorf("%s: %+v, %v; want %v", name, e, err, c.want)
		}
	}
}

func TestEncodeMessageAnswer(t *testing.T) {
	t.Parallel()
	if got, want := string(EncodeMessageAnswer(200, "")), `{"statusCode":200}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := string(EncodeMessageAnswer(400, `a "b"`)), `{"statusCode":400,"body":"a \"b\""}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestIsConnectionID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"R1kmxc2VNjMCFIA=": true, "a-b_c+d/e=": true, strings.Repeat("c", maxConnectionID): true,
		"": false, strings.Repeat("c", maxConnectionID+1): false, "revoked#user#ann": false, "revoked#id#1": false, "../x": false, "a b": false, "a%2F": false, "\u00e9": false, "a\n": false,
	} {
		if got := IsConnectionID(id); got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
}
