package inspector

import (
	"net/http"
	"slices"
	"strconv"

	"culvert/app/redact"
	"culvert/app/ui/look"
	"culvert/app/ui/words"
)

// headers are all that one side sent before its body.
func (i *Inspector) headers(side int) doc {
	f := &flow{}
	f.add(i.titleOf(side)...)
	f.add(blank())
	if side == request && i.exchange.Host != "" && i.exchange.Request.Header.Get("Host") == "" {
		f.add(field("Host", i.exchange.Host)) // net/http keeps it apart
	}
	header := i.message(side).Header
	if len(header) == 0 && (side == request || i.exchange.Status != 0) {
		f.add(say(look.ColorMuted, words.T("No headers.")))
	}
	f.add(i.headerLines(side, sortedNames(header))...)
	return f
}

func sortedNames(h http.Header) []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// maxValue bounds what is shown of one value: nobody reads more on the screen, and
// copying has all of it.
const maxValue = 8 << 10

// headerLines are the fields of those names; what is secret is masked until it is
// asked for.
func (i *Inspector) headerLines(side int, names []string) []line {
	var lines []line
	header := i.message(side).Header
	for _, name := range names {
		for n, value := range header[name] {
			key := strconv.Itoa(side) + name + strconv.Itoa(n)
			masked, secret := redact.MaskHeader(name, value)
			if secret && !i.secrets && !i.shown[key] {
				value = masked
			}
			if len(value) > maxValue {
				value = value[:maxValue] + "…"
			}
			l := field(name, value)
			if secret && !i.secrets {
				l.spans = append(l.spans, i.revealer(key)...)
			}
			lines = append(lines, l)
		}
	}
	return lines
}

// revealer is the word that shows a secret or hides it again.
func (i *Inspector) revealer(key string) []span {
	if i.secrets {
		return nil
	}
	word := words.T("show")
	if i.shown[key] {
		word = words.T("hide")
	}
	return []span{{text: " "}, {text: word, color: look.ColorInfo, tap: func() { i.reveal(key) }}}
}
