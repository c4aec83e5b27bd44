package editor

import (
	"net/http"
	"strings"

	"culvert/app/redact"
)

// hiddenText is a text with its secrets behind dots, as they are shown, and what each
// of them hides.
type hiddenText struct {
	shown   string
	secrets []string
	before  []string // what stands before each of them: the name of a field, mostly
}

// hideText finds the secrets in a body. Where it cannot be told where they begin and
// end, all of the text is one.
func hideText(h http.Header, text string) hiddenText {
	clean, found := redact.Body(h, []byte(text))
	if !found {
		return hiddenText{shown: text}
	}
	whole := hiddenText{shown: redact.Dots, secrets: []string{text}, before: []string{""}}
	pieces := strings.Split(string(clean), redact.Placeholder)
	rest, starts := strings.CutPrefix(text, pieces[0])
	if !starts || len(pieces) == 1 || strings.Contains(text, redact.Dots) {
		return whole
	}
	t := hiddenText{shown: strings.Join(pieces, redact.Dots)}
	for i, piece := range pieces[1:] {
		at := strings.Index(rest, piece)
		if i == len(pieces)-2 {
			at = len(rest) - len(piece)
			if !strings.HasSuffix(rest, piece) {
				at = -1
			}
		} else if piece == "" {
			at = -1
		}
		if at < 0 {
			return whole
		}
		t.secrets = append(t.secrets, rest[:at])
		t.before = append(t.before, lastField(pieces[i]))
		rest = rest[at+len(piece):]
	}
	return t
}

// lastField is the end of what stands before a secret.
func lastField(text string) string {
	return strings.TrimSpace(text[strings.LastIndexAny(text, "\n,&;{[")+1:])
}

// read is the text as it was shown, perhaps changed, with the secrets in it. Dots mean
// what they hid behind the same name or else, if none of them has gone, at the same
// place; it fails if they can mean nothing. A guess is good enough to be looked at.
func (t hiddenText) read(text string, guess bool) (string, bool) {
	pieces := strings.Split(text, redact.Dots)
	n := len(pieces) - 1
	if len(t.secrets) == 0 || n == 0 {
		return text, true
	}
	if n > len(t.secrets) {
		return text, false
	}
	meant, taken := make([]int, n), make([]bool, len(t.secrets))
	lost := 0
	for i := range meant {
		meant[i] = -1
		for j, before := range t.before {
			if !taken[j] && before == lastField(pieces[i]) {
				meant[i], taken[j] = j, true
				break
			}
		}
		if meant[i] < 0 {
			lost++
		}
	}
	if lost > 0 && n < len(t.secrets) && !guess {
		return text, false
	}
	var b strings.Builder
	next := 0
	for i, j := range meant {
		if j < 0 {
			for taken[next] {
				next++
			}
			j, taken[next] = next, true
		}
		b.WriteString(pieces[i])
		b.WriteString(t.secrets[j])
	}
	b.WriteString(pieces[n])
	return b.String(), true
}
