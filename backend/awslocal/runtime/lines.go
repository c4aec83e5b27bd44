package runtime

import "bytes"

// maxLine is what one log event may hold.
const maxLine = 256 << 10

// lines cuts what is written into lines, bounded by breaking long ones.
type lines struct {
	emit func(text string)
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if room := maxLine - len(l.rest); i > room || i < 0 && len(p) >= room {
			l.emit(string(append(l.rest, p[:room]...)))
			l.rest, p = l.rest[:0], p[room:]
			continue
		}
		if i < 0 {
			l.rest = append(l.rest, p...)
			break
		}
		l.emit(string(append(l.rest, p[:i]...)))
		l.rest, p = l.rest[:0], p[i+1:]
	}
	return n, nil
}

// flush emits an unfinished last line.
func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.emit(string(l.rest))
		l.rest = nil
	}
}
