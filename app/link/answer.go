package link

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"culvert/backend/wire"
)

// uploadFrom is the size in bytes above which an object store is cheaper and
// quicker than messages, where the backend has one.
const uploadFrom = 100 << 10

// room is the largest whole answer that can be gathered, in bytes.
func (x *exchange) room() int64 {
	n := x.inMessages()
	if x.upload != nil {
		n = max(n, min(x.upload.MaxBytes, maxBuffered))
	}
	return n
}

// inMessages is the largest body that messages carry, if it compresses well.
func (x *exchange) inMessages() int64 {
	if x.caps.chunks || x.caps.gzip {
		return wire.MaxParts
	}
	return int64(x.form.body)
}

// sendWhole sends an answer whose body has been gathered.
func (x *exchange) sendWhole(body []byte) error {
	m := x.message()
	size := int64(len(body))
	if x.upload != nil && size > uploadFrom && size <= x.upload.MaxBytes {
		err := x.form.link.cfg.blobs().put(x.ctx, x.upload, bytes.NewReader(body), size)
		switch {
		case err == nil:
			m.Uploaded, m.BodySize = true, size
			return x.deliver(m)
		case x.ctx.Err() != nil:
			return x.gone()
		case size > x.inMessages():
			return x.uploadFailed(err)
		}
		x.form.link.log.Warn("an answer goes in messages instead of by the object store", "request", x.id, "error", err)
	}
	if size > x.inMessages() {
		return x.tooLarge()
	}
	m.Body = body
	if x.caps.gzip {
		if m.Body, m.Encoding = x.form.link.cfg.packer.Pack(m.Header, body); m.Encoding != wire.EncodingNone {
			m.BodySize = size
		}
	}
	if !x.caps.chunks {
		return x.deliver(m)
	}
	m.Session = x.form.link.est.Session // its length counts
	chunks, err := m.Cut(size)
	if err != nil {
		return x.tooLarge()
	}
	parts := []any{m}
	for _, c := range chunks {
		parts = append(parts, c)
	}
	return x.deliver(parts...)
}

// deliver sends the answer in these parts.
func (x *exchange) deliver(parts ...any) error {
	if !x.finish() {
		return x.gone()
	}
	defer x.cancel()
	var err error
	if x.caps.session {
		err = x.board().deliver(newAnswer(x.requestID, x.tunnel, parts))
	} else {
		err = x.form.send(parts[0])
	}
	if errors.Is(err, errMessageTooLarge) {
		x.form.answerError(x.requestID, wire.CodeInternal, x.tooLargeText())
		return &wire.ResetError{Code: wire.ResetTooLarge, Message: x.tooLargeText()}
	}
	return err
}

// beginStream sends the head of an answer whose body follows as it is made.
func (x *exchange) beginStream() error {
	m := x.message()
	m.More = true
	err := x.stream.begin(m, x.answer.ContentLength)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errMessageTooLarge):
		return x.tooLarge()
	case x.ctx.Err() != nil:
		return x.gone()
	}
	x.fail(wire.CodeInternal, reason(err))
	return err
}

// endStream ends the body and keeps what may be asked for again.
func (x *exchange) endStream() error {
	if err := x.stream.close(); err != nil {
		x.fail(wire.CodeInternal, reason(err))
		return err
	}
	if !x.finish() {
		return x.gone()
	}
	x.board().keepSent(newAnswer(x.requestID, x.tunnel, x.stream.unacknowledged()))
	x.cancel()
	return nil
}

// beginUpload starts to upload an answer that is too large to be gathered. One
// that messages could carry is gathered all the same: the upload may fail.
func (x *exchange) beginUpload() error {
	n := x.answer.ContentLength
	switch {
	case n <= x.inMessages():
		return nil
	case n > x.upload.MaxBytes:
		return x.tooLarge()
	}
	pipe := newPipedBody(x.ctx, func(body io.Reader) error {
		return x.form.link.cfg.blobs().put(x.ctx, x.upload, body, n)
	})
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pipe = pipe
	return nil
}

// endUpload waits for the object store and sends the answer's head.
func (x *exchange) endUpload() error {
	if x.pipe.written < x.answer.ContentLength {
		x.fail(wire.CodeInternal, "the local service cut its answer short")
		return &wire.ResetError{Code: wire.ResetInternal, Message: "the body is not as long as its head says"}
	}
	if err := x.pipe.close(); err != nil {
		if x.ctx.Err() != nil {
			return x.gone()
		}
		return x.uploadFailed(err)
	}
	m := x.message()
	m.Uploaded, m.BodySize = true, x.answer.ContentLength
	return x.deliver(m)
}

func (x *exchange) uploadFailed(err error) error {
	text := fmt.Sprintf("the answer could not be put into the backend's object store (%v), and messages carry up to %d MB", err, x.inMessages()>>20)
	x.fail(wire.CodeInternal, text)
	return &wire.ResetError{Code: wire.ResetInternal, Message: text}
}

func (x *exchange) tooLarge() error {
	x.fail(wire.CodeInternal, x.tooLargeText())
	return &wire.ResetError{Code: wire.ResetTooLarge, Message: x.tooLargeText()}
}

// tooLargeText tells the visitor as well as the agent's own person. Lambda passes 6 MB
// of JSON as a whole answer, in which binary data is base64.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
func (x *exchange) tooLargeText() string {
	switch {
	case x.form.gateway && x.room() > int64(x.form.body):
		return fmt.Sprintf("the answer is too large: this backend carries heads up to %d KB and whole bodies up to %d MB, of binary data some 4.5 MB: use %s",
			wire.MaxPartMessage>>10, x.room()>>20, x.largerWay())
	case x.form.gateway:
		return fmt.Sprintf("the answer is too large: this backend carries messages up to %d KB, some %d KB of body: use a relay",
			x.form.limit>>10, x.form.body>>10)
	}
	return fmt.Sprintf("the answer is too large: this relay carries bodies up to %d MB without %s", x.form.body>>20, wire.Subprotocol)
}

// largerWay is what carries larger answers.
func (x *exchange) largerWay() string {
	switch streams := x.form.link.est.StreamURL; {
	case x.stream != nil:
		return "a relay" // this one came by it already
	case streams != "":
		return "the URL that streams, " + streams + ", or a relay"
	}
	return "a backend with streaming, or a relay"
}
