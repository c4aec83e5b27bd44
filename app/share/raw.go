package share

import (
	"fmt"
	"strings"

	"culvert/app/exchange"
)

// Raw is request and answer as HTTP/1.1 has them. Bodies stand without their
// content codings, and in brackets what cannot be shown.
func Raw(x *exchange.Exchange, o Options) string {
	x = o.prepare(x)
	var out strings.Builder
	out.WriteString(requestHead(x))
	out.WriteByte('\n')
	writeBody(&out, x.Request)
	out.WriteByte('\n')
	if x.Status == 0 {
		out.WriteString("[no answer" + because(x) + "]\n")
		return out.String()
	}
	out.WriteString(responseHead(x))
	out.WriteByte('\n')
	writeBody(&out, x.Response)
	if x.Err != "" {
		out.WriteString("[" + oneLine(x.Err) + "]\n")
	}
	return out.String()
}

func because(x *exchange.Exchange) string {
	if x.Err == "" {
		return ""
	}
	return ": " + oneLine(x.Err)
}

func requestHead(x *exchange.Exchange) string {
	var out strings.Builder
	path := x.Path
	if path == "" {
		path = "/"
	}
	fmt.Fprintf(&out, "%s %s HTTP/1.1\n", oneLine(x.Method), oneLine(path))
	if x.Host != "" && x.Request.Header.Get("Host") == "" {
		fmt.Fprintf(&out, "Host: %s\n", oneLine(x.Host))
	}
	writeFields(&out, x.Request)
	return out.String()
}

func responseHead(x *exchange.Exchange) string {
	var out strings.Builder
	fmt.Fprintf(&out, "HTTP/1.1 %s\n", statusLine(x.Status))
	writeFields(&out, x.Response)
	return out.String()
}

func writeFields(out *strings.Builder, m exchange.Message) {
	for _, f := range fields(m.Header) {
		fmt.Fprintf(out, "%s: %s\n", oneLine(f[0]), oneLine(f[1]))
	}
}

func writeBody(out *strings.Builder, m exchange.Message) {
	if body, _ := decoded(m); len(body) > 0 {
		text := fmt.Sprintf("[%d bytes of binary data]", len(body))
		if isText(body) {
			text = clean(string(body))
		}
		out.WriteString(strings.TrimSuffix(text, "\n") + "\n")
	}
	if said := missing(m); said != "" {
		out.WriteString("[" + said + "]\n")
	}
}
