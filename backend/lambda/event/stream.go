package event

import (
	"bytes"
	"io"
	"net/http"

	"github.com/aws/aws-lambda-go/events"
)

// Stream is an answer whose body comes while it is made: a Function URL in
// RESPONSE_STREAM mode is the only one to take it.
type Stream struct {
	Status int
	Header http.Header // as in Answer
	// Body is read to its end or its first error, which cuts the visitor's answer
	// short where he notices, and is closed in any case. Nil is empty.
	Body io.ReadCloser
	Head bool // as in Answer: nothing of Body is read
}

// Response gives what the runtime reads the stream from: a head in JSON, eight
// zeros, and the body as it is. The error wraps ErrNoAnswer; Body is then still the
// caller's to close.
//
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
func (s *Stream) Response() (*events.LambdaFunctionURLStreamingResponse, error) {
	a := Answer{Status: s.Status, Header: s.Header}
	header, err := a.header(s.Head)
	if err != nil {
		return nil, err
	}
	r := &events.LambdaFunctionURLStreamingResponse{StatusCode: s.Status}
	r.Headers, r.Cookies = joined(header)
	switch {
	case s.Body == nil:
	case bodyAllowed(s.Status) && !s.Head:
		r.Body = s.Body
	default:
		r.Body = closeOnly{s.Body}
	}
	return r, nil
}

// closeOnly is the body of an answer that may have none.
type closeOnly struct{ io.Closer }

func (closeOnly) Read([]byte) (int, error) { return 0, io.EOF }

// Stream makes a stream of an answer that is there as a whole.
func (a *Answer) Stream() *Stream {
	s := &Stream{Status: a.Status, Header: a.Header, Head: a.Head}
	if a.hasBody() {
		s.Body = io.NopCloser(bytes.NewReader(a.Body))
	}
	return s
}
