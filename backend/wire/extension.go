package wire

// Capabilities of form 1 over API Gateway. Every one of them is used only where both
// sides have named it: the agent in ready, the backend in connection_established.
const (
	// CapResume: the peer understands resume secrets, epochs and the codes for protocol 2.
	CapResume Capability = "resume"
	// CapSession: the agent shows a session token on every message about a request,
	// so that its answer may come on another connection than the request.
	CapSession Capability = "session"
	// CapChunks: bodies over one message travel in numbered parts; lost ones are
	// asked for by number, and whole answers too.
	CapChunks Capability = "chunks"
	// CapGzip: a body may be compressed before base64.
	CapGzip Capability = "gzip"
	// CapCancel: the backend says when nobody waits for an answer any more.
	CapCancel Capability = "cancel"
	// CapBlob: large bodies go by presigned URLs of an object store.
	CapBlob Capability = "blob"
	// CapStream: an answer's parts leave as the local service makes them.
	CapStream Capability = "stream"
)

// The types of messages that only go between peers which have declared the
// capability that they belong to.
const (
	TypeChunk  MessageType = "chunk"  // CapChunks, CapStream
	TypeResend MessageType = "resend" // CapChunks, CapStream
	TypeCredit MessageType = "credit" // CapStream
	TypeCancel MessageType = "cancel" // CapCancel
)

// Bounds of the declared messages.
const (
	// MaxPartMessage bounds every message that carries a part of a body, in bytes:
	// what API Gateway takes, less a margin.
	MaxPartMessage = MaxGatewayMessage - 1<<10
	// MaxPart bounds the raw body of a chunk, so that the message fits MaxPartMessage
	// whatever its other fields hold.
	MaxPart = (MaxPartMessage - 1<<10) / 4 * 3
	// MaxParts bounds a body in parts that is no stream: both as it travels and decoded.
	MaxParts = 6 << 20
	// MaxBlob bounds a body that goes by an object store.
	MaxBlob = 200 << 20
	// MaxSeq bounds the number of a chunk.
	MaxSeq = 1 << 30
	// MaxWanted bounds the numbers that one resend names.
	MaxWanted = 256
	// MaxCredit bounds the credit that a request comes with, in chunks.
	MaxCredit = 64
	// MaxSession bounds a session token in bytes.
	MaxSession = 256
	// MaxURL bounds a presigned URL in bytes.
	MaxURL = 8 << 10
	// MaxUploadFields bounds the number of form fields of an upload, and
	// MaxUploadForm their names and values together in bytes.
	MaxUploadFields = 32
	MaxUploadForm   = 16 << 10
	// MaxTimeoutMS bounds timeout_ms: a day.
	MaxTimeoutMS = 24 * 60 * 60 * 1000
)

// Encoding is what was done to the whole of a body before it was cut into parts.
type Encoding string

// The encodings that a body may have.
const (
	EncodingNone Encoding = ""
	EncodingGzip Encoding = "gzip" // RFC 1952
)

// Upload is a presigned POST of an object store.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html
type Upload struct {
	URL string `json:"url"`
	// Fields of the form, which go before the file.
	Fields map[string]string `json:"fields"`
	// MaxBytes is the largest body that it takes.
	MaxBytes int64 `json:"max_bytes"`
}

// Chunk is a part of a body after its first, which came in http_request or
// http_response and has the number 0.
type Chunk struct {
	RequestID string `json:"request_id"`
	Seq       int    `json:"seq"` // from 1
	Last      bool   `json:"last,omitempty"`
	Body      []byte `json:"body"`
	Session   string `json:"session,omitempty"` // from agents
	Resent    bool   `json:"resent,omitempty"`  // from agents
}

// Resend asks for parts of a body once more; 0 is the message with the head.
type Resend struct {
	RequestID string `json:"request_id"`
	Seqs      []int  `json:"seqs,omitempty"`
	// From asks for all numbers from it on; nil for none.
	From    *int   `json:"from,omitempty"`
	Session string `json:"session,omitempty"` // from agents
}

// Wants reports whether r asks for the part with number seq.
func (r *Resend) Wants(seq int) bool {
	if r.From != nil && seq >= *r.From {
		return true
	}
	for _, s := range r.Seqs {
		if s == seq {
			return true
		}
	}
	return false
}

// Credit allows a stream to go on.
type Credit struct {
	RequestID string `json:"request_id"`
	// Upto is the highest number of a chunk that may be sent. What is a window
	// behind it, the one that the request came with, has arrived.
	Upto int `json:"upto"`
}

// Cancel says that nobody waits for the answer any more.
type Cancel struct {
	RequestID string `json:"request_id"`
}
