package redact

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// byteOrder is how the two bytes of a unit stand in UTF-16.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// fromUTF16 is a text that was written in UTF-16, or no order if it looks like none.
// It has a mark at its beginning, or two characters of ASCII, whatever the header says.
func fromUTF16(b []byte) (text []byte, order byteOrder) {
	if len(b) < 4 {
		return nil, nil
	}
	switch {
	case b[0] == 0xff && b[1] == 0xfe, isVisible(b[0]) && b[1] == 0 && isVisible(b[2]) && b[3] == 0:
		order = binary.LittleEndian
	case b[0] == 0xfe && b[1] == 0xff, b[0] == 0 && isVisible(b[1]) && b[2] == 0 && isVisible(b[3]):
		order = binary.BigEndian
	default:
		return nil, nil
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	for _, r := range utf16.Decode(units) {
		text = utf8.AppendRune(text, r)
	}
	return text, order
}

func isVisible(c byte) bool { return c >= ' ' && c < 0x7f || c == '\t' || c == '\r' || c == '\n' }

func toUTF16(text []byte, order byteOrder) []byte {
	units := utf16.Encode([]rune(string(text)))
	out := make([]byte, 0, 2*len(units))
	for _, u := range units {
		out = order.AppendUint16(out, u)
	}
	return out
}
