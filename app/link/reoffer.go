package link

import (
	"sync"
	"time"
)

// API Gateway says {"message":"Endpoint request timed out",…} on the connection when
// the function behind it did not take a message, and does not say which one. The
// answers of the last moments are then offered again: a backend takes the first
// answer to a request and drops the others.
const (
	offerFor   = 5 * time.Second
	offerEvery = time.Second // at most
	offerCount = 256
	offerBytes = 4 << 20
)

// offers are the answers that were sent lately. The zero value is ready.
type offers struct {
	mu    sync.Mutex
	sent  []offer // oldest first
	bytes int
	again time.Time // when some were offered again
}

type offer struct {
	text []byte
	at   time.Time // when it was sent first
}

// note remembers an answer that was sent at the time now.
func (o *offers) note(text []byte, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = append(o.sent, offer{text, now})
	o.bytes += len(text)
	o.forget(now)
}

// forget drops what is too old, and the oldest of what is too much. o.mu is held.
func (o *offers) forget(now time.Time) {
	n := 0
	for ; n < len(o.sent); n++ {
		if now.Sub(o.sent[n].at) <= offerFor && len(o.sent)-n <= offerCount && o.bytes <= offerBytes {
			break
		}
		o.bytes -= len(o.sent[n].text)
	}
	clear(o.sent[:n])
	if o.sent = o.sent[n:]; len(o.sent) == 0 {
		o.sent = nil
	}
}

// due gives what to offer again now: nothing if that was done a moment ago.
func (o *offers) due(now time.Time) [][]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.again.IsZero() && now.Sub(o.again) < offerEvery {
		return nil
	}
	o.forget(now)
	texts := make([][]byte, len(o.sent))
	for i := range o.sent {
		texts[i] = o.sent[i].text
	}
	if len(texts) > 0 {
		o.again = now
	}
	return texts
}

// offerAgain sends the latest answers once more. It is not for the reader, which
// must not wait for a peer that waits for it.
func (f *form1) offerAgain() {
	if f.caps.session {
		if n := f.board().offerAgain(); n > 0 {
			f.link.log.Info("the latest answers are sent again", "answers", n)
		}
		return
	}
	texts := f.offers.due(time.Now())
	if len(texts) > 0 {
		f.link.log.Info("the latest answers are sent again", "answers", len(texts))
	}
	for _, text := range texts {
		if f.sendText(text) != nil {
			return
		}
	}
}
