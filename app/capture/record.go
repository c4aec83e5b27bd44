package capture

import (
	"errors"
	"net/http"
	"time"

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
}

// RequestBody records what the visitor sent.
func (rec *Record) RequestBody(p []byte) {
	if rec != nil {
		rec.request.write(p)
	}
}

// ResponseHead records the answer's head. Informational heads are passed over.
func (rec *Record) ResponseHead(h *wire.ResponseHead) {
	if rec == nil || h.Status < 200 && h.Status != http.StatusSwitchingProtocols {
		return
	}
	rec.exchange.Status, rec.exchange.ResponseHeader = h.Status, h.Header
	rec.response.open(rec.recorder, h.ContentLength)
	if h.Status == http.StatusSwitchingProtocols {
		rec.response.keep = false
	}
}

// ResponseBody records what the local service sent.
func (rec *Record) ResponseBody(p []byte) {
	if rec != nil {
		rec.response.write(p)
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
	var reset *wire.ResetError
	if e.Status == 0 && errors.As(err, &reset) && reset.Code != wire.ResetCancel {
		e.Status = reset.Code.Status()
	}
	rec.recorder.finish(rec)
}

// release gives the memory of the bodies back, unless they were kept: then they
// are no longer the recorder's.
func (rec *Record) release() {
	r := rec.recorder
	rec.request.body.release(&r.parts)
	rec.response.body.release(&r.parts)
	if n := rec.request.reserved + rec.response.reserved; n > 0 {
		r.memory.Add(n)
	}
}
