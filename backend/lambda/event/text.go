package event

// escapedSize is how many bytes appendEscapedText makes of text.
func escapedSize(text []byte) int {
	size := len(text)
	for _, c := range text {
		switch {
		case c == '"', c == '\\', c == '\n', c == '\r', c == '\t':
			size++
		case c < ' ':
			size += len(`\u0000`) - 1
		}
	}
	return size
}

// appendEscapedText writes what stands between the quotes of a JSON string (RFC 8259,
// section 7). The text is UTF-8.
func appendEscapedText(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	from := 0
	for i, c := range text {
		var short byte
		switch c {
		case '"', '\\':
			short = c
		case '\n':
			short = 'n'
		case '\r':
			short = 'r'
		case '\t':
			short = 't'
		default:
			if c >= ' ' {
				continue
			}
		}
		dst = append(dst, text[from:i]...)
		if dst, from = append(dst, '\\'), i+1; short != 0 {
			dst = append(dst, short)
		} else {
			dst = append(dst, 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(dst, text[from:]...)
}
