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
		rec.request.write(&rec.exchange.RequestBody, p)
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
		rec.response.write(&rec.exchange.ResponseBody, p)
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

// release gives the memory of the bodies back to the budget.
func (rec *Record) release() {
	if n := rec.request.reserved + rec.response.reserved; n > 0 {
		rec.recorder.memory.Add(n)
	}
}

// tee counts one body and keeps its start.
type tee struct {
	recorder *Recorder
	keep     bool
	count    int64 // bytes that passed
	reserved int64 // bytes of the budget that are taken: the capacity of the body
	expected int64 // the length that was announced, or -1
}

func (t *tee) open(r *Recorder, expected int64) {
	t.recorder, t.keep, t.expected = r, r.bodies, expected
}

func (t *tee) write(b *Body, p []byte) {
	t.count += int64(len(p))
	if !t.keep || len(p) == 0 {
		return
	}
	if room := t.recorder.maxBody - len(b.Data); len(p) > room {
		p, b.Truncated = p[:room], true
		t.keep = false
	}
	if need := len(b.Data) + len(p); need > cap(b.Data) && !t.grow(b, need) {
		*b = Body{Dropped: true}
		return
	}
	b.Data = append(b.Data, p...)
}

// maxAnnounced bounds the room that is made for a body because of its announced
// length alone: announcing costs nothing.
const maxAnnounced = 128 << 10

// grow makes room for need bytes: at first for all of a body of known length, then
// for twice as much as before. It gives everything back if the budget lacks it.
func (t *tee) grow(b *Body, need int) bool {
	size := max(2*cap(b.Data), 512)
	if t.expected > 0 {
		size = max(2*cap(b.Data), int(min(t.expected, maxAnnounced)))
	}
	size = max(need, min(size, t.recorder.maxBody))
	// Old and new room are both in use while one is copied to the other.
	if !t.recorder.reserve(int64(size)) {
		t.recorder.memory.Add(t.reserved)
		t.reserved, t.keep = 0, false
		return false
	}
	data := make([]byte, len(b.Data), size)
	copy(data, b.Data)
	b.Data = data
	t.recorder.memory.Add(t.reserved)
	t.reserved = int64(size)
	return true
}
