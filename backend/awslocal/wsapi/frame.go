package wsapi

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Frames are written and read here, and not by a library: the limits of API
// Gateway are on frames, which libraries hide behind messages (RFC 6455, section 5).

type opcode byte

const (
	opContinuation opcode = 0x0
	opText         opcode = 0x1
	opBinary       opcode = 0x2
	opClose        opcode = 0x8
	opPing         opcode = 0x9
	opPong         opcode = 0xA
)

// control reports whether frames of this kind may come between those of a message.
func (o opcode) control() bool { return o&0x8 != 0 }

// Status codes of close frames (RFC 6455, section 7.4.1).
const (
	closeNormal              = 1000
	closeGoingAway           = 1001
	closeProtocolError       = 1002
	closeUnsupported         = 1003
	closeNoStatus            = 1005 // never sent
	closeAbnormal            = 1006 // never sent
	closeInvalidPayload      = 1007
	closeTooBig              = 1009
	maxControl               = 125 // bytes of a control frame's payload
	finBit              byte = 0x80
	reservedBits        byte = 0x70
	maskBit             byte = 0x80
	length16                 = 126
	length64                 = 127
)

// frame is one frame from a client, unmasked.
type frame struct {
	fin     bool
	op      opcode
	payload []byte
}

// violation is what a client did for which the connection has to be closed.
type violation struct {
	code   int
	reason string
}

func (v *violation) Error() string { return fmt.Sprintf("close %d: %s", v.code, v.reason) }

// readFrame reads a frame from a client. Its payload has at most limit bytes: a longer one is a
// *violation, found before it is read.
func readFrame(r *bufio.Reader, limit int) (frame, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{fin: head[0]&finBit != 0, op: opcode(head[0] & 0xF)}
	if head[0]&reservedBits != 0 {
		return f, &violation{closeProtocolError, "reserved bits are set"}
	}
	if head[1]&maskBit == 0 {
		return f, &violation{closeProtocolError, "a client's frame must be masked"}
	}
	length, err := readLength(r, head[1]&^maskBit)
	if err != nil {
		return f, err
	}
	switch f.op {
	case opContinuation, opText:
	case opBinary:
		// API Gateway takes text only.
		return f, &violation{closeUnsupported, "binary is not supported"}
	case opClose, opPing, opPong:
		if !f.fin || length > maxControl {
			return f, &violation{closeProtocolError, "control frame is in pieces or too long"}
		}
	default:
		return f, &violation{closeProtocolError, "unknown kind of frame"}
	}
	if length > uint64(limit) {
		return f, &violation{closeTooBig, "frame too big"}
	}
	var mask [4]byte
	if _, err := io.ReadFull(r, mask[:]); err != nil {
		return f, err
	}
	f.payload = make([]byte, length)
	if _, err := io.ReadFull(r, f.payload); err != nil {
		return f, err
	}
	for i := range f.payload {
		f.payload[i] ^= mask[i%4]
	}
	return f, nil
}

func readLength(r *bufio.Reader, short byte) (uint64, error) {
	switch short {
	case length16:
		var b [2]byte
		_, err := io.ReadFull(r, b[:])
		return uint64(binary.BigEndian.Uint16(b[:])), err
	case length64:
		var b [8]byte
		_, err := io.ReadFull(r, b[:])
		return binary.BigEndian.Uint64(b[:]), err
	default:
		return uint64(short), nil
	}
}

// appendFrame adds a frame from the server, which is not masked.
func appendFrame(b []byte, fin bool, op opcode, payload []byte) []byte {
	first := byte(op)
	if fin {
		first |= finBit
	}
	b = append(b, first)
	switch n := len(payload); {
	case n < length16:
		b = append(b, byte(n))
	case n <= 0xFFFF:
		b = binary.BigEndian.AppendUint16(append(b, length16), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, length64), uint64(n))
	}
	return append(b, payload...)
}

// appendMessage adds a text message as frames of at most limit bytes.
func appendMessage(b, text []byte, limit int) []byte {
	op := opText
	for len(text) > limit {
		b = appendFrame(b, false, op, text[:limit])
		op, text = opContinuation, text[limit:]
	}
	return appendFrame(b, true, op, text)
}

// appendClose adds a close frame; a code that must not be sent gives an empty one.
func appendClose(b []byte, code int, reason string) []byte {
	if code == closeNoStatus || code == closeAbnormal {
		return appendFrame(b, true, opClose, nil)
	}
	payload := binary.BigEndian.AppendUint16(nil, uint16(code))
	payload = append(payload, reason...)
	return appendFrame(b, true, opClose, payload[:min(len(payload), maxControl)])
}

// parseClose reads the payload of a client's close frame.
func parseClose(payload []byte) (code int, reason string) {
	if len(payload) < 2 {
		return closeNoStatus, ""
	}
	return int(binary.BigEndian.Uint16(payload)), string(payload[2:])
}
