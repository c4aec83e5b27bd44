package stream

import (
	"encoding/binary"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"culvert/app/exchange"
)

// WebSocket reads both directions of a WebSocket (RFC 6455), also if their messages
// are compressed (RFC 7692).
type WebSocket struct {
	sides [2]side
}

// NewWebSocket is for a connection that has changed protocols with these heads.
func NewWebSocket(request, response http.Header) *WebSocket {
	w := &WebSocket{}
	if deflate := agreed(response); deflate != nil {
		w.sides[exchange.FromVisitor].inflater = &inflater{forgets: deflate["client_no_context_takeover"]}
		w.sides[exchange.FromService].inflater = &inflater{forgets: deflate["server_no_context_takeover"]}
	}
	return w
}

// agreed is what was negotiated about permessage-deflate, by name, or nil.
func agreed(response http.Header) map[string]bool {
	for _, value := range response.Values("Sec-Websocket-Extensions") {
		for extension := range strings.SplitSeq(value, ",") {
			name, parameters, _ := strings.Cut(extension, ";")
			if !strings.EqualFold(strings.TrimSpace(name), "permessage-deflate") {
				continue
			}
			found := map[string]bool{}
			for parameter := range strings.SplitSeq(parameters, ";") {
				key, _, _ := strings.Cut(parameter, "=")
				found[strings.ToLower(strings.TrimSpace(key))] = true
			}
			return found
		}
	}
	return nil
}

// Write tells of bytes that pass.
func (w *WebSocket) Write(from exchange.Direction, p []byte, now time.Time, emit func(exchange.StreamMessage)) {
	s := &w.sides[from]
	for len(p) > 0 && !s.ended && !s.broken.Load() {
		p = s.read(p, func(m exchange.StreamMessage) {
			m.From, m.Time = from, now
			emit(m)
		})
	}
}

// Broken implements Decoder.
func (w *WebSocket) Broken() bool {
	return w.sides[0].broken.Load() || w.sides[1].broken.Load()
}

// Charge implements Decoder.
func (w *WebSocket) Charge(reserve func(n int64) bool, release func(n int64)) {
	for i := range w.sides {
		w.sides[i].account = account{reserve: reserve, release: release}
	}
}

// Close implements Decoder.
func (w *WebSocket) Close() {
	for i := range w.sides {
		w.sides[i].drop()
	}
}

// Opcodes (RFC 6455, 5.2).
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

// side is one direction.
type side struct {
	broken   atomic.Bool
	ended    bool      // a Close frame has come: nothing follows it
	inflater *inflater // nil without permessage-deflate
	account  account   // of the message's data and of the inflater's

	head  [14]byte // of the frame that is coming
	have  int      // bytes of it
	frame frame

	message payload // of the data message that is coming, fragment by fragment
	open    bool    // it has begun
	control payload // control frames stand between fragments
}

// frame is the one whose payload is coming.
type frame struct {
	opcode byte
	fin    bool
	masked bool
	mask   [4]byte
	length uint64
	read   uint64 // of length
}

// payload collects one message.
type payload struct {
	kind       exchange.MessageKind
	compressed bool
	refused    bool // the budget has no more for data
	data       []byte
	size       int64
}

// read takes the next part of a frame and returns what is left.
func (s *side) read(p []byte, emit func(exchange.StreamMessage)) []byte {
	if need := s.headLength(); s.have < need {
		n := copy(s.head[s.have:need], p)
		s.have += n
		if s.have < s.headLength() {
			return p[n:]
		}
		if p = p[n:]; !s.begin() {
			s.fail()
			return nil
		}
	}
	f := &s.frame
	n := int(min(uint64(len(p)), f.length-f.read))
	s.take(p[:n])
	f.read += uint64(n)
	if f.read == f.length {
		s.have = 0
		s.finish(emit)
	}
	return p[n:]
}

func (s *side) fail() {
	s.broken.Store(true)
	s.drop()
}

// drop forgets what is held.
func (s *side) drop() {
	s.message, s.control, s.inflater = payload{}, payload{}, nil
	s.account.close()
}

// headLength is the length of the head, as far as it can be told.
func (s *side) headLength() int {
	if s.have < 2 {
		return 2
	}
	n := 2
	switch s.head[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if s.head[1]&0x80 != 0 {
		n += 4
	}
	return n
}

// begin reads a whole head, and is false if it is none.
func (s *side) begin() bool {
	first, second := s.head[0], s.head[1]
	f := frame{fin: first&0x80 != 0, opcode: first & 0x0f, masked: second&0x80 != 0}
	rest := s.head[2:s.have]
	switch length := second & 0x7f; length {
	case 126:
		f.length, rest = uint64(binary.BigEndian.Uint16(rest)), rest[2:]
	case 127:
		f.length, rest = binary.BigEndian.Uint64(rest), rest[8:]
	default:
		f.length = uint64(length)
	}
	if f.masked {
		copy(f.mask[:], rest)
	}
	s.frame = f
	compressed := first&0x40 != 0
	if first&0x30 != 0 || f.length>>63 != 0 {
		return false
	}
	switch f.opcode {
	case opContinuation:
		return s.open && !compressed
	case opText, opBinary:
		if s.open || compressed && s.inflater == nil {
			return false
		}
		s.open = true
		s.message = payload{kind: exchange.Text, compressed: compressed}
		if f.opcode == opBinary {
			s.message.kind = exchange.Binary
		}
		return true
	case opClose, opPing, opPong:
		if !f.fin || compressed || f.length > 125 {
			return false
		}
		s.control = payload{kind: exchange.Close}
		switch f.opcode {
		case opPing:
			s.control.kind = exchange.Ping
		case opPong:
			s.control.kind = exchange.Pong
		}
		return true
	}
	return false
}

// take collects payload.
func (s *side) take(p []byte) {
	m, limit := &s.message, MaxData
	if s.frame.opcode >= opClose {
		m = &s.control
	} else if m.compressed {
		limit = maxCompressed
	}
	m.size += int64(len(p))
	kept := p[:min(len(p), max(0, limit-len(m.data)))]
	if m.refused || len(kept) == 0 {
		return
	}
	start := len(m.data)
	if m == &s.control {
		m.data = append(m.data, kept...) // 125 bytes at most
	} else if !s.account.extend(&m.data, kept, limit) {
		s.account.drop(&m.data)
		m.refused = true
		return
	}
	if f := &s.frame; f.masked {
		for i := range kept {
			m.data[start+i] ^= f.mask[(f.read+uint64(i))&3]
		}
	}
}

// finish ends a frame, and its message if it was the last of it.
func (s *side) finish(emit func(exchange.StreamMessage)) {
	if s.frame.opcode >= opClose {
		s.ended = s.frame.opcode == opClose
		emit(s.control.message())
		s.control = payload{}
		return
	}
	if !s.frame.fin {
		return
	}
	m := s.message
	s.message, s.open = payload{}, false
	s.account.give(cap(m.data))
	if m.compressed {
		var ok bool
		if m, ok = s.inflater.inflate(m, &s.account); !ok {
			s.fail()
			return
		}
	}
	emit(m.message())
}

func (m payload) message() exchange.StreamMessage {
	data := m.data[:min(len(m.data), MaxData)]
	truncated := int64(len(data)) < m.size
	if truncated && m.kind == exchange.Text {
		data = wholeRunes(data)
	}
	return exchange.StreamMessage{Kind: m.kind, Data: data, Size: m.size, Truncated: truncated}
}

// wholeRunes leaves out the start of a rune at the end.
func wholeRunes(p []byte) []byte {
	for i := 1; i <= min(utf8.UTFMax, len(p)); i++ {
		if c := p[len(p)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(p[len(p)-i:]) {
				return p[:len(p)-i]
			}
			break
		}
	}
	return p
}
