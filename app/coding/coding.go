// Package coding undoes the content codings of HTTP (RFC 9110, 8.4): gzip, deflate,
// br and zstd, also several on top of each other, and the escapes of forms. What it
// reads comes from strangers, and so everything has a bound.
package coding

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// ErrUnknown is about a coding that is none of the four.
var ErrUnknown = errors.New("unknown content coding")

// maxLayers bounds codings on top of each other: each of them has buffers.
const maxLayers = 3

// maxWindow bounds the memory of one zstd reader. RFC 8878, 3.1.1.1.2 asks for 8 MB.
const maxWindow = 8 << 20

// Of is what the header says about the codings of the body, in the order in which
// they were applied, in lower case and without "identity".
func Of(header http.Header) []string {
	var codings []string
	for _, value := range header.Values("Content-Encoding") {
		for name := range strings.SplitSeq(value, ",") {
			name = strings.ToLower(strings.TrimSpace(name))
			if name != "" && name != "identity" {
				codings = append(codings, strings.TrimPrefix(name, "x-"))
			}
		}
	}
	return codings
}

// Cost is about what a reader of these codings holds in memory: the window that
// their encoders use where nobody asks for another.
func Cost(codings []string) int {
	sum := 0
	for _, name := range codings {
		switch name {
		case "zstd":
			sum += maxWindow
		case "br":
			sum += 4 << 20
		default:
			sum += 64 << 10
		}
	}
	return sum
}

// NewReader reads through the codings. It reads nothing before its first Read, and
// must be closed.
func NewReader(codings []string, r io.Reader) (io.ReadCloser, error) {
	if len(codings) > maxLayers {
		return nil, fmt.Errorf("%w: %d codings on top of each other", ErrUnknown, len(codings))
	}
	layers := layered{Reader: r}
	for i := len(codings) - 1; i >= 0; i-- {
		open, ok := openers[codings[i]]
		if !ok {
			return nil, fmt.Errorf("%w: %q", ErrUnknown, codings[i])
		}
		layer := &lazy{source: layers.Reader, open: open}
		layers.Reader = layer
		layers.closers = append(layers.closers, layer)
	}
	return &layers, nil
}

type layered struct {
	io.Reader
	closers []io.Closer
}

func (l *layered) Close() error {
	for i := len(l.closers) - 1; i >= 0; i-- {
		l.closers[i].Close()
	}
	return nil
}

// lazy opens a reader when it is first read, because most of them read the head of
// their format at once.
type lazy struct {
	source io.Reader
	open   func(io.Reader) (io.ReadCloser, error)
	reader io.ReadCloser
	err    error
}

func (l *lazy) Read(p []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	if l.reader == nil {
		reader, err := l.open(l.source)
		if err != nil {
			l.err = err
			return 0, err
		}
		l.reader = reader
	}
	n, err := l.reader.Read(p)
	l.err = err
	return n, err
}

func (l *lazy) Close() error {
	l.err = io.ErrClosedPipe
	if l.reader != nil {
		return l.reader.Close()
	}
	return nil
}

var openers = map[string]func(io.Reader) (io.ReadCloser, error){
	"gzip":    func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) },
	"deflate": newDeflate,
	"br":      func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(brotli.NewReader(r)), nil },
	"zstd": func(r io.Reader) (io.ReadCloser, error) {
		// One goroutine's worth of decoding, which is the caller's: none is started.
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	},
}

// newDeflate reads the zlib format, as "deflate" means, or bare deflate, as some
// have understood it.
func newDeflate(r io.Reader) (io.ReadCloser, error) {
	br := bufio.NewReaderSize(r, 512)
	head, err := br.Peek(2)
	if err != nil {
		return nil, err
	}
	// RFC 1950, 2.2: method 8, and a multiple of 31.
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(br)
	}
	return flate.NewReader(br), nil
}

// Body is a body without its codings.
type Body struct {
	Data    []byte   // the given body itself if it had no codings
	Codings []string // those that were undone
	// Limited: there is more than the limit. Err is why decoding ended early: the end
	// of a body of which only the start was kept, or one that is broken. Data is what
	// came before. If nothing could be decoded, Data is the given body and Codings is
	// empty.
	Limited bool
	Err     error
}

// Decode undoes the codings that the header tells of, up to limit bytes of result.
func Decode(ctx context.Context, header http.Header, body []byte, limit int) Body {
	codings := Of(header)
	if len(codings) == 0 || len(body) == 0 {
		return Body{Data: body}
	}
	r, err := NewReader(codings, &cancelable{ctx, bytes.NewReader(body)})
	if err != nil {
		return Body{Data: body, Err: err}
	}
	defer r.Close()
	var out bytes.Buffer
	_, err = io.Copy(&out, &cancelable{ctx, io.LimitReader(r, int64(limit)+1)})
	if ctx.Err() != nil {
		return Body{Data: body, Err: ctx.Err()}
	}
	if err != nil && out.Len() == 0 {
		return Body{Data: body, Err: err}
	}
	decoded := Body{Data: out.Bytes(), Codings: codings, Err: err}
	if len(decoded.Data) > limit {
		decoded.Data, decoded.Limited, decoded.Err = decoded.Data[:limit], true, nil
	}
	return decoded
}

// cancelable is a reader that ends with its context.
type cancelable struct {
	ctx context.Context
	io.Reader
}

func (c *cancelable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}
