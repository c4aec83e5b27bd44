package forwarder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"culvert/app/capture"
	"culvert/backend/wire"
)

// exchange is one request on its way to the service, and its answer on the way
// back. The goroutine that serves it writes the request's head and reads the
// answer; a request's body is sent by another, unless all of it is there already.
type exchange struct {
	f    *Forwarder
	x    wire.Exchange
	head *wire.RequestHead
	rec  *capture.Record

	c    *conn       // nil before it was found, and after release
	stop func() bool // see onEnd; nil for streams
	last bool        // c is not to be used again
	in   *reading    // of c

	sent     chan error   // gets the outcome of the body, once; nil if there is none to wait for
	proceed  chan bool    // says whether the body is wanted; nil if nobody asked
	progress atomic.Int64 // grows whenever a part of the body was sent
}

// stallTimeout is how long the rest of a request may stand still after its answer
// has ended.
const stallTimeout = 30 * time.Second

// run serves the exchange. If it returns an error, the exchange was reset.
func (e *exchange) run() error {
	e.in = e.f.reading()
	defer func() {
		e.in.br.Reset(nil)
		e.f.shared.readings.Put(e.in)
	}()
	buf := e.f.shared.buffers.get()
	err := e.send(*buf)
	e.f.shared.buffers.put(buf)
	if err == nil {
		err = e.answer()
	}
	if err == nil {
		if e.c != nil {
			e.finishBody()
		}
		return nil
	}
	e.drop()
	err = e.reset(err)
	if e.sent != nil {
		<-e.sent // cut and reset have ended it
	}
	return err
}

// drop gives up the connection, if there is one.
func (e *exchange) drop() {
	if e.c != nil {
		e.c.cut()
		e.offEnd()
	}
}

// stream is an exchange that spares everybody a context for learning of its end.
type stream interface {
	AfterEnd(f func())
	CancelAfterEnd() bool
}

// onEnd has f called when the exchange's context ends.
func (e *exchange) onEnd(f func()) {
	if s, ok := e.x.(stream); ok {
		s.AfterEnd(f)
	} else {
		e.stop = context.AfterFunc(e.x.Context(), f)
	}
}

// offEnd takes that back. It returns false if the context has ended before.
func (e *exchange) offEnd() bool {
	if e.stop != nil {
		return e.stop()
	}
	return e.x.(stream).CancelAfterEnd()
}

func (e *exchange) reset(err error) error {
	var f *failure
	if !errors.As(err, &f) {
		f = fail(wire.ResetInternal, err, "the tunnel cannot serve this: %v", err)
	}
	e.x.Reset(f.Code, f.Message)
	return f
}

// send writes the request's head, with the body if that is at hand, and has the
// rest of the body sent.
func (e *exchange) send(buf []byte) error {
	out, err := e.f.appendRequest(buf[:0], e.head)
	if err != nil {
		return err
	}
	hasBody := e.head.ContentLength != 0
	if hasBody {
		if out, hasBody, err = e.appendBody(out); err != nil {
			return err
		}
	}
	if err := e.write(out); err != nil {
		return err
	}
	if hasBody {
		e.sent = make(chan error, 1)
		if expectsContinue(e.head) {
			e.proceed = make(chan bool, 1)
		}
		go func(c *conn) {
			err := e.sendBody(c)
			e.sent <- err
			if err != nil && isFailure(err) {
				c.abort() // the service is not to wait for the rest
			}
		}(e.c)
	}
	return nil
}

// appendBody appends the body to b if all of it has come and fits: most bodies
// are small, and cost one write then.
func (e *exchange) appendBody(b []byte) (out []byte, more bool, err error) {
	buffered, ok := e.x.(interface{ Buffered() (n int, ended bool) })
	length := e.head.ContentLength
	if !ok || length < 0 || length > int64(cap(b)-len(b)) || expectsContinue(e.head) {
		return b, true, nil
	}
	if n, _ := buffered.Buffered(); int64(n) < length {
		return b, true, nil
	}
	start := len(b)
	b = b[:start+int(length)]
	if _, err := io.ReadFull(e.x, b[start:]); err != nil {
		return nil, false, visitorFailure(err)
	}
	e.rec.RequestBody(b[start:])
	return b, false, nil
}

// write writes the start of the request to a connection that can take it. Another
// is tried only if a kept one did not take a single byte: then, and only then, the
// service cannot have seen the request.
func (e *exchange) write(out []byte) error {
	if err := e.f.dialer.ready(); err != nil {
		return e.f.dialFailure(e.x.Context(), err)
	}
	for {
		c := e.f.pool.take()
		if c == nil {
			var err error
			if c, err = e.f.dialer.dial(e.x.Context()); err != nil {
				return e.f.dialFailure(e.x.Context(), err)
			}
		}
		c.watch.begin()
		e.onEnd(c.abortFunc)
		n, err := c.Write(out)
		if err == nil {
			c.attach(e.in)
			e.c = c
			return nil
		}
		e.offEnd()
		late := c.watch.end()
		c.cut()
		switch {
		case e.x.Context().Err() != nil:
			return e.f.overFailure(e.x.Context())
		case late:
			return e.f.timeoutFailure()
		case n > 0 || !c.reused:
			return e.f.answerFailure(err)
		}
	}
}

// answer brings the answer to the visitor.
func (e *exchange) answer() error {
	a, err := e.awaitAnswer()
	late := e.c.watch.end()
	if err != nil || late {
		return e.cause(err, late, e.f.answerFailure)
	}
	if e.proceed != nil {
		select {
		case e.proceed <- false:
		default: // the body is wanted, and under way
		}
	}
	e.last = a.last || a.Status == http.StatusSwitchingProtocols
	if a.Status == http.StatusSwitchingProtocols {
		return e.tunnel(a)
	}
	e.f.mapAnswer(e.head, a.Header)
	if err := e.sendAnswer(a); err != nil {
		return e.cause(err, false, e.f.cutFailure)
	}
	return nil
}

// cause finds out why an answer failed. Where the connection was aborted from
// here, its error is only the consequence.
func (e *exchange) cause(err error, late bool, service func(error) *failure) error {
	if isFailure(err) {
		return err
	}
	if ctx := e.x.Context(); ctx.Err() != nil {
		return e.f.overFailure(ctx)
	}
	if e.sent != nil {
		select {
		case bodyErr := <-e.sent:
			e.sent = nil
			if isFailure(bodyErr) {
				return bodyErr
			}
		default:
		}
	}
	if late {
		return e.f.timeoutFailure()
	}
	return service(err)
}

func isFailure(err error) bool {
	var f *failure
	return errors.As(err, &f)
}

// release gives the connection back as soon as the last byte of the answer was
// read from it, before the visitor has got that: he may be slow, and his exchange's
// context, which aborts the connection, ends with the answer.
func (e *exchange) release() {
	if e.sent != nil {
		select {
		case err := <-e.sent:
			e.sent = nil
			e.last = e.last || err != nil
		default:
			return // finishBody will do it
		}
	}
	c := e.c
	e.c = nil
	switch {
	case !e.offEnd():
		c.cut()
	case e.last || c.br.Buffered() > 0:
		c.close()
	default:
		c.detach()
		e.f.pool.put(c)
	}
}

// finishBody goes on sending the body after the answer has ended: the service may
// still be reading.
func (e *exchange) finishBody() {
	err := e.awaitBody()
	stopped := e.offEnd()
	switch {
	case err == nil && stopped && !e.last && e.c.br.Buffered() == 0:
		e.c.detach()
		e.f.pool.put(e.c)
	case err == nil || err == errBodyUnwanted:
		e.c.close()
	default:
		e.c.cut()
	}
}

// awaitBody waits for the body to end, and gives it up when it stands still.
func (e *exchange) awaitBody() error {
	ticker := time.NewTicker(e.f.stallTimeout)
	defer ticker.Stop()
	for before := e.progress.Load(); ; {
		select {
		case err := <-e.sent:
			return err
		case <-ticker.C:
			now := e.progress.Load()
			if now == before {
				e.c.abort()
				e.x.Reset(wire.ResetCancel, fmt.Sprintf("the rest of the request has not moved for %v", e.f.stallTimeout))
				return <-e.sent
			}
			before = now
		}
	}
}
