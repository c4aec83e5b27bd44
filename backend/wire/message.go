package wire

import "net/http"

// MessageType is the "type" of a JSON message.
type MessageType string

// The types of the original protocol.
const (
	TypeReady        MessageType = "ready"
	TypeEstablished  MessageType = "connection_established"
	TypeHTTPRequest  MessageType = "http_request"
	TypeHTTPResponse MessageType = "http_response"
	TypePing         MessageType = "ping"
	TypePong         MessageType = "pong"
	TypeError        MessageType = "error"
)

// Limits of JSON messages, in bytes.
const (
	// MaxGatewayMessage is API Gateway's limit for one message, either way.
	MaxGatewayMessage = 128 << 10
	// MaxGatewayFrame is API Gateway's limit for one WebSocket frame from an agent.
	MaxGatewayFrame = 32 << 10
	// MaxRelayBody is the largest body that form 1 carries over a relay.
	MaxRelayBody = 8 << 20
	// MaxRelayMessage bounds a form 1 message on a relay: a body in base64, and heads.
	MaxRelayMessage = MaxRelayBody/3*4 + 256<<10
	// MaxControlMessage bounds a JSON message of the handshake, and beside form 2 frames.
	MaxControlMessage = 64 << 10
)

// Capability is an optional ability that a peer declares in its handshake.
type Capability string

// Ready is the agent's first message. The zero value, but for its type, is what
// the original agent sends; every field is for peers of protocol 2.
type Ready struct {
	Protocol     int          `json:"protocol,omitempty"`
	Capabilities []Capability `json:"capabilities,omitempty"`
	Agent        string       `json:"agent,omitempty"` // name and version, for logs
	// TunnelID is the wanted ID; "" lets the backend choose.
	TunnelID string `json:"tunnel_id,omitempty"`
	// Owner is the agent's public owner key and Proof its signature over the
	// backend's host and challenge (package tunnel): what names belong to without a token.
	Owner string `json:"owner,omitempty"`
	Proof string `json:"proof,omitempty"`
	// Resume is the secret from an earlier connection_established, Epoch the number beside it.
	Resume string `json:"resume,omitempty"`
	Epoch  int64  `json:"epoch,omitempty"`
	// Instance is a random name of this session, the same for all its connections.
	Instance string `json:"instance,omitempty"`
}

// Declared reports whether the peer has declared protocol 2.
func (r *Ready) Declared() bool { return r.Protocol >= ProtocolVersion }

// Established is the backend's answer to Ready.
type Established struct {
	ConnectionID string `json:"connection_id"`
	TunnelID     string `json:"tunnel_id"`
	PublicURL    string `json:"public_url"`
	SubdomainURL string `json:"subdomain_url,omitempty"`
	PathBasedURL string `json:"path_based_url,omitempty"`

	// The rest only goes to a peer that has declared protocol 2.
	Protocol     int          `json:"protocol,omitempty"`
	Capabilities []Capability `json:"capabilities,omitempty"`
	Resume       string       `json:"resume,omitempty"`
	Epoch        int64        `json:"epoch,omitempty"`
	// MaxAgeMS is how long this connection may live, in milliseconds; 0 if for ever.
	MaxAgeMS int64  `json:"max_age_ms,omitempty"`
	Backend  string `json:"backend,omitempty"` // name and version, for logs
	// Session is a token (CapSession). It stays valid on the tunnel's next connections.
	Session string `json:"session,omitempty"`
	// StreamURL is the tunnel's public URL for answers that are streamed (CapStream).
	StreamURL string `json:"stream_url,omitempty"`
}

// HTTPRequest is one visitor's request: whole, or the first part of it.
type HTTPRequest struct {
	RequestID string      `json:"request_id"`
	Method    string      `json:"method"`
	URI       string      `json:"uri"`       // path and query
	Header    http.Header `json:"headers"`   // always present
	Body      []byte      `json:"body"`      // padded standard base64; "" if none
	Timestamp int64       `json:"timestamp"` // ms since 1970

	// The rest only goes to an agent that has declared the capability.

	// More: the body goes on in chunks numbered from 1; Body is its beginning (CapChunks).
	More bool `json:"more,omitempty"`
	// Encoding of the whole body, before it was cut into parts (CapGzip).
	Encoding Encoding `json:"encoding,omitempty"`
	// BodySize is the length of the whole body in bytes, decoded. It is there
	// with More, Encoding and BodyURL, and only then.
	BodySize int64 `json:"body_size,omitempty"`
	// BodyURL is where a GET gives the body; Body is empty then (CapBlob).
	BodyURL string `json:"body_url,omitempty"`
	// Upload is where the answer's body may be put; nil for nowhere (CapBlob).
	Upload *Upload `json:"upload,omitempty"`
	// TimeoutMS is how long the backend is going to wait, from now; 0 if it does not say.
	TimeoutMS int64 `json:"timeout_ms,omitempty"`
	// Stream asks for an answer in chunks as they come, and Credit is the highest
	// number that may be sent until a credit message allows more (CapStream).
	Stream bool `json:"stream,omitempty"`
	Credit int  `json:"credit,omitempty"`
}

// HTTPResponse is the agent's answer: whole, or the first part of it.
type HTTPResponse struct {
	RequestID        string      `json:"request_id"`
	StatusCode       int         `json:"status_code"`
	Header           http.Header `json:"headers"`
	Body             []byte      `json:"body"`
	ProcessingTimeMS int64       `json:"processing_time_ms"`

	// The rest only goes to a backend that has declared the capability.

	// Session is the token of connection_established (CapSession).
	Session string `json:"session,omitempty"`
	// More: the body goes on in chunks numbered from 1; Body is its beginning (CapChunks, CapStream).
	More bool `json:"more,omitempty"`
	// Encoding of the whole body, before it was cut into parts (CapGzip).
	Encoding Encoding `json:"encoding,omitempty"`
	// BodySize is the length of the whole body in bytes, decoded. It is there with
	// Encoding and Uploaded, and with More unless the answer is a stream.
	BodySize int64 `json:"body_size,omitempty"`
	// Uploaded: the body is where the request's Upload pointed; Body is empty (CapBlob).
	Uploaded bool `json:"uploaded,omitempty"`
	// Resent: it was sent before, and asked for again (CapChunks).
	Resent bool `json:"resent,omitempty"`
}

// ErrorMessage is what went wrong with one request, or with the connection. It may
// end an answer in parts in the middle.
type ErrorMessage struct {
	RequestID string    `json:"request_id,omitempty"`
	Code      ErrorCode `json:"code"`
	Message   string    `json:"message"`

	// As in HTTPResponse.
	Session string `json:"session,omitempty"`
	Resent  bool   `json:"resent,omitempty"`
}

// Ping is the agent's heartbeat, Pong the backend's optional answer.
type (
	Ping struct {
		Session string `json:"session,omitempty"` // CapSession
	}
	Pong struct{}
)

// Unknown is a message whose type this version does not know, or that has none
// (API Gateway injects some). It is to be logged and ignored.
type Unknown struct {
	Type MessageType // "" if there was none
	Text string      // the start of the message, for the log
}
