package wsapi

import (
	"bufio"
	"errors"
	"net"
	"unicode/utf8"
)

// read takes the client's messages until the connection ends, and says how.
func (p *peer) read(r *bufio.Reader) ending {
	var message []byte
	inMessage := false
	for {
		f, err := readFrame(r, p.api.cfg.Limits.Frame)
		if p.isHung() {
			<-p.done
			return ending{}
		}
		if p.hasEnded() && err == nil && f.op != opClose {
			continue // nobody takes it any more
		}
		if violated := (*violation)(nil); errors.As(err, &violated) {
			return ending{code: violated.code, reason: violated.reason}
		} else if err != nil {
			return ending{code: closeAbnormal, cut: true}
		}
		switch f.op {
		case opPing:
			// Neither ping nor pong resets the idle timer.
			p.control(opPong, f.payload)
			continue
		case opPong:
			continue
		case opClose:
			code, reason := parseClose(f.payload)
			return ending{code: code, reason: reason, closed: true}
		}
		if inMessage != (f.op == opContinuation) {
			return ending{code: closeProtocolError, reason: "fragments of messages are mixed up"}
		}
		inMessage = !f.fin
		if len(message)+len(f.payload) > p.api.cfg.Limits.Message {
			return ending{code: closeTooBig, reason: "message too big"}
		}
		message = append(message, f.payload...)
		p.touch()
		if !f.fin {
			continue
		}
		if !utf8.Valid(message) {
			return ending{code: closeInvalidPayload, reason: "text is not UTF-8"}
		}
		p.first()
		p.api.receive(p, message)
		message = nil
	}
}

// errFull is a message for a client that does not take the earlier ones.
var errFull = errors.New("the client's buffer is full")

// send queues a message for the client.
func (p *peer) send(text []byte) error {
	if err := p.enqueue(text); err != nil {
		return err
	}
	p.api.observe(Usage{Kind: MessageOut, Connection: p.id, Bytes: len(text), Units: units(len(text))})
	return nil
}

func (p *peer) enqueue(text []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.open {
		return net.ErrClosed
	}
	if p.queued+len(text) > p.api.cfg.Limits.ClientBuffer {
		return errFull
	}
	p.queue = append(p.queue, text)
	p.queued += len(text)
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return nil
}

// control sends a control frame between two frames of messages.
func (p *peer) control(op opcode, payload []byte) {
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	conn.Write(appendFrame(nil, true, op, payload)) // one Write is not divided by others
}

// write sends what is queued until the connection ends, then the rest and a close frame.
func (p *peer) write(conn net.Conn) {
	for {
		ended := false
		select {
		case <-p.wake:
		case <-p.done:
			ended = true
		}
		if p.isHung() {
			<-p.done
			return
		}
		p.flush(conn)
		if ended {
			break
		}
	}
	p.mu.Lock()
	e := p.ending
	p.mu.Unlock()
	if e.cut {
		return
	}
	conn.Write(appendClose(nil, e.code, e.reason))
}

// flush writes the messages that are queued.
func (p *peer) flush(conn net.Conn) {
	for !p.isHung() {
		p.mu.Lock()
		if len(p.queue) == 0 {
			p.mu.Unlock()
			return
		}
		text := p.queue[0]
		p.mu.Unlock()
		p.touch()
		if _, err := conn.Write(appendMessage(nil, text, p.api.cfg.Limits.Frame)); err != nil {
			p.end(ending{code: closeAbnormal, cut: true})
			return
		}
		p.mu.Lock()
		p.queue[0] = nil
		p.queue = p.queue[1:]
		p.queued -= len(text)
		p.mu.Unlock()
	}
}
