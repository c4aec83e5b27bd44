package relay

import (
	"errors"
	"sync"
)

// Bounds of what waits to be sent to one peer beside its requests. Form 2 has the
// same in package mux.
const (
	maxOutbox      = 64
	maxOutboxBytes = 1 << 20
)

// errSlow: the peer takes what it is sent too slowly.
var errSlow = errors.New("the peer is slow to take what it was sent before")

// outbox is what waits to be sent in form 1 by those who must not wait: answers to
// actions, notices, pongs, and the goodbye after all of them.
type outbox struct {
	wake chan struct{} // has room for one: there is something

	mu      sync.Mutex
	letters []letter
	bytes   int
	goodbye *goodbye
}

// letter is a message that waits.
type letter struct {
	text []byte
	sent chan<- error // nil, or has room for what became of it: somebody waits for that
}

type goodbye struct {
	code   int
	reason string
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// add takes a message unless too many wait, or none are taken any more.
func (o *outbox) add(m letter) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.goodbye != nil:
		return errLinkOver
	case m.sent != nil: // no more than those who wait
	case len(o.letters) >= maxOutbox || o.bytes+len(m.text) > maxOutboxBytes:
		return errSlow
	}
	o.letters = append(o.letters, m)
	o.bytes += len(m.text)
	o.signal()
	return nil
}

// end adds the goodbye, after which there is nothing more to say.
func (o *outbox) end(code int, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.goodbye == nil {
		o.goodbye = &goodbye{code, reason}
		o.signal()
	}
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take gives all that waits. What is given does not count any more.
func (o *outbox) take() ([]letter, *goodbye) {
	o.mu.Lock()
	defer o.mu.Unlock()
	letters := o.letters
	o.letters, o.bytes = nil, 0
	return letters, o.goodbye
}
