package wire

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// FrameType is the type of a form 2 frame.
type FrameType uint8

// Frame types. The number is what stands in the frame header.
const (
	FrameRequest  FrameType = 1 // opens a stream; backend to agent only
	FrameResponse FrameType = 2 // agent to backend only
	FrameData     FrameType = 3
	FrameTrailers FrameType = 4 // ends its direction
	FrameReset    FrameType = 5 // ends the stream
	FrameWindow   FrameType = 6
)

func (t FrameType) String() string {
	switch t {
	case FrameRequest:
		return "REQUEST"
	case FrameResponse:
		return "RESPONSE"
	case FrameData:
		return "DATA"
	case FrameTrailers:
		return "TRAILERS"
	case FrameReset:
		return "RESET"
	case FrameWindow:
		return "WINDOW"
	}
	return "unknown"
}

// Sizes of form 2, in bytes.
const (
	// FrameHeaderSize is the size of the header before each frame's payload.
	FrameHeaderSize = 8
	// MaxData bounds the payload of a DATA frame.
	MaxData = 64 << 10
	// MaxMessage bounds a binary WebSocket message.
	MaxMessage = 512 << 10
	// InitialWindow is how much DATA payload either side may send on a new stream.
	InitialWindow = 64 << 10
	// MaxWindow bounds what a peer may be allowed to send, all grants together.
	MaxWindow = 1 << 30
	// MaxResetMessage bounds the text of a RESET frame.
	MaxResetMessage = 1 << 10
)

// flagEnd marks the last frame of its direction.
const flagEnd = 1

// FrameHeader is what stands before each payload.
type FrameHeader struct {
	Stream uint32 // never 0
	Length int    // of the payload in bytes
	Type   FrameType
	End    bool // REQUEST, RESPONSE, DATA: the last frame of this direction
}

// AppendFrameHeader appends the 8 bytes of h.
func AppendFrameHeader(dst []byte, h FrameHeader) []byte {
	last := byte(h.Type) << 4
	if h.End {
		last |= flagEnd
	}
	dst = binary.BigEndian.AppendUint32(dst, h.Stream)
	return append(dst, byte(h.Length>>16), byte(h.Length>>8), byte(h.Length), last)
}

// PutFrameLength sets the payload length in a header that starts at p[0]: for
// payloads whose length is known only once they are written.
func PutFrameLength(p []byte, length int) {
	p[4], p[5], p[6] = byte(length>>16), byte(length>>8), byte(length)
}

// ParseFrameHeader reads the first 8 bytes of p. Errors wrap ErrProtocol and end
// the connection: after a header that cannot be trusted, nothing can.
func ParseFrameHeader(p []byte) (FrameHeader, error) {
	if len(p) < FrameHeaderSize {
		return FrameHeader{}, protocolError("message ends within a frame header")
	}
	h := FrameHeader{
		Stream: binary.BigEndian.Uint32(p),
		Length: int(p[4])<<16 | int(p[5])<<8 | int(p[6]),
		Type:   FrameType(p[7] >> 4),
		End:    p[7]&flagEnd != 0,
	}
	if h.Stream == 0 {
		return h, protocolError("%s frame on stream 0", h.Type)
	}
	flags, limit := byte(0), 0
	switch h.Type {
	case FrameRequest, FrameResponse:
		flags, limit = flagEnd, MaxHead
	case FrameData:
		flags, limit = flagEnd, MaxData
	case FrameTrailers:
		limit = MaxHead
	case FrameReset:
		limit = 1 + MaxResetMessage
	case FrameWindow:
		limit = 4
	default:
		return h, protocolError("frame type %d", h.Type)
	}
	if p[7]&0x0f&^flags != 0 {
		return h, protocolError("%s frame with flags %#x", h.Type, p[7]&0x0f)
	}
	if h.Length > limit {
		return h, tooLarge("the length of a "+h.Type.String()+" frame", limit)
	}
	if (h.Type == FrameWindow && h.Length != 4) || (h.Type == FrameReset && h.Length < 1) {
		return h, protocolError("%s frame of %d bytes", h.Type, h.Length)
	}
	return h, nil
}

// NextFrame splits the first frame off a message, for tests and tools that have
// the whole of it. The payload shares p's memory.
func NextFrame(p []byte) (h FrameHeader, payload, rest []byte, err error) {
	h, err = ParseFrameHeader(p)
	if err != nil {
		return h, nil, nil, err
	}
	p = p[FrameHeaderSize:]
	if h.Length > len(p) {
		return h, nil, nil, protocolError("message ends within a %s frame", h.Type)
	}
	return h, p[:h.Length], p[h.Length:], nil
}

// AppendReset appends a whole RESET frame. A message that is too long is cut.
func AppendReset(dst []byte, stream uint32, code ResetCode, message string) []byte {
	if len(message) > MaxResetMessage {
		cut := MaxResetMessage
		for cut > 0 && !utf8.RuneStart(message[cut]) {
			cut--
		}
		message = message[:cut]
	}
	dst = AppendFrameHeader(dst, FrameHeader{Stream: stream, Type: FrameReset, Length: 1 + len(message)})
	dst = append(dst, byte(code))
	return append(dst, message...)
}

// DecodeReset reads the payload of a RESET frame. An unknown code is kept: it
// means 502, like ResetInternal.
func DecodeReset(p []byte) (*ResetError, error) {
	if len(p) < 1 || len(p) > 1+MaxResetMessage {
		return nil, protocolError("RESET frame of %d bytes", len(p))
	}
	return &ResetError{Code: ResetCode(p[0]), Message: strings.ToValidUTF8(string(p[1:]), "�")}, nil
}

// AppendWindow appends a whole WINDOW frame that allows n more bytes of DATA.
func AppendWindow(dst []byte, stream uint32, n uint32) []byte {
	dst = AppendFrameHeader(dst, FrameHeader{Stream: stream, Type: FrameWindow, Length: 4})
	return binary.BigEndian.AppendUint32(dst, n)
}

// DecodeWindow reads the payload of a WINDOW frame: 1 to MaxWindow. Errors
// concern the one stream.
func DecodeWindow(p []byte) (uint32, error) {
	if len(p) != 4 {
		return 0, protocolError("WINDOW frame of %d bytes", len(p))
	}
	n := binary.BigEndian.Uint32(p)
	if n == 0 || n > MaxWindow {
		return 0, protocolError("WINDOW frame for %d bytes", n)
	}
	return n, nil
}
