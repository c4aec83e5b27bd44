package program

import (
	"bytes"
	"regexp"
	"strings"
)

// Tail keeps the end of what a program says. The zero value is ready.
type Tail struct {
	buf []byte
}

const maxTail = 4 << 10

// Write never fails. One goroutine writes; Quote is for after it.
func (t *Tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - maxTail; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// javaException is the line that says what went wrong: the last of them is the cause.
var javaException = regexp.MustCompile(`^(?:Caused by: |Exception in thread "[^"]*" )?[a-z][\w.]*\.\w+(?:Exception|Error)(?::.*)?$`)

// Quote is the text to append to an error, empty for a silent program. Where that is a
// Java exception, its line is enough: what follows are places in somebody else's code.
func (t *Tail) Quote() string {
	text := strings.TrimSpace(string(bytes.ToValidUTF8(t.buf, []byte("?"))))
	if text == "" {
		return ""
	}
	exception := ""
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); javaException.MatchString(line) {
			exception = line
		}
	}
	if exception != "" {
		return "; it said: " + strings.TrimPrefix(exception, "Caused by: ")
	}
	return "; it said:\n" + text
}
