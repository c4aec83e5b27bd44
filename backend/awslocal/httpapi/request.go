package httpapi

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"culvert/backend/visitor"
)

// request is a visitor's request as far as events tell of it.
type request struct {
	access *Access
	method string
	path   string // still escaped
	query  string // as it came
	host   string
	proto  string
	header http.Header // canonical names, Host included
	body   []byte
}

var errBodyTooLarge = errors.New("the body is too large")

// requestSize counts the request line and the header fields as HTTP/1.1 writes them.
func requestSize(r *http.Request) int {
	n := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len("  \r\n") + len("Host: \r\n") + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n
}

// rawTarget is the request's target from its path on, byte for byte.
func rawTarget(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	target := r.URL.EscapedPath() // absolute form
	if target == "" {
		target = "/"
	}
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		target += "?" + r.URL.RawQuery
	}
	return target
}

func readRequest(r *http.Request, access *Access, maxBody int64) (*request, error) {
	target := rawTarget(r)
	if !strings.HasPrefix(target, "/") { // OPTIONS *
		return nil, fmt.Errorf("the target %q is no path", target)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading the body: %w", err)
	}
	if int64(len(body)) > maxBody {
		return nil, errBodyTooLarge
	}
	in := &request{access: access, method: r.Method, host: r.Host, proto: r.Proto, header: r.Header.Clone(), body: body}
	in.path, in.query, _ = strings.Cut(target, "?")
	visitor.RemoveHopByHop(in.header)
	in.header.Del("Expect")
	in.header.Set("Host", r.Host)
	in.header.Set("Content-Length", strconv.Itoa(len(body)))
	return in, nil
}

// forward adds what gateways tell about the visitor. Only X-Forwarded-For is kept, so
// that its beginning may be forged.
func (in *request) forward(proto, port string) {
	chain := append(in.header["X-Forwarded-For"], in.access.SourceIP)
	in.header.Set("X-Forwarded-For", strings.Join(chain, ", "))
	in.header.Set("X-Forwarded-Proto", proto)
	in.header.Set("X-Forwarded-Port", port)
	id := fmt.Sprintf("1-%08x-%x", in.access.Time.Unix(), random(12))
	if given := in.header.Get("X-Amzn-Trace-Id"); given != "" {
		in.header.Set("X-Amzn-Trace-Id", "Self="+id+";"+given)
	} else {
		in.header.Set("X-Amzn-Trace-Id", "Root="+id)
	}
}

func (in *request) trace() string { return in.header.Get("X-Amzn-Trace-Id") }

// decodedPath is what HTTP APIs make of a path: everything is unescaped, so that %2F
// becomes a separator and %3F an end.
func (in *request) decodedPath() string {
	path, err := url.PathUnescape(in.path)
	if err != nil { // the server has refused those
		path = in.path
	}
	path, _, _ = strings.Cut(path, "?")
	return path
}

// parameters parses the query: names, and their values in order. What cannot be
// unescaped stays as it is.
func (in *request) parameters() (all map[string][]string) {
	for pair := range strings.SplitSeq(in.query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		if all == nil {
			all = make(map[string][]string)
		}
		name = unescape(name)
		all[name] = append(all[name], unescape(value))
	}
	return all
}

func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// text returns the body as events carry it. Only some content types are text there;
// forms are not.
func (in *request) text() (body string, isBase64 bool) {
	kind, _, err := mime.ParseMediaType(in.header.Get("Content-Type"))
	textual := err == nil && (strings.HasPrefix(kind, "text/") || kind == "application/json" ||
		kind == "application/xml" || kind == "application/javascript")
	if len(in.body) == 0 || textual && utf8.Valid(in.body) && in.header.Get("Content-Encoding") == "" {
		return string(in.body), false
	}
	return base64.StdEncoding.EncodeToString(in.body), true
}

func sourceIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// newGatewayID makes an ID like those of API Gateway's requests.
func newGatewayID() string { return base64.URLEncoding.EncodeToString(random(11)) }

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// logTime is the form of time in events.
func logTime(t time.Time) string { return t.UTC().Format("02/Jan/2006:15:04:05 -0700") }
