package share

import (
	"bufio"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"culvert/app/coding"
	"culvert/app/exchange"
)

// WriteHAR writes an HTTP archive. Bodies stand in it without their content
// codings, as the format wants it.
func WriteHAR(w io.Writer, exchanges []*exchange.Exchange, o Options) error {
	out := bufio.NewWriter(w)
	creator, err := json.Marshal(map[string]string{"name": "Culvert", "version": o.Version})
	if err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	fmt.Fprintf(out, `{"log":{"version":"1.2","creator":%s,"entries":[`, creator)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for i, x := range exchanges {
		separator := ",\n"
		if i == 0 {
			separator = "\n"
		}
		out.WriteString(separator)
		if err := encoder.Encode(entryOf(o.prepare(x))); err != nil {
			return fmt.Errorf("writing the archive: %w", err)
		}
	}
	out.WriteString("]}}\n")
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	return nil
}

func entryOf(x *exchange.Exchange) *harEntry {
	e := &harEntry{
		Started: loose(x.Start.UTC().Format(time.RFC3339Nano)),
		Time:    milliseconds(x.Duration),
		Request: harRequest{
			Method: loose(x.Method), URL: loose(address(x)), HTTPVersion: "HTTP/1.1",
			Headers: fieldList{pairs(x.Request.Header)}, Query: unread{query(x.Path)}, HeadersSize: -1, BodySize: number(x.Request.Size),
		},
		Response: harResponse{
			Status: number(x.Status), StatusText: loose(http.StatusText(x.Status)), HTTPVersion: "HTTP/1.1",
			Headers: fieldList{pairs(x.Response.Header)}, RedirectURL: loose(x.Response.Header.Get("Location")),
			HeadersSize: -1, BodySize: number(x.Response.Size), Error: loose(x.Err),
		},
		Culvert: &harExtension{
			Tunnel: loose(x.Tunnel), Target: loose(x.Target), RemoteAddr: loose(x.RemoteAddr), Upgrade: loose(x.Upgrade),
			Detail: loose(x.Detail), NoTarget: x.NoTarget, Open: x.Open, Redacted: x.Redacted, Skipped: number(x.Skipped),
			RequestTruncated: x.Request.Truncated, RequestDropped: x.Request.Dropped,
			ResponseTruncated: x.Response.Truncated, ResponseDropped: x.Response.Dropped,
		},
	}
	host, path := splitURL(string(e.Request.URL))
	if path != x.Path {
		e.Culvert.Path = loose(x.Path)
	}
	if host != x.Host {
		e.Culvert.Host = loose(x.Host)
	}
	// The archive knows no head that has not come: all of it was waiting.
	e.Timings = harTimings{Wait: milliseconds(cmp.Or(x.Waited, x.Duration)), Receive: milliseconds(x.Duration - cmp.Or(x.Waited, x.Duration))}
	for _, c := range readCookies(x.Request.Header) {
		e.Request.Cookies.add(harPair{loose(c.Name), loose(c.Value)})
	}
	for _, value := range x.Response.Header.Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(value); err == nil {
			e.Response.Cookies.add(harPair{loose(c.Name), loose(c.Value)})
		}
	}
	writePost(e, x.Request)
	writeContent(e, x.Response)
	for _, m := range x.Messages {
		writeMessage(e, m)
	}
	return e
}

func readCookies(h http.Header) (cookies []*http.Cookie) {
	for _, value := range h.Values("Cookie") {
		if c, err := http.ParseCookie(value); err == nil {
			cookies = append(cookies, c...)
		}
	}
	return cookies
}

func milliseconds(d time.Duration) number {
	return number(float64(max(d, 0)) / float64(time.Millisecond))
}

func pairs(h http.Header) (out list[harPair]) {
	for _, f := range fields(h) {
		out.add(harPair{loose(f[0]), loose(f[1])})
	}
	return out
}

func query(path string) (out list[harPair]) {
	_, raw, _ := strings.Cut(path, "?")
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		out.add(harPair{loose(coding.Unescape(name)), loose(coding.Unescape(value))})
	}
	return out
}

func writePost(e *harEntry, m exchange.Message) {
	body, _ := decoded(m)
	if len(body) == 0 {
		return
	}
	p := &harPost{MimeType: loose(m.Header.Get("Content-Type")), Text: loose(body)}
	if !isText(body) {
		p.Text, p.Encoding = loose(base64.StdEncoding.EncodeToString(body)), "base64"
	}
	e.Request.Post = p
}

func writeContent(e *harEntry, m exchange.Message) {
	body, _ := decoded(m)
	c := harContent{Size: number(len(body)), MimeType: loose(m.Header.Get("Content-Type")), Comment: loose(missing(m))}
	if len(body) > 0 {
		text := loose(body)
		if !isText(body) {
			text, c.Encoding = loose(base64.StdEncoding.EncodeToString(body)), "base64"
		}
		c.Text = &text
	} else if m.Dropped {
		c.Size = number(m.Size)
	}
	e.Response.Content = c
}

// opcodes are those of RFC 6455, 5.2.
var opcodes = map[exchange.MessageKind]number{exchange.Text: 1, exchange.Binary: 2, exchange.Close: 8, exchange.Ping: 9, exchange.Pong: 10}

func writeMessage(e *harEntry, m exchange.StreamMessage) {
	at := number(math.Round(float64(m.Time.UnixMicro())) / 1e6)
	size := number(0)
	if m.Truncated {
		size = number(m.Size)
	}
	if m.Kind == exchange.Event {
		e.Events.add(harEvent{at, loose(m.Name), loose(m.LastID), loose(strings.ToValidUTF8(string(m.Data), "\uFFFD")), size, m.Truncated})
		return
	}
	f := harFrame{Type: "receive", Time: at, Opcode: opcodes[m.Kind], Data: loose(m.Data), Size: size, Truncated: m.Truncated}
	if m.From == exchange.FromVisitor {
		f.Type = "send"
	}
	if m.Kind == exchange.Binary || !isText(m.Data) {
		f.Data = loose(base64.StdEncoding.EncodeToString(m.Data))
		f.Base64 = m.Kind != exchange.Binary
	}
	e.Type = "websocket"
	e.Frames.add(f)
}
