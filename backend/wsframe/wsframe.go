// Package wsframe reads and writes the frames of a WebSocket (RFC 6455, section 5)
// after gorilla/websocket has shaken hands.
//
// Everything that passes a tunnel in form 2 passes here twice. The library copies what
// a client sends once more, and cuts it at its buffer, a write for each piece; here a
// message is masked where it lies and leaves in one write, and large payloads are read
// into the memory that they stay in. Nothing of it allocates. Both stand side by side in
//
//	go test -run '^$' -bench 'Write|Read' ./backend/wsframe
//
// which shows the time, the allocations and the reads or writes that a message costs.
//
// It knows no extensions. Strict where that section says MUST: what it does not allow is
// an error that wraps [ErrProtocol].
package wsframe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Opcode is the kind of a frame (RFC 6455, section 5.2).
type Opcode byte

// The opcodes that there are.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

func (o Opcode) control() bool { return o&0x8 != 0 }

func (o Opcode) known() bool { return o <= Binary || o >= Close && o <= Pong }

// MaxControl bounds the payload of a control frame (RFC 6455, section 5.5).
const MaxControl = 125

// What reading gives beside the network's errors.
var (
	// ErrProtocol: the peer does not keep to RFC 6455.
	ErrProtocol = errors.New("websocket: protocol error")
	// ErrReadLimit: a message is larger than the read limit.
	ErrReadLimit = errors.New("websocket: message over the read limit")
)

func violation(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrProtocol}, args...)...)
}

func tooLong() error { return violation("control frame over %d bytes", MaxControl) }

// CloseError is a close frame that came.
type CloseError struct {
	Code   int // 1005 if the frame names none
	Reason string
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("websocket: closed by the peer (code %d)", e.Code)
}

const (
	finBit  = 0x80
	rsvBits = 0x70
	maskBit = 0x80

	length16 = 126
	length64 = 127

	codeNone = 1005 // no code in the frame; never sent
)

// header is what stands before a payload.
type header struct {
	op     Opcode
	fin    bool
	masked bool
	key    [4]byte
	length int64
}

// maxHeader is the size of the longest header: two bytes, a length of 64 bits, a key.
const maxHeader = 14

// put writes h before position end of b, where the payload begins, and gives where it
// begins itself.
func (h header) put(b []byte, end int) (start int) {
	start = end
	if h.masked {
		start -= 4
		copy(b[start:], h.key[:])
	}
	length := byte(0)
	switch {
	case h.length <= MaxControl:
		length = byte(h.length)
	case h.length <= 1<<16-1:
		start -= 2
		binary.BigEndian.PutUint16(b[start:], uint16(h.length))
		length = length16
	default:
		start -= 8
		binary.BigEndian.PutUint64(b[start:], uint64(h.length))
		length = length64
	}
	start -= 2
	b[start], b[start+1] = byte(h.op), length
	if h.fin {
		b[start] |= finBit
	}
	if h.masked {
		b[start+1] |= maskBit
	}
	return start
}

// parse reads the first two bytes of a header, and says how many more there are.
func (h *header) parse(b [2]byte) (more int, err error) {
	h.op, h.fin, h.masked = Opcode(b[0]&0x0F), b[0]&finBit != 0, b[1]&maskBit != 0
	h.length = int64(b[1] &^ maskBit)
	switch {
	case b[0]&rsvBits != 0:
		return 0, violation("reserved bits without an extension")
	case !h.op.known():
		return 0, violation("opcode %d", h.op)
	case h.op.control() && !h.fin:
		return 0, violation("control frame in pieces")
	case h.op.control() && h.length > MaxControl:
		return 0, tooLong()
	}
	switch h.length {
	case length16:
		more = 2
	case length64:
		more = 8
	}
	if h.masked {
		more += 4
	}
	return more, nil
}

// parseMore reads the rest.
func (h *header) parseMore(b []byte) error {
	shortest := int64(0) // what needs a length of this size
	switch h.length {
	case length16:
		shortest = MaxControl + 1
		h.length, b = int64(binary.BigEndian.Uint16(b)), b[2:]
	case length64:
		length := binary.BigEndian.Uint64(b)
		if length >= 1<<63 {
			return violation("length over 63 bits")
		}
		shortest = 1 << 16
		h.length, b = int64(length), b[8:]
	}
	if h.length < shortest {
		return violation("length in more bytes than it needs")
	}
	copy(h.key[:], b)
	return nil
}

// parseClose reads the payload of a close frame (RFC 6455, sections 5.5.1 and 7.4).
func parseClose(p []byte) error {
	if len(p) == 0 {
		return &CloseError{Code: codeNone}
	}
	if len(p) == 1 {
		return violation("close frame of one byte")
	}
	code := int(binary.BigEndian.Uint16(p))
	if code < 1000 || code >= 5000 || code == 1004 || code == codeNone || code == 1006 || code == 1015 {
		return violation("close code %d", code)
	}
	if !utf8.Valid(p[2:]) {
		return violation("close reason that is not UTF-8")
	}
	return &CloseError{Code: code, Reason: string(p[2:])}
}
