package redact

import (
	"bytes"
	"strings"
)

// lines cleans plain text, in which a line may set a name: "PASSWORD=…",
// "api_key: …", and "data: {…}" of an event stream.
func (p painter) lines(b []byte) ([]byte, bool) {
	e := edit{source: b}
	for start := 0; start < len(b); {
		end := len(b)
		if n := bytes.IndexByte(b[start:], '\n'); n >= 0 {
			end = start + n
		}
		p.line(&e, start, end)
		start = end + 1
	}
	clean, changed := e.result()
	clean, more := p.credentials(clean)
	return clean, changed || more
}

func (p painter) line(e *edit, start, end int) {
	line := bytes.TrimRight(e.source[start:end], "\r \t")
	separator := bytes.IndexAny(line[:min(len(line), maxNameLength)], "=:")
	if separator <= 0 {
		return
	}
	name := bytes.Trim(bytes.TrimPrefix(bytes.TrimSpace(line[:separator]), []byte("export ")), "\"'- \t")
	value := bytes.TrimLeft(line[separator+1:], " \t")
	from := start + len(line) - len(value)
	switch {
	case len(value) == 0:
	case value[0] == '{' || value[0] == '[':
		if clean, changed := p.json(value); changed {
			e.replace(from, from+len(value), string(clean))
		}
	case line[separator] == ':' && isCredentialHeader(string(name)):
		if clean, changed := p.header(string(name), string(value)); changed {
			e.replace(from, from+len(value), clean)
		}
	case len(name) == 0 || bytes.ContainsAny(name, " \t,;(){}") || p.weigh(string(name)) == innocent:
	case line[separator] == '=', value[0] == '"', value[0] == '\'', !bytes.ContainsAny(value, " \t"), p.weigh(string(name)) == grave:
		// "token: expected one" sets nothing.
		e.replace(from, from+len(value), p.mark)
	}
}

// isCredentialHeader: what else a line says is more than one word.
func isCredentialHeader(name string) bool {
	switch strings.ToLower(name) {
	case "authorization", "proxy-authorization", "cookie", "set-cookie":
		return true
	}
	return false
}
