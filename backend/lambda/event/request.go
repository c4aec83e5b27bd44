package event

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/net/http/httpguts"

	"culvert/backend/visitor"
)

// Request is one visitor's request, whichever event brought it.
type Request struct {
	Kind   Kind
	ID     string // the gateway's, for logs
	Method string
	// Target is the raw path and query, byte for byte as far as the event has it. It
	// begins with a slash and can stand in a request line.
	Target string
	// Prefix is what a visitor's URL has in front of Target: a named stage, or the key
	// that StripPrefix took off. Mostly it is empty.
	Prefix string
	// Proto is "https": nothing else reaches a function in AWS. A host that knows
	// better (on a developer's machine) sets it.
	Proto string
	Host  string
	// Header has canonical names, and no Host, Content-Length or hop-by-hop field.
	Header http.Header
	// Upgrade is the protocols that the visitor offers to change to, or "". No gateway
	// that hands over events changes to any.
	Upgrade string
	Body    []byte
	// SourceIP is whom the gateway saw, never what a header says; "::" if it does not
	// tell.
	SourceIP string
	// Deadline is when the answer must be there. It is the caller's: events have none.
	Deadline time.Time
}

func (e *envelope) request(kind Kind) (*Request, error) {
	c := &e.RequestContext
	r := &Request{Kind: kind, ID: c.RequestID, Proto: "https"}
	var path, query string
	decoded := true
	if kind == HTTPv1 {
		r.Method, r.SourceIP = e.HTTPMethod, c.Identity.SourceIP
		path, query = e.Path, e.rebuiltQuery()
		decoded = e.Version != "" // REST APIs keep the path encoded, and name no version
	} else {
		r.Method, r.SourceIP = c.HTTP.Method, c.HTTP.SourceIP
		path, query = e.RawPath, e.RawQuery
		if path == "" {
			path = c.HTTP.Path
		}
		decoded = kind == HTTPv2
	}
	if !httpguts.ValidHeaderFieldName(r.Method) {
		return nil, malformed("%.40q is no method", r.Method)
	}
	r.SourceIP = address(r.SourceIP)
	if decoded {
		path, r.Prefix = stripStage(path, c.Stage, c.Domain)
	}
	r.Target = target(path, query, decoded)
	if err := visitor.CheckTarget(r.Method, r.Target); err != nil {
		return nil, malformed("%w", err)
	}
	var err error
	if r.Header, r.Host, r.Upgrade, err = e.requestHeader(); err != nil {
		return nil, err
	}
	r.Body, err = e.body()
	return r, err
}

// address is always one, so that no reader has to think of the case.
func address(text string) string {
	addr, ok := visitor.ParseIP(text)
	if !ok {
		addr = netip.IPv6Unspecified()
	}
	return addr.String()
}

func (e *envelope) body() ([]byte, error) {
	text := e.cut
	if text == nil {
		text = []byte(e.Body)
	}
	if !e.Base64 {
		return text, nil
	}
	body := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(body, text)
	body = body[:n]
	if err != nil {
		return nil, malformed("the body is not base64, as it is said to be")
	}
	return body, nil
}
