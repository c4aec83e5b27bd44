package editor

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"culvert/app/exchange"
	"culvert/app/redact"

	"golang.org/x/net/http/httpguts"
)

// ownFields are those that follow from the request and the way it takes: what stands
// there would be wrong after a change, or is not the sender's to say (RFC 9110, 7.6.1).
var ownFields = []string{"Connection", "Content-Length", "Host", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// secrets writes path and header fields of a request for people, with secrets hidden
// behind dots, and reads them back: dots that are still there mean what they hide.
type secrets struct {
	rawPath string
	header  http.Header
	any     bool // something is hidden
}

func newSecrets(x *exchange.Exchange) secrets {
	s := secrets{}.of(x.Path, x.Request.Header)
	_, s.any = redact.MaskURL(x.Path)
	for name, values := range x.Request.Header {
		for _, v := range values {
			_, masked := redact.MaskHeader(name, v)
			s.any = s.any || masked && !own(name)
		}
	}
	return s
}

// of is the same about another request.
func (s secrets) of(path string, h http.Header) secrets {
	s.rawPath, s.header = path, h
	return s
}

func own(name string) bool { return slices.Contains(ownFields, http.CanonicalHeaderKey(name)) }

// path is the raw path and query, with secrets if show is set.
func (s secrets) path(show bool) string {
	if shown, masked := redact.MaskURL(s.rawPath); masked && !show {
		return shown
	}
	return s.rawPath
}

// readPath is what path wrote, perhaps changed. Parts with dots in them stand for what
// they hide; it fails if one of them was changed itself.
func (s secrets) readPath(text string) (path string, ok bool) {
	shown, raw := pathParts(s.path(false)), pathParts(s.rawPath)
	if len(shown) != len(raw) {
		return text, !strings.Contains(text, redact.Dots) || text == s.path(false)
	}
	taken := make([]bool, len(raw))
	parts := pathParts(text)
	for i, part := range parts {
		if !strings.Contains(part, redact.Dots) {
			continue
		}
		at := -1
		for j := range shown {
			if shown[j] == part && !taken[j] {
				at = j
				break
			}
		}
		if at < 0 {
			return text, false
		}
		parts[i], taken[at] = raw[at], true
	}
	return strings.Join(parts, ""), true
}

// pathParts divides a path with its query into segments and parameters, and what
// stands between them.
func pathParts(text string) (parts []string) {
	path, query, asked := strings.Cut(text, "?")
	divide := func(text, separators string) {
		for {
			i := strings.IndexAny(text, separators)
			if i < 0 {
				parts = append(parts, text)
				return
			}
			parts = append(parts, text[:i], text[i:i+1])
			text = text[i+1:]
		}
	}
	divide(path, "/;")
	if asked {
		parts = append(parts, "?")
		divide(query, "&")
	}
	return parts
}

// headers writes the fields, a line for each, in alphabetical order, with secrets if
// show is set. Fields of the connection are left out.
func (s secrets) headers(show bool) string {
	var b strings.Builder
	for _, name := range s.names() {
		for _, value := range s.header[name] {
			if shown, masked := redact.MaskHeader(name, value); masked && !show {
				value = shown
			}
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (s secrets) names() []string {
	var names []string
	for name := range s.header {
		if !own(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// lineError says which line of the headers is wrong, and why.
type lineError struct {
	line  int
	fault fault
	name  string // of the field, if it has one
}

func (e *lineError) at() string { return strconv.Itoa(e.line) }

type fault int

const (
	noColon fault = iota
	badName
	badValue
	ownField
	hidden // something with dots in it was changed
)

// readHeaders reads what headers wrote, perhaps changed.
func (s secrets) readHeaders(text string) (http.Header, *lineError) {
	h := http.Header{}
	taken := map[string][]bool{} // of each field's values, those that a line stands for
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, "\r")
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		key := http.CanonicalHeaderKey(name)
		switch {
		case !ok:
			return nil, &lineError{i + 1, noColon, ""}
		case !httpguts.ValidHeaderFieldName(name):
			return nil, &lineError{i + 1, badName, name}
		case own(key):
			return nil, &lineError{i + 1, ownField, key}
		case strings.Contains(value, redact.Dots):
			if taken[key] == nil {
				taken[key] = make([]bool, len(s.header[key]))
			}
			if value, ok = s.hiddenValue(key, value, taken[key]); !ok {
				return nil, &lineError{i + 1, hidden, key}
			}
		case !httpguts.ValidHeaderFieldValue(value):
			return nil, &lineError{i + 1, badValue, key}
		}
		h[key] = append(h[key], value)
	}
	return h, nil
}

// hiddenValue is the first value of a field that is shown like this and not yet taken.
func (s secrets) hiddenValue(key, shown string, taken []bool) (string, bool) {
	for i, value := range s.header[key] {
		if mask, _ := redact.MaskHeader(key, value); mask == shown && !taken[i] {
			taken[i] = true
			return value, true
		}
	}
	return "", false
}
