package wsapi

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// event is what a function is invoked with (aws-lambda-go: APIGatewayWebsocketProxyRequest).
// $connect has the handshake's fields and query, $disconnect a few fields, and
// messages have neither.
type event struct {
	Type              string              `json:"type,omitempty"`      // of an authorizer's event: REQUEST
	MethodARN         string              `json:"methodArn,omitempty"` // of an authorizer's event
	Headers           map[string]string   `json:"headers,omitempty"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders,omitempty"`
	Query             map[string]string   `json:"queryStringParameters,omitempty"`
	MultiValueQuery   map[string][]string `json:"multiValueQueryStringParameters,omitempty"`
	RequestContext    *eventContext       `json:"requestContext"`
	Body              *string             `json:"body,omitempty"`
	IsBase64Encoded   *bool               `json:"isBase64Encoded,omitempty"`
}

type eventContext struct {
	RouteKey             string         `json:"routeKey"`
	DisconnectStatusCode int            `json:"disconnectStatusCode,omitempty"`
	MessageID            string         `json:"messageId,omitempty"`
	EventType            string         `json:"eventType"`
	ExtendedRequestID    string         `json:"extendedRequestId"`
	RequestTime          string         `json:"requestTime"`
	MessageDirection     string         `json:"messageDirection"`
	DisconnectReason     *string        `json:"disconnectReason,omitempty"`
	Stage                string         `json:"stage"`
	ConnectedAt          int64          `json:"connectedAt"` // ms since 1970
	RequestTimeEpoch     int64          `json:"requestTimeEpoch"`
	Identity             eventIdentity  `json:"identity"`
	Authorizer           map[string]any `json:"authorizer,omitempty"`
	RequestID            string         `json:"requestId"`
	DomainName           string         `json:"domainName"`
	ConnectionID         string         `json:"connectionId"`
	APIID                string         `json:"apiId"`
}

type eventIdentity struct {
	AccessKey string `json:"accessKey,omitempty"`
	UserAgent string `json:"userAgent,omitempty"`
	SourceIP  string `json:"sourceIp"`
}

// newID makes a connection's, message's or request's ID: 16 characters that end in "=".
func newID() string {
	var b [11]byte
	rand.Read(b[:])
	return base64.URLEncoding.EncodeToString(b[:])
}

// context is the part that all events of a connection share.
func (p *peer) context(route, kind string) *eventContext {
	now, id := time.Now(), newID()
	return &eventContext{
		RouteKey:          route,
		EventType:         kind,
		ExtendedRequestID: id,
		RequestTime:       now.UTC().Format("02/Jan/2006:15:04:05 -0700"),
		MessageDirection:  "IN",
		Stage:             p.api.cfg.Stage,
		ConnectedAt:       p.connectedAt.UnixMilli(),
		RequestTimeEpoch:  now.UnixMilli(),
		Identity:          eventIdentity{AccessKey: p.accessKey, UserAgent: p.userAgent, SourceIP: p.sourceIP},
		Authorizer:        p.authorizer,
		RequestID:         id,
		DomainName:        p.host,
		ConnectionID:      p.id,
		APIID:             p.api.cfg.ID,
	}
}

func (p *peer) connectEvent(r *http.Request) *event {
	e := &event{RequestContext: p.context(routeConnect, "CONNECT"), IsBase64Encoded: new(bool)}
	e.setHeaders(p.handshakeHeader(r))
	e.setQuery(r.URL.Query())
	return e
}

func (p *peer) messageEvent(route, text string) *event {
	c := p.context(route, "MESSAGE")
	c.MessageID = newID()
	return &event{RequestContext: c, Body: &text, IsBase64Encoded: new(bool)}
}

func (p *peer) disconnectEvent(code int, reason string) *event {
	e := &event{RequestContext: p.context(routeDisconnect, "DISCONNECT"), IsBase64Encoded: new(bool)}
	e.RequestContext.DisconnectStatusCode = code
	e.RequestContext.DisconnectReason = &reason
	e.setHeaders(http.Header{"Host": {p.host}, "x-api-key": {""}, "X-Forwarded-For": {""}, "x-restapi": {""}})
	return e
}

func (e *event) setHeaders(h http.Header) {
	e.MultiValueHeaders = h
	e.Headers = make(map[string]string, len(h))
	for name, values := range h {
		e.Headers[name] = values[len(values)-1]
	}
}

// setQuery takes the decoded query; without one, the members are missing.
func (e *event) setQuery(q url.Values) {
	if len(q) == 0 {
		return
	}
	e.MultiValueQuery = q
	e.Query = make(map[string]string, len(q))
	for name, values := range q {
		e.Query[name] = values[len(values)-1]
	}
}

// handshakeHeader is the fields of a handshake as $connect sees them: without
// hop-by-hop ones, with API Gateway's own, and spelled one way or another: names
// come as the client, a proxy or HTTP/2 on the way spelled them, so that every
// second connection has them in lower case here.
func (p *peer) handshakeHeader(r *http.Request) http.Header {
	h := http.Header{"Host": {r.Host}}
	for name, values := range r.Header {
		switch name {
		case "Connection", "Upgrade", "Content-Length", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto":
			continue
		}
		if len(values) > 0 {
			h[spelled(name)] = values
		}
	}
	// A client's own list is kept in front, forged or not.
	h["X-Forwarded-For"] = []string{strings.Join(append(r.Header.Values("X-Forwarded-For"), p.sourceIP), ", ")}
	h["X-Forwarded-Port"] = []string{"443"}
	h["X-Forwarded-Proto"] = []string{"https"}
	h["X-Amzn-Trace-Id"] = []string{traceID(p.connectedAt)}
	if !p.lowerCase {
		return h
	}
	lower := make(http.Header, len(h))
	for name, values := range h {
		lower[strings.ToLower(name)] = values
	}
	return lower
}

// spelled is a name as clients write it; net/http has put it in a form of its own.
func spelled(name string) string {
	if rest, found := strings.CutPrefix(name, "Sec-Websocket-"); found {
		return "Sec-WebSocket-" + rest
	}
	return name
}

func traceID(at time.Time) string {
	var b [12]byte
	rand.Read(b[:])
	return fmt.Sprintf("Root=1-%08x-%s", at.Unix(), hex.EncodeToString(b[:]))
}
