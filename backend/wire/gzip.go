package wire

import (
	"bytes"
	"compress/gzip"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
)

// minGzip is the smallest body worth compressing, in bytes.
const minGzip = 1 << 10

// Packer compresses bodies for messages. The zero value is ready, and may be used
// by any number of goroutines.
type Packer struct {
	writers sync.Pool
}

// Pack gives body as it should travel: compressed if it is long, of a type
// that compresses, and at least a tenth shorter by it; else as it is.
func (p *Packer) Pack(h http.Header, body []byte) ([]byte, Encoding) {
	if len(body) < minGzip || !compressible(h) {
		return body, EncodingNone
	}
	short := &shorter{limit: len(body) - len(body)/10}
	// The smallest Lambda function has a fourteenth of a processor: speed counts.
	w, _ := p.writers.Get().(*gzip.Writer)
	if w == nil {
		w, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed)
	}
	defer p.writers.Put(w)
	w.Reset(short)
	if _, err := w.Write(body); err != nil || w.Close() != nil {
		return body, EncodingNone
	}
	return short.Bytes(), EncodingGzip
}

// shorter fails as soon as more than limit bytes were written.
type shorter struct {
	bytes.Buffer
	limit int
}

func (s *shorter) Write(p []byte) (int, error) {
	if s.Len()+len(p) > s.limit {
		return 0, io.ErrShortWrite
	}
	return s.Buffer.Write(p)
}

// compressible reports whether the body of a message with header h is likely to
// shrink: what is compressed already, or encrypted, is not.
func compressible(h http.Header) bool {
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return false
	}
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return false
	}
	kind, sub, _ := strings.Cut(media, "/")
	if kind == "text" || strings.HasSuffix(sub, "+json") || strings.HasSuffix(sub, "+xml") {
		return true
	}
	switch media {
	case "application/json", "application/javascript", "application/x-javascript", "application/xml",
		"application/x-ndjson", "application/yaml", "application/toml", "application/sql", "application/wasm",
		"application/x-www-form-urlencoded", "application/manifest", "application/x-tar",
		"font/ttf", "font/otf", "image/bmp":
		return true
	}
	return false
}

// Unpack decodes a body that has travelled and checks that its length is size: a
// peer that compresses a great deal into a few bytes costs no more memory than it
// has announced, and that MaxParts bounds. Errors wrap ErrProtocol.
func Unpack(e Encoding, body []byte, size int64) ([]byte, error) {
	if size < 0 || size > MaxParts {
		return nil, tooLarge("body_size", MaxParts)
	}
	if e == EncodingGzip {
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, protocolError("body is not gzip: %v", err)
		}
		// Room for one byte more, by which too much is noticed; a body that is
		// shorter than announced costs what it holds.
		var b bytes.Buffer
		b.Grow(int(min(size+bytes.MinRead, 16*int64(len(body))+bytes.MinRead)))
		if _, err := b.ReadFrom(io.LimitReader(r, size+1)); err != nil {
			return nil, protocolError("body is not gzip: %v", err)
		}
		body = b.Bytes()
	}
	if int64(len(body)) != size {
		return nil, protocolError("the body is not as long as body_size says, %d bytes", size)
	}
	return body, nil
}
