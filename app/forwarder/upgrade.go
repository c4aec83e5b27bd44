package forwarder

import (
	"fmt"
	"io"

	"culvert/backend/wire"
)

// tunnel copies bytes both ways after the service has changed protocols. Either
// side may end its direction before the other; a failure of one ends both.
func (e *exchange) tunnel(a *answer) error {
	if upgradeOf(e.head) == "" {
		return e.f.answerFailure(fmt.Errorf("%w: it changes protocols unasked", errMalformed))
	}
	if e.sent != nil { // an upgrade with a body: all of it comes before the rest
		err := <-e.sent
		e.sent = nil
		if err != nil {
			return e.cause(err, false, e.f.cutFailure)
		}
	}
	if err := e.x.WriteHead(&a.ResponseHead, false); err != nil {
		return visitorFailure(err)
	}
	e.rec.ResponseHead(&a.ResponseHead)
	e.sent = make(chan error, 1)
	go func(c *conn) {
		err := e.copyFromVisitor(c)
		e.sent <- err
		if err != nil && isFailure(err) {
			c.cut()
		}
	}(e.c)
	if err := e.copyToVisitor(); err != nil {
		return e.cause(err, false, e.f.cutFailure)
	}
	return nil // run waits for the other direction
}

func (e *exchange) copyToVisitor() error {
	buf := e.f.shared.buffers.get()
	defer e.f.shared.buffers.put(buf)
	for {
		n, err := e.c.br.Read(*buf)
		if n > 0 {
			e.rec.ResponseBody((*buf)[:n])
			if _, err := e.x.Write((*buf)[:n]); err != nil {
				return visitorFailure(err)
			}
		}
		if err == io.EOF {
			if err := e.x.CloseWrite(nil); err != nil {
				return visitorFailure(err)
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (e *exchange) copyFromVisitor(c *conn) error {
	buf := e.f.shared.buffers.get()
	defer e.f.shared.buffers.put(buf)
	for {
		n, err := e.x.Read(*buf)
		if n > 0 {
			e.rec.RequestBody((*buf)[:n])
			if _, err := c.Write((*buf)[:n]); err != nil {
				return err
			}
			e.progress.Add(1)
		}
		if err == io.EOF {
			return c.closeWrite()
		}
		if err != nil {
			return visitorFailure(err)
		}
	}
}

// cutFailure is about an error of the service after its head.
func (f *Forwarder) cutFailure(err error) *failure {
	return fail(wire.ResetInternal, err, "%s closed the connection before the end of its answer", f.where)
}
