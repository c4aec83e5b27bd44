package event

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// What an event of a WebSocket API is about (Message.EventType).
const (
	Connect    = "CONNECT"
	Text       = "MESSAGE"
	Disconnect = "DISCONNECT"
)

// Message is an event of a WebSocket API.
type Message struct {
	// ConnectionID is never empty.
	ConnectionID string
	APIID        string
	Domain       string
	Stage        string
	Route        string // the key of the chosen route, such as "$default"
	EventType    string // Connect, Text or Disconnect
	ConnectedAt  time.Time
	RequestID    string // the gateway's, for logs
	// Header, with canonical names, and Query are those of the handshake, on Connect.
	Header   http.Header
	Query    url.Values
	SourceIP string // as in Request
	Body     []byte // of a Text
	// DisconnectCode is the close code on Disconnect, if the gateway knows it.
	DisconnectCode int
}

func (e *envelope) message() (*Message, error) {
	c := &e.RequestContext
	switch {
	case c.ConnectionID == "":
		return nil, ErrNoConnection
	case !IsConnectionID(c.ConnectionID):
		return nil, malformed("connectionId is none")
	}
	m := &Message{
		ConnectionID: c.ConnectionID, APIID: c.APIID, Domain: c.Domain, Stage: c.Stage, Route: c.RouteKey,
		EventType: c.EventType, RequestID: c.RequestID, SourceIP: address(c.Identity.SourceIP), DisconnectCode: c.DisconnectCode,
	}
	if c.ConnectedAt > 0 {
		m.ConnectedAt = time.UnixMilli(c.ConnectedAt)
	}
	switch c.EventType {
	case Connect, Text, Disconnect:
	default:
		return nil, malformed("%.40q is no type of a WebSocket's event", c.EventType)
	}
	var err error
	if m.Header, err = e.header(); err != nil {
		return nil, err
	}
	m.Query = e.query()
	m.Body, err = e.body()
	return m, err
}

// maxConnectionID is in bytes; the gateway's have 16.
const maxConnectionID = 128

// IsConnectionID reports whether a gateway may have given this ID to a connection. It
// keeps out what would mean something else in a path, in the log, or in the table of
// connections. The gateway's are base64.
func IsConnectionID(id string) bool {
	return id != "" && len(id) <= maxConnectionID && !strings.ContainsFunc(id, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune("+/=-_", c)
	})
}

func (e *envelope) query() url.Values {
	v := make(url.Values)
	for _, f := range e.Query {
		v[f.name] = f.values
	}
	for _, f := range e.MultiQuery {
		if len(f.values) > 0 {
			v[f.name] = f.values
		}
	}
	return v
}

// EncodeMessageAnswer gives the answer to an event of a WebSocket API. A status
// other than 2xx refuses a Connect. A body reaches the client only on a route that
// has a RouteResponse, and never on Connect.
func EncodeMessageAnswer(status int, body string) []byte {
	text, _ := json.Marshal(struct { // cannot fail: a number and a string
		StatusCode int    `json:"statusCode"`
		Body       string `json:"body,omitempty"`
	}{status, body})
	return text
}
