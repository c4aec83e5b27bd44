package redact

// edit replaces parts of a text, from the front to the back. Without a replacement
// it costs nothing.
type edit struct {
	source []byte
	out    []byte
	done   int // of source
	any    bool
}

// replace puts with in place of source[start:end], unless that is it already.
func (e *edit) replace(start, end int, with string) {
	if start >= end || start < e.done || string(e.source[start:end]) == with {
		return
	}
	e.out = append(append(e.out, e.source[e.done:start]...), with...)
	e.done, e.any = end, true
}

func (e *edit) result() ([]byte, bool) {
	if !e.any {
		return e.source, false
	}
	return append(e.out, e.source[e.done:]...), true
}
