package redact

import (
	"bytes"
	"net/url"
	"strings"

	"culvert/app/coding"
)

// url cleans a URL or a part of one.
func (p painter) url(raw string) (string, bool) {
	rest, fragment, hasFragment := strings.Cut(raw, "#")
	path, query, hasQuery := strings.Cut(rest, "?")
	path, changed := p.path(path)
	query, changedQuery := p.query(query)
	// The implicit flow of OAuth puts tokens into fragments.
	fragment, changedFragment := p.query(fragment)
	if !changed && !changedQuery && !changedFragment {
		return raw, false
	}
	if hasQuery {
		path += "?" + query
	}
	if hasFragment {
		path += "#" + fragment
	}
	return path, true
}

// path cleans what stands before the query: a user's password, and what looks like
// a credential.
func (p painter) path(path string) (string, bool) {
	changed := false
	if i := strings.Index(path, "://"); i >= 0 {
		start := i + len("://")
		end := len(path)
		if slash := strings.IndexByte(path[start:], '/'); slash >= 0 {
			end = start + slash
		}
		if at := strings.LastIndexByte(path[start:end], '@'); at >= 0 {
			user, password, found := strings.Cut(path[start:start+at], ":")
			switch {
			case found && password != "" && password != p.mark:
				path, changed = path[:start]+user+":"+p.mark+path[start+at:], true
			case !found && len(user) >= 16:
				path, changed = path[:start]+p.mark+path[start+at:], true
			}
		}
	}
	e := edit{source: []byte(path)}
	p.pathParameters(&e)
	clean, c := e.result()
	clean, more := p.credentials(clean)
	if !c && !more {
		return path, changed
	}
	return string(clean), true
}

// pathParameters cleans those of a path's segments: "/a;jsessionid=…/b" (RFC 3986, 3.3).
func (p painter) pathParameters(e *edit) {
	b := e.source
	for i := 0; i < len(b); {
		n := bytes.IndexByte(b[i:], ';')
		if n < 0 {
			return
		}
		start := i + n + 1
		end := start
		for end < len(b) && b[end] != ';' && b[end] != '/' {
			end++
		}
		if name, value, found := bytes.Cut(b[start:end], []byte{'='}); found && p.weighEscaped(name) != innocent {
			e.replace(end-len(value), end, p.mark)
		}
		i = end
	}
}

// query cleans a raw query or a form. What is no secret stays as it was written.
func (p painter) query(raw string) (string, bool) {
	p.codes = p.codes || isOAuth(raw)
	e := edit{source: []byte(raw)}
	for start := 0; start < len(raw); {
		end := len(raw)
		if n := strings.IndexByte(raw[start:], '&'); n >= 0 {
			end = start + n
		}
		p.pair(&e, start, end)
		start = end + 1
	}
	out, changed := e.result()
	if !changed {
		return raw, false
	}
	return string(out), true
}

// pair cleans what stands between two "&". A semicolon once parted fields too, and
// now belongs to the value: a secret goes to the end either way.
func (p painter) pair(e *edit, start, end int) {
	plain, value := end, end // up to plain there is no secret, and from value on nothing else
	for at := start; at < end && value == end; {
		part := e.source[at:end]
		if n := bytes.IndexByte(part, ';'); n >= 0 {
			part = part[:n]
		}
		if name, _, found := bytes.Cut(part, []byte{'='}); found && p.weighEscaped(name) != innocent {
			plain, value = at, at+len(name)+1
		}
		at += len(part) + 1
	}
	from := start
	if n := bytes.IndexByte(e.source[start:plain], '='); n >= 0 {
		from += n + 1
	}
	if value := e.source[from:plain]; !isShortToken(value) {
		if clean, changed := p.escaped(string(value)); changed {
			e.replace(from, plain, clean)
		}
	}
	e.replace(value, end, p.mark)
}

// escaped cleans a value that may have percent-escapes.
func (p painter) escaped(value string) (string, bool) {
	plain := coding.Unescape(value)
	clean, changed := p.value(plain)
	switch {
	case !changed:
		return value, false
	case plain == value:
		return clean, true // it had no escapes, and needs none
	}
	// The mark is for people: it stays readable.
	return strings.ReplaceAll(url.QueryEscape(clean), url.QueryEscape(p.mark), p.mark), true
}

// isShortToken: it is a word that is too short to be a secret by itself, as most values
// of queries are.
func isShortToken(value []byte) bool {
	for _, c := range value {
		if !isToken(c) {
			return false
		}
	}
	return len(value) <= shortToken && !bytes.HasPrefix(value, []byte("-----"))
}

// weighEscaped weighs a name that may have percent-escapes.
func (p painter) weighEscaped(name []byte) weight {
	if bytes.IndexByte(name, '%') < 0 && bytes.IndexByte(name, '+') < 0 {
		return p.weigh(string(name))
	}
	return p.weigh(coding.Unescape(string(name)))
}

func (p painter) weigh(name string) weight {
	if p.codes && name == "code" {
		return secret
	}
	return weigh(name)
}

// isOAuth: besides a code stands what only OAuth has (RFC 6749, 4.1).
func isOAuth(raw string) bool {
	if !strings.Contains(raw, "code=") {
		return false
	}
	for _, name := range []string{"state=", "client_id=", "grant_type=", "redirect_uri=", "code_verifier=", "session_state=", "iss="} {
		if strings.Contains(raw, name) {
			return true
		}
	}
	return false
}
