package visitor

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode"
)

// RetryAfter is what a 503 or 429 says in Retry-After, in seconds, unless the
// header already says something.
const RetryAfter = 5

// maxMessage bounds what an error answer says, in bytes.
const maxMessage = 600

// WriteError answers r with an error: a page for readers, one line of text for
// programs. The message is for people, and may come from an agent.
func WriteError(w http.ResponseWriter, r *http.Request, status int, message string) {
	message = oneLine(message)
	if message == "" {
		message = http.StatusText(status)
	}
	h := w.Header()
	for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Trailer"} {
		delete(h, name)
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept")
	h.Set("X-Content-Type-Options", "nosniff")
	if (status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests) && h.Get("Retry-After") == "" {
		h.Set("Retry-After", strconv.Itoa(RetryAfter))
	}
	body := message + "\n"
	if PrefersHTML(r) {
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", contentSecurityPolicy())
		h.Set("Referrer-Policy", "no-referrer")
		body = page(status, message)
	} else {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		io.WriteString(w, body) // a visitor who has gone needs no answer
	}
}

// oneLine makes a message of an agent harmless to terminals and logs.
func oneLine(s string) string {
	if len(s) > maxMessage {
		s = s[:maxMessage] + "…"
	}
	s = strings.ToValidUTF8(s, "�")
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if !unicode.IsGraphic(c) {
			return ' '
		}
		return c
	}, s))
}

// title says what a status means here.
func title(status int) string {
	switch status {
	case http.StatusNotFound:
		return "No tunnel here"
	case http.StatusRequestEntityTooLarge:
		return "Too large for this tunnel"
	case http.StatusTooManyRequests:
		return "Too many requests"
	case http.StatusBadGateway:
		return "The tunnel is not connected"
	case http.StatusServiceUnavailable:
		return "The service is not running"
	case http.StatusGatewayTimeout:
		return "The service takes too long"
	}
	return http.StatusText(status)
}

// passing reports whether the same request may succeed later.
func passing(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

const style = `:root{color-scheme:light dark}body{margin:0;min-height:100vh;display:grid;place-items:center;` +
	`font:16px/1.5 system-ui,sans-serif;background:#f6f7f9;color:#1c2430}main{max-width:34rem;padding:2rem}` +
	`h1{font-size:1.5rem;margin:0 0 .5rem}p{margin:.5rem 0;overflow-wrap:anywhere}small{color:#5b6675}` +
	`@media(prefers-color-scheme:dark){body{background:#14181e;color:#e6eaf0}small{color:#97a3b4}}`

// script loads the page again: at first soon, then less and less often, up to 30 s,
// and not at all while nobody looks. The count lives in the tab, since a reload
// forgets everything else.
const script = `(function(){"use strict";var key="culvert-retry "+location.pathname,n=0;` +
	`try{var s=JSON.parse(sessionStorage.getItem(key));if(s&&Date.now()-s.t<120000)n=s.n}catch(e){n=6}` +
	`var wait=Math.min(30000,1000*Math.pow(1.7,n))*(0.75+Math.random()/2);` +
	`function go(){if(document.hidden){document.addEventListener("visibilitychange",go,{once:true});return}` +
	`try{sessionStorage.setItem(key,JSON.stringify({n:Math.min(n+1,20),t:Date.now()}))}catch(e){}location.reload()}` +
	`setTimeout(go,wait)})()`

// contentSecurityPolicy lets exactly the page's own style and script run.
func contentSecurityPolicy() string {
	return "default-src 'none'; script-src " + hashSource(script) + "; style-src " + hashSource(style) +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
}

func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func page(status int, message string) string {
	code, heading := strconv.Itoa(status), html.EscapeString(title(status))
	var b strings.Builder
	b.WriteString(`<!doctype html><html lang="en"><head><meta charset="utf-8">` +
		`<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">`)
	if passing(status) {
		b.WriteString(`<noscript><meta http-equiv="refresh" content="20"></noscript>`)
	}
	b.WriteString(`<title>` + code + ` ` + heading + `</title><style>` + style + `</style></head><body><main>` +
		`<h1>` + heading + `</h1><p>` + html.EscapeString(message) + `</p>`)
	if passing(status) {
		b.WriteString(`<p><small>This page tries again by itself. (` + code + `)</small></p></main><script>` + script + `</script>`)
	} else {
		b.WriteString(`<p><small>(` + code + `)</small></p></main>`)
	}
	b.WriteString("</body></html>\n")
	return b.String()
}
