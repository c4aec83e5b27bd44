package share

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"culvert/app/exchange"
)

// maxArgument bounds a body on the command line: Linux takes 128 KB for one argument.
const maxArgument = 100 << 10

// added are fields that curl, the way to the service, or the backend adds by
// itself.
var added = map[string]bool{
	"Host": true, "Content-Length": true, "Connection": true, "Transfer-Encoding": true, "Keep-Alive": true, "Te": true, "Trailer": true,
	"Upgrade": true, "Proxy-Connection": true, "Accept-Encoding": true, "X-Forwarded-For": true, "X-Forwarded-Proto": true,
	"X-Forwarded-Host": true, "Forwarded": true, "Sec-Websocket-Key": true, "Sec-Websocket-Version": true, "Sec-Websocket-Extensions": true,
}

// CURL is a command that sends the request again, to the public URL. Where the body
// is not in it, a comment before it says why. It is for sh, bash, zsh, ksh and fish,
// on Windows for Git Bash or WSL: cmd and PowerShell have other quotes, and must not
// be given it, because what a visitor sent could be commands there.
func CURL(x *exchange.Exchange, o Options) string {
	x = o.prepare(x)
	body, _ := decoded(x.Request)
	var notes []string
	if said := missing(x.Request); said != "" {
		notes = append(notes, "Of the body, "+said+".")
	}
	args := append([]string{"curl"}, method(x.Method, len(body) > 0)...)
	args = append(args, target(x)...)
	args = append(args, headerArguments(x, len(body) > 0)...)
	switch {
	case len(body) == 0:
	case isText(body) && len(body) <= maxArgument:
		args = append(args, "--data-raw "+quote(string(body)))
	case isText(body):
		notes = append(notes, fmt.Sprintf("The body has %d bytes, too many for a command. Save it as body.txt first.", len(body)))
		args = append(args, "--data-binary @body.txt")
	default:
		notes = append(notes, fmt.Sprintf("The body is %d bytes of binary data. Save it as body.bin first.", len(body)))
		args = append(args, "--data-binary @body.bin")
	}
	var out strings.Builder
	for _, note := range notes {
		out.WriteString("# " + note + "\n")
	}
	out.WriteString(strings.Join(args, " \\\n  "))
	return out.String()
}

// method is what says it, if curl would choose another.
func method(name string, hasBody bool) []string {
	switch {
	case name == http.MethodHead && !hasBody:
		return []string{"--head"}
	case name == http.MethodGet && !hasBody, name == http.MethodPost && hasBody, name == "":
		return nil
	}
	return []string{"-X " + quote(name)}
}

func target(x *exchange.Exchange) []string {
	url := address(x)
	scheme, rest, found := strings.Cut(url, "://")
	switch scheme = strings.ToLower(scheme); {
	case !found || scheme != "http" && scheme != "https" && scheme != "ws" && scheme != "wss":
		// Another scheme, or none, would have curl do what nobody means.
		url = "http://" + strings.TrimLeft(rest, "/")
	case x.Upgrade != "" && strings.HasPrefix(scheme, "http"):
		url = "ws" + strings.TrimPrefix(scheme, "http") + "://" + rest
	}
	args := []string{quote(url)}
	if strings.ContainsAny(url, "[]{}") {
		args = append(args, "--globoff")
	}
	if strings.Contains(url, "/.") {
		args = append(args, "--path-as-is")
	}
	return args
}

func headerArguments(x *exchange.Exchange, hasBody bool) (args []string) {
	typed, coded := false, false
	for _, f := range fields(x.Request.Header) {
		name := http.CanonicalHeaderKey(f[0])
		coded = coded || name == "Accept-Encoding"
		// The body is sent without its codings.
		if added[name] || name == "Content-Encoding" || !httpguts.ValidHeaderFieldName(f[0]) || !httpguts.ValidHeaderFieldValue(f[1]) {
			continue
		}
		typed = typed || name == "Content-Type"
		if f[1] == "" {
			args = append(args, "-H "+quote(f[0]+";")) // that is how curl sends an empty one
			continue
		}
		args = append(args, "-H "+quote(f[0]+": "+f[1]))
	}
	if hasBody && !typed {
		args = append(args, "-H 'Content-Type:'") // or curl would say that it is a form
	}
	if coded {
		args = append(args, "--compressed")
	}
	return args
}

// quote is one word for a shell, whatever is in it: in single quotes, or in $'…' if
// there is what one cannot see. NUL cannot be said, and is left out.
//
// A shell may read it otherwise than another, but none may find the end of the
// quotes before we mean it: what follows would be a command that a visitor wrote.
// In single quotes fish takes a backslash for an escape, and so all of them stand
// outside. An older POSIX shell, such as dash, has no $'…' and sees a "$" and single
// quotes, in which no quote may be: it gets another text then. fish refuses it.
func quote(s string) string {
	s = strings.ReplaceAll(s, "\x00", "")
	visible := utf8.ValidString(s)
	for _, r := range s {
		if isHidden(r) && r != '\n' && r != '\t' {
			visible = false
		}
	}
	if visible {
		if s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
			return s
		}
		return "'" + outside.Replace(s) + "'"
	}
	var out bytes.Buffer
	out.WriteString("$'")
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1, isHidden(r), strings.ContainsRune(`'\!`, r):
			for _, c := range []byte(s[i : i+n]) {
				// Three octal digits end by themselves, in every shell.
				fmt.Fprintf(&out, `\%03o`, c)
			}
		default:
			out.WriteString(s[i : i+n])
		}
		i += n
	}
	out.WriteByte('\'')
	return out.String()
}

// outside ends the single quotes for what must not stand in them.
var outside = strings.NewReplacer("'", `'\''`, `\`, `'\\'`)
