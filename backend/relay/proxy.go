package relay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"culvert/backend/mux"
	"culvert/backend/visitor"
	"culvert/backend/wire"
)

const (
	copySize = 64 << 10
	// maxInformational bounds the 1xx answers before the real one.
	maxInformational = 32
)

// exchange carries a visitor's request over one stream.
func (l *link2) exchange(v *visit) bool {
	hasBody := v.head.ContentLength != 0
	st, err := l.conn.Open(v.head, !hasBody && v.head.Upgrade == "")
	if errors.Is(err, mux.ErrTooManyStreams) {
		v.fail(http.StatusServiceUnavailable, msgBusy, !hasBody)
		return true
	}
	if errors.Is(err, wire.ErrProtocol) {
		v.fail(http.StatusBadRequest, "Bad request: its header is too large, or malformed.", !hasBody)
		return true
	}
	if err != nil {
		return false
	}
	x := &exchange2{visit: v, st: st}
	defer x.finish()
	// The server under this relay takes a visitor who has closed his half of the
	// connection (nc -N) for one who has left, and TCP does not tell the two apart
	// before something is sent to them. Most have left, and their requests are not
	// to go on: that is worth more than the few who wait. Without a body and without a
	// change of protocols, whoever waits for the agent notices it himself.
	if hasBody || v.head.Upgrade != "" {
		stop := context.AfterFunc(v.r.Context(), x.abandon)
		defer stop()
	}
	if hasBody {
		v.waiting.rc.EnableFullDuplex() // HTTP/2 is so anyway
		x.upload = &upload{done: make(chan struct{})}
		v.uploading = true
		go x.sendBody()
	}
	x.answer()
	x.answered = true
	return true
}

// exchange2 is one exchange in form 2.
type exchange2 struct {
	*visit
	st       *mux.Stream
	upload   *upload // nil without a body
	answered bool    // to the end
}

// upload is the request's body on its way.
type upload struct {
	done     chan struct{} // closed when nothing more is read
	complete bool          // once done: the visitor's body was read to its end
	bad      atomic.Bool   // it was cut short or malformed, and the stream reset for it
}

// abandon gives everything up: the visitor has left, or the relay stops.
func (x *exchange2) abandon() {
	x.st.Reset(wire.ResetCancel, "the visitor has left")
	x.waiting.stopReading()
}

// finish leaves nothing behind: neither a goroutine nor a stream.
func (x *exchange2) finish() {
	if !x.answered {
		x.abandon()
	}
	if x.upload != nil && !isClosed(x.upload.done) {
		// An early answer does not end the upload: the local service may go on
		// reading. It ends when the agent's side of the stream does.
		x.waiting.rc.Flush()
		select {
		case <-x.upload.done:
		case <-x.st.Context().Done():
			x.waiting.onlyLeftover()
			<-x.upload.done
		}
	}
	x.st.Reset(wire.ResetCancel, "") // of no effect on one that is over
}

// sendBody copies the request's body to the agent.
func (x *exchange2) sendBody() {
	defer close(x.upload.done)
	buf := x.s.buffer()
	defer x.s.buffers.Put(buf)
	for {
		if !x.waiting.beforeRead() {
			return
		}
		n, err := x.r.Body.Read(buf[:])
		x.waiting.afterRead(err != nil)
		switch {
		case err == nil:
			if n > 0 {
				if _, err := x.st.Write(buf[:n]); err != nil {
					x.waiting.takeLeftover(x.r.Body)
					return
				}
			}
		case err == io.EOF:
			x.upload.complete = true
			x.endBody(buf[:n])
			return
		default:
			x.upload.bad.Store(true)
			x.st.Reset(wire.ResetCancel, "the visitor's request body was cut short")
			return
		}
	}
}

// endBody sends the last part of the body. Its errors show when the answer is read.
func (x *exchange2) endBody(last []byte) {
	trailer := make(http.Header, len(x.r.Trailer))
	for name, values := range x.r.Trailer {
		if len(values) > 0 { // announced, and sent
			trailer[name] = values
		}
	}
	switch {
	case len(trailer) > 0:
		if len(last) > 0 {
			x.st.Write(last)
		}
		x.st.CloseWrite(trailer)
	case len(last) > 0:
		x.st.WriteLast(last)
	default:
		x.st.CloseWrite(nil)
	}
}

// uploaded reports whether the request's body, if any, has been read to its end.
func (x *exchange2) uploaded() bool {
	return x.upload == nil || isClosed(x.upload.done) && x.upload.complete
}

// answer passes the agent's answer on. It panics with http.ErrAbortHandler when the
// visitor's connection has to be cut.
func (x *exchange2) answer() {
	head, err := x.readHead()
	switch {
	case x.gone():
		panic(http.ErrAbortHandler)
	case x.upload != nil && x.upload.bad.Load():
		x.fail(http.StatusBadRequest, msgBadBody, false)
		return
	case err != nil:
		status, message := failure(err)
		x.fail(status, message, x.uploaded())
		return
	case head.Status == http.StatusSwitchingProtocols:
		x.switchProtocols(head)
		return
	}
	if x.head.Upgrade != "" {
		x.st.CloseWrite(nil) // the local service prefers to stay with HTTP
	}
	x.waiting.answering()
	x.writeHead(head)
	if x.r.Method == http.MethodHead || !bodyAllowed(head.Status) {
		x.awaitEnd()
		return
	}
	x.copyBody(head.ContentLength)
}

// readHead gives the head of the answer, once it has passed on those before it.
func (x *exchange2) readHead() (*wire.ResponseHead, error) {
	for range maxInformational {
		head, err := x.st.ReadHead(x.r.Context())
		if err != nil {
			return nil, err
		}
		switch {
		case head.Status == http.StatusSwitchingProtocols || head.Status >= 200 && head.Status <= 999:
			return head, nil
		case head.Status < 100 || head.Status > 999:
			return nil, &wire.ResetError{Code: wire.ResetProtocol, Message: msgNoAnswer}
		case head.Status == http.StatusContinue || !x.r.ProtoAtLeast(1, 1):
			continue // the server of this relay asks for the body by itself
		}
		h := x.w.Header()
		clear(h) // what is for the last head only
		visitor.CopyAnswer(h, head.Header)
		x.waiting.beforeWrite()
		x.w.WriteHeader(head.Status)
		x.waiting.afterWrite()
		clear(h)
		closeIfDoubtful(x.w, x.r)
	}
	return nil, &wire.ResetError{Code: wire.ResetProtocol, Message: msgNoAnswer}
}

func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

func (x *exchange2) writeHead(head *wire.ResponseHead) {
	visitor.CopyAnswer(x.w.Header(), head.Header)
	x.frame(head.Status, head.ContentLength)
	if !x.uploaded() && x.r.ProtoMajor == 1 {
		// Should the body never end well, what follows must not be taken for a request.
		x.w.Header().Set("Connection", "close")
	}
	x.w.WriteHeader(head.Status)
}

// frame makes the server frame the answer as the local service did, and keeps it
// from adding fields that the local service did not send.
func (v *visit) frame(status int, contentLength int64) {
	h := v.w.Header()
	for _, name := range []string{"Content-Type", "Date"} {
		if _, ok := h[name]; !ok {
			h[name] = nil
		}
	}
	switch {
	case contentLength >= 0:
		h["Content-Length"] = []string{strconv.FormatInt(contentLength, 10)}
	case v.r.ProtoMajor == 1 && v.r.ProtoAtLeast(1, 1) && v.r.Method != http.MethodHead && bodyAllowed(status):
		h["Transfer-Encoding"] = []string{"chunked"} // also if it is short
	}
}

// awaitEnd waits for the end of an answer that has no body: an agent whose stream
// is reset just before it takes the visitor to have left.
func (x *exchange2) awaitEnd() {
	if _, ended := x.st.Buffered(); ended || x.waiting.rc.Flush() != nil {
		return
	}
	for taken := 0; taken < copySize; {
		part, err := x.st.ReadPart(x.r.Context())
		if err != nil {
			return
		}
		taken += len(part.Bytes())
		part.Release()
	}
}

// bodyDelay is how long a head waits for the start of a body of known length, which
// mostly comes right behind it: both leave in one piece then.
const bodyDelay = time.Millisecond

// waits reports whether there is something to read, or never will be.
func (x *exchange2) waits() bool {
	n, ended := x.st.Buffered()
	return n > 0 || ended
}

// copyBody copies the body, and flushes whenever the agent has sent nothing more
// so far: an event must not wait for the next one, and a small answer leaves in
// one piece.
func (x *exchange2) copyBody(contentLength int64) {
	var written int64
	flushed := false
	for {
		if written == 0 && contentLength > 0 && !x.waits() {
			x.st.Await(bodyDelay)
		}
		if !flushed && !x.waits() {
			x.waiting.beforeWrite()
			err := x.waiting.rc.Flush()
			x.waiting.afterWrite()
			if err != nil {
				x.cut()
			}
			flushed = true
		}
		part, err := x.st.ReadPart(x.r.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			x.cut()
		}
		x.waiting.beforeWrite()
		n, err := x.w.Write(part.Bytes())
		x.waiting.afterWrite()
		if err != nil { // the visitor has left, or the answer is longer than it said
			x.cut() // the piece is not released: in HTTP/2, the server may still be sending it
		}
		part.Release()
		written += int64(n)
		flushed = false
	}
	if contentLength >= 0 && written != contentLength {
		x.cut()
	}
	visitor.CopyTrailer(x.w.Header(), x.st.Trailer())
}

// cut ends the visitor's connection (in HTTP/2 the stream), so that it does not
// take what it got for the whole answer. What it can get of it goes first: a
// client that has seen nothing at all may take the connection for an idle one that
// was closed, and ask again.
func (x *exchange2) cut() {
	x.waiting.beforeWrite()
	x.waiting.rc.Flush()
	panic(http.ErrAbortHandler)
}
