package relay

import (
	"strconv"

	"culvert/backend/wire"
)

// pending1 is a request that waits for its answer.
type pending1 struct {
	id     string
	answer chan answer1 // has room for the one answer
}

// answer1 is the agent's answer, or why there is none. Its body's size was taken
// from the memory budget.
type answer1 struct {
	*wire.HTTPResponse
	err error
}

// deliver hands an answer to the request that waits for it. Late and unknown ones
// are dropped.
func (l *link1) deliver(id string, a answer1) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pending[id]
	if p == nil || len(p.answer) > 0 {
		return
	}
	if a.HTTPResponse != nil && !l.memory.take(answerBody, int64(len(a.Body))) {
		a = answer1{err: &wire.ResetError{Code: wire.ResetBusy, Message: msgNoMemory}}
	}
	p.answer <- a
}

// begin makes room for a request. end must follow.
func (l *link1) begin() (*pending1, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.draining || l.closing || isClosed(l.over):
		return nil, errLinkOver
	case len(l.pending) >= l.limits.StreamsPerTunnel:
		return nil, errLinkBusy
	}
	l.count++
	p := &pending1{id: "r" + strconv.FormatUint(l.count, 10), answer: make(chan answer1, 1)}
	l.pending[p.id] = p
	return p, nil
}

func (l *link1) end(p *pending1) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pending, p.id)
	select {
	case a := <-p.answer: // came too late
		l.release(a)
	default:
	}
	l.checkIdle()
}

func (l *link1) release(a answer1) {
	if a.HTTPResponse != nil {
		l.memory.give(answerBody, int64(len(a.Body)))
	}
}

func (l *link1) checkIdle() {
	if l.draining && len(l.pending) == 0 && !isClosed(l.idle) {
		close(l.idle)
	}
}
