package wire

import (
	"encoding/binary"
	"math"
	"net/http"
	"net/textproto"
)

// Bounds of a head, or of a trailer, in form 2.
const (
	// MaxHead is the size of an encoded head in bytes.
	MaxHead = 128 << 10
	// MaxFields is the number of header fields in it; a name with three values
	// counts three times.
	MaxFields = 4096
)

// AppendRequestHead appends the payload of a REQUEST frame. On an error, which
// says what is wrong with h, dst is returned as it was.
func AppendRequestHead(dst []byte, h *RequestHead) ([]byte, error) {
	if err := checkRequestHead(h); err != nil {
		return dst, err
	}
	b := appendString(dst, h.Method)
	b = appendString(b, h.Target)
	b = appendString(b, h.Host)
	b = appendString(b, h.Prefix)
	b = appendString(b, h.RemoteAddr)
	b = appendString(b, h.Upgrade)
	b = binary.AppendUvarint(b, uint64(h.ContentLength+1))
	return appendFields(dst, b, h.Header)
}

// DecodeRequestHead reads the payload of a REQUEST frame. Errors wrap ErrProtocol
// and concern the one stream.
func DecodeRequestHead(p []byte) (*RequestHead, error) {
	if len(p) > MaxHead {
		return nil, tooLarge("a head's size in bytes", MaxHead)
	}
	d := headDecoder{left: string(p)}
	h := &RequestHead{
		Method:        d.string(),
		Target:        d.string(),
		Host:          d.string(),
		Prefix:        d.string(),
		RemoteAddr:    d.string(),
		Upgrade:       d.string(),
		ContentLength: d.contentLength(),
		Header:        d.fields(),
	}
	if d.err != nil {
		return nil, d.err
	}
	if err := checkRequestHead(h); err != nil {
		return nil, err
	}
	return h, nil
}

func checkRequestHead(h *RequestHead) error {
	if err := checkMethod(h.Method); err != nil {
		return err
	}
	if err := checkTarget(h.Target); err != nil {
		return err
	}
	if err := checkText("host", h.Host); err != nil {
		return err
	}
	if h.Prefix != "" {
		if err := checkTarget(h.Prefix); err != nil {
			return err
		}
	}
	if err := checkText("remote address", h.RemoteAddr); err != nil {
		return err
	}
	if err := checkText("upgrade", h.Upgrade); err != nil {
		return err
	}
	return checkContentLength(h.ContentLength)
}

// AppendResponseHead appends the payload of a RESPONSE frame, like AppendRequestHead.
func AppendResponseHead(dst []byte, h *ResponseHead) ([]byte, error) {
	if err := checkResponseHead(h); err != nil {
		return dst, err
	}
	b := binary.AppendUvarint(dst, uint64(h.Status))
	b = binary.AppendUvarint(b, uint64(h.ContentLength+1))
	return appendFields(dst, b, h.Header)
}

// DecodeResponseHead reads the payload of a RESPONSE frame, like DecodeRequestHead.
func DecodeResponseHead(p []byte) (*ResponseHead, error) {
	if len(p) > MaxHead {
		return nil, tooLarge("a head's size in bytes", MaxHead)
	}
	d := headDecoder{left: string(p)}
	status := d.uvarint()
	h := &ResponseHead{ContentLength: d.contentLength(), Header: d.fields()}
	if d.err != nil {
		return nil, d.err
	}
	h.Status = int(min(status, 1000))
	if err := checkResponseHead(h); err != nil {
		return nil, err
	}
	return h, nil
}

func checkResponseHead(h *ResponseHead) error {
	if h.Status < 100 || h.Status > 999 {
		return protocolError("status %d is not within 100 to 999", h.Status)
	}
	return checkContentLength(h.ContentLength)
}

// AppendTrailer appends the payload of a TRAILERS frame, like AppendRequestHead.
func AppendTrailer(dst []byte, h http.Header) ([]byte, error) {
	return appendFields(dst, dst, h)
}

// DecodeTrailer reads the payload of a TRAILERS frame, like DecodeRequestHead.
func DecodeTrailer(p []byte) (http.Header, error) {
	if len(p) > MaxHead {
		return nil, tooLarge("a trailer's size in bytes", MaxHead)
	}
	d := headDecoder{left: string(p)}
	h := d.fields()
	return h, d.err
}

func checkContentLength(n int64) error {
	if n < -1 {
		return protocolError("content length %d is negative", n)
	}
	return nil
}

// framing names the fields that say where a message ends, or belong to one hop:
// RFC 9112 section 6.3. A stream has its own framing, and a second one from the
// far end would let the two disagree, so that they never travel in a header.
func framing(name string) bool {
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Content-Length", "Transfer-Encoding", "Connection", "Proxy-Connection", "Keep-Alive", "Host":
		return true
	}
	return false
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendFields ends a head that began at dst and stands in b so far.
func appendFields(dst, b []byte, h http.Header) ([]byte, error) {
	count := 0
	for name, values := range h {
		if !framing(name) {
			count += len(values)
		}
	}
	if count > MaxFields {
		return dst, tooLarge("the number of header fields", MaxFields)
	}
	b = binary.AppendUvarint(b, uint64(count))
	for name, values := range h {
		if framing(name) {
			continue
		}
		if err := checkField(name, values...); err != nil {
			return dst, err
		}
		for _, v := range values {
			b = appendString(b, name)
			b = appendString(b, v)
		}
		if len(b)-len(dst) > MaxHead {
			break
		}
	}
	if len(b)-len(dst) > MaxHead {
		return dst, tooLarge("a head's size in bytes", MaxHead)
	}
	return b, nil
}

// headDecoder takes a head apart. Everything it gives shares the memory of one
// string. The first error sticks; after it, all values are empty.
type headDecoder struct {
	left string
	err  error
}

func (d *headDecoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.left = ""
}

// uvarint reads a base-128 number, least significant group first, in its
// shortest form.
func (d *headDecoder) uvarint() uint64 {
	var n uint64
	for i := range min(len(d.left), binary.MaxVarintLen64) {
		c := d.left[i]
		if i == binary.MaxVarintLen64-1 && c > 1 {
			break // over 64 bits
		}
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			if c == 0 && i > 0 {
				break // not the shortest form
			}
			d.left = d.left[i+1:]
			return n
		}
	}
	d.fail(protocolError("head has a malformed number"))
	return 0
}

func (d *headDecoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.left)) {
		d.fail(protocolError("head ends within a string"))
		return ""
	}
	s := d.left[:n]
	d.left = d.left[n:]
	return s
}

func (d *headDecoder) contentLength() int64 {
	n := d.uvarint()
	if n > math.MaxInt64 {
		d.fail(protocolError("content length is out of range"))
		return 0
	}
	return int64(n) - 1
}

// fields reads the rest of a head: a count, and as many names and values.
func (d *headDecoder) fields() http.Header {
	count := d.uvarint()
	if count > MaxFields {
		d.fail(tooLarge("the number of header fields", MaxFields))
		return nil
	}
	// The shortest field, a name of one byte without a value, takes three.
	if count > uint64(len(d.left)/3) {
		d.fail(protocolError("head ends within its fields"))
		return nil
	}
	h := make(http.Header, count)
	values := make([]string, count) // one allocation for the values of all names
	for i := range values {
		name, value := d.string(), d.string()
		if d.err != nil {
			return nil
		}
		if err := checkField(name, value); err != nil {
			d.fail(err)
			return nil
		}
		key := textproto.CanonicalMIMEHeaderKey(name)
		if framing(key) {
			d.fail(protocolError("head has a %s field", key))
			return nil
		}
		if old := h[key]; old != nil {
			h[key] = append(old, value)
			continue
		}
		values[i] = value
		h[key] = values[i : i+1 : i+1]
	}
	if d.left != "" {
		d.fail(protocolError("head goes on after its fields"))
		return nil
	}
	return h
}
