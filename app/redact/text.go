package redact

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// maxDeep bounds texts within texts: JSON in a form in JSON.
const maxDeep = 4

// value cleans a text that may be JSON of its own.
func (p painter) value(s string) (string, bool) {
	clean, changed := p.bytesOfValue([]byte(s))
	if !changed {
		return s, false
	}
	return string(clean), true
}

func (p painter) bytesOfValue(b []byte) ([]byte, bool) {
	if trimmed := bytes.TrimSpace(b); p.deep < maxDeep && len(trimmed) > 1 && (trimmed[0] == '{' || trimmed[0] == '[') {
		p.deep++
		return p.json(b)
	}
	return p.credentials(b)
}

// text cleans any text.
func (p painter) text(s string) (string, bool) {
	clean, changed := p.credentials([]byte(s))
	if !changed {
		return s, false
	}
	return string(clean), true
}

// credentials takes out what looks like a credential wherever it stands, and
// secrets in the queries of URLs.
func (p painter) credentials(b []byte) ([]byte, bool) {
	e := edit{source: b}
	for i := 0; i < len(b); {
		c := b[i]
		if !isToken(c) {
			switch {
			case c == ':' && bytes.HasPrefix(b[i:], []byte("://")):
				i += p.address(&e, i)
			case c == '?' || c == '&':
				i += p.assignment(&e, i+1) + 1
			case c == '\\' && bytes.HasPrefix(b[i:], []byte(`\u0026`)):
				// "&" in a script.
				i += p.assignment(&e, i+len(`\u0026`)) + len(`\u0026`)
			case c == '"' || c == '\'':
				i += p.property(&e, i+1) + 1
			default:
				i++
			}
			continue
		}
		end := i + 1
		for end < len(b) && isToken(b[end]) {
			end++
		}
		p.word(&e, i, end)
		if e.done < end && end < len(b) && b[end] == ':' {
			p.quoted(&e, b[i:end], end)
		}
		i = max(end, e.done)
	}
	return e.result()
}

// shortToken is the length of words that are no tokens, whatever they consist of.
const shortToken = 20

// isToken: base64url, and what joins the parts of tokens.
func isToken(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'
}

// word looks at b[start:end], which is as long as a token may be.
func (p painter) word(e *edit, start, end int) {
	b := e.source
	word := b[start:end]
	switch {
	case len(word) > shortToken && hasToken(word, func(s, n int) { e.replace(start+s, start+n, p.mark) }):
	case len(word) == 6 && bytes.EqualFold(word, []byte("bearer")), len(word) == 5 && bytes.EqualFold(word, []byte("basic")):
		// "Bearer …" and "Basic …" (RFC 6750, 2.1 and RFC 7617, 2).
		from := end
		for from < len(b) && b[from] == ' ' {
			from++
		}
		to := from
		for to < len(b) && (isToken(b[to]) || strings.IndexByte("~+/=", b[to]) >= 0) {
			to++
		}
		if from > end && isCredential(b[from:to], len(word) == 5) {
			e.replace(from, to, p.mark)
		}
	case bytes.HasPrefix(word, []byte("-----BEGIN")):
		p.privateKey(e, start)
	case word[len(word)-1] >= '0' && word[len(word)-1] <= '9' && len(word) >= 8 && len(word) <= 13 && end < len(b) && b[end] == ':':
		// A Telegram bot's token: its number, and 35 characters.
		to := end + 1
		for to < len(b) && isToken(b[to]) {
			to++
		}
		if digits := bytes.TrimPrefix(word, []byte("bot")); to-end-1 == 35 && isDigits(digits) {
			e.replace(start, to, p.mark)
		}
	}
}

func isDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// isCredential tells what follows "Bearer" and "Basic" in a header from what does
// in a sentence.
func isCredential(b []byte, basic bool) bool {
	if basic {
		plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(string(b), "="))
		return err == nil && bytes.IndexByte(plain, ':') >= 0
	}
	return len(b) >= 12 && bytes.ContainsAny(b, "0123456789._-")
}

// makers are the first characters that makers of tokens give to them, and the
// least that follows.
var makers = []struct {
	prefix string
	rest   int
}{
	{"ghp_", 20}, {"gho_", 20}, {"ghu_", 20}, {"ghs_", 20}, {"ghr_", 20}, {"github_pat_", 20},
	{"glpat-", 16}, {"gldt-", 16}, {"glsa_", 20},
	{"sk_live_", 14}, {"sk_test_", 14}, {"rk_live_", 14}, {"rk_test_", 14}, {"whsec_", 16},
	{"xoxb-", 16}, {"xoxp-", 16}, {"xoxa-", 16}, {"xoxr-", 16}, {"xoxs-", 16}, {"xoxe-", 16}, {"xoxe.", 16}, {"xapp-", 16},
	{"AIza", 30}, {"ya29.", 20}, {"GOCSPX-", 20},
	{"sk-", 24}, {"npm_", 30}, {"pypi-", 40}, {"SG.", 40}, {"shpat_", 24}, {"shpss_", 24}, {"shpca_", 24},
	{"dop_v1_", 32}, {"hf_", 30}, {"lin_api_", 24}, {"hvs.", 20}, {"dckr_pat_", 20}, {"sq0csp-", 20}, {"sq0atp-", 16},
	{"tskey-", 16}, {"ntn_", 30}, {"NRAK-", 20}, {"sbp_", 30}, {"EAACEdEose0cBA", 20}, {"AGE-SECRET-KEY-1", 20},
}

// maxHead bounds the first part of a JSON Web Token.
const maxHead = 4 << 10

// hasToken finds a JSON Web Token (RFC 7519) or one that tells its maker. It looks at
// each byte of the word once, however often the word seems to begin a token.
func hasToken(word []byte, found func(start, end int)) bool {
	for from := 0; from < len(word); {
		end := bytes.IndexByte(word[from:], '.')
		if end < 0 {
			break
		}
		end += from
		// Of an encrypted one (RFC 7516), the second part may be empty.
		second := bytes.IndexByte(word[end+1:], '.')
		if second < 0 {
			break
		}
		if start := headStart(word[from:end]); start >= 0 && (second >= 4 || second == 0) {
			found(from+start, len(word))
			return true
		}
		from = end + 1
	}
	for _, m := range makers {
		if word[0] == m.prefix[0] && len(word) >= len(m.prefix)+m.rest && string(word[:len(m.prefix)]) == m.prefix {
			found(0, len(word))
			return true
		}
	}
	return false
}

// headStart is where the first part of a JSON Web Token begins in what stands before
// a dot, or -1.
func headStart(part []byte) int {
	for i := max(0, len(part)-maxHead); ; i += len("eyJ") {
		n := bytes.Index(part[i:], []byte("eyJ"))
		if i += n; n < 0 || len(part)-i < 10 {
			return -1
		}
		if i == 0 || part[i-1] == '_' || part[i-1] == '-' {
			return i
		}
	}
}

// privateKey takes out what stands between the lines of PEM (RFC 7468).
func (p painter) privateKey(e *edit, start int) {
	const closing = "PRIVATE KEY-----"
	line := e.source[start:min(len(e.source), start+64)]
	n := bytes.Index(line, []byte(closing))
	if n < 0 {
		return
	}
	from := start + n + len(closing)
	to := len(e.source)
	if n := bytes.Index(e.source[from:], []byte("-----END")); n >= 0 {
		to = from + n
	}
	e.replace(from, to, p.mark)
}

// maxAddress bounds the URLs that are looked for in texts.
const maxAddress = 8 << 10

// address cleans user and password of a URL of which "://" is at i. It returns how
// far it has come.
func (p painter) address(e *edit, i int) int {
	b := e.source
	start := i + len("://")
	for at := start; at < min(len(b), start+maxAddress); at++ {
		switch c := b[at]; {
		case c == '@':
			user, password, found := bytes.Cut(b[start:at], []byte(":"))
			if found {
				e.replace(at-len(password), at, p.mark)
			} else if len(user) >= 16 {
				e.replace(start, at, p.mark)
			}
			return at - i
		case c <= ' ' || strings.IndexByte("/?#\"'<>\\", c) >= 0:
			return start - i
		}
	}
	return start - i
}

// property cleans a name in quotes with a value in quotes, as in scripts and in logs
// of JSON. The name is at i. It returns how far it has come.
func (p painter) property(e *edit, i int) int {
	b := e.source
	end := i
	for end < len(b) && end-i <= maxNameLength && isToken(b[end]) {
		end++
	}
	if end == i || end >= len(b) || b[end] != b[i-1] {
		return 0
	}
	p.quoted(e, b[i:end], end+1)
	return max(0, e.done-i)
}

// quoted cleans the value in quotes that may follow a name, from its colon on.
func (p painter) quoted(e *edit, name []byte, i int) {
	b := e.source
	colon := false
	for ; i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == ':' && !colon); i++ {
		colon = colon || b[i] == ':'
	}
	if !colon || i >= len(b) || b[i] != '"' && b[i] != '\'' || p.weigh(string(name)) == innocent {
		return
	}
	end := i + 1
	for end < len(b) && b[end] != b[i] && b[end] != '\n' {
		if b[end] == '\\' {
			end++
		}
		end++
	}
	e.replace(i+1, min(end, len(b)), p.mark)
}

// assignment cleans "name=value" of a query at i. It returns how far it has come.
func (p painter) assignment(e *edit, i int) int {
	b, from := e.source, i
	if bytes.HasPrefix(b[i:], []byte("amp;")) { // "&" in markup
		i += len("amp;")
	}
	end := i
	for end < len(b) && end-i <= maxNameLength && (isToken(b[end]) || b[end] == '%' || b[end] == '[' || b[end] == ']') {
		end++
	}
	if end >= len(b) || b[end] != '=' || p.weighEscaped(b[i:end]) == innocent {
		return 0
	}
	to := end + 1
	for to < len(b) && b[to] > ' ' && strings.IndexByte("&;\"'<>#\\`", b[to]) < 0 {
		to++
	}
	e.replace(end+1, to, p.mark)
	return to - from
}
