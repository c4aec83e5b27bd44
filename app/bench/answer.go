package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

// maxHead bounds an answer's head.
const maxHead = 16 << 10

// answers reads a server's answers from a connection, strictly (RFC 9112): a load that
// takes anything for an answer measures errors, which are quick.
type answers struct {
	conn       net.Conn
	buf        []byte
	begin, end int // what is read and not yet taken
}

// answerHead is what matters of it.
type answerHead struct {
	status  int
	length  int64 // -1: chunked
	chunked bool
}

func newAnswers(conn net.Conn, size int) *answers {
	return &answers{conn: conn, buf: make([]byte, max(size, maxHead))}
}

// fill reads once.
func (a *answers) fill() error {
	if a.begin == a.end {
		a.begin, a.end = 0, 0
	} else if a.end == len(a.buf) {
		a.end = copy(a.buf, a.buf[a.begin:a.end])
		a.begin = 0
	}
	n, err := a.conn.Read(a.buf[a.end:])
	a.end += n
	if n > 0 {
		return nil
	}
	if err == io.EOF {
		err = errors.New("the server has closed the connection")
	}
	return err
}

const endOfHead = "\r\n\r\n"

// head reads the next answer's.
func (a *answers) head() (answerHead, error) {
	for {
		have := a.buf[a.begin:a.end]
		if n := bytes.Index(have, []byte(endOfHead)); n >= 0 {
			a.begin += n + len(endOfHead)
			return parseHead(have[:n+2])
		}
		if len(have) >= maxHead {
			return answerHead{}, errors.New("an answer's head does not end")
		}
		if err := a.fill(); err != nil {
			return answerHead{}, err
		}
	}
}

// parseHead reads a status line and fields, each with its line break.
func parseHead(text []byte) (h answerHead, err error) {
	const version = "HTTP/1.1 "
	line, rest, _ := bytes.Cut(text, []byte("\r\n"))
	if len(line) < len(version)+3 || string(line[:len(version)]) != version || len(line) > len(version)+3 && line[len(version)+3] != ' ' {
		return h, fmt.Errorf("no status line: %.60q", line)
	}
	for _, digit := range line[len(version) : len(version)+3] {
		if digit < '0' || digit > '9' {
			return h, fmt.Errorf("no status: %.60q", line)
		}
		h.status = 10*h.status + int(digit-'0')
	}
	h.length = -1
	for len(rest) > 0 {
		if line, rest, _ = bytes.Cut(rest, []byte("\r\n")); len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case !ok || len(name) == 0 || bytes.ContainsAny(name, " \t"):
			return h, fmt.Errorf("no field: %.60q", line)
		case bytes.EqualFold(name, []byte("Content-Length")):
			n, err := strconv.ParseUint(string(value), 10, 62)
			if err != nil || h.length >= 0 {
				return h, fmt.Errorf("a second length, or none: %.60q", line)
			}
			h.length = int64(n)
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			if h.chunked || !bytes.EqualFold(value, []byte("chunked")) {
				return h, fmt.Errorf("an encoding that nobody asked for: %.60q", line)
			}
			h.chunked = true
		case bytes.EqualFold(name, []byte("Connection")) && bytes.EqualFold(value, []byte("close")):
			return h, errors.New("the server will not keep the connection")
		}
	}
	if h.chunked == (h.length >= 0) {
		return h, errors.New("an answer must have a length or be chunked")
	}
	return h, nil
}

// skip passes over n bytes of body.
func (a *answers) skip(n int64) error {
	for {
		take := min(n, int64(a.end-a.begin))
		a.begin += int(take)
		if n -= take; n == 0 {
			return nil
		}
		if err := a.fill(); err != nil {
			return err
		}
	}
}

// whole reads an answer of that many bytes, after which nothing may be left over.
func (a *answers) whole(length int64) error {
	h, err := a.head()
	switch {
	case err != nil:
		return err
	case h.status != 200 || h.length != length:
		return fmt.Errorf("status %d with %d bytes, want 200 with %d", h.status, h.length, length)
	}
	if err := a.skip(length); err != nil {
		return err
	}
	if a.begin != a.end {
		return fmt.Errorf("%d bytes more than announced", a.end-a.begin)
	}
	return nil
}
