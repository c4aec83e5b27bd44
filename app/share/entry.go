package share

import (
	"cmp"
	"encoding/base64"
	"math"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"culvert/app/exchange"
)

func exchangeOf(e *harEntry) *exchange.Exchange {
	own := cmp.Or(e.Culvert, &harExtension{})
	host, path := splitURL(cut(string(e.Request.URL), maxField))
	x := &exchange.Exchange{
		Tunnel: short(own.Tunnel), Target: short(own.Target), URL: cut(string(e.Request.URL), maxField),
		Method: cut(string(e.Request.Method), 64), Path: cmp.Or(cut(string(own.Path), maxField), path),
		RemoteAddr: short(own.RemoteAddr), Upgrade: short(own.Upgrade), Detail: short(own.Detail), NoTarget: own.NoTarget,
		Open: own.Open, Redacted: own.Redacted, Skipped: int(own.Skipped.within(0, math.MaxInt32)),
		Status: int(e.Response.Status.within(0, 999)), Err: short(e.Response.Error),
		Duration: duration(e.Time),
	}
	x.Start, _ = time.Parse(time.RFC3339Nano, string(e.Started))
	// What is not receiving was waiting: for a connection too, which our own have.
	if receive := duration(e.Timings.Receive); e.Timings.Receive >= 0 && receive < x.Duration {
		x.Waited = x.Duration - receive
	}
	var authority string
	x.Request.Header, authority = readFields(e.Request.Headers.kept)
	x.Response.Header, _ = readFields(e.Response.Headers.kept)
	x.Host = cmp.Or(short(own.Host), authority, x.Request.Header.Get("Host"), host)
	if x.Upgrade == "" && e.Type == "websocket" {
		x.Upgrade = "websocket"
	}
	readPost(&x.Request, &e.Request, own)
	readContent(&x.Response, &e.Response, own)
	readMessages(x, e)
	return x
}

func short(s loose) string { return cut(string(s), 4<<10) }

func duration(n number) time.Duration {
	most := number(30 * 24 * time.Hour / time.Millisecond)
	return time.Duration(math.Round(float64(min(max(n, 0), most)) * float64(time.Millisecond)))
}

// splitURL is a URL's host, and its path with the query, as they are written.
func splitURL(raw string) (host, path string) {
	_, rest, found := strings.Cut(raw, "://")
	if !found {
		rest = raw
	}
	rest, _, _ = strings.Cut(rest, "#")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		return rest, "/"
	}
	host, path = rest[:end], rest[end:]
	if path[0] == '?' {
		path = "/" + path
	}
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}
	return host, path
}

// readFields is the header, and what HTTP/2 has instead of Host.
func readFields(pairs []harPair) (h http.Header, authority string) {
	h = http.Header{}
	n := 0
	for _, f := range pairs {
		name, value := cut(string(f.Name), maxField), cut(string(f.Value), maxField)
		if name == ":authority" {
			authority = value
		}
		// The others that begin with a colon are in the request line.
		if httpguts.ValidHeaderFieldName(name) {
			// Firefox joins several fields by newlines.
			for line := range strings.SplitSeq(value, "\n") {
				if n++; n > maxFields {
					return h, authority
				}
				if line = strings.TrimRight(line, "\r"); httpguts.ValidHeaderFieldValue(line) {
					h.Add(name, line)
				}
			}
		}
	}
	return h, authority
}

func readPost(m *exchange.Message, r *harRequest, own *harExtension) {
	m.Truncated, m.Dropped = own.RequestTruncated, own.RequestDropped
	if p := r.Post; p != nil {
		text := string(p.Text)
		if text == "" && !p.Params.IsZero() {
			text = formOf(p.Params.kept)
		}
		m.Body = bytesOf(text, p.Encoding)
		if p.MimeType != "" && m.Header.Get("Content-Type") == "" && httpguts.ValidHeaderFieldValue(string(p.MimeType)) {
			m.Header.Set("Content-Type", short(p.MimeType))
		}
	}
	finish(m, r.BodySize, 0)
}

func formOf(params []harPair) string {
	var out []string
	for _, p := range params {
		out = append(out, string(p.Name)+"="+string(p.Value)) // as they were sent: escaped
	}
	return strings.Join(out, "&")
}

func readContent(m *exchange.Message, r *harResponse, own *harExtension) {
	m.Truncated, m.Dropped = own.ResponseTruncated, own.ResponseDropped
	if r.Content.Text != nil {
		m.Body = bytesOf(string(*r.Content.Text), r.Content.Encoding)
	}
	finish(m, r.BodySize, r.Content.Size)
}

func bytesOf(text string, encoding loose) []byte {
	if text == "" {
		return nil
	}
	if strings.EqualFold(string(encoding), "base64") {
		if data, err := base64.StdEncoding.DecodeString(text); err == nil {
			return data
		}
	}
	return []byte(text)
}

// finish makes body, size and header agree.
func finish(m *exchange.Message, travelled, size number) {
	if len(m.Body) > 0 {
		m.Header.Del("Content-Encoding") // archives have bodies without
	}
	m.Size = max(travelled, 0).within(0, math.MaxInt64/2)
	if m.Size == 0 {
		m.Size = max(int64(len(m.Body)), size.within(0, math.MaxInt64/2))
	}
	if len(m.Body) > maxBody {
		m.Size = max(m.Size, int64(len(m.Body)))
		m.Body, m.Truncated = m.Body[:maxBody:maxBody], true
	}
	if len(m.Body) == 0 && m.Size > 0 {
		m.Dropped = true // exported without bodies
	}
}

func readMessages(x *exchange.Exchange, e *harEntry) {
	kinds := map[int64]exchange.MessageKind{}
	for kind, opcode := range opcodes {
		kinds[int64(opcode)] = kind
	}
	for _, f := range e.Frames.kept {
		kind, known := kinds[f.Opcode.within(0, 16)]
		if !known {
			continue
		}
		m := exchange.StreamMessage{Time: moment(f.Time), From: exchange.FromService, Kind: kind, Data: []byte(f.Data), Truncated: f.Truncated}
		if f.Type == "send" {
			m.From = exchange.FromVisitor
		}
		if kind == exchange.Binary || f.Base64 {
			m.Data = bytesOf(string(f.Data), "base64")
		}
		addMessage(x, m, f.Size)
	}
	for _, v := range e.Events.kept {
		addMessage(x, exchange.StreamMessage{Time: moment(v.Time), From: exchange.FromService, Kind: exchange.Event,
			Name: short(v.Name), LastID: short(v.ID), Data: []byte(v.Data), Truncated: v.Truncated}, v.Size)
	}
	x.Skipped += e.Frames.left + e.Events.left
}

func addMessage(x *exchange.Exchange, m exchange.StreamMessage, size number) {
	m.Size = max(int64(len(m.Data)), size.within(0, math.MaxInt64/2))
	if len(m.Data) > maxData {
		m.Data, m.Truncated = m.Data[:maxData:maxData], true
	}
	x.Messages = append(x.Messages, m)
}

// moment is a time in seconds since 1970.
func moment(seconds number) time.Time {
	const most = 1 << 40 // tens of thousands of years
	if seconds <= 0 || seconds > most {
		return time.Time{}
	}
	return time.UnixMicro(int64(math.Round(float64(seconds) * 1e6))).UTC()
}
