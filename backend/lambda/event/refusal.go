package event

import (
	"bytes"
	"net/http"
	"net/url"

	"culvert/backend/visitor"
)

// Refuse answers a visitor with an error: a page for readers, one line of text for
// programs. A nil header adds nothing; r may be nil where there is no request to
// speak of.
func Refuse(r *Request, status int, header http.Header, message string) *Answer {
	req := &http.Request{Method: http.MethodPost, Header: http.Header{}, URL: &url.URL{}}
	if r != nil {
		req.Method, req.Header = r.Method, r.Header
	}
	w := &answerWriter{header: make(http.Header)}
	for name, values := range header {
		w.header[name] = values
	}
	visitor.WriteError(w, req, status, message)
	return &Answer{Status: w.status, Header: w.header, Body: w.body.Bytes(), Head: req.Method == http.MethodHead}
}

// answerWriter is an http.ResponseWriter into an Answer.
type answerWriter struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (w *answerWriter) Header() http.Header         { return w.header }
func (w *answerWriter) WriteHeader(status int)      { w.status = status }
func (w *answerWriter) Write(p []byte) (int, error) { return w.body.Write(p) }
