package share

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"culvert/app/exchange"
	"culvert/app/inspect"
)

const (
	// maxQuoted bounds a body in Markdown: GitHub takes 64 KB for an issue.
	maxQuoted = 16 << 10
	// maxListed bounds the messages of a stream, and maxListedData each of them.
	maxListed     = 50
	maxListedData = 300
)

// Markdown is the exchange as a section of a document, such as an issue.
func Markdown(x *exchange.Exchange, o Options) string {
	x = o.prepare(x)
	var out strings.Builder
	outcome := "no answer"
	if x.Status != 0 {
		outcome = statusLine(x.Status)
	}
	fmt.Fprintf(&out, "### %s → %s\n\n", inline(x.Method+" "+x.Path), outcome)
	out.WriteString(strings.Join(facts(x), " · ") + "\n\n")
	if x.Err != "" {
		fmt.Fprintf(&out, "**Error:** %s\n\n", inline(x.Err))
	}
	out.WriteString("**Request**\n\n" + fence("http", requestHead(x)))
	quoteBody(&out, x.Request)
	if x.Status != 0 {
		out.WriteString("**Response**\n\n" + fence("http", responseHead(x)))
		quoteBody(&out, x.Response)
	}
	listMessages(&out, x)
	return strings.TrimRight(out.String(), "\n") + "\n"
}

func facts(x *exchange.Exchange) []string {
	var facts []string
	if !x.Start.IsZero() {
		facts = append(facts, x.Start.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	facts = append(facts, x.Duration.Round(time.Millisecond).String())
	if x.Tunnel != "" || x.Target != "" {
		facts = append(facts, inline(strings.TrimSpace(x.Tunnel+" → "+x.Target)))
	}
	if x.Redacted {
		facts = append(facts, "secrets were taken out")
	}
	return facts
}

// inline is a text in a line, as code.
func inline(s string) string {
	s = oneLine(s)
	if s == "" {
		return ""
	}
	ticks := strings.Repeat("`", longestRun(s)+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return ticks + s + ticks
}

// fence is a block of code that its content cannot end.
func fence(language, text string) string {
	ticks := strings.Repeat("`", max(3, longestRun(text)+1))
	return ticks + language + "\n" + strings.TrimSuffix(text, "\n") + "\n" + ticks + "\n\n"
}

// longestRun is the length of the longest run of backticks.
func longestRun(s string) int {
	longest, run := 0, 0
	for i := range len(s) {
		if s[i] != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

func quoteBody(out *strings.Builder, m exchange.Message) {
	if said := missing(m); said != "" {
		defer func() { out.WriteString("_Of the body, " + said + "._\n\n") }()
	}
	if len(m.Body) == 0 || m.Dropped {
		return
	}
	v, err := inspect.New(context.Background(), m, inspect.Pretty)
	if err != nil {
		return
	}
	language := ""
	switch v.Kind {
	case inspect.Image, inspect.Binary:
		fmt.Fprintf(out, "_%d bytes of binary data_\n\n", len(v.Body()))
		return
	case inspect.JSON:
		language = "json"
	case inspect.Markup:
		language = "xml"
		if strings.Contains(m.Header.Get("Content-Type"), "html") {
			language = "html"
		}
	}
	var text bytes.Buffer
	if err := v.WriteText(context.Background(), &text); err != nil {
		return
	}
	shown := clean(strings.ToValidUTF8(text.String(), "\uFFFD"))
	if len(shown) > maxQuoted {
		shown = cut(shown, maxQuoted) + "\n…"
	}
	out.WriteString(fence(language, shown))
}

// cut is the start of a text, of whole runes.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return strings.Clone(s[:most])
}

func listMessages(out *strings.Builder, x *exchange.Exchange) {
	if len(x.Messages) == 0 {
		return
	}
	out.WriteString("**Messages**\n\n")
	var list strings.Builder
	messages := x.Messages[max(0, len(x.Messages)-maxListed):]
	if left := x.Skipped + len(x.Messages) - len(messages); left > 0 {
		fmt.Fprintf(&list, "… %d before\n", left)
	}
	for _, m := range messages {
		arrow := "←"
		if m.From == exchange.FromVisitor {
			arrow = "→"
		}
		data := fmt.Sprintf("[%d bytes of binary data]", m.Size)
		if isText(m.Data) && m.Kind != exchange.Binary && m.Kind != exchange.Close {
			data = oneLine(cut(string(m.Data), maxListedData))
			if int64(len(data)) < m.Size {
				data += "…"
			}
		}
		kind := map[exchange.MessageKind]string{exchange.Ping: "ping ", exchange.Pong: "pong ", exchange.Close: "close ", exchange.Event: oneLine(m.Name) + " "}[m.Kind]
		fmt.Fprintf(&list, "%s %s %s%s\n", m.Time.UTC().Format("15:04:05.000"), arrow, kind, data)
	}
	out.WriteString(fence("", list.String()))
}
