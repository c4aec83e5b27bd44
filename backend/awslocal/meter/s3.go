package meter

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// S3 is what to stand in front of: a server that takes path-style requests and
// checks no signatures, or those of the functions' credentials.
type S3 struct {
	Upstream  *url.URL
	Callers   Callers
	Transport http.RoundTripper
	// Delay, if any, is how long a call takes longer than here.
	Delay func(operation string) time.Duration
}

// formHead is how much of a form is looked at for who signed it. The fields of a
// presigned form come before the file.
const formHead = 16 << 10

// S3 stands in front of an S3 server. Calls that a function signed for somebody else
// (presigned URLs and forms) are the function's.
func (m *Meter) S3(s S3) http.Handler {
	proxy := &httputil.ReverseProxy{
		Transport: s.Transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(s.Upstream)
			p.Out.Host = p.In.Host // presigned URLs sign it
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			refuseS3(w, http.StatusServiceUnavailable, "ServiceUnavailable", "the S3 server does not answer")
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		signer, object := s.whose(r)
		if signer == "" {
			refuseS3(w, http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
			return
		}
		operation := "GetObject"
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			m.add(func(used *Usage) { used.Gets++ })
		case http.MethodPut, http.MethodPost:
			operation = "PutObject"
			m.add(func(used *Usage) { used.Puts++ })
		default:
			refuseS3(w, http.StatusForbidden, "AccessDenied", "functions of this stand-in read and write objects, and nothing else")
			return
		}
		m.call(signer, "s3:"+operation, "arn:aws:s3:::"+object)
		if s.Delay != nil && !sleep(r.Context(), s.Delay(operation)) {
			return
		}
		proxy.ServeHTTP(w, r)
	})
}

// whose is the function that signed a request, "" if none did, and the object that
// it is about, as BUCKET/KEY. The body remains to be read.
func (s S3) whose(r *http.Request) (function, object string) {
	object = strings.TrimPrefix(r.URL.Path, "/")
	var ok bool
	if q := r.URL.Query(); q.Has("X-Amz-Credential") {
		key, _, _ := strings.Cut(q.Get("X-Amz-Credential"), "/")
		function, ok = s.Callers.caller(key, q.Get("X-Amz-Security-Token"))
	} else if r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		buffered := bufio.NewReaderSize(r.Body, formHead)
		head, _ := buffered.Peek(formHead) // all of it, if it is shorter
		r.Body = struct {
			io.Reader
			io.Closer
		}{buffered, r.Body}
		key, _, _ := strings.Cut(formField(head, "x-amz-credential"), "/")
		function, ok = s.Callers.caller(key, formField(head, "x-amz-security-token"))
		object = strings.TrimSuffix(object, "/") + "/" + formField(head, "key")
	} else {
		function, ok = s.Callers.signedBy(r)
	}
	if !ok {
		return "", ""
	}
	return function, object
}

var fieldOfForm = regexp.MustCompile(`(?i)\r\ncontent-disposition: form-data; name="([a-z0-9-]+)"\r\n\r\n([^\r\n]*)\r\n`)

// formField finds a field in the beginning of a form.
func formField(head []byte, name string) string {
	for _, m := range fieldOfForm.FindAllSubmatch(head, -1) {
		if strings.EqualFold(string(m[1]), name) {
			return string(m[2])
		}
	}
	return ""
}

func refuseS3(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>`+code+`</Code><Message>`+message+`</Message></Error>`)
}
