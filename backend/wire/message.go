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

// CapResume: the peer understands resume secrets, epochs and the codes for protocol 2.
const CapResume Capability = "resume"

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
}

// HTTPRequest is one visitor's request, whole.
type HTTPRequest struct {
	RequestID string      `json:"request_id"`
	Method    string      `json:"method"`
	URI       string      `json:"uri"`       // path and query
	Header    http.Header `json:"headers"`   // always present
	Body      []byte      `json:"body"`      // padded standard base64; "" if none
	Timestamp int64       `json:"timestamp"` // ms since 1970
}

// HTTPResponse is the agent's answer, whole.
type HTTPResponse struct {
	RequestID        string      `json:"request_id"`
	StatusCode       int         `json:"status_code"`
	Header           http.Header `json:"headers"`
	Body             []byte      `json:"body"`
	ProcessingTimeMS int64       `json:"processing_time_ms"`
}

// ErrorMessage is what went wrong with one request, or with the connection.
type ErrorMessage struct {
	RequestID string    `json:"request_id,omitempty"`
	Code      ErrorCode `json:"code"`
	Message   string    `json:"message"`
}

// Ping is the agent's heartbeat, Pong the backend's optional answer.
type (
	Ping struct{}
	Pong struct{}
)

// Unknown is a message whose type this version does not know, or that has none
// (API Gateway injects some). It is to be logged and ignored.
type Unknown struct {
	Type MessageType // "" if there was none
	Text string      // the start of the message, for the log
}
