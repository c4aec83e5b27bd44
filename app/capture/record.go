package capture

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"culvert/app/exchange"
	"culvert/backend/wire"
)

// Record is an exchange that is under way. The methods about the request may be
// called by one goroutine, those about the answer by another, and End after both.
// What they are given is copied or, for heads, shared and never changed. Methods
// of a nil Record do nothing.
type Record struct {
	exchange          Exchange
	recorder          *Recorder
	request, response tee
	requestFull       atomic.Bool            // all of a body of known length has come
	stream            atomic.Pointer[Stream] // nil for most
}

// RequestBody records what the visitor sent.
func (rec *Record) RequestBody(p []byte) {
	if rec == nil {
		return
	}
	rec.request.write(rec.recorder, p)
	if s := rec.stream.Load(); s != nil && s.forgotten.Load() {
		rec.request.forget(rec.recorder)
	}
	if rec.request.count == rec.request.expected {
		rec.requestFull.Store(true)
	}
	if s := rec.stream.Load(); s != nil {
		s.write(exchange.FromVisitor, p)
	}
}

// requestOver reports whether the request's body will not change any more.
func (rec *Record) requestOver() bool {
	return rec.exchange.Upgrade != "" || rec.request.expected == 0 || rec.requestFull.Load()
}

// ResponseHead records the answer's head. Informational heads are passed over.
func (rec *Record) ResponseHead(h *wire.ResponseHead) {
	if rec == nil || h.Status < 200 && h.Status != http.StatusSwitchingProtocols {
		return
	}
	rec.exchange.Waited = time.Since(rec.exchange.Start)
	rec.exchange.Status, rec.exchange.ResponseHeader = h.Status, h.Header
	rec.response.open(rec.recorder, h.ContentLength)
	if h.Status == http.StatusSwitchingProtocols {
		rec.response.body.open = false
	}
	if rec.recorder.onStream != nil && (h.Status == http.StatusSwitchingProtocols || isEvents(h.Header)) {
		rec.begin(h)
	}
}

// begin is a stream, if the answer is one.
func (rec *Record) begin(h *wire.ResponseHead) {
	s := newStream(rec, h)
	if s == nil {
		return
	}
	if rec.requestOver() {
		s.in.Store(max(0, rec.request.expected))
	}
	rec.stream.Store(s)
	rec.recorder.announce(s)
}

// ResponseBody records what the local service sent.
func (rec *Record) ResponseBody(p []byte) {
	if rec == nil {
		return
	}
	rec.response.write(rec.recorder, p)
	if s := rec.stream.Load(); s != nil {
		if s.forgotten.Load() {
			rec.response.forget(rec.recorder)
		}
		s.write(exchange.FromService, p)
	}
}

// ServedBy says where the answer comes from; it is called before any other method.
func (rec *Record) ServedBy(origin *Origin) {
	if rec != nil {
		rec.exchange.Origin = origin
	}
}

// Repeats says which exchange this one repeats; it is called before any other method.
func (rec *Record) Repeats(id string) {
	if rec != nil {
		rec.exchange.ReplayOf = id
	}
}

// End finishes the record, with what cut the exchange short or nil. If that is a
// *wire.ResetError from before the head, its status is what the visitor got.
func (rec *Record) End(err error) {
	if rec == nil {
		return
	}
	e := &rec.exchange
	e.Duration = time.Since(e.Start)
	e.BytesIn, e.BytesOut = rec.request.count, rec.response.count
	e.Err = err
	if e.Status == 0 && err != nil {
		e.Status = statusOf(err)
	}
	if s := rec.stream.Load(); s != nil {
		e.Stream = s
		s.end(e)
	}
	rec.recorder.finish(rec)
}

// statusOf is what the visitor gets in place of an answer; 0 if nothing.
func statusOf(err error) int {
	var reset *wire.ResetError
	if !errors.As(err, &reset) || reset.Code == wire.ResetCancel {
		return 0
	}
	return reset.Code.Status()
}

// release gives the memory of the bodies back, unless they were kept: then they
// are no longer the recorder's.
func (rec *Record) release() {
	r := rec.recorder
	rec.request.body.release(&r.parts)
	rec.response.body.release(&r.parts)
	if s := rec.stream.Load(); s != nil {
		s.release()
	}
	if n := rec.request.reserved + rec.response.reserved; n > 0 {
		r.memory.Add(n)
	}
}
