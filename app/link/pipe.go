package link

import (
	"context"
	"io"
)

// pipedBody is an answer's body on its way to an object store: one goroutine writes
// it, another uploads what is written.
type pipedBody struct {
	w       *io.PipeWriter
	written int64
	unhook  func() bool
	done    chan struct{}
	err     error // of the upload; valid once done is closed
}

// newPipedBody starts upload, which ends with the body, or with ctx.
func newPipedBody(ctx context.Context, upload func(body io.Reader) error) *pipedBody {
	r, w := io.Pipe()
	p := &pipedBody{w: w, done: make(chan struct{})}
	p.unhook = context.AfterFunc(ctx, func() { _ = w.CloseWithError(ctx.Err()) })
	go func() {
		defer close(p.done)
		p.err = upload(r)
		_ = r.Close() // wakes the writer
	}()
	return p
}

// write fails once the upload has ended.
func (p *pipedBody) write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	p.written += int64(n)
	if err == nil {
		return n, nil
	}
	<-p.done
	if p.err != nil {
		return n, p.err
	}
	return n, errTooLong
}

// close ends the body and waits for the upload.
func (p *pipedBody) close() error {
	_ = p.w.Close()
	<-p.done
	p.unhook()
	return p.err
}

// abort gives the upload up, unless it has ended.
func (p *pipedBody) abort() {
	_ = p.w.CloseWithError(context.Canceled)
	<-p.done
	p.unhook()
}
