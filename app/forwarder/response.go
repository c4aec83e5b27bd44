package forwarder

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"culvert/backend/wire"
)

const (
	// maxHead bounds an answer's head, and what one read gets beyond it. The
	// protocol carries heads of 128 KB.
	maxHead = 128 << 10
	// maxInformational bounds the 1xx heads before one answer.
	maxInformational = 32
)

// answer is the head of an answer and how its body is delimited.
type answer struct {
	wire.ResponseHead
	body framing
	last bool // the connection ends with this answer
}

// framing is how the end of a body is known (RFC 9112, 6.3).
type framing uint8

const (
	noBody framing = iota
	byLength
	byChunks
	byClose
)

// readAnswer reads one head: informational or final. Errors about what it says
// wrap errMalformed, others are the connection's.
func (c *conn) readAnswer(method string) (*answer, error) {
	c.limitHead()
	defer c.limitNone()
	line, err := c.text.ReadLine()
	if err != nil {
		return nil, partial(err)
	}
	a := &answer{}
	var minor byte
	if minor, a.Status, err = parseStatusLine(line); err != nil {
		return nil, err
	}
	header, err := c.text.ReadMIMEHeader()
	if err != nil {
		return nil, partial(err)
	}
	a.Header = http.Header(header)
	a.last = minor == '0' && !httpguts.HeaderValuesContainsToken(header["Connection"], "keep-alive") ||
		httpguts.HeaderValuesContainsToken(header["Connection"], "close")
	c.noteKeepAlive(a.Header)
	if err := a.frame(method, minor); err != nil {
		return nil, err
	}
	a.dropHopByHop()
	return a, nil
}

// partial makes an error of textproto one of ours.
func partial(err error) error {
	var syntax textproto.ProtocolError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%w: %v", errMalformed, err)
	}
	return err
}

// parseStatusLine reads "HTTP/1.1 200 OK" (RFC 9112, 4); the reason may be missing.
func parseStatusLine(line string) (minor byte, status int, err error) {
	const proto = "HTTP/1."
	if len(line) < len(proto)+5 || line[:len(proto)] != proto || line[8] != ' ' ||
		line[7] < '0' || line[7] > '9' || len(line) > 12 && line[12] != ' ' {
		return 0, 0, fmt.Errorf("%w: it begins with %q", errMalformed, line[:min(len(line), 40)])
	}
	for _, digit := range []byte(line[9:12]) {
		if digit < '0' || digit > '9' {
			return 0, 0, fmt.Errorf("%w: its status is %q", errMalformed, line[9:12])
		}
		status = status*10 + int(digit-'0')
	}
	if status < 100 {
		return 0, 0, fmt.Errorf("%w: its status is %q", errMalformed, line[9:12])
	}
	return line[7], status, nil
}

// frame finds out how the body ends, as RFC 9112, 6.3 has it.
func (a *answer) frame(method string, minor byte) error {
	lengths, encodings := a.Header["Content-Length"], a.Header["Transfer-Encoding"]
	delete(a.Header, "Content-Length")
	a.ContentLength = -1
	if len(lengths) > 0 && len(encodings) == 0 {
		length, err := parseLength(lengths)
		if err != nil {
			return err
		}
		a.ContentLength = length
	}
	chunked := len(encodings) == 1 && strings.EqualFold(textproto.TrimString(encodings[0]), "chunked")
	if chunked && (len(lengths) > 0 || minor == '0') {
		// Chunks win, but what comes after such an answer is not to be trusted.
		a.last = true
	}
	switch {
	case a.Status < 200, a.Status == http.StatusNoContent:
		a.body, a.ContentLength = noBody, -1
	case method == http.MethodHead, a.Status == http.StatusNotModified:
		a.body = noBody
	case chunked:
		a.body = byChunks
	case len(encodings) > 0:
		return fmt.Errorf("%w: its Transfer-Encoding is %q", errMalformed, strings.Join(encodings, ", "))
	case a.ContentLength == 0:
		a.body = noBody
	case a.ContentLength > 0:
		a.body = byLength
	default:
		a.body, a.last = byClose, true
	}
	return nil
}

// parseLength reads Content-Length. It may be repeated if all are the same
// (RFC 9110, 8.6).
func parseLength(values []string) (int64, error) {
	length := int64(-1)
	for _, value := range values {
		for text := range strings.SplitSeq(value, ",") {
			n, err := strconv.ParseUint(textproto.TrimString(text), 10, 63)
			if err != nil || length >= 0 && int64(n) != length {
				return 0, fmt.Errorf("%w: its Content-Length is %q", errMalformed, strings.Join(values, ", "))
			}
			length = int64(n)
		}
	}
	return length, nil
}

// dropHopByHop removes what is about our connection to the service only. Of a
// change of protocols, the visitor needs Upgrade.
func (a *answer) dropHopByHop() {
	upgrade := a.Header["Upgrade"]
	for _, value := range a.Header["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			delete(a.Header, http.CanonicalHeaderKey(textproto.TrimString(name)))
		}
	}
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Upgrade", "Http2-Settings"} {
		delete(a.Header, name)
	}
	if a.Status == http.StatusSwitchingProtocols && len(upgrade) > 0 {
		a.Header["Upgrade"] = upgrade
	}
}

// noteKeepAlive believes a service that says how long it keeps connections
// ("Keep-Alive: timeout=5").
func (c *conn) noteKeepAlive(h http.Header) {
	for _, value := range h["Keep-Alive"] {
		for parameter := range strings.SplitSeq(value, ",") {
			name, text, _ := strings.Cut(textproto.TrimString(parameter), "=")
			if seconds, err := strconv.ParseUint(text, 10, 31); err == nil && strings.EqualFold(name, "timeout") {
				keep := time.Duration(seconds) * time.Second
				c.keep = min(maxIdle, keep-min(idleMargin, keep/2))
			}
		}
	}
}

// awaitAnswer reads heads up to the final one, and passes on what is informational.
func (e *exchange) awaitAnswer() (*answer, error) {
	for range maxInformational {
		a, err := e.c.readAnswer(e.head.Method)
		if err != nil {
			return nil, err
		}
		if a.Status >= 200 || a.Status == http.StatusSwitchingProtocols {
			return a, nil
		}
		if a.Status == http.StatusContinue {
			if e.proceed == nil {
				continue // nobody has asked
			}
			select {
			case e.proceed <- true:
			default: // said before
			}
		}
		if err := e.x.WriteHead(&a.ResponseHead, false); err != nil {
			return nil, visitorFailure(err)
		}
	}
	return nil, fmt.Errorf("%w: more than %d informational heads", errMalformed, maxInformational)
}

// sendAnswer streams an answer to the visitor. Its failure is the service's unless
// it is a *failure.
func (e *exchange) sendAnswer(a *answer) error {
	if a.body == noBody {
		e.release()
	}
	if err := e.x.WriteHead(&a.ResponseHead, a.body == noBody); err != nil {
		return visitorFailure(err)
	}
	e.rec.ResponseHead(&a.ResponseHead)
	if a.body == noBody {
		return nil
	}
	body := bodyReader{c: e.c, framing: a.body, left: a.ContentLength}
	if a.body == byChunks {
		body.chunks = httputil.NewChunkedReader(e.c.br)
		body.buf = e.f.shared.buffers.get()
		defer e.f.shared.buffers.put(body.buf)
	}
	for {
		data, err := body.next()
		e.rec.ResponseBody(data)
		switch {
		case err == nil:
			if len(data) > 0 {
				_, err = e.x.Write(data)
			}
			if err != nil {
				return visitorFailure(err)
			}
		case err == io.EOF:
			return e.endAnswer(a, data)
		default:
			// What has come still goes to the visitor, before the cut.
			if len(data) > 0 {
				e.x.Write(data)
			}
			return err
		}
	}
}

// bodyReader reads an answer's body piece by piece.
type bodyReader struct {
	c       *conn
	framing framing
	left    int64     // of a body of known length
	chunks  io.Reader // of one in chunks, with the buffer to read it into
	buf     *[]byte
}

// next gives the next piece, the last one perhaps together with io.EOF. It is valid
// until the next call.
func (b *bodyReader) next() (data []byte, err error) {
	switch b.framing {
	case byLength:
		data, err = b.c.next(b.left)
		if b.left -= int64(len(data)); b.left == 0 {
			err = io.EOF
		} else if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
	case byChunks:
		var n int
		n, err = b.chunks.Read(*b.buf)
		data = (*b.buf)[:n]
	case byClose:
		data, err = b.c.next(-1)
	}
	return data, err
}

// endAnswer sends the last data of the body, and its trailer.
func (e *exchange) endAnswer(a *answer, data []byte) error {
	var trailer http.Header
	if a.body == byChunks {
		if len(data) > 0 && !e.c.emptyLineBuffered() {
			// A trailer may be long in coming, or never come; the data is there.
			if _, err := e.x.Write(data); err != nil {
				return visitorFailure(err)
			}
			data = nil
		}
		var err error
		if trailer, err = e.c.readTrailer(); err != nil {
			return err
		}
	}
	e.release()
	var err error
	switch {
	case len(data) == 0:
		err = e.x.CloseWrite(trailer)
	case len(trailer) == 0:
		_, err = e.x.WriteLast(data)
	default:
		if _, err = e.x.Write(data); err == nil {
			err = e.x.CloseWrite(trailer)
		}
	}
	if err != nil {
		return visitorFailure(err)
	}
	return nil
}

// readTrailer reads what follows the last chunk: mostly an empty line.
func (c *conn) readTrailer() (http.Header, error) {
	c.limitHead()
	defer c.limitNone()
	if c.emptyLineBuffered() {
		c.br.Discard(2)
		return nil, nil
	}
	fields, err := c.text.ReadMIMEHeader()
	if err != nil {
		return nil, partial(err)
	}
	trailer := http.Header(fields)
	for name := range trailer {
		if hopByHop(name) || !httpguts.ValidTrailerHeader(name) {
			delete(trailer, name)
		}
	}
	return trailer, nil
}

func (c *conn) emptyLineBuffered() bool {
	if c.br.Buffered() < 2 {
		return false
	}
	line, _ := c.br.Peek(2)
	return string(line) == "\r\n"
}
