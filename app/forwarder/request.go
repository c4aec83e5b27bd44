package forwarder

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"culvert/backend/wire"
)

// appendRequest appends the head of the request to b, the empty line included.
func (f *Forwarder) appendRequest(b []byte, h *wire.RequestHead) ([]byte, error) {
	if !httpguts.ValidHeaderFieldName(h.Method) { // a method is a token, too (RFC 9110, 9.1)
		return nil, invalidRequest("the method is no token")
	}
	if !validTarget(h.Target) {
		return nil, invalidRequest("the request-target has a space or a control character in it, or no slash in front")
	}
	b = append(b, h.Method...)
	b = append(b, ' ')
	b = append(b, h.Target...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = appendField(b, "Host", f.hostFor(h))

	var array [32]string
	names := array[:0]
	for name := range h.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	var forwardedFor, forwardedHost bool
	for _, name := range names {
		canonical := http.CanonicalHeaderKey(name)
		if hopByHop(canonical) || canonical == "Host" || canonical == "Content-Length" {
			continue
		}
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, invalidRequest("a header field name is no token")
		}
		for _, value := range h.Header[name] {
			if !httpguts.ValidHeaderFieldValue(value) {
				return nil, invalidRequest("the header field %s has a control character in it", name)
			}
			switch canonical {
			case "Origin":
				value = f.mapOrigin(h, value)
			case "Referer":
				value = f.mapReferer(h, value)
			case "X-Forwarded-For":
				forwardedFor = true
			case "X-Forwarded-Host":
				forwardedHost = true
			}
			b = appendField(b, name, value)
		}
	}
	if !forwardedFor && httpguts.ValidHeaderFieldValue(h.RemoteAddr) && h.RemoteAddr != "" {
		b = appendField(b, "X-Forwarded-For", h.RemoteAddr)
	}
	if !forwardedHost && h.Host != "" && httpguts.ValidHostHeader(h.Host) {
		b = appendField(b, "X-Forwarded-Host", h.Host)
	}

	if upgrade := upgradeOf(h); upgrade != "" {
		b = appendField(b, "Connection", "Upgrade")
		b = appendField(b, "Upgrade", upgrade)
	}
	switch {
	case h.ContentLength > 0, h.ContentLength == 0 && expectsBody(h.Method):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, h.ContentLength, 10)
		b = append(b, "\r\n"...)
	case h.ContentLength < 0:
		b = appendField(b, "Transfer-Encoding", "chunked")
	}
	return append(b, "\r\n"...), nil
}

func invalidRequest(format string, args ...any) *failure {
	return fail(wire.ResetInvalid, nil, "malformed request: "+format, args...)
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// validTarget accepts what can stand in a request line. Everything else about a
// target is between the visitor and the service.
func validTarget(target string) bool {
	if target != "*" && !strings.HasPrefix(target, "/") {
		return false
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// expectsBody reports whether an empty body is worth a Content-Length of 0
// (RFC 9110, 8.6).
func expectsBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// upgradeOf is the protocol to ask the service for, or "". HTTP/2 without TLS
// (h2c) is not passed: its requests would go unseen, and it is a known way past
// what a proxy forbids.
func upgradeOf(h *wire.RequestHead) string {
	if strings.Contains(strings.ToLower(h.Upgrade), "h2c") || !httpguts.ValidHeaderFieldValue(h.Upgrade) {
		return ""
	}
	return h.Upgrade
}

// hopByHop reports whether a field is about one connection (RFC 9110, 7.6.1).
func hopByHop(canonical string) bool {
	switch canonical {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Upgrade", "Http2-Settings":
		return true
	}
	return false
}

// expectsContinue reports whether the visitor waits for 100 before the body.
func expectsContinue(h *wire.RequestHead) bool {
	return h.ContentLength != 0 && strings.EqualFold(h.Header.Get("Expect"), "100-continue")
}

// continueTimeout is how long to wait for 100 from a service that may not know it
// (RFC 9110, 10.1.1).
const continueTimeout = time.Second

// chunkRoom is room before the data of a chunk for its size, and after it for the
// line's end.
const chunkRoom = 16

// sendBody streams the request's body to the service. A failure of the visitor's
// side is a *failure, one of the service's any other error: it may have answered.
func (e *exchange) sendBody(c *conn) error {
	if e.proceed != nil {
		if err := e.awaitContinue(); err != nil {
			return err
		}
	}
	buf := e.f.shared.buffers.get()
	defer e.f.shared.buffers.put(buf)
	chunked := e.head.ContentLength < 0
	left := e.head.ContentLength
	room := (*buf)[chunkRoom : len(*buf)-chunkRoom]
	for chunked || left > 0 {
		data := room
		if !chunked {
			data = room[:min(int64(len(room)), left)]
		}
		c.watch.pause() // it is the visitor's turn
		n, err := e.x.Read(data)
		c.watch.resume()
		if n > 0 {
			left -= int64(n)
			e.rec.RequestBody(data[:n])
			out := data[:n]
			if chunked {
				out = frameChunk(*buf, n)
			}
			if _, err := c.Write(out); err != nil {
				return err
			}
			e.progress.Add(1)
		}
		switch {
		case err == io.EOF && chunked:
			_, err := c.Write(appendTrailer((*buf)[:0], e.x.RequestTrailer()))
			return err
		case err == io.EOF && left > 0:
			return invalidRequest("the body is shorter than its Content-Length")
		case err != nil && err != io.EOF:
			return visitorFailure(err)
		}
	}
	return nil
}

// frameChunk makes a chunk of the n bytes after chunkRoom in buf, in place
// (RFC 9112, 7.1).
func frameChunk(buf []byte, n int) []byte {
	var size [chunkRoom]byte
	line := append(strconv.AppendInt(size[:0], int64(n), 16), "\r\n"...)
	start := chunkRoom - len(line)
	copy(buf[start:], line)
	end := chunkRoom + n
	end += copy(buf[end:], "\r\n")
	return buf[start:end]
}

// appendTrailer appends the last chunk and the trailer.
func appendTrailer(b []byte, trailer http.Header) []byte {
	b = append(b, "0\r\n"...)
	for name, values := range trailer {
		if !httpguts.ValidTrailerHeader(name) || !httpguts.ValidHeaderFieldName(name) {
			continue
		}
		for _, value := range values {
			if httpguts.ValidHeaderFieldValue(value) {
				b = appendField(b, name, value)
			}
		}
	}
	return append(b, "\r\n"...)
}

// awaitContinue waits until the service wants the body, or does not say.
func (e *exchange) awaitContinue() error {
	timer := time.NewTimer(e.f.continueTimeout)
	defer timer.Stop()
	select {
	case wanted := <-e.proceed:
		if !wanted {
			return errBodyUnwanted
		}
	case <-timer.C:
	}
	return nil
}

// errBodyUnwanted: the service has answered instead of asking for the body.
var errBodyUnwanted = errors.New("the service did not want the body")
